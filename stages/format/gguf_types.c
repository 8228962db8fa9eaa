// SPDX-License-Identifier: Apache-2.0
// Reading and making the blocks of GGUF tensors.
#include "stages/format/gguf_types.h"

#include <math.h>

#include "stages/format/half.h"

static uint16_t le16(const char *at)
{
    uint16_t value;
    memcpy(&value, at, 2);
    return value;
}

static void put16(char *at, uint16_t value)
{
    memcpy(at, &value, 2);
}

static float half_at(const char *at)
{
    return tm_f16_float(le16(at));
}

static uint32_t byte_at(const char *at, size_t i)
{
    return (uint8_t)at[i];
}

// ---- plain numbers

static void expand_f32(const char *from, float *to, size_t n)
{
    memcpy(to, from, n * sizeof *to);
}

static void pack_f32(const float *from, char *to, size_t n)
{
    memcpy(to, from, n * sizeof *from);
}

static void expand_f16(const char *from, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = half_at(from + 2 * i);
}

static void pack_f16(const float *from, char *to, size_t n)
{
    for (size_t i = 0; i < n; i++) put16(to + 2 * i, tm_float_f16(from[i]));
}

static void expand_bf16(const char *from, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = tm_brain_float(le16(from + 2 * i));
}

// ---- 32 values and a scale

static void expand_q8_0(const char *from, float *to, size_t n)
{
    for (; n; n--, from += 34, to += 32) {
        float d = half_at(from);
        for (size_t i = 0; i < 32; i++) to[i] = d * (float)(int8_t)from[2 + i];
    }
}

// The integers come from the scale before it is rounded to a half.
static void pack_q8_0(const float *from, char *to, size_t n)
{
    for (; n; n--, from += 32, to += 34) {
        float most = 0;
        for (size_t i = 0; i < 32; i++) most = fmaxf(most, fabsf(from[i]));
        float d = most / 127, inverse = d > 0 ? 1 / d : 0;
        put16(to, tm_float_f16(d));
        for (size_t i = 0; i < 32; i++) to[2 + i] = (char)(int8_t)roundf(from[i] * inverse);
    }
}

static void expand_q4_0(const char *from, float *to, size_t n)
{
    for (; n; n--, from += 18, to += 32) {
        float d = half_at(from);
        for (size_t i = 0; i < 16; i++) {
            uint32_t two = byte_at(from + 2, i);
            to[i] = d * ((float)(two & 15) - 8);
            to[i + 16] = d * ((float)(two >> 4) - 8);
        }
    }
}

static void expand_q4_1(const char *from, float *to, size_t n)
{
    for (; n; n--, from += 20, to += 32) {
        float d = half_at(from), m = half_at(from + 2);
        for (size_t i = 0; i < 16; i++) {
            uint32_t two = byte_at(from + 4, i);
            to[i] = d * (float)(two & 15) + m;
            to[i + 16] = d * (float)(two >> 4) + m;
        }
    }
}

static void expand_q5(const char *fifth, const char *nibbles, float d, float offset, float m, float *to)
{
    uint32_t bits = tm_le32(fifth);
    for (size_t i = 0; i < 16; i++) {
        uint32_t two = byte_at(nibbles, i);
        to[i] = d * ((float)((two & 15) | (bits >> i & 1) << 4) - offset) + m;
        to[i + 16] = d * ((float)((two >> 4) | (bits >> (i + 16) & 1) << 4) - offset) + m;
    }
}

static void expand_q5_0(const char *from, float *to, size_t n)
{
    for (; n; n--, from += 22, to += 32) expand_q5(from + 2, from + 6, half_at(from), 16, 0, to);
}

static void expand_q5_1(const char *from, float *to, size_t n)
{
    for (; n; n--, from += 24, to += 32)
        expand_q5(from + 4, from + 8, half_at(from), 0, half_at(from + 2), to);
}

// ---- 256 values in groups

// Six-bit scale and minimum of group j (0..7), packed in 12 bytes.
static void group_scale(const char *s, size_t j, float *scale, float *min)
{
    uint32_t a, b;
    if (j < 4) {
        a = byte_at(s, j) & 63;
        b = byte_at(s, j + 4) & 63;
    } else {
        a = (byte_at(s, j + 4) & 15) | (byte_at(s, j - 4) >> 6) << 4;
        b = byte_at(s, j + 4) >> 4 | (byte_at(s, j) >> 6) << 4;
    }
    *scale = (float)a;
    *min = (float)b;
}

// Groups 2p and 2p + 1 are the low and the high nibbles of 32 bytes; `fifth` (or NULL) has their fifth bits.
static void expand_q45_k(const char *from, const char *fifth, const char *nibbles, float *to)
{
    float d = half_at(from), dmin = half_at(from + 2);
    for (size_t j = 0; j < 8; j++) {
        float scale, min;
        group_scale(from + 4, j, &scale, &min);
        scale *= d;
        min *= dmin;
        for (size_t i = 0; i < 32; i++) {
            uint32_t q = byte_at(nibbles, j / 2 * 32 + i) >> (j % 2 * 4) & 15;
            if (fifth) q |= (byte_at(fifth, i) >> j & 1) << 4;
            to[j * 32 + i] = scale * (float)q - min;
        }
    }
}

static void expand_q4_k(const char *from, float *to, size_t n)
{
    for (; n; n--, from += 144, to += 256) expand_q45_k(from, NULL, from + 16, to);
}

static void expand_q5_k(const char *from, float *to, size_t n)
{
    for (; n; n--, from += 176, to += 256) expand_q45_k(from, from + 16, from + 48, to);
}

// Two halves of 128 values: 64 bytes of nibbles, 32 of upper bits, 8 scales of 16 values each.
static void expand_q6_k(const char *from, float *to, size_t n)
{
    for (; n; n--, from += 210, to += 256) {
        float d = half_at(from + 208);
        for (size_t k = 0; k < 256; k++) {
            size_t half = k / 128, row = k % 128 / 32, i = k % 32;
            uint32_t low = byte_at(from, half * 64 + row % 2 * 32 + i) >> (row / 2 * 4) & 15;
            uint32_t high = byte_at(from + 128, half * 32 + i) >> (2 * row) & 3;
            float scale = d * (float)(int8_t)from[192 + k / 16];
            to[k] = scale * ((float)(low | high << 4) - 32);
        }
    }
}

// ---- the table

static const tm_gguf_type types[] = {
    {0, "f32", 1, 4, expand_f32, pack_f32},
    {1, "f16", 1, 2, expand_f16, pack_f16},
    {2, "q4_0", 32, 18, expand_q4_0, NULL},
    {3, "q4_1", 32, 20, expand_q4_1, NULL},
    {6, "q5_0", 32, 22, expand_q5_0, NULL},
    {7, "q5_1", 32, 24, expand_q5_1, NULL},
    {8, "q8_0", 32, 34, expand_q8_0, pack_q8_0},
    {12, "q4_k", 256, 144, expand_q4_k, NULL},
    {13, "q5_k", 256, 176, expand_q5_k, NULL},
    {14, "q6_k", 256, 210, expand_q6_k, NULL},
    {30, "bf16", 1, 2, expand_bf16, NULL},
};
#define N_TYPES (sizeof types / sizeof types[0])

const tm_gguf_type *tm_gguf_type_at(size_t i)
{
    return i < N_TYPES ? &types[i] : NULL;
}

const tm_gguf_type *tm_gguf_type_of(uint32_t id)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].id == id) return &types[i];
    return NULL;
}

const tm_gguf_type *tm_gguf_type_named(const char *name)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (strcmp(types[i].name, name) == 0) return &types[i];
    return NULL;
}
