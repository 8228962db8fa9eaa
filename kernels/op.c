// SPDX-License-Identifier: Apache-2.0
// The rows of the op table, in the order of ops.h.
#include "kernels/op.h"

#include <string.h>

#include "kernels/device_parts.h"

// ---- Formulas. Names say what is multiplied.

static double none(tm_op_size s) { return 0; }
static double mnk_2(tm_op_size s) { return 2 * s.m * s.n * s.k; }
static double mnk_4(tm_op_size s) { return 4 * s.m * s.n * s.k; }
static double mnk_6(tm_op_size s) { return 6 * s.m * s.n * s.k; }
static double mnk_10(tm_op_size s) { return 10 * s.m * s.n * s.k; }
static double mn_1(tm_op_size s) { return s.m * s.n; }
static double mn_2(tm_op_size s) { return 2 * s.m * s.n; }
static double mn_3(tm_op_size s) { return 3 * s.m * s.n; }
static double mn_4(tm_op_size s) { return 4 * s.m * s.n; }
static double mn_6(tm_op_size s) { return 6 * s.m * s.n; }
static double mn_8(tm_op_size s) { return 8 * s.m * s.n; }
static double mn_12(tm_op_size s) { return 12 * s.m * s.n; }
static double mn_15(tm_op_size s) { return 15 * s.m * s.n; }

static double product_bytes(tm_op_size s) { return 4 * (s.m * s.n + s.m * s.k + s.n * s.k); }
static double mn_bytes_4(tm_op_size s) { return 4 * s.m * s.n; }
static double mn_bytes_6(tm_op_size s) { return 6 * s.m * s.n; }
static double mn_bytes_8(tm_op_size s) { return 8 * s.m * s.n; }
static double mn_bytes_12(tm_op_size s) { return 12 * s.m * s.n; }
static double mn_bytes_20(tm_op_size s) { return 20 * s.m * s.n; }
static double mn_bytes_28(tm_op_size s) { return 28 * s.m * s.n; }
static double attention_bytes(tm_op_size s) { return 16 * s.m * s.k; }
static double attention_grad_bytes(tm_op_size s) { return 32 * s.m * s.k; }

#define PRODUCT_SIZE "m, n: rows and columns of the result; k: length of the sums"
#define MAT_SIZE "m: tokens; n: width"
#define ATTENTION_SIZE "m: queries; n: keys that a query sees, on average; k: q_heads * head_size"
#define FLAT_SIZE "m: elements; n: 1"
#define LOSS_SIZE "m: tokens; n: vocabulary; k: width"

#define WHY_PRODUCT "a float32 sum of k products in blocks of a few hundred: error grows as sqrt(k) * 2^-24"
#define WHY_NORM "two float32 reductions of a row and a reciprocal square root"
#define WHY_EXP "exp and tanh are polynomials good to 2 units in the last place"
#define WHY_ROUND "a handful of roundings"
#define WHY_EXACT "no arithmetic, or one rounding"

#define ENTRY(op) .name = #op, .entry = offsetof(tm_entries, op)

static const tm_op table[] = {
    {ENTRY(matmul), .brief = "matrix product, any side turned, any storage on the right",
     .paper = "Goto & van de Geijn 2008", .size = PRODUCT_SIZE, .flops = mnk_2, .bytes = product_bytes,
     .tolerance = 2e-6, .why = WHY_PRODUCT, .deterministic = true},
    {ENTRY(linear), .brief = "linear layer: x W^T + bias",
     .size = PRODUCT_SIZE, .flops = mnk_2, .bytes = product_bytes,
     .tolerance = 2e-6, .why = WHY_PRODUCT, .deterministic = true},
    {ENTRY(linear_grad_x), .brief = "gradient of a linear layer's input",
     .size = PRODUCT_SIZE, .flops = mnk_2, .bytes = product_bytes,
     .tolerance = 2e-6, .why = WHY_PRODUCT, .deterministic = true},
    {ENTRY(linear_grad_w), .brief = "gradient of a linear layer's weight, added",
     .size = PRODUCT_SIZE, .flops = mnk_2, .bytes = product_bytes,
     .tolerance = 2e-6, .why = WHY_PRODUCT, .deterministic = true},
    {ENTRY(linear_grad_bias), .brief = "gradient of a linear layer's bias, added",
     .size = MAT_SIZE, .flops = mn_1, .bytes = mn_bytes_4,
     .tolerance = 4e-6, .why = "a float32 sum over all tokens", .deterministic = true},
    {ENTRY(embed), .brief = "rows of a table by id",
     .size = MAT_SIZE, .flops = mn_1, .bytes = mn_bytes_8,
     .tolerance = 1e-7, .why = WHY_EXACT, .deterministic = true},
    {ENTRY(embed_grad), .brief = "gradient of a table of embeddings, added by id",
     .size = MAT_SIZE, .flops = mn_2, .bytes = mn_bytes_12,
     .tolerance = 2e-6, .why = "a float32 sum over the tokens that share an id", .deterministic = true},
    {ENTRY(rmsnorm), .brief = "root-mean-square norm", .paper = "Zhang & Sennrich 2019",
     .size = MAT_SIZE, .flops = mn_4, .bytes = mn_bytes_8,
     .tolerance = 2e-6, .why = WHY_NORM, .deterministic = true},
    {ENTRY(rmsnorm_grad_x), .brief = "gradient of a root-mean-square norm's input",
     .size = MAT_SIZE, .flops = mn_8, .bytes = mn_bytes_12,
     .tolerance = 4e-6, .why = WHY_NORM, .deterministic = true},
    {ENTRY(rmsnorm_grad_w), .brief = "gradient of a root-mean-square norm's gain, added",
     .size = MAT_SIZE, .flops = mn_3, .bytes = mn_bytes_8,
     .tolerance = 4e-6, .why = "a float32 sum over all tokens", .deterministic = true},
    {ENTRY(layernorm), .brief = "layer norm", .paper = "Ba et al. 2016",
     .size = MAT_SIZE, .flops = mn_8, .bytes = mn_bytes_8,
     .tolerance = 2e-6, .why = WHY_NORM, .deterministic = true},
    {ENTRY(layernorm_grad_x), .brief = "gradient of a layer norm's input",
     .size = MAT_SIZE, .flops = mn_12, .bytes = mn_bytes_12,
     .tolerance = 4e-6, .why = WHY_NORM, .deterministic = true},
    {ENTRY(layernorm_grad_w), .brief = "gradients of a layer norm's gain and bias, added",
     .size = MAT_SIZE, .flops = mn_4, .bytes = mn_bytes_8,
     .tolerance = 4e-6, .why = "a float32 sum over all tokens", .deterministic = true},
    {ENTRY(rope_table), .brief = "cosines and sines of rotary positions", .paper = "Su et al. 2021",
     .size = "m: positions; n: rotary size", .flops = mn_12, .bytes = mn_bytes_4,
     .tolerance = 1e-5, .why = "angles are rounded to float32 before their cosine, as transformers does",
     .deterministic = true},
    {ENTRY(rope), .brief = "turn queries and keys by their positions", .paper = "Su et al. 2021",
     .size = MAT_SIZE, .flops = mn_3, .bytes = mn_bytes_8,
     .tolerance = 4e-7, .why = WHY_ROUND, .deterministic = true},
    {ENTRY(rope_grad), .brief = "gradient of the turn: the turn back",
     .size = MAT_SIZE, .flops = mn_3, .bytes = mn_bytes_8,
     .tolerance = 4e-7, .why = WHY_ROUND, .deterministic = true},
    {ENTRY(attention), .brief = "attention within documents: causal, grouped, window, soft cap",
     .paper = "Vaswani et al. 2017; Dao 2022",
     .size = ATTENTION_SIZE, .flops = mnk_4, .bytes = attention_bytes,
     .tolerance = 4e-6, .why = "a float32 sum over keys of weights that are themselves sums; " WHY_EXP,
     .deterministic = true},
    {ENTRY(attention_grad), .brief = "gradients of queries, keys and values",
     .paper = "Dao 2022, algorithm 4", .size = ATTENTION_SIZE, .flops = mnk_10, .bytes = attention_grad_bytes,
     .tolerance = 1e-5, .why = "differences of sums: dp - delta cancels", .deterministic = true},
    {ENTRY(activate), .brief = "SiLU, GELU (tanh, erf), ReLU", .paper = "Hendrycks & Gimpel 2016",
     .size = MAT_SIZE, .flops = mn_12, .bytes = mn_bytes_8,
     .tolerance = 2e-6, .why = WHY_EXP, .deterministic = true},
    {ENTRY(activate_grad), .brief = "gradient of an activation",
     .size = MAT_SIZE, .flops = mn_15, .bytes = mn_bytes_12,
     .tolerance = 2e-6, .why = WHY_EXP, .deterministic = true},
    {ENTRY(glu), .brief = "gated linear unit: f(gate) * up", .paper = "Shazeer 2020",
     .size = MAT_SIZE, .flops = mn_12, .bytes = mn_bytes_12,
     .tolerance = 2e-6, .why = WHY_EXP, .deterministic = true},
    {ENTRY(glu_grad), .brief = "gradients of a gated linear unit's gate and up",
     .size = MAT_SIZE, .flops = mn_15, .bytes = mn_bytes_20,
     .tolerance = 2e-6, .why = WHY_EXP, .deterministic = true},
    {ENTRY(fill), .brief = "set all elements", .size = FLAT_SIZE, .flops = none, .bytes = mn_bytes_4,
     .tolerance = 0, .why = WHY_EXACT, .deterministic = true},
    {ENTRY(scale), .brief = "multiply all elements", .size = FLAT_SIZE, .flops = mn_1, .bytes = mn_bytes_8,
     .tolerance = 1e-7, .why = WHY_EXACT, .deterministic = true},
    {ENTRY(copy), .brief = "copy a matrix", .size = MAT_SIZE, .flops = none, .bytes = mn_bytes_8,
     .tolerance = 0, .why = WHY_EXACT, .deterministic = true},
    {ENTRY(add), .brief = "add two matrices", .size = MAT_SIZE, .flops = mn_1, .bytes = mn_bytes_12,
     .tolerance = 1e-7, .why = WHY_EXACT, .deterministic = true},
    {ENTRY(axpy), .brief = "add a multiple", .size = FLAT_SIZE, .flops = mn_2, .bytes = mn_bytes_12,
     .tolerance = 2e-7, .why = WHY_ROUND, .deterministic = true},
    {ENTRY(dropout), .brief = "set a random part of the elements to 0", .paper = "Srivastava et al. 2014",
     .size = MAT_SIZE, .flops = mn_2, .bytes = mn_bytes_8,
     .tolerance = 1e-6, .why = WHY_ROUND, .deterministic = true},
    {ENTRY(to_bf16), .brief = "round to bf16", .size = FLAT_SIZE, .flops = none, .bytes = mn_bytes_6,
     .tolerance = 4e-3, .why = "bf16 keeps 8 bits", .deterministic = true},
    {ENTRY(from_bf16), .brief = "widen bf16", .size = FLAT_SIZE, .flops = none, .bytes = mn_bytes_6,
     .tolerance = 0, .why = WHY_EXACT, .deterministic = true},
    {ENTRY(head_loss), .brief = "head and cross-entropy, chunk by chunk, with both gradients",
     .size = LOSS_SIZE, .flops = mnk_6, .bytes = product_bytes,
     .tolerance = 4e-6, .why = WHY_PRODUCT "; " WHY_EXP, .deterministic = true},
    {ENTRY(softmax), .brief = "softmax by row", .size = MAT_SIZE, .flops = mn_12, .bytes = mn_bytes_8,
     .tolerance = 2e-6, .why = WHY_EXP, .deterministic = true},
    {ENTRY(log_softmax), .brief = "log softmax by row", .size = MAT_SIZE, .flops = mn_12, .bytes = mn_bytes_8,
     .tolerance = 2e-6, .why = WHY_EXP, .deterministic = true},
    {ENTRY(argmax), .brief = "the largest of each row", .size = MAT_SIZE, .flops = mn_1, .bytes = mn_bytes_4,
     .tolerance = 0, .why = WHY_EXACT, .deterministic = true},
    {ENTRY(adamw), .brief = "one step of AdamW", .paper = "Loshchilov & Hutter 2019, algorithm 2",
     .size = FLAT_SIZE, .flops = mn_15, .bytes = mn_bytes_28,
     .tolerance = 1e-6, .why = WHY_ROUND, .deterministic = true},
    {ENTRY(sum_squares), .brief = "sum of squares in float64",
     .size = FLAT_SIZE, .flops = mn_2, .bytes = mn_bytes_4,
     .tolerance = 1e-7, .why = "the sum is float64", .deterministic = true},
    {ENTRY(random_normal), .brief = "normal numbers by counter", .paper = "Box & Muller 1958",
     .size = FLAT_SIZE, .flops = mn_15, .bytes = mn_bytes_4,
     .tolerance = 1e-6, .why = WHY_ROUND, .deterministic = true},
    {ENTRY(random_uniform), .brief = "uniform numbers by counter",
     .size = FLAT_SIZE, .flops = mn_6, .bytes = mn_bytes_4,
     .tolerance = 1e-6, .why = WHY_ROUND, .deterministic = true},
};

const tm_op *tm_op_table(size_t *count)
{
    *count = sizeof table / sizeof *table;
    return table;
}

const tm_op *tm_op_find(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0) return &table[i];
    return NULL;
}

bool tm_op_supported(const tm_op *op, const tm_device *device)
{
    void (*function)(void);
    memcpy(&function, (const char *)device->entries + op->entry, sizeof function);
    return function != NULL;
}
