// SPDX-License-Identifier: Apache-2.0
// Shuts a process in: what it holds open it may read and write, it may use memory, and it may end. Nothing
// else.
#pragma once

#include "engine/base/status.h"

#define TM_JAIL_CPU_SECONDS 5

// Limits of the calling process: CPU time (SIGXCPU ends it), address space (what it has now and
// `memory_bytes` more; not under sanitizers, whose shadow needs it all), no core, no files, no processes.
// Then a seccomp filter for all its threads: read, write, memory and exit; everything else fails with EPERM.
// There is no way back.
tm_status tm_jail_enter(size_t memory_bytes, tm_error *err);

// Close what was inherited: every descriptor from `first` on.
void tm_jail_close_from(int first);
