// SPDX-License-Identifier: Apache-2.0
// The inner loop of MinHash, once per instruction set.
#pragma once

#include "stages/text/minhash.h"

// The constants of h_i(x) = (a_i x + b_i) >> 32 in halves; the lower half of b_i is zero.
typedef struct tm_minhash_constants {
    uint32_t a_low[TM_MINHASH_VALUES];
    uint32_t a_high[TM_MINHASH_VALUES];
    uint32_t b_high[TM_MINHASH_VALUES];
} tm_minhash_constants;

// Lowers `signature` to the least value over n shingles. All paths give the same bits.
typedef void tm_minhash_update(const tm_minhash_constants *c, const uint32_t *shingles, size_t n,
                               uint32_t signature[TM_MINHASH_VALUES]);

typedef struct tm_minhash_cpu {
    const char *name;
    tm_minhash_update *update;
} tm_minhash_cpu;

// The best path this processor has and TM_CPU allows.
const tm_minhash_cpu *tm_minhash_cpu_pick(void);
