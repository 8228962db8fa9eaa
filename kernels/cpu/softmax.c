// SPDX-License-Identifier: Apache-2.0
// Softmax, its logarithm, and the largest element.
#include "kernels/cpu/cpu.h"

#include "kernels/cpu/reduce.h"

typedef struct softmax_args {
    tm_mat y, x;
    float factor;
    int32_t *best;
} softmax_args;

static void softmax_rows(const void *arg, int64_t first, int64_t last)
{
    const softmax_args *a = arg;
    int64_t n = a->x.cols;
    for (int64_t r = first; r < last; r++) {
        float *y = row_of(a->y, r);
        const float *x = row_of(a->x, r);
        float inverse = 1 / row_exp(y, x, n, a->factor, row_max(x, n) * a->factor);
        for (int64_t i = 0; i < n; i++) y[i] *= inverse;
    }
}

void tm_softmax(tm_device *dev, tm_mat y, tm_mat x, float factor)
{
    same_shape(y, x);
    tm_assert(factor > 0);
    rows_run(dev, x.rows, x.cols, softmax_rows, &(softmax_args){.y = y, .x = x, .factor = factor});
}

static void log_softmax_rows(const void *arg, int64_t first, int64_t last)
{
    const softmax_args *a = arg;
    int64_t n = a->x.cols;
    for (int64_t r = first; r < last; r++) {
        float *y = row_of(a->y, r);
        const float *x = row_of(a->x, r);
        float largest = row_max(x, n), lse = largest + logf(row_exp(NULL, x, n, 1, largest));
        for (int64_t i = 0; i < n; i++) y[i] = x[i] - lse;
    }
}

void tm_log_softmax(tm_device *dev, tm_mat y, tm_mat x)
{
    same_shape(y, x);
    rows_run(dev, x.rows, x.cols, log_softmax_rows, &(softmax_args){.y = y, .x = x});
}

static void argmax_rows(const void *arg, int64_t first, int64_t last)
{
    const softmax_args *a = arg;
    for (int64_t r = first; r < last; r++) {
        const float *x = row_of(a->x, r);
        int64_t best = 0;
        for (int64_t i = 1; i < a->x.cols; i++)
            if (x[i] > x[best] || (isnan(x[best]) && !isnan(x[i]))) best = i;
        a->best[r] = (int32_t)best;
    }
}

void tm_argmax(tm_device *dev, int32_t *best, tm_mat x)
{
    tm_assert(x.cols > 0);
    rows_run(dev, x.rows, x.cols, argmax_rows, &(softmax_args){.x = x, .best = best});
}
