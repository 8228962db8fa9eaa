// SPDX-License-Identifier: Apache-2.0
// What this process may use of the machine: its CPU affinity and the limits of its control group count, not
// what the machine has.
#pragma once

#include <stdint.h>

int tm_machine_cores(void);        // 1 or more
int64_t tm_machine_memory(void);   // bytes
// Most memory that this process had at once since the last reset, in bytes; 0: the system does not tell.
int64_t tm_machine_peak(void);
void tm_machine_peak_reset(void);
// The kind of processor, as far as it decides the last bits of numeric results: the best instruction set that
// ops are compiled for, "avx512", "avx2" or "base", and at most what the environment variable TM_CPU names.
const char *tm_machine_cpu(void);
