// SPDX-License-Identifier: Apache-2.0
// The innermost loop of every matrix product: a block of C held in registers.
#pragma once

#include "kernels/cpu/cpu.h"

// Largest block: rows and vectors of columns.
#if defined(__AVX512F__)
enum { BLOCK_ROWS = 8, BLOCK_VECTORS = 3 };
#elif defined(__AVX2__)
enum { BLOCK_ROWS = 6, BLOCK_VECTORS = 2 };
#else
enum { BLOCK_ROWS = 6, BLOCK_VECTORS = 2 };
#endif

// Where A lies: element (i, k) at data[i * row + k * col].
typedef struct operand {
    const float *data;
    int64_t row, col;
} operand;

// C = or += alpha * A B over k elements; rows and vectors are constants where this is called. C is asked for
// early: it is needed only at the end, and may be far away.
static inline __attribute__((always_inline)) void micro(float *c, int64_t c_stride, operand a, const float *b,
                                                        int64_t b_stride, int64_t k, const int rows,
                                                        const int vectors, float alpha, tm_into into)
{
    vf sum[BLOCK_ROWS][BLOCK_VECTORS] = {{{0}}};
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) __builtin_prefetch(c + i * c_stride + j * LANES, 1);
    for (int64_t p = 0; p < k; p++, b += b_stride) {
        vf right[BLOCK_VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) right[j] = vf_load(b + j * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            vf left = vf_set(a.data[i * a.row + p * a.col]);
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++) sum[i][j] += left * right[j];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            float *at = c + i * c_stride + j * LANES;
            vf value = sum[i][j] * alpha;
            vf_store(at, into == TM_ADD ? vf_load(at) + value : value);
        }
}
