// SPDX-License-Identifier: Apache-2.0
// Reductions of a row, in an order that depends on its length alone.
#pragma once

#include "kernels/cpu/cpu.h"

// The largest of n > 0 elements; minus infinity if all are NaN.
static inline float row_max(const float *x, int64_t n)
{
    vf most = vf_set(-INFINITY);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) most = vf_max(vf_load(x + i), most);
    if (i < n) most = vf_max(vf_load_part(x + i, n - i, -INFINITY), most);
    return vf_largest(most);
}

// y[i] = exp(factor * x[i] - shift) unless y is NULL; returns the sum. y may be x.
static inline float row_exp(float *y, const float *x, int64_t n, float factor, float shift)
{
    vf sum = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf e = vf_exp(vf_load(x + i) * factor - shift);
        if (y != NULL) vf_store(y + i, e);
        sum += e;
    }
    if (i < n) {
        vf e = vf_exp(vf_load_part(x + i, n - i, -INFINITY) * factor - shift);
        if (y != NULL) vf_store_part(y + i, e, n - i);
        sum += e;
    }
    return vf_sum(sum);
}

static inline float row_dot(const float *x, const float *y, int64_t n)
{
    vf sum = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) sum += vf_load(x + i) * vf_load(y + i);
    if (i < n) sum += vf_load_part(x + i, n - i, 0) * vf_load_part(y + i, n - i, 0);
    return vf_sum(sum);
}
