// SPDX-License-Identifier: Apache-2.0
// RMSNorm and LayerNorm.
//
// Gradients of gains add over fixed groups of rows first, then over the groups in order.
#include "kernels/cpu/cpu.h"

typedef struct norm_args {
    tm_mat y, dy, x;  // y is the output: y forward, dx backward
    const float *gain, *bias, *mean_in, *rstd_in;
    float *mean, *rstd;
    int64_t parts;
    float eps, offset;
    tm_into into;
} norm_args;

static float sum_of(const float *x, int64_t n)
{
    vf sum = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) sum += vf_load(x + i);
    if (i < n) sum += vf_load_part(x + i, n - i, 0);
    return vf_sum(sum);
}

// Sum of (x - mean)^2.
static float squares_of(const float *x, int64_t n, float mean)
{
    vf sum = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf d = vf_load(x + i) - mean;
        sum += d * d;
    }
    if (i < n) {
        vf d = vf_load_part(x + i, n - i, mean) - mean;
        sum += d * d;
    }
    return vf_sum(sum);
}

static void rms_part(float *y, float *rstd, const float *x, int64_t n, const norm_args *a)
{
    float r = 1 / sqrtf(squares_of(x, n, 0) / (float)n + a->eps);
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * r * (a->gain[i] + a->offset);
    if (rstd != NULL) *rstd = r;
}

static void rms_rows(const void *arg, int64_t first, int64_t last)
{
    const norm_args *a = arg;
    int64_t n = a->x.cols / a->parts;
    for (int64_t t = first; t < last; t++)
        for (int64_t p = 0; p < a->parts; p++)
            rms_part(row_of(a->y, t) + p * n, a->rstd == NULL ? NULL : a->rstd + t * a->parts + p,
                     row_of(a->x, t) + p * n, n, a);
}

void tm_rmsnorm(tm_device *dev, tm_mat y, float *rstd, tm_mat x, const float *gain, int64_t parts, float eps,
                float offset)
{
    same_shape(y, x);
    tm_assert(parts > 0 && x.cols % parts == 0);
    norm_args args = {
        .y = y, .x = x, .gain = gain, .rstd = rstd, .parts = parts, .eps = eps, .offset = offset};
    rows_run(dev, x.rows, x.cols, rms_rows, &args);
}

// dx = rstd * (g - x rstd^2 mean(g x)), g = dy * gain
static void rms_grad_part(float *dx, const float *dy, const float *x, float rstd, int64_t n,
                          const norm_args *a)
{
    vf sum = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        sum += vf_load(dy + i) * (vf_load(a->gain + i) + a->offset) * vf_load(x + i);
    float dot = vf_sum(sum);
    for (; i < n; i++) dot += dy[i] * (a->gain[i] + a->offset) * x[i];
    float k = dot * rstd * rstd / (float)n;
    if (a->into == TM_ADD)
        for (i = 0; i < n; i++) dx[i] += rstd * (dy[i] * (a->gain[i] + a->offset) - x[i] * k);
    else
        for (i = 0; i < n; i++) dx[i] = rstd * (dy[i] * (a->gain[i] + a->offset) - x[i] * k);
}

static void rms_grad_rows(const void *arg, int64_t first, int64_t last)
{
    const norm_args *a = arg;
    int64_t n = a->x.cols / a->parts;
    for (int64_t t = first; t < last; t++)
        for (int64_t p = 0; p < a->parts; p++)
            rms_grad_part(row_of(a->y, t) + p * n, row_of(a->dy, t) + p * n, row_of(a->x, t) + p * n,
                          a->rstd_in[t * a->parts + p], n, a);
}

void tm_rmsnorm_grad_x(tm_device *dev, tm_mat dx, tm_mat dy, tm_mat x, const float *gain, const float *rstd,
                       int64_t parts, float offset, tm_into into)
{
    same_shape(dx, x);
    same_shape(dy, x);
    tm_assert(parts > 0 && x.cols % parts == 0);
    norm_args args = {.y = dx,
                      .dy = dy,
                      .x = x,
                      .gain = gain,
                      .rstd_in = rstd,
                      .parts = parts,
                      .offset = offset,
                      .into = into};
    rows_run(dev, x.rows, x.cols, rms_grad_rows, &args);
}

// ---- Gradients of gains: groups of rows, each with a partial sum of its own

enum { group_rows = 64 };

typedef struct gain_args {
    tm_mat dy, x;
    const float *mean, *rstd;
    int64_t parts, width;
    float *partial;  // [groups, 1 or 2, width]
    bool layer;
} gain_args;

static void gain_group(void *arg, int64_t group, int lane)
{
    const gain_args *a = arg;
    int64_t n = a->width, first = group * group_rows, last = min_of(first + group_rows, a->x.rows);
    float *d_gain = a->partial + group * n * (a->layer ? 2 : 1), *d_bias = d_gain + n;
    memset(d_gain, 0, (size_t)(n * (a->layer ? 2 : 1)) * sizeof(float));
    for (int64_t t = first; t < last; t++)
        for (int64_t p = 0; p < a->parts; p++) {
            const float *dy = row_of(a->dy, t) + p * n, *x = row_of(a->x, t) + p * n;
            float r = a->rstd[t * a->parts + p], mean = a->layer ? a->mean[t] : 0;
            for (int64_t i = 0; i < n; i++) d_gain[i] += dy[i] * (x[i] - mean) * r;
            if (a->layer)
                for (int64_t i = 0; i < n; i++) d_bias[i] += dy[i];
        }
}

static void groups_add(float *sum, const float *partial, int64_t groups, int64_t step, int64_t n)
{
    for (int64_t g = 0; g < groups; g++)
        for (int64_t i = 0; i < n; i++) sum[i] += partial[g * step + i];
}

static void gain_run(tm_device *dev, float *d_gain, float *d_bias, gain_args *a)
{
    same_shape(a->dy, a->x);
    tm_assert(a->parts > 0 && a->x.cols % a->parts == 0);
    a->width = a->x.cols / a->parts;
    a->layer = d_bias != NULL;
    int64_t groups = parts_of(a->x.rows, group_rows), step = a->width * (a->layer ? 2 : 1);
    a->partial = tm_scratch_push(dev, (size_t)(groups * step) * sizeof(float));
    if (a->partial == NULL) return;
    tm_pool_run(tm_device_pool(dev), groups, gain_group, a);
    groups_add(d_gain, a->partial, groups, step, a->width);
    if (a->layer) groups_add(d_bias, a->partial + a->width, groups, step, a->width);
    tm_scratch_pop(dev, a->partial);
}

void tm_rmsnorm_grad_w(tm_device *dev, float *d_gain, tm_mat dy, tm_mat x, const float *rstd, int64_t parts)
{
    gain_run(dev, d_gain, NULL, &(gain_args){.dy = dy, .x = x, .rstd = rstd, .parts = parts});
}

void tm_layernorm_grad_w(tm_device *dev, float *d_gain, float *d_bias, tm_mat dy, tm_mat x, const float *mean,
                         const float *rstd)
{
    gain_run(dev, d_gain, d_bias, &(gain_args){.dy = dy, .x = x, .mean = mean, .rstd = rstd, .parts = 1});
}

// ---- LayerNorm

static void layer_rows(const void *arg, int64_t first, int64_t last)
{
    const norm_args *a = arg;
    int64_t n = a->x.cols;
    for (int64_t t = first; t < last; t++) {
        float *y = row_of(a->y, t);
        const float *x = row_of(a->x, t);
        float mean = sum_of(x, n) / (float)n;
        float r = 1 / sqrtf(squares_of(x, n, mean) / (float)n + a->eps);
        for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * r * a->gain[i] + a->bias[i];
        if (a->mean != NULL) a->mean[t] = mean;
        if (a->rstd != NULL) a->rstd[t] = r;
    }
}

void tm_layernorm(tm_device *dev, tm_mat y, float *mean, float *rstd, tm_mat x, const float *gain,
                  const float *bias, float eps)
{
    same_shape(y, x);
    norm_args args = {.y = y, .x = x, .gain = gain, .bias = bias, .mean = mean, .rstd = rstd, .eps = eps};
    rows_run(dev, x.rows, x.cols, layer_rows, &args);
}

// dx = rstd * (g - mean(g) - xhat mean(g xhat)), g = dy * gain
static void layer_grad_row(float *dx, const float *dy, const float *x, float mean, float rstd, int64_t n,
                           const norm_args *a)
{
    vf sum = {0}, sum_x = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf g = vf_load(dy + i) * vf_load(a->gain + i);
        sum += g;
        sum_x += g * (vf_load(x + i) - mean);
    }
    float s = vf_sum(sum), s_x = vf_sum(sum_x);
    for (; i < n; i++) {
        float g = dy[i] * a->gain[i];
        s += g;
        s_x += g * (x[i] - mean);
    }
    float g_mean = s / (float)n, k = s_x * rstd * rstd / (float)n;
    for (i = 0; i < n; i++) {
        float d = rstd * (dy[i] * a->gain[i] - g_mean - (x[i] - mean) * k);
        dx[i] = a->into == TM_ADD ? dx[i] + d : d;
    }
}

static void layer_grad_rows(const void *arg, int64_t first, int64_t last)
{
    const norm_args *a = arg;
    for (int64_t t = first; t < last; t++)
        layer_grad_row(row_of(a->y, t), row_of(a->dy, t), row_of(a->x, t), a->mean_in[t], a->rstd_in[t],
                       a->x.cols, a);
}

void tm_layernorm_grad_x(tm_device *dev, tm_mat dx, tm_mat dy, tm_mat x, const float *gain, const float *mean,
                         const float *rstd, tm_into into)
{
    same_shape(dx, x);
    same_shape(dy, x);
    norm_args args = {
        .y = dx, .dy = dy, .x = x, .gain = gain, .mean_in = mean, .rstd_in = rstd, .into = into};
    rows_run(dev, x.rows, x.cols, layer_grad_rows, &args);
}
