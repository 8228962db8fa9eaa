// SPDX-License-Identifier: Apache-2.0
// Cases of activations and gated activations. n = {rows, cols, activation}
#include "tests/ops/case.h"

static double f_of(int64_t f, double x)
{
    switch (f) {
    case TM_SILU: return x / (1 + exp(-x));
    case TM_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case TM_GELU_ERF: return 0.5 * x * (1 + erf(x / sqrt(2)));
    }
    return x > 0 ? x : 0;
}

static void act_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    in[0] = in[1] = *out = (op_shape){c->n[0], c->n[1]};
}

static void act_reference(const op_case *c, const double *const in[], double *out)
{
    for (int64_t i = 0; i < c->n[0] * c->n[1]; i++) out[i] = f_of(c->n[2], in[0][i]);
}

static void act_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_activate(dev, out, in[0], (tm_activation)c->n[2]);
}

static void act_backward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                         const tm_mat d_in[])
{
    tm_activate_grad(dev, d_in[0], d_out, in[0], (tm_activation)c->n[2]);
}

static void glu_reference(const op_case *c, const double *const in[], double *out)
{
    for (int64_t i = 0; i < c->n[0] * c->n[1]; i++) out[i] = f_of(c->n[2], in[0][i]) * in[1][i];
}

static void glu_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_glu(dev, out, in[0], in[1], (tm_activation)c->n[2]);
}

static void glu_backward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                         const tm_mat d_in[])
{
    tm_glu_grad(dev, d_in[0], d_in[1], d_out, in[0], in[1], (tm_activation)c->n[2]);
}

static tm_op_size act_size(const op_case *c)
{
    return (tm_op_size){(double)c->n[0], (double)c->n[1], 1};
}

static const op_case cases[] = {
    {"silu", {11, 37, TM_SILU}, {0}},
    {"gelu, tanh form", {11, 37, TM_GELU_TANH}, {0}},
    {"gelu, exact", {11, 37, TM_GELU_ERF}, {0}},
    {"relu", {11, 37, TM_RELU}, {0}},
    {"one element", {1, 1, TM_SILU}, {0}},
    {"no rows", {0, 5, TM_SILU}, {0}},
    {"silu, 1,024 x 2,048", {1024, 2048, TM_SILU}, {0}, true},
    {"gelu, 1,024 x 3,072", {1024, 3072, TM_GELU_TANH}, {0}, true},
    {0},
};

const op_spec specs_activation[] = {
    {.op = "activate",
     .grad = "activate_grad",
     .n_in = 1,
     .spread = 4,
     .shapes = act_shapes,
     .reference = act_reference,
     .forward = act_forward,
     .backward = act_backward,
     .size = act_size,
     .cases = cases},
    {.op = "glu",
     .grad = "glu_grad",
     .n_in = 2,
     .spread = 4,
     .shapes = act_shapes,
     .reference = glu_reference,
     .forward = glu_forward,
     .backward = glu_backward,
     .size = act_size,
     .cases = cases},
    {0},
};
