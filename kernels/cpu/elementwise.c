// SPDX-License-Identifier: Apache-2.0
// Fill, scale, copy, add, axpy, dropout and storage conversions.
#include "kernels/cpu/cpu.h"

#include "engine/base/random.h"

typedef struct flat_args {
    float *y;
    const float *x;
    float value;
} flat_args;

static void fill_range(const void *arg, int64_t first, int64_t last)
{
    const flat_args *a = arg;
    for (int64_t i = first; i < last; i++) a->y[i] = a->value;
}

void tm_fill(tm_device *dev, float *x, int64_t n, float value)
{
    rows_run(dev, n, 1, fill_range, &(flat_args){.y = x, .value = value});
}

static void scale_range(const void *arg, int64_t first, int64_t last)
{
    const flat_args *a = arg;
    for (int64_t i = first; i < last; i++) a->y[i] *= a->value;
}

void tm_scale(tm_device *dev, float *x, int64_t n, float factor)
{
    rows_run(dev, n, 1, scale_range, &(flat_args){.y = x, .value = factor});
}

static void axpy_range(const void *arg, int64_t first, int64_t last)
{
    const flat_args *a = arg;
    for (int64_t i = first; i < last; i++) a->y[i] += a->value * a->x[i];
}

void tm_axpy(tm_device *dev, float *y, const float *x, int64_t n, float factor)
{
    rows_run(dev, n, 1, axpy_range, &(flat_args){.y = y, .x = x, .value = factor});
}

typedef struct mat_args {
    tm_mat y, a, b;
    float rate;
    uint64_t seed, stream;
} mat_args;

static void copy_rows(const void *arg, int64_t first, int64_t last)
{
    const mat_args *m = arg;
    for (int64_t r = first; r < last; r++)
        memmove(row_of(m->y, r), row_of(m->a, r), (size_t)m->y.cols * sizeof(float));
}

void tm_copy(tm_device *dev, tm_mat y, tm_mat x)
{
    same_shape(y, x);
    rows_run(dev, y.rows, y.cols, copy_rows, &(mat_args){.y = y, .a = x});
}

static void add_rows(const void *arg, int64_t first, int64_t last)
{
    const mat_args *m = arg;
    for (int64_t r = first; r < last; r++) {
        float *y = row_of(m->y, r);
        const float *a = row_of(m->a, r), *b = row_of(m->b, r);
        for (int64_t c = 0; c < m->y.cols; c++) y[c] = a[c] + b[c];
    }
}

void tm_add(tm_device *dev, tm_mat y, tm_mat a, tm_mat b)
{
    same_shape(y, a);
    same_shape(y, b);
    rows_run(dev, y.rows, y.cols, add_rows, &(mat_args){.y = y, .a = a, .b = b});
}

static void dropout_rows(const void *arg, int64_t first, int64_t last)
{
    const mat_args *m = arg;
    float keep = 1 / (1 - m->rate);
    for (int64_t r = first; r < last; r++) {
        float *y = row_of(m->y, r);
        const float *x = row_of(m->a, r);
        for (int64_t c = 0; c < m->y.cols; c++) {
            double u = tm_random_unit(m->seed, m->stream, (uint64_t)(r * m->y.cols + c));
            y[c] = u < (double)m->rate ? 0 : x[c] * keep;
        }
    }
}

void tm_dropout(tm_device *dev, tm_mat y, tm_mat x, float rate, uint64_t seed, uint64_t stream)
{
    same_shape(y, x);
    tm_assert(rate >= 0 && rate < 1);
    rows_run(dev, y.rows, y.cols, dropout_rows,
             &(mat_args){.y = y, .a = x, .rate = rate, .seed = seed, .stream = stream});
}

typedef struct bf16_args {
    uint16_t *half;
    float *whole;
} bf16_args;

static void to_bf16_range(const void *arg, int64_t first, int64_t last)
{
    const bf16_args *a = arg;
    for (int64_t i = first; i < last; i++) a->half[i] = tm_bf16_of(a->whole[i]);
}

void tm_to_bf16(tm_device *dev, uint16_t *y, const float *x, int64_t n)
{
    rows_run(dev, n, 1, to_bf16_range, &(bf16_args){y, (float *)x});
}

static void from_bf16_range(const void *arg, int64_t first, int64_t last)
{
    const bf16_args *a = arg;
    for (int64_t i = first; i < last; i++) a->whole[i] = tm_bf16_float(a->half[i]);
}

void tm_from_bf16(tm_device *dev, float *y, const uint16_t *x, int64_t n)
{
    rows_run(dev, n, 1, from_bf16_range, &(bf16_args){(uint16_t *)x, y});
}
