// SPDX-License-Identifier: Apache-2.0
// What ops compute on: matrices of activations, and weights with a storage type.
//
// Activations are float32 matrices [tokens, width]: no batch dimension, no padding. Where documents begin is
// told by explicit positions and by bounds (see tm_attention_shape in ops.h). A matrix is a view: its rows
// may lie farther apart than they are wide, so that q, k and v are three views of one projection.
#pragma once

#include "engine/base/status.h"

typedef enum {
    TM_F32,
    TM_BF16,  // the upper half of a float32; 16 bits
} tm_dtype;

static inline size_t tm_dtype_bytes(tm_dtype dtype)
{
    return dtype == TM_F32 ? 4 : 2;
}

// float32 [rows, cols], row r at data + r * stride. Read or written as its place in a call says.
typedef struct tm_mat {
    float *data;
    int64_t rows, cols;
    int64_t stride;  // elements, >= cols
} tm_mat;

static inline tm_mat tm_mat_of(const float *data, int64_t rows, int64_t cols)
{
    return (tm_mat){(float *)data, rows, cols, cols};
}

// Columns first .. first + cols of a matrix.
static inline tm_mat tm_mat_cols(tm_mat m, int64_t first, int64_t cols)
{
    tm_assert(first >= 0 && first + cols <= m.cols);
    return (tm_mat){m.data + first, m.rows, cols, m.stride};
}

// Rows first .. first + rows of a matrix.
static inline tm_mat tm_mat_rows(tm_mat m, int64_t first, int64_t rows)
{
    tm_assert(first >= 0 && first + rows <= m.rows);
    return (tm_mat){m.data + first * m.stride, rows, m.cols, m.stride};
}

// A weight [rows, cols] as it is stored; a linear layer's is [out, in]. Weights travel as handles and never
// as float *, so that storage can change under a model without the model noticing.
typedef struct tm_weight {
    const void *data;
    int64_t rows, cols;
    int64_t stride;  // elements, >= cols
    tm_dtype dtype;
} tm_weight;

static inline tm_weight tm_weight_f32(const float *data, int64_t rows, int64_t cols)
{
    return (tm_weight){data, rows, cols, cols, TM_F32};
}

// A matrix seen as a weight.
static inline tm_weight tm_weight_of(tm_mat m)
{
    return (tm_weight){m.data, m.rows, m.cols, m.stride, TM_F32};
}

// Rows first .. first + rows of a weight (a Hugging Face tensor inside a fused one).
static inline tm_weight tm_weight_rows(tm_weight w, int64_t first, int64_t rows)
{
    tm_assert(first >= 0 && first + rows <= w.rows);
    w.data = (const char *)w.data + (size_t)(first * w.stride) * tm_dtype_bytes(w.dtype);
    w.rows = rows;
    return w;
}

static inline float tm_bf16_float(uint16_t half)
{
    union {
        uint32_t bits;
        float value;
    } u = {(uint32_t)half << 16};
    return u.value;
}

// Round to nearest, ties to even; a NaN stays a NaN.
static inline uint16_t tm_bf16_of(float value)
{
    union {
        float value;
        uint32_t bits;
    } u = {value};
    if ((u.bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u.bits >> 16 | 0x40);
    return (uint16_t)((u.bits + 0x7fff + (u.bits >> 16 & 1)) >> 16);
}
