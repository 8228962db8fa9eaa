// SPDX-License-Identifier: Apache-2.0
// Cases of AdamW and of the sum of squares. n = {elements, step}
#include "tests/ops/case.h"

// ---- adamw: inputs w, m, v, g as rows; output [3, n]: w, m, v after the step. f = {weight decay, grad
// scale}

static const double lr = 0.01, beta1 = 0.9, beta2 = 0.999, eps = 1e-4;

static void adamw_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    for (int i = 0; i < 4; i++) in[i] = (op_shape){1, c->n[0]};
    *out = (op_shape){3, c->n[0]};
}

static void adamw_reference(const op_case *c, const double *const in[], double *out)
{
    int64_t n = c->n[0];
    for (int64_t i = 0; i < n; i++) {
        double g = in[3][i] * (double)c->f[1], v0 = in[2][i] * in[2][i];
        double m = beta1 * in[1][i] + (1 - beta1) * g;
        double v = beta2 * v0 + (1 - beta2) * g * g;
        double m_hat = m / (1 - pow(beta1, (double)c->n[1]));
        double v_hat = v / (1 - pow(beta2, (double)c->n[1]));
        out[i] = in[0][i] * (1 - lr * (double)c->f[0]) - lr * m_hat / (sqrt(v_hat) + eps);
        out[n + i] = m;
        out[2 * n + i] = v;
    }
}

static void adamw_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    int64_t n = c->n[0];
    float *w = keep((size_t)n * 4), *m = keep((size_t)n * 4), *v = keep((size_t)n * 4);
    for (int64_t i = 0; i < n; i++) {
        w[i] = in[0].data[i];
        m[i] = in[1].data[i];
        v[i] = in[2].data[i] * in[2].data[i];  // a second moment is not negative
    }
    tm_adamw_args args = {.lr = lr,
                          .beta1 = beta1,
                          .beta2 = beta2,
                          .eps = eps,
                          .weight_decay = (double)c->f[0],
                          .grad_scale = c->f[1],
                          .step = c->n[1]};
    tm_adamw(dev, w, m, v, in[3].data, n, &args);
    for (int64_t i = 0; i < n; i++) {
        out.data[i] = w[i];
        out.data[out.stride + i] = m[i];
        out.data[2 * out.stride + i] = v[i];
    }
}

static tm_op_size flat_size(const op_case *c)
{
    return (tm_op_size){(double)c->n[0], 1, 1};
}

static const op_case adamw_cases[] = {
    {"first step", {301, 1}, {0, 1}},
    {"step 10 with decay", {301, 10}, {0.1f, 1}},
    {"clipped, late", {40001, 100000}, {0.1f, 0.25f}},
    {"1 M elements", {1 << 20, 10}, {0.1f, 1}, true},
    {0},
};

// ---- sum_squares

static void sum_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    in[0] = (op_shape){1, c->n[0]};
    *out = (op_shape){1, 1};
}

static void sum_reference(const op_case *c, const double *const in[], double *out)
{
    *out = 0;
    for (int64_t i = 0; i < c->n[0]; i++) *out += in[0][i] * in[0][i];
}

static void sum_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    double sum;
    tm_sum_squares(dev, &sum, in[0].data, c->n[0]);
    out.data[0] = (float)sum;
}

static const op_case sum_cases[] = {
    {"less than a chunk", {1003}, {0}},
    {"three chunks", {150001}, {0}},
    {"nothing", {0}, {0}},
    {"1 M elements", {1 << 20}, {0}, true},
    {0},
};

const op_spec specs_optimiser[] = {
    {.op = "adamw",
     .n_in = 4,
     .shapes = adamw_shapes,
     .reference = adamw_reference,
     .forward = adamw_forward,
     .size = flat_size,
     .cases = adamw_cases},
    {.op = "sum_squares",
     .n_in = 1,
     .shapes = sum_shapes,
     .reference = sum_reference,
     .forward = sum_forward,
     .size = flat_size,
     .cases = sum_cases},
    {0},
};
