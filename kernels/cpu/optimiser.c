// SPDX-License-Identifier: Apache-2.0
// AdamW, and the sum of squares that clipping needs.
#include "kernels/cpu/cpu.h"

typedef struct adamw_job {
    float *w, *m, *v;
    const float *g;
    float decay, beta1, beta2, rest1, rest2, eps, grad_scale;  // rest: 1 - beta
    float step_size, root_correction;                          // lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
} adamw_job;

static void adamw_range(const void *arg, int64_t first, int64_t last)
{
    const adamw_job a = *(const adamw_job *)arg;
    float *restrict w = a.w, *restrict m = a.m, *restrict v = a.v;
    const float *restrict g = a.g;
    for (int64_t i = first; i < last; i++) {
        float grad = g[i] * a.grad_scale;
        float mi = a.beta1 * m[i] + a.rest1 * grad;
        float vi_ = a.beta2 * v[i] + a.rest2 * grad * grad;
        m[i] = mi;
        v[i] = vi_;
        w[i] = w[i] * a.decay - a.step_size * mi / (sqrtf(vi_) * a.root_correction + a.eps);
    }
}

void tm_adamw(tm_device *dev, float *w, float *m, float *v, const float *g, int64_t n,
              const tm_adamw_args *args)
{
    tm_assert(args->step >= 1);
    double step = (double)args->step;
    adamw_job job = {
        .w = w,
        .m = m,
        .v = v,
        .g = g,
        .decay = (float)(1 - args->lr * args->weight_decay),
        .beta1 = (float)args->beta1,
        .beta2 = (float)args->beta2,
        .rest1 = (float)(1 - args->beta1),
        .rest2 = (float)(1 - args->beta2),
        .eps = (float)args->eps,
        .grad_scale = args->grad_scale,
        .step_size = (float)(args->lr / (1 - pow(args->beta1, step))),
        .root_correction = (float)(1 / sqrt(1 - pow(args->beta2, step))),
    };
    rows_run(dev, n, 1, adamw_range, &job);
}

enum { square_chunk = 65536, square_lanes = 8 };

typedef struct square_job {
    const float *x;
    int64_t n;
    double *partial;
} square_job;

static void square_tile(void *arg, int64_t chunk, int lane)
{
    const square_job *job = arg;
    const float *x = job->x + chunk * square_chunk;
    int64_t n = min_of(square_chunk, job->n - chunk * square_chunk);
    double sums[square_lanes] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + square_lanes <= n; i += square_lanes)
        for (int j = 0; j < square_lanes; j++) sums[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < n; i++) sum += (double)x[i] * (double)x[i];
    for (int j = 0; j < square_lanes; j++) sum += sums[j];
    job->partial[chunk] = sum;
}

void tm_sum_squares(tm_device *dev, double *sum, const float *x, int64_t n)
{
    int64_t chunks = parts_of(n, square_chunk);
    square_job job = {x, n, tm_scratch_push(dev, (size_t)chunks * sizeof(double))};
    if (job.partial == NULL) return;
    tm_pool_run(tm_device_pool(dev), chunks, square_tile, &job);
    *sum = 0;
    for (int64_t c = 0; c < chunks; c++) *sum += job.partial[c];
    tm_scratch_pop(dev, job.partial);
}
