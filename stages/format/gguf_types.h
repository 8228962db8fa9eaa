// SPDX-License-Identifier: Apache-2.0
// The number formats of GGUF tensors: plain ones, and blocks of small integers with scales.
//
// A row of the table tells how many values a block holds and how many bytes it takes, and how to read (and,
// for those that are written, make) blocks. A tensor is its blocks, row after row; a row of it is a whole
// number of blocks.
//
//   Q8_0  f16 d, 32 x i8                     d q
//   Q4_0  f16 d, 16 bytes of nibbles         d (q - 8)       value i: low nibble of byte i, i + 16: high
//   Q4_1  f16 d, f16 m, 16 bytes of nibbles  d q + m
//   Q5_0, Q5_1  the same with a fifth bit each in 4 bytes before the nibbles; d (q - 16), d q + m
//   Q4_K, Q5_K  256 values: f16 d, f16 dmin, eight 6-bit scales and minima, (fifth bits,) nibbles
//   Q6_K  256 values: low nibbles, upper two bits, 16 scales i8, f16 d
#pragma once

#include "engine/base/bytes.h"

typedef struct tm_gguf_type {
    uint32_t id;       // in the file
    const char *name;  // "q8_0"
    uint32_t block;    // values
    uint32_t bytes;    // of a block
    void (*expand)(const char *blocks, float *values, size_t n_blocks);  // `blocks` needs no alignment
    void (*pack)(const float *values, char *blocks, size_t n_blocks);    // NULL: it is read only
} tm_gguf_type;

const tm_gguf_type *tm_gguf_type_of(uint32_t id);            // or NULL
const tm_gguf_type *tm_gguf_type_named(const char *name);    // or NULL
const tm_gguf_type *tm_gguf_type_at(size_t i);               // in order of their ids; NULL behind the last
