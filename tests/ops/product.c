// SPDX-License-Identifier: Apache-2.0
// Cases of matrix products, linear layers and embeddings.
#include "tests/ops/case.h"

// ---- matmul: n = {m, n, k, a side, b side, into, bf16}, f = {alpha}

static void matmul_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    in[0] = c->n[3] == TM_T ? (op_shape){c->n[2], c->n[0]} : (op_shape){c->n[0], c->n[2]};
    in[1] = c->n[4] == TM_T ? (op_shape){c->n[1], c->n[2]} : (op_shape){c->n[2], c->n[1]};
    *out = (op_shape){c->n[0], c->n[1]};
}

static double rounded(double x, bool to_bf16)
{
    return to_bf16 ? (double)tm_bf16_float(tm_bf16_of((float)x)) : x;
}

static void matmul_reference(const op_case *c, const double *const in[], double *out)
{
    int64_t m = c->n[0], n = c->n[1], k = c->n[2];
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++) {
                double a = in[0][c->n[3] == TM_T ? p * m + i : i * k + p];
                sum += a * rounded(in[1][c->n[4] == TM_T ? j * k + p : p * n + j], c->n[6]);
            }
            out[i * n + j] = (c->n[5] == TM_ADD ? out[i * n + j] : 0) + (double)c->f[0] * sum;
        }
}

static tm_weight bf16_copy(tm_device *dev, tm_mat m)
{
    uint16_t *data = keep((size_t)(m.rows * m.cols) * 2);
    for (int64_t r = 0; r < m.rows; r++) tm_to_bf16(dev, data + r * m.cols, m.data + r * m.stride, m.cols);
    return (tm_weight){data, m.rows, m.cols, m.cols, TM_BF16};
}

static void matmul_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_weight b = c->n[6] ? bf16_copy(dev, in[1]) : tm_weight_of(in[1]);
    tm_matmul(dev, out, in[0], (tm_side)c->n[3], b, (tm_side)c->n[4], c->f[0], (tm_into)c->n[5]);
}

static tm_op_size product_size(const op_case *c)
{
    return (tm_op_size){(double)c->n[0], (double)c->n[1], (double)c->n[2]};
}

static const op_case matmul_cases[] = {
    {"1 x 1 x 1", {1, 1, 1, TM_N, TM_N, TM_SET, 0}, {1}},
    {"no inner dimension sets zeros", {3, 4, 0, TM_N, TM_T, TM_SET, 0}, {1}},
    {"no inner dimension adds nothing", {3, 4, 0, TM_N, TM_T, TM_ADD, 0}, {1}},
    {"odd NN", {37, 53, 29, TM_N, TM_N, TM_SET, 0}, {1}},
    {"odd NT", {37, 53, 29, TM_N, TM_T, TM_SET, 0}, {1}},
    {"odd TN", {37, 53, 29, TM_T, TM_N, TM_SET, 0}, {1}},
    {"odd TT", {37, 53, 29, TM_T, TM_T, TM_SET, 0}, {1}},
    {"several blocks of k, added, scaled", {65, 97, 700, TM_N, TM_T, TM_ADD, 0}, {-0.5}},
    {"several tiles", {200, 400, 64, TM_T, TM_N, TM_SET, 0}, {1}},
    {"narrow", {130, 8, 40, TM_N, TM_T, TM_SET, 0}, {2}},
    {"one row", {1, 300, 150, TM_N, TM_T, TM_SET, 0}, {1}},
    {"one row added", {1, 300, 150, TM_N, TM_T, TM_ADD, 0}, {3}},
    {"three rows", {3, 100, 513, TM_N, TM_T, TM_SET, 0}, {1}},
    {"twelve rows", {12, 100, 333, TM_N, TM_T, TM_SET, 0}, {1}},
    {"thirteen rows", {13, 100, 333, TM_N, TM_T, TM_SET, 0}, {1}},
    {"one row NN", {1, 100, 33, TM_N, TM_N, TM_SET, 0}, {1}},
    {"bf16 one row", {1, 65, 200, TM_N, TM_T, TM_SET, 1}, {1}},
    {"bf16 NT", {33, 65, 200, TM_N, TM_T, TM_SET, 1}, {1}},
    {"bf16 NN", {33, 65, 200, TM_N, TM_N, TM_SET, 1}, {1}},
    {"square NN", {1024, 1024, 1024, TM_N, TM_N, TM_SET, 0}, {1}, true},
    {"decode 576 x 576", {1, 576, 576, TM_N, TM_T, TM_SET, 0}, {1}, true},
    {"decode 50304 x 768", {1, 50304, 768, TM_N, TM_T, TM_SET, 0}, {1}, true},
    {0},
};

// ---- linear: n = {tokens, out, in, bias}

static void linear_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    in[0] = (op_shape){c->n[0], c->n[2]};
    in[1] = (op_shape){c->n[1], c->n[2]};
    in[2] = (op_shape){1, c->n[1]};
    *out = (op_shape){c->n[0], c->n[1]};
}

static void linear_reference(const op_case *c, const double *const in[], double *out)
{
    int64_t m = c->n[0], n = c->n[1], k = c->n[2];
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            out[i * n + j] = c->n[3] ? in[2][j] : 0;
            for (int64_t p = 0; p < k; p++) out[i * n + j] += in[0][i * k + p] * in[1][j * k + p];
        }
}

static void linear_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_linear(dev, out, in[0], tm_weight_of(in[1]), c->n[3] ? in[2].data : NULL, 1, TM_SET);
}

static void linear_backward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                            const tm_mat d_in[])
{
    tm_linear_grad_x(dev, d_in[0], d_out, tm_weight_of(in[1]), 1, TM_SET);
    tm_linear_grad_w(dev, d_in[1], d_out, in[0], 1);
    if (c->n[3]) tm_linear_grad_bias(dev, d_in[2].data, d_out);
}

static void linear_backward_x(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                              const tm_mat d_in[])
{
    tm_linear_grad_x(dev, d_in[0], d_out, tm_weight_of(in[1]), 1, TM_SET);
}

static void linear_backward_w(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                              const tm_mat d_in[])
{
    tm_linear_grad_w(dev, d_in[1], d_out, in[0], 1);
}

static const op_case linear_cases[] = {
    {"with bias", {19, 31, 23, 1}, {0}},
    {"without bias", {19, 31, 23, 0}, {0}},
    {"one token", {1, 70, 130, 1}, {0}},
    {"many tokens", {301, 21, 18, 1}, {0}},
    {0},
};

// The shapes of GPT-2 124M and of the 4 x 192 Llama, 1,024 tokens a step.
#define STEP_SHAPES                                                                                          \
    {"GPT-2 qkv", {1024, 2304, 768}, {0}, true}, {"GPT-2 proj", {1024, 768, 768}, {0}, true},                \
        {"GPT-2 up", {1024, 3072, 768}, {0}, true}, {"GPT-2 down", {1024, 768, 3072}, {0}, true},            \
        {"small qkv", {1024, 576, 192}, {0}, true}, {"small proj", {1024, 192, 192}, {0}, true},             \
        {"small gate-up", {1024, 1024, 192}, {0}, true}, {"small down", {1024, 192, 512}, {0}, true},        \
    {                                                                                                        \
        "small head", {1024, 2048, 192}, {0}, true                                                           \
    }

static const op_case step_cases[] = {STEP_SHAPES, {0}};

// ---- embed: n = {tokens, vocabulary, width, into, bf16}, f = {scale}

static void embed_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    in[0] = (op_shape){c->n[1], c->n[2]};
    *out = (op_shape){c->n[0], c->n[2]};
}

static void embed_reference(const op_case *c, const double *const in[], double *out)
{
    for (int64_t t = 0; t < c->n[0]; t++)
        for (int64_t k = 0; k < c->n[2]; k++) {
            double x = (double)c->f[0] * rounded(in[0][id_of(t, c->n[1]) * c->n[2] + k], c->n[4]);
            out[t * c->n[2] + k] = c->n[3] == TM_ADD ? out[t * c->n[2] + k] + x : x;
        }
}

static const int32_t *ids_new(const op_case *c)
{
    int32_t *ids = keep((size_t)c->n[0] * sizeof *ids);
    for (int64_t t = 0; t < c->n[0]; t++) ids[t] = id_of(t, c->n[1]);
    return ids;
}

static void embed_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_weight table = c->n[4] ? bf16_copy(dev, in[0]) : tm_weight_of(in[0]);
    tm_embed(dev, out, table, ids_new(c), c->f[0], (tm_into)c->n[3]);
}

static void embed_backward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                           const tm_mat d_in[])
{
    tm_embed_grad(dev, d_in[0], d_out, ids_new(c), c->f[0]);
}

static tm_op_size embed_size(const op_case *c)
{
    return (tm_op_size){(double)c->n[0], (double)c->n[2], 1};
}

static const op_case embed_cases[] = {
    {"repeated ids", {40, 7, 70, TM_SET, 0}, {1}},
    {"added and scaled", {9, 30, 33, TM_ADD, 0}, {2.5}},
    {"1,024 of 2,048 x 192", {1024, 2048, 192, TM_SET, 0}, {1}, true},
    {0},
};

static const op_case embed_bf16_cases[] = {{"bf16", {9, 30, 33, TM_SET, 1}, {1}}, {0}};

const op_spec specs_product[] = {
    {.op = "matmul",
     .n_in = 2,
     .shapes = matmul_shapes,
     .reference = matmul_reference,
     .forward = matmul_forward,
     .size = product_size,
     .cases = matmul_cases},
    {.op = "linear",
     .grad = "linear_grad_x",
     .n_in = 3,
     .adds = {0, 1, 1},
     .shapes = linear_shapes,
     .reference = linear_reference,
     .forward = linear_forward,
     .backward = linear_backward,
     .size = product_size,
     .cases = linear_cases},
    {.op = "linear",
     .grad = "linear_grad_x",
     .n_in = 2,
     .shapes = linear_shapes,
     .forward = linear_forward,
     .backward = linear_backward_x,
     .size = product_size,
     .cases = step_cases},
    {.op = "linear",
     .grad = "linear_grad_w",
     .n_in = 2,
     .shapes = linear_shapes,
     .forward = linear_forward,
     .backward = linear_backward_w,
     .size = product_size,
     .cases = step_cases},
    {.op = "embed",
     .grad = "embed_grad",
     .n_in = 1,
     .adds = {1},
     .shapes = embed_shapes,
     .reference = embed_reference,
     .forward = embed_forward,
     .backward = embed_backward,
     .size = embed_size,
     .cases = embed_cases},
    {.op = "embed",
     .n_in = 1,
     .shapes = embed_shapes,
     .reference = embed_reference,
     .forward = embed_forward,
     .size = embed_size,
     .cases = embed_bf16_cases},
    {0},
};
