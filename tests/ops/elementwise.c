// SPDX-License-Identifier: Apache-2.0
// Cases of elementwise ops and random tensors. n = {rows, cols}, f = {factor}
#include "tests/ops/case.h"

static void one_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    in[0] = in[1] = *out = (op_shape){c->n[0], c->n[1]};
}

static int64_t size_of(const op_case *c)
{
    return c->n[0] * c->n[1];
}

static tm_op_size mat_size(const op_case *c)
{
    return (tm_op_size){(double)c->n[0], (double)c->n[1], 1};
}

static tm_op_size flat_size(const op_case *c)
{
    return (tm_op_size){(double)size_of(c), 1, 1};
}

// Flat ops work on views of one row.
static void flat_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    in[0] = in[1] = *out = (op_shape){1, size_of(c)};
}

static void fill_reference(const op_case *c, const double *const in[], double *out)
{
    for (int64_t i = 0; i < size_of(c); i++) out[i] = (double)c->f[0];
}

static void fill_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_fill(dev, out.data, size_of(c), c->f[0]);
}

static void scale_reference(const op_case *c, const double *const in[], double *out)
{
    for (int64_t i = 0; i < size_of(c); i++) out[i] = (double)c->f[0] * in[0][i];
}

static void scale_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_copy(dev, out, in[0]);
    tm_scale(dev, out.data, size_of(c), c->f[0]);
}

static void copy_reference(const op_case *c, const double *const in[], double *out)
{
    memcpy(out, in[0], (size_t)size_of(c) * sizeof *out);
}

static void copy_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_copy(dev, out, in[0]);
}

static void add_reference(const op_case *c, const double *const in[], double *out)
{
    for (int64_t i = 0; i < size_of(c); i++) out[i] = in[0][i] + in[1][i];
}

static void add_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_add(dev, out, in[0], in[1]);
}

static void axpy_reference(const op_case *c, const double *const in[], double *out)
{
    for (int64_t i = 0; i < size_of(c); i++) out[i] = in[0][i] + (double)c->f[0] * in[1][i];
}

static void axpy_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_copy(dev, out, in[0]);
    tm_axpy(dev, out.data, in[1].data, size_of(c), c->f[0]);
}

// Which elements stay is the rule that ops.h states.
static void dropout_reference(const op_case *c, const double *const in[], double *out)
{
    for (int64_t i = 0; i < size_of(c); i++) {
        bool stays = tm_random_unit(11, 12, (uint64_t)i) >= (double)c->f[0];
        out[i] = stays ? in[0][i] / (1 - (double)c->f[0]) : 0;
    }
}

static void dropout_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_dropout(dev, out, in[0], c->f[0], 11, 12);
}

static void dropout_backward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                             const tm_mat d_in[])
{
    tm_dropout(dev, d_in[0], d_out, c->f[0], 11, 12);
}

static void bf16_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    uint16_t *half = keep((size_t)size_of(c) * sizeof *half);
    tm_to_bf16(dev, half, in[0].data, size_of(c));
    tm_from_bf16(dev, out.data, half, size_of(c));
}

static void from_bf16_reference(const op_case *c, const double *const in[], double *out)
{
    for (int64_t i = 0; i < size_of(c); i++) out[i] = (double)tm_bf16_float(tm_bf16_of((float)in[0][i]));
}

static void normal_reference(const op_case *c, const double *const in[], double *out)
{
    for (int64_t i = 0; i < size_of(c); i++) {
        double u = 1 - tm_random_unit(5, 6, (uint64_t)(i / 2 * 2));
        double turn = 2 * M_PI * tm_random_unit(5, 6, (uint64_t)(i / 2 * 2 + 1));
        double x = sqrt(-2 * log(u)) * (i % 2 == 0 ? cos(turn) : sin(turn));
        out[i] = 0.5 + (double)c->f[0] * x;
    }
}

static void normal_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_random_normal(dev, out.data, size_of(c), 0.5f, c->f[0], 5, 6);
}

static void uniform_reference(const op_case *c, const double *const in[], double *out)
{
    for (int64_t i = 0; i < size_of(c); i++)
        out[i] = -1 + ((double)c->f[0] + 1) * tm_random_unit(5, 6, (uint64_t)i);
}

static void uniform_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_random_uniform(dev, out.data, size_of(c), -1, c->f[0], 5, 6);
}

static const op_case cases[] = {
    {"odd shape", {7, 37}, {0.3f}},  {"more than a tile", {5, 5001}, {0.3f}},    {"nothing", {0, 3}, {0.3f}},
    {"one element", {1, 1}, {0.3f}}, {"1,024 x 768", {1024, 768}, {0.3f}, true}, {0},
};

const op_spec specs_elementwise[] = {
    {.op = "fill",
     .n_in = 0,
     .shapes = flat_shapes,
     .reference = fill_reference,
     .forward = fill_forward,
     .size = flat_size,
     .cases = cases},
    {.op = "scale",
     .n_in = 1,
     .shapes = flat_shapes,
     .reference = scale_reference,
     .forward = scale_forward,
     .size = flat_size,
     .cases = cases},
    {.op = "copy",
     .n_in = 1,
     .shapes = one_shapes,
     .reference = copy_reference,
     .forward = copy_forward,
     .size = mat_size,
     .cases = cases},
    {.op = "add",
     .n_in = 2,
     .shapes = one_shapes,
     .reference = add_reference,
     .forward = add_forward,
     .size = mat_size,
     .cases = cases},
    {.op = "axpy",
     .n_in = 2,
     .shapes = flat_shapes,
     .reference = axpy_reference,
     .forward = axpy_forward,
     .size = flat_size,
     .cases = cases},
    {.op = "dropout",
     .grad = "dropout",
     .n_in = 1,
     .shapes = one_shapes,
     .reference = dropout_reference,
     .forward = dropout_forward,
     .backward = dropout_backward,
     .size = mat_size,
     .cases = cases},
    {.op = "to_bf16",
     .n_in = 1,
     .shapes = flat_shapes,
     .reference = copy_reference,
     .forward = bf16_forward,
     .size = flat_size,
     .cases = cases},
    {.op = "from_bf16",
     .n_in = 1,
     .shapes = flat_shapes,
     .reference = from_bf16_reference,
     .forward = bf16_forward,
     .size = flat_size,
     .cases = cases},
    {.op = "random_normal",
     .n_in = 0,
     .shapes = flat_shapes,
     .reference = normal_reference,
     .forward = normal_forward,
     .size = flat_size,
     .cases = cases},
    {.op = "random_uniform",
     .n_in = 0,
     .shapes = flat_shapes,
     .reference = uniform_reference,
     .forward = uniform_forward,
     .size = flat_size,
     .cases = cases},
    {0},
};
