// SPDX-License-Identifier: Apache-2.0
// Cases of attention. n = {q heads, kv heads, head size, window, layout, bidirectional}, f = {softcap,
// sharpness}
#include "tests/ops/case.h"

// Documents of a case: where their queries and keys lie.
typedef struct layout {
    int64_t docs, queries, keys;
    int32_t q_start[8], k_start[7], k_count[7];
    bool cache;  // keys lie apart from queries
} layout;

static const layout layouts[] = {
    {.docs = 1, .queries = 9, .keys = 9, .q_start = {0, 9}},
    {.docs = 4, .queries = 40, .keys = 40, .q_start = {0, 1, 20, 20, 40}},
    {.docs = 2, .queries = 201, .keys = 201, .q_start = {0, 130, 201}},
    {.docs = 3,
     .queries = 3,
     .keys = 60,
     .q_start = {0, 1, 2, 3},
     .k_start = {0, 20, 40},
     .k_count = {20, 1, 13},
     .cache = true},
    {.docs = 2,
     .queries = 12,
     .keys = 170,
     .q_start = {0, 5, 12},
     .k_start = {0, 90},
     .k_count = {70, 80},
     .cache = true},
    {.docs = 4, .queries = 1024, .keys = 1024, .q_start = {0, 256, 512, 768, 1024}},
    {.docs = 1, .queries = 1024, .keys = 1024, .q_start = {0, 1024}},
    {.docs = 1,
     .queries = 1,
     .keys = 2048,
     .q_start = {0, 1},
     .k_start = {0},
     .k_count = {2048},
     .cache = true},
};

enum { SHORT, SEVERAL, LONG, DECODE, PREFILL, BENCH_FOUR, BENCH_ONE, BENCH_DECODE };

static int64_t k_start_of(const layout *l, int64_t d)
{
    return l->cache ? l->k_start[d] : l->q_start[d];
}

static int64_t k_count_of(const layout *l, int64_t d)
{
    return l->cache ? l->k_count[d] : l->q_start[d + 1] - l->q_start[d];
}

static tm_attention_shape shape_of(const op_case *c)
{
    const layout *l = &layouts[c->n[4]];
    return (tm_attention_shape){
        .q_heads = c->n[0],
        .kv_heads = c->n[1],
        .head_size = c->n[2],
        .scale = c->f[1] / sqrtf((float)c->n[2]),
        .softcap = c->f[0],
        .window = c->n[3],
        .bidirectional = c->n[5] != 0,
        .docs = l->docs,
        .q_start = l->q_start,
        .k_start = l->cache ? l->k_start : NULL,
        .k_count = l->cache ? l->k_count : NULL,
    };
}

static void attention_shapes(const op_case *c, op_shape in[], op_shape *out)
{
    const layout *l = &layouts[c->n[4]];
    in[0] = *out = (op_shape){l->queries, c->n[0] * c->n[2]};
    in[1] = in[2] = (op_shape){l->keys, c->n[1] * c->n[2]};
}

static bool sees(const op_case *c, int64_t place, int64_t key)
{
    if (c->n[5]) return true;
    return key <= place && (c->n[3] == 0 || key > place - c->n[3]);
}

// One query: q [size] against the keys of its document.
static void attend(const op_case *c, const double *q, const double *k, const double *v, int64_t stride,
                   int64_t keys, int64_t place, double *out)
{
    int64_t size = c->n[2];
    double scale = (double)(c->f[1] / sqrtf((float)size)), sum = 0, most = -INFINITY,
           *w = calloc((size_t)keys, sizeof *w);
    for (int64_t j = 0; j < keys; j++) {
        double score = 0;
        for (int64_t i = 0; i < size; i++) score += q[i] * k[j * stride + i] * scale;
        if (c->f[0] != 0) score = (double)c->f[0] * tanh(score / (double)c->f[0]);
        w[j] = sees(c, place, j) ? score : -INFINITY;
        most = fmax(most, w[j]);
    }
    for (int64_t j = 0; j < keys; j++) sum += w[j] = exp(w[j] - most);
    for (int64_t i = 0; i < size; i++) {
        out[i] = 0;
        for (int64_t j = 0; j < keys; j++) out[i] += w[j] / sum * v[j * stride + i];
    }
    free(w);
}

static void attention_reference(const op_case *c, const double *const in[], double *out)
{
    const layout *l = &layouts[c->n[4]];
    int64_t size = c->n[2], q_stride = c->n[0] * size, k_stride = c->n[1] * size;
    for (int64_t d = 0; d < l->docs; d++)
        for (int64_t t = l->q_start[d]; t < l->q_start[d + 1]; t++)
            for (int64_t h = 0; h < c->n[0]; h++) {
                int64_t first = k_start_of(l, d) * k_stride + h * c->n[1] / c->n[0] * size;
                int64_t place = k_count_of(l, d) - l->q_start[d + 1] + t;
                attend(c, in[0] + t * q_stride + h * size, in[1] + first, in[2] + first, k_stride,
                       k_count_of(l, d), place, out + t * q_stride + h * size);
            }
}

static void attention_forward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out)
{
    tm_attention_shape shape = shape_of(c);
    tm_attention(dev, out, NULL, in[0], in[1], in[2], &shape);
}

static void attention_backward(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                               const tm_mat d_in[])
{
    tm_attention_shape shape = shape_of(c);
    float *lse = keep((size_t)(in[0].rows * c->n[0]) * sizeof *lse);
    tm_attention(dev, out, lse, in[0], in[1], in[2], &shape);
    if (shape.k_start != NULL) {  // rows that no document has keep what is there
        tm_copy(dev, d_in[1], tm_mat_of(keep((size_t)(in[1].rows * in[1].cols) * 4), in[1].rows, in[1].cols));
        tm_copy(dev, d_in[2], d_in[1]);
    }
    tm_attention_grad(dev, d_in[0], d_in[1], d_in[2], d_out, in[0], in[1], in[2], out, lse, &shape);
}

static tm_op_size attention_size(const op_case *c)
{
    const layout *l = &layouts[c->n[4]];
    double pairs = 0;
    for (int64_t d = 0; d < l->docs; d++)
        for (int64_t t = l->q_start[d]; t < l->q_start[d + 1]; t++)
            for (int64_t j = 0; j < k_count_of(l, d); j++)
                pairs += sees(c, k_count_of(l, d) - l->q_start[d + 1] + t, j);
    return (tm_op_size){(double)l->queries, pairs / (double)l->queries, (double)(c->n[0] * c->n[2])};
}

static const op_case cases[] = {
    {"one document", {2, 2, 16, 0, SHORT}, {0, 1}},
    {"one head of one element", {1, 1, 1, 0, SHORT}, {0, 1}},
    {"documents, one empty, one of one token", {2, 2, 16, 0, SEVERAL}, {0, 1}},
    {"grouped heads", {6, 2, 8, 0, SEVERAL}, {0, 1}},
    {"all heads share one", {3, 1, 20, 0, SEVERAL}, {0, 1}},
    {"several blocks", {2, 1, 32, 0, LONG}, {0, 1}},
    {"several blocks, odd head size", {1, 1, 37, 0, LONG}, {0, 1}},
    {"sharp scores", {1, 1, 16, 0, LONG}, {0, 8}},
    {"window of 1", {2, 1, 16, 1, SEVERAL}, {0, 1}},
    {"window of 5", {2, 1, 16, 5, SEVERAL}, {0, 1}},
    {"window of 70 over several blocks", {1, 1, 16, 70, LONG}, {0, 1}},
    {"soft cap", {2, 2, 16, 0, SEVERAL}, {3, 2}},
    {"soft cap and window", {2, 1, 16, 33, LONG}, {5, 2}},
    {"decoding from a cache", {4, 2, 16, 0, DECODE}, {0, 1}},
    {"decoding with a window", {4, 2, 16, 6, DECODE}, {0, 1}},
    {"the rest of a prompt after a cached part", {2, 1, 24, 0, PREFILL}, {0, 1}},
    {"both ways", {2, 1, 16, 0, LONG, 1}, {0, 1}},
    {0},
};

static const op_case bench_cases[] = {
    {"GPT-2, 4 documents of 256", {12, 12, 64, 0, BENCH_FOUR}, {0, 1}, true},
    {"GPT-2, 1,024", {12, 12, 64, 0, BENCH_ONE}, {0, 1}, true},
    {"4 documents of 256, 6 heads of 32", {6, 6, 32, 0, BENCH_FOUR}, {0, 1}, true},
    {0},
};

static const op_case decode_cases[] = {
    {"decode 1 of 2,048, 9 and 3 heads", {9, 3, 64, 0, BENCH_DECODE}, {0, 1}, true},
    {0},
};

const op_spec specs_attention[] = {
    {.op = "attention",
     .grad = "attention_grad",
     .n_in = 3,
     .shapes = attention_shapes,
     .reference = attention_reference,
     .forward = attention_forward,
     .backward = attention_backward,
     .size = attention_size,
     .cases = cases},
    {.op = "attention",
     .grad = "attention_grad",
     .n_in = 3,
     .shapes = attention_shapes,
     .forward = attention_forward,
     .backward = attention_backward,
     .repeats = true,
     .size = attention_size,
     .cases = bench_cases},
    {.op = "attention",
     .n_in = 3,
     .shapes = attention_shapes,
     .forward = attention_forward,
     .size = attention_size,
     .cases = decode_cases},
    {0},
};
