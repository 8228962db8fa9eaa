// SPDX-License-Identifier: Apache-2.0
// Copies that put the rows of a matrix side by side, so that a vector holds one column of many rows.
#pragma once

#include "kernels/cpu/cpu.h"

typedef float v4 __attribute__((vector_size(16)));
typedef float v4_loose __attribute__((vector_size(16), aligned(4), may_alias));

static inline float element(const void *data, int64_t at, const tm_dtype dtype)
{
    return dtype == TM_F32 ? ((const float *)data)[at] : tm_bf16_float(((const uint16_t *)data)[at]);
}

static inline v4 four(const void *data, int64_t at, const tm_dtype dtype)
{
    if (dtype == TM_F32) return *(const v4_loose *)((const float *)data + at);
    typedef uint16_t halves __attribute__((vector_size(8), aligned(2), may_alias));
    typedef int32_t wide __attribute__((vector_size(16)));
    return (v4)(__builtin_convertvector(*(const halves *)((const uint16_t *)data + at), wide) << 16);
}

// A 4 x 4 block, turned: four rows of the source become four columns of the panel.
static inline void turn_four(float *to, int64_t width, const void *from, int64_t at, int64_t stride,
                             const tm_dtype dtype)
{
    v4 a = four(from, at, dtype), b = four(from, at + stride, dtype);
    v4 c = four(from, at + 2 * stride, dtype), d = four(from, at + 3 * stride, dtype);
    v4 ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5),
       ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    v4 cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5),
       cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(v4_loose *)to = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    *(v4_loose *)(to + width) = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    *(v4_loose *)(to + 2 * width) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    *(v4_loose *)(to + 3 * width) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

// Columns k .. k + n_k of four rows (fewer than four of them are `valid`: the others are 0).
static inline void turn_strip(float *to, int64_t width, const void *from, int64_t at, int64_t stride,
                              int64_t valid, int64_t n_k, const tm_dtype dtype)
{
    int64_t k = 0;
    if (valid >= 4)
        for (; k + 4 <= n_k; k += 4) turn_four(to + k * width, width, from, at + k, stride, dtype);
    int64_t there = valid < 4 ? valid : 4;
    for (; k < n_k; k++) {
        for (int64_t r = 0; r < there; r++) to[k * width + r] = element(from, at + r * stride + k, dtype);
        for (int64_t r = there; r < 4; r++) to[k * width + r] = 0;
    }
}

// to[k * width + r] = from[at + r * stride + k] for r < valid, else 0; width a multiple of 4, or 2 more.
// Whole cache lines of four rows at a time: rows may lie a power of two apart, and evict one another.
static inline void pack_turned(float *to, int64_t width, const void *from, int64_t at, int64_t stride,
                               int64_t valid, int64_t n_k, const tm_dtype dtype)
{
    for (int64_t k = 0; k < n_k; k += 16) {
        int64_t part = min_of(16, n_k - k), r = 0;
        for (; r + 4 <= width; r += 4)
            turn_strip(to + k * width + r, width, from, at + r * stride + k, stride, max_of(0, valid - r),
                       part, dtype);
        for (; r < width; r++)
            for (int64_t i = k; i < k + part; i++)
                to[i * width + r] = r < valid ? element(from, at + r * stride + i, dtype) : 0;
    }
}
