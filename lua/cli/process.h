// SPDX-License-Identifier: Apache-2.0
// What the system says of another process.
#pragma once

#include <stdint.h>
#include <sys/types.h>

uint64_t tm_process_memory(pid_t pid);  // resident bytes; 0 if it is gone
