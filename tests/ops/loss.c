// SPDX-License-Identifier: Apache-2.0
// Cases of the head with its loss, and of softmax and its kin.
#include "tests/ops/case.h"

// ---- head_loss: n = {tokens, vocabulary, width, every which is ignored}, f = {softcap, logit scale};
// inputs hidden, head; output [tokens, 1]: the loss of each

static void loss_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    in[0] = (op_shape){c->n[0], c->n[2]};
    in[1] = (op_shape){c->n[1], c->n[2]};
    *out = (op_shape){c->n[0], 1};
}

static int32_t label_of(const op_case *c, int64_t t)
{
    return c->n[3] != 0 && t % c->n[3] == 0 ? -1 : id_of(t, c->n[1]);
}

static void loss_reference(const op_case *c, const double *const in[], double *out)
{
    int64_t vocabulary = c->n[1], width = c->n[2];
    double *logits = calloc((size_t)vocabulary, sizeof *logits);
    for (int64_t t = 0; t < c->n[0]; t++) {
        int32_t label = label_of(c, t);
        double sum = 0;
        for (int64_t v = 0; v < vocabulary; v++) {
            double x = 0;
            for (int64_t i = 0; i < width; i++) x += in[0][t * width + i] * in[1][v * width + i];
            if (c->f[1] != 0) x *= (double)c->f[1];
            if (c->f[0] != 0) x = (double)c->f[0] * tanh(x / (double)c->f[0]);
            logits[v] = x;
            sum += exp(x);
        }
        out[t] = label < 0 ? 0 : log(sum) - logits[label];
    }
    free(logits);
}

static tm_head_loss_args loss_args(const op_case *c, const tm_mat in[])
{
    int32_t *labels = keep((size_t)c->n[0] * sizeof *labels);
    for (int64_t t = 0; t < c->n[0]; t++) labels[t] = label_of(c, t);
    return (tm_head_loss_args){.hidden = in[0],
                               .head = tm_weight_of(in[1]),
                               .labels = labels,
                               .softcap = c->f[0],
                               .logit_scale = c->f[1],
                               .denominator = 1};
}

static void loss_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_head_loss_args args = loss_args(c, in);
    args.log_probs = keep((size_t)c->n[0] * sizeof(float));
    tm_head_loss(dev, &args);
    for (int64_t t = 0; t < c->n[0]; t++) out.data[t * out.stride] = -args.log_probs[t];
}

// The harness's direction is the weight of each token; the denominator must cancel.
static void loss_backward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                          const tm_mat d_in[])
{
    tm_head_loss_args args = loss_args(c, in);
    float *weights = keep((size_t)c->n[0] * sizeof *weights);
    for (int64_t t = 0; t < c->n[0]; t++) weights[t] = 4 * d_out.data[t * d_out.stride];
    args.weights = weights;
    args.denominator = 4;
    args.d_hidden = d_in[0];
    args.d_head = d_in[1];
    tm_head_loss(dev, &args);
}

static tm_op_size loss_size(const op_case *c)
{
    return (tm_op_size){(double)c->n[0], (double)c->n[1], (double)c->n[2]};
}

static const op_case loss_cases[] = {
    {"every token counts", {21, 37, 12, 0}, {0}},
    {"every third is ignored", {21, 37, 12, 3}, {0}},
    {"no token counts", {5, 37, 12, 1}, {0}},
    {"soft cap", {21, 37, 12, 4}, {5, 0}},
    {"scaled logits", {21, 37, 12, 0}, {0, 0.25}},
    {"one token, one entry", {1, 1, 3, 0}, {0}},
    {0},
};

static const op_case loss_bench[] = {
    {"1,024 x 2,048 x 192", {1024, 2048, 192, 0}, {0}, true},
    {"1,024 x 2,048 x 192, half ignored", {1024, 2048, 192, 2}, {0}, true},
    {"1,024 x 50,304 x 768", {1024, 50304, 768, 0}, {0}, true},
    {0},
};

// ---- softmax, log_softmax, argmax: n = {rows, cols}, f = {factor}

static void rows_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    in[0] = *out = (op_shape){c->n[0], c->n[1]};
}

static double factor_of(const op_case *c)
{
    return c->f[0] == 0 ? 1 : (double)c->f[0];
}

static double log_sum(const double *x, int64_t n, double factor)
{
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, x[i] * factor);
    for (int64_t i = 0; i < n; i++) sum += exp(x[i] * factor - most);
    return most + log(sum);
}

static void softmax_reference(const op_case *c, const double *const in[], double *out)
{
    for (int64_t i = 0; i < c->n[0] * c->n[1]; i++) {
        const double *row = in[0] + i / c->n[1] * c->n[1];
        out[i] = exp(in[0][i] * factor_of(c) - log_sum(row, c->n[1], factor_of(c)));
    }
}

static void softmax_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_softmax(dev, out, in[0], (float)factor_of(c));
}

static void log_softmax_reference(const op_case *c, const double *const in[], double *out)
{
    for (int64_t i = 0; i < c->n[0] * c->n[1]; i++)
        out[i] = in[0][i] - log_sum(in[0] + i / c->n[1] * c->n[1], c->n[1], 1);
}

static void log_softmax_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_log_softmax(dev, out, in[0]);
}

static const op_case softmax_cases[] = {
    {"odd width", {9, 37}, {0}},
    {"sharpened", {9, 64}, {10}},
    {"one column", {3, 1}, {0}},
    {"256 x 2,048", {256, 2048}, {0}, true},
    {0},
};

static void argmax_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    in[0] = (op_shape){c->n[0], c->n[1]};
    *out = (op_shape){c->n[0], 1};
}

static void argmax_reference(const op_case *c, const double *const in[], double *out)
{
    for (int64_t r = 0; r < c->n[0]; r++) {
        out[r] = 0;
        for (int64_t i = 0; i < c->n[1]; i++)
            if (in[0][r * c->n[1] + i] > in[0][r * c->n[1] + (int64_t)out[r]]) out[r] = (double)i;
    }
}

static void argmax_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    int32_t *best = keep((size_t)c->n[0] * sizeof *best);
    tm_argmax(dev, best, in[0]);
    for (int64_t r = 0; r < c->n[0]; r++) out.data[r * out.stride] = (float)best[r];
}

static tm_op_size rows_size(const op_case *c)
{
    return (tm_op_size){(double)c->n[0], (double)c->n[1], 1};
}

const op_spec specs_loss[] = {
    {.op = "head_loss",
     .grad = "head_loss",
     .n_in = 2,
     .adds = {0, 1},
     .shapes = loss_shapes,
     .reference = loss_reference,
     .forward = loss_forward,
     .backward = loss_backward,
     .size = loss_size,
     .cases = loss_cases},
    {.op = "head_loss",
     .grad = "head_loss",
     .n_in = 2,
     .shapes = loss_shapes,
     .forward = loss_forward,
     .backward = loss_backward,
     .size = loss_size,
     .cases = loss_bench},
    {.op = "softmax",
     .n_in = 1,
     .shapes = rows_shapes,
     .reference = softmax_reference,
     .forward = softmax_forward,
     .size = rows_size,
     .cases = softmax_cases},
    {.op = "log_softmax",
     .n_in = 1,
     .shapes = rows_shapes,
     .reference = log_softmax_reference,
     .forward = log_softmax_forward,
     .size = rows_size,
     .cases = softmax_cases},
    {.op = "argmax",
     .n_in = 1,
     .shapes = argmax_shapes,
     .reference = argmax_reference,
     .forward = argmax_forward,
     .size = rows_size,
     .cases = softmax_cases},
    {0},
};
