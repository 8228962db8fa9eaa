// SPDX-License-Identifier: Apache-2.0
// What this process may use of the machine: its CPU affinity and the limits of its control group count, not
// what the machine has.
#pragma once

#include <stdint.h>

int tm_machine_cores(void);        // 1 or more
int64_t tm_machine_memory(void);   // bytes
