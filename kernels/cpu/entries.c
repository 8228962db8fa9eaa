// SPDX-License-Identifier: Apache-2.0
// The table of the CPU device for one instruction set: every op.
#include "kernels/cpu/cpu.h"

#include "kernels/entries.h"

extern const tm_entries TM_ISA_NAME(tm_entries);
const tm_entries TM_ISA_NAME(tm_entries) = {TM_ENTRIES};
