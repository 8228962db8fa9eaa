// SPDX-License-Identifier: Apache-2.0
// Sixteen-bit floating point numbers of files: IEEE half (F16) and brain float (BF16).
#pragma once

#include <stdint.h>
#include <string.h>

static inline float tm_bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t tm_float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float tm_f16_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half >> 15) << 31, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 0) {
        float value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    return tm_bits_float(sign | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13);
}

// Round to nearest, ties to even; beyond 65504 infinity; a NaN stays a NaN.
static inline uint16_t tm_float_f16(float value)
{
    uint32_t bits = tm_float_bits(value), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    if (rest > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (rest >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
    if (rest < 0x38800000) {  // subnormal: the addition rounds at the place of 2^-24
        float shifted = tm_bits_float(rest) + 0.5f;
        return (uint16_t)(sign | (tm_float_bits(shifted) - 0x3f000000));
    }
    return (uint16_t)(sign | (rest - 0x38000000 + 0xfff + (rest >> 13 & 1)) >> 13);
}

// BF16 is the upper half of a float.
static inline float tm_brain_float(uint16_t half)
{
    return tm_bits_float((uint32_t)half << 16);
}
