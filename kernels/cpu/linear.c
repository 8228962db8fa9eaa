// SPDX-License-Identifier: Apache-2.0
// Linear layers: three matrix products and a bias.
#include "kernels/cpu/cpu.h"

typedef struct bias_args {
    tm_mat y;
    const float *bias;
    float *d_bias;
} bias_args;

static void bias_rows(const void *arg, int64_t first, int64_t last)
{
    const bias_args *a = arg;
    for (int64_t t = first; t < last; t++) {
        float *y = row_of(a->y, t);
        for (int64_t c = 0; c < a->y.cols; c++) y[c] += a->bias[c];
    }
}

void tm_linear(tm_device *dev, tm_mat y, tm_mat x, tm_weight w, const float *bias, float alpha, tm_into into)
{
    tm_matmul(dev, y, x, TM_N, w, TM_T, alpha, into);
    if (bias != NULL) rows_run(dev, y.rows, y.cols, bias_rows, &(bias_args){.y = y, .bias = bias});
}

void tm_linear_grad_x(tm_device *dev, tm_mat dx, tm_mat dy, tm_weight w, float alpha, tm_into into)
{
    tm_matmul(dev, dx, dy, TM_N, w, TM_N, alpha, into);
}

void tm_linear_grad_w(tm_device *dev, tm_mat dw, tm_mat dy, tm_mat x, float alpha)
{
    tm_matmul(dev, dw, dy, TM_T, tm_weight_of(x), TM_N, alpha, TM_ADD);
}

enum { column_part = 64 };

static void bias_grad_tile(void *arg, int64_t tile, int lane)
{
    const bias_args *a = arg;
    int64_t first = tile * column_part, last = min_of(first + column_part, a->y.cols);
    for (int64_t t = 0; t < a->y.rows; t++) {
        const float *dy = row_of(a->y, t);
        for (int64_t c = first; c < last; c++) a->d_bias[c] += dy[c];
    }
}

void tm_linear_grad_bias(tm_device *dev, float *db, tm_mat dy)
{
    bias_args args = {.y = dy, .d_bias = db};
    tm_pool_run(tm_device_pool(dev), parts_of(dy.cols, column_part), bias_grad_tile, &args);
}
