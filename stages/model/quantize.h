// SPDX-License-Identifier: Apache-2.0
// Weight-only quantization of the linears of a model's blocks, by rounding to the nearest code.
//
//   8 bits  a scale per output row: amax / 127; codes -127..127, one byte each, [out, in]
//   4 bits  a scale per output row and group of columns: amax / 7; codes -8..7 in two's complement; the byte
//           [r, c] of [out / 2, in] holds row 2r in its low half and row 2r + 1 in its high half
//
// These are the forms and rules of NVIDIA's Model-Optimizer (W8A16 and W4A16_AWQ without pre-scales). Ties
// round to even; a row or group of zeros has scale 1. Embedding, head, norms and biases are not quantized.
#pragma once

#include "stages/model/params.h"

typedef struct tm_quantization {
    uint32_t bits;  // 8 or 4; 0: none
    uint32_t group; // columns that share a scale, for 4 bits; a divisor of every linear's columns
} tm_quantization;

// "W8A16", "W4A16_AWQ", or NULL for none.
const char *tm_quantization_algorithm(const tm_quantization *q);

// Whether a parameter is one of the linears that are quantized.
bool tm_quantization_covers(const tm_param *param);

// Check `q` against the shapes of a model, and choose the group if it is 0: the largest power of two up to
// 128 that divides all. TM_EINVAL says which linear does not fit.
tm_status tm_quantization_fit(tm_quantization *q, const tm_param_map *map, tm_error *err);

// Bytes of the codes and number of scales of a matrix [rows, cols].
size_t tm_quantized_bytes(const tm_quantization *q, uint64_t rows, uint64_t cols);
size_t tm_quantized_scales(const tm_quantization *q, uint64_t rows, uint64_t cols);

// Matrix [rows, cols] to codes and scales ([rows] or [rows, cols / group]), and back.
void tm_quantize(const tm_quantization *q, const float *weights, uint64_t rows, uint64_t cols, uint8_t *codes,
                 float *scales);
void tm_dequantize(const tm_quantization *q, const uint8_t *codes, const float *scales, uint64_t rows,
                   uint64_t cols, float *weights);

// Put a quantized tensor of a file (`codes` I8 or U8, `scales` F32) into its place in a slab. TM_EFORMAT
// names tensor and shapes.
tm_status tm_quantized_put(float *slab, const tm_param *param, const tm_st_tensor *codes,
                           const tm_st_tensor *scales, tm_error *err);
