// SPDX-License-Identifier: Apache-2.0
// Cases of norms and rotary positions.
#include "tests/ops/case.h"

// ---- rmsnorm: n = {tokens, width, parts}, f = {offset}; inputs x, gain

static const double eps = 1e-5;

static void rms_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    in[0] = *out = (op_shape){c->n[0], c->n[1]};
    in[1] = (op_shape){1, c->n[1] / c->n[2]};
}

static void rms_reference(const op_case *c, const double *const in[], double *out)
{
    int64_t n = c->n[1] / c->n[2];
    for (int64_t r = 0; r < c->n[0] * c->n[2]; r++) {
        double squares = 0;
        for (int64_t i = 0; i < n; i++) squares += in[0][r * n + i] * in[0][r * n + i];
        double rstd = 1 / sqrt(squares / (double)n + (double)(float)eps);
        for (int64_t i = 0; i < n; i++)
            out[r * n + i] = in[0][r * n + i] * rstd * (in[1][i] + (double)c->f[0]);
    }
}

static void rms_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_rmsnorm(dev, out, NULL, in[0], in[1].data, c->n[2], (float)eps, c->f[0]);
}

static void rms_backward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                         const tm_mat d_in[])
{
    float *rstd = keep((size_t)(c->n[0] * c->n[2]) * sizeof *rstd);
    tm_rmsnorm(dev, out, rstd, in[0], in[1].data, c->n[2], (float)eps, c->f[0]);
    tm_rmsnorm_grad_x(dev, d_in[0], d_out, in[0], in[1].data, rstd, c->n[2], c->f[0], TM_SET);
    tm_rmsnorm_grad_w(dev, d_in[1].data, d_out, in[0], rstd, c->n[2]);
}

static tm_op_size mat_size(const op_case *c)
{
    return (tm_op_size){(double)c->n[0], (double)c->n[1], 1};
}

static const op_case rms_cases[] = {
    {"one part", {70, 37, 1}, {0}},
    {"a part per head", {9, 96, 4}, {0}},
    {"gain is a difference from 1", {5, 48, 1}, {1}},
    {"more rows than a group", {200, 20, 1}, {0}},
    {"1,024 x 768", {1024, 768, 1}, {0}, true},
    {0},
};

// The gradient added to what is there.
static void rms_backward_add(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                             const tm_mat d_in[])
{
    float *rstd = keep((size_t)(c->n[0] * c->n[2]) * sizeof *rstd);
    tm_rmsnorm(dev, out, rstd, in[0], in[1].data, c->n[2], (float)eps, c->f[0]);
    tm_rmsnorm_grad_x(dev, d_in[0], d_out, in[0], in[1].data, rstd, c->n[2], c->f[0], TM_ADD);
}

static const op_case add_cases[] = {{"gradient added", {8, 37, 1}, {0}}, {0}};

// ---- layernorm: n = {tokens, width}; inputs x, gain, bias

static void layer_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    in[0] = *out = (op_shape){c->n[0], c->n[1]};
    in[1] = in[2] = (op_shape){1, c->n[1]};
}

static void layer_reference(const op_case *c, const double *const in[], double *out)
{
    int64_t n = c->n[1];
    for (int64_t r = 0; r < c->n[0]; r++) {
        const double *x = in[0] + r * n;
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < n; i++) mean += x[i] / (double)n;
        for (int64_t i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean) / (double)n;
        double rstd = 1 / sqrt(variance + (double)(float)eps);
        for (int64_t i = 0; i < n; i++) out[r * n + i] = (x[i] - mean) * rstd * in[1][i] + in[2][i];
    }
}

static void layer_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_layernorm(dev, out, NULL, NULL, in[0], in[1].data, in[2].data, (float)eps);
}

static void layer_backward_into(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                                const tm_mat d_in[], tm_into into)
{
    float *mean = keep((size_t)c->n[0] * sizeof *mean), *rstd = keep((size_t)c->n[0] * sizeof *rstd);
    tm_layernorm(dev, out, mean, rstd, in[0], in[1].data, in[2].data, (float)eps);
    tm_layernorm_grad_x(dev, d_in[0], d_out, in[0], in[1].data, mean, rstd, into);
    if (into == TM_SET) tm_layernorm_grad_w(dev, d_in[1].data, d_in[2].data, d_out, in[0], mean, rstd);
}

static void layer_backward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                           const tm_mat d_in[])
{
    layer_backward_into(dev, c, in, out, d_out, d_in, TM_SET);
}

static void layer_backward_add(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                               const tm_mat d_in[])
{
    layer_backward_into(dev, c, in, out, d_out, d_in, TM_ADD);
}

static const op_case layer_cases[] = {
    {"odd width", {70, 37}, {0}},
    {"more rows than a group", {150, 20}, {0}},
    {"1,024 x 768", {1024, 768}, {0}, true},
    {0},
};

// ---- rope_table: n = {positions, rotary}, f = {theta, scale}

static void table_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    *out = (op_shape){c->n[0], c->n[1]};
}

static double angle_of(int64_t position, int64_t i, int64_t rotary, double theta)
{
    return (double)position * pow(theta, -2.0 * (double)i / (double)rotary);
}

static void table_reference(const op_case *c, const double *const in[], double *out)
{
    int64_t half = c->n[1] / 2;
    for (int64_t p = 0; p < c->n[0]; p++)
        for (int64_t i = 0; i < half; i++) {
            double angle = angle_of(p, i, c->n[1], (double)c->f[0]);
            out[p * c->n[1] + i] = (double)c->f[1] * cos(angle);
            out[p * c->n[1] + half + i] = (double)c->f[1] * sin(angle);
        }
}

static void table_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    float *inv_freq = keep((size_t)(c->n[1] / 2) * sizeof *inv_freq);
    tm_rope_frequencies(inv_freq, c->n[1], (double)c->f[0]);
    tm_rope_table(dev, out, inv_freq, c->f[1]);
}

static const op_case table_cases[] = {
    {"64 positions", {64, 16}, {10000, 1}},
    {"scaled", {30, 6}, {500000, 1.25}},
    {"2,048 x 64", {2048, 64}, {10000, 1}, true},
    {0},
};

// ---- rope: n = {tokens, heads, head size, rotary, positions}; inputs x and the table, of any numbers

static void rope_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    in[0] = *out = (op_shape){c->n[0], c->n[1] * c->n[2]};
    in[1] = (op_shape){c->n[4], c->n[3]};
}

static void rope_reference(const op_case *c, const double *const in[], double *out)
{
    int64_t size = c->n[2], rotary = c->n[3], half = rotary / 2;
    memcpy(out, in[0], (size_t)(c->n[0] * c->n[1] * size) * sizeof *out);
    for (int64_t t = 0; t < c->n[0]; t++)
        for (int64_t h = 0; h < c->n[1]; h++)
            for (int64_t i = 0; i < half; i++) {
                const double *x = in[0] + (t * c->n[1] + h) * size, *row = in[1] + id_of(t, c->n[4]) * rotary;
                double *y = out + (t * c->n[1] + h) * size;
                y[i] = x[i] * row[i] - x[i + half] * row[half + i];
                y[i + half] = x[i + half] * row[i] + x[i] * row[half + i];
            }
}

static const int32_t *positions_new(const op_case *c)
{
    int32_t *positions = keep((size_t)c->n[0] * sizeof *positions);
    for (int64_t t = 0; t < c->n[0]; t++) positions[t] = id_of(t, c->n[4]);
    return positions;
}

static void rope_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_copy(dev, out, in[0]);
    tm_rope(dev, out, c->n[1], positions_new(c), in[1]);
}

static void rope_backward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                          const tm_mat d_in[])
{
    tm_copy(dev, d_in[0], d_out);
    tm_rope_grad(dev, d_in[0], c->n[1], positions_new(c), in[1]);
}

static tm_op_size rope_size(const op_case *c)
{
    return (tm_op_size){(double)c->n[0], (double)(c->n[1] * c->n[2]), 1};
}

static const op_case rope_cases[] = {
    {"whole heads", {20, 3, 16, 16, 50}, {0}},
    {"part of each head", {20, 2, 20, 12, 50}, {0}},
    {"1,024 x 12 x 64", {1024, 12, 64, 64, 1024}, {0}, true},
    {0},
};

const op_spec specs_norm[] = {
    {.op = "rmsnorm",
     .grad = "rmsnorm_grad_x",
     .n_in = 2,
     .adds = {0, 1},
     .shapes = rms_shapes,
     .reference = rms_reference,
     .forward = rms_forward,
     .backward = rms_backward,
     .repeats = true,
     .size = mat_size,
     .cases = rms_cases},
    {.op = "rmsnorm",
     .grad = "rmsnorm_grad_x",
     .n_in = 2,
     .adds = {1, 1},
     .frozen = {0, 1},
     .shapes = rms_shapes,
     .reference = rms_reference,
     .forward = rms_forward,
     .backward = rms_backward_add,
     .size = mat_size,
     .cases = add_cases},
    {.op = "layernorm",
     .grad = "layernorm_grad_x",
     .n_in = 3,
     .adds = {0, 1, 1},
     .shapes = layer_shapes,
     .reference = layer_reference,
     .forward = layer_forward,
     .backward = layer_backward,
     .repeats = true,
     .size = mat_size,
     .cases = layer_cases},
    {.op = "layernorm",
     .grad = "layernorm_grad_x",
     .n_in = 3,
     .adds = {1, 1, 1},
     .frozen = {0, 1, 1},
     .shapes = layer_shapes,
     .reference = layer_reference,
     .forward = layer_forward,
     .backward = layer_backward_add,
     .size = mat_size,
     .cases = add_cases},
    {.op = "rope_table",
     .n_in = 0,
     .shapes = table_shapes,
     .reference = table_reference,
     .forward = table_forward,
     .size = mat_size,
     .cases = table_cases},
    {.op = "rope",
     .grad = "rope_grad",
     .n_in = 2,
     .frozen = {0, 1},
     .shapes = rope_shapes,
     .reference = rope_reference,
     .forward = rope_forward,
     .backward = rope_backward,
     .size = rope_size,
     .cases = rope_cases},
    {0},
};
