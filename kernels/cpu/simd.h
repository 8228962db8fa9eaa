// SPDX-License-Identifier: Apache-2.0
// Vectors of floats as wide as the instruction set a file is compiled for, and the functions ops need of
// them.
//
// exp and tanh follow the polynomials of the Cephes library (Moshier), within 2 units in the last place.
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
enum { LANES = 16 };
#define VF_BYTES 64
#elif defined(__AVX2__)
#include <immintrin.h>
enum { LANES = 8 };
#define VF_BYTES 32
#else
enum { LANES = 4 };
#define VF_BYTES 16
#endif

typedef float vf __attribute__((vector_size(VF_BYTES)));
typedef int32_t vi __attribute__((vector_size(VF_BYTES)));
typedef float vf_loose __attribute__((vector_size(VF_BYTES), aligned(4), may_alias));

static inline vf vf_load(const float *p)
{
    return *(const vf_loose *)p;
}

static inline void vf_store(float *p, vf v)
{
    *(vf_loose *)p = v;
}

static inline vf vf_set(float x)
{
    return x - (vf){0};
}

// The first n < LANES elements; the others are `rest`.
static inline vf vf_load_part(const float *p, int64_t n, float rest)
{
    vf v = vf_set(rest);
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}

static inline void vf_store_part(float *p, vf v, int64_t n)
{
    memcpy(p, &v, (size_t)n * sizeof *p);
}

// The next min(n, LANES) elements.
static inline vf vf_load_next(const float *p, int64_t n, float rest)
{
    return n >= LANES ? vf_load(p) : vf_load_part(p, n, rest);
}

static inline void vf_store_next(float *p, vf v, int64_t n)
{
    if (n >= LANES)
        vf_store(p, v);
    else
        vf_store_part(p, v, n);
}

// LANES elements of bf16, widened. (gcc 12 makes two halves of the conversion by itself.)
static inline vf vf_load_bf16(const uint16_t *p)
{
#if defined(__AVX512F__)
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i_u *)p)), 16);
#elif defined(__AVX2__)
    return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i_u *)p)), 16);
#else
    typedef uint16_t halves __attribute__((vector_size(VF_BYTES / 2), aligned(2), may_alias));
    return (vf)(__builtin_convertvector(*(const halves *)p, vi) << 16);
#endif
}

// mask elements are all ones or zero.
static inline vf vf_select(vi mask, vf yes, vf no)
{
    return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}

// b where either is a NaN.
static inline vf vf_max(vf a, vf b)
{
#if defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return vf_select(a > b, a, b);
#endif
}

static inline vf vf_min(vf a, vf b)
{
#if defined(__AVX512F__)
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return vf_select(a < b, a, b);
#endif
}

// Sums and maxima of a vector fold its upper half onto its lower half until one is left.
#if defined(__AVX512F__)
static inline __m256 vf_halves(vf v, bool upper)
{
    __m512 whole = (__m512)v;
    return upper ? _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(whole), 1))
                 : _mm512_castps512_ps256(whole);
}
#endif

static inline float vf_sum(vf v)
{
#if defined(__AVX2__)
#if defined(__AVX512F__)
    __m256 eight = _mm256_add_ps(vf_halves(v, false), vf_halves(v, true));
#else
    __m256 eight = (__m256)v;
#endif
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
#else
    return v[0] + v[2] + (v[1] + v[3]);
#endif
}

static inline float vf_largest(vf v)
{
#if defined(__AVX2__)
#if defined(__AVX512F__)
    __m256 eight = _mm256_max_ps(vf_halves(v, false), vf_halves(v, true));
#else
    __m256 eight = (__m256)v;
#endif
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
#else
    float low = v[0] > v[2] ? v[0] : v[2], high = v[1] > v[3] ? v[1] : v[3];
    return low > high ? low : high;
#endif
}

// e^x; 0 below -88, infinity above 88.4, NaN for NaN.
static inline vf vf_exp(vf x)
{
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    x = vf_min(vf_set(89), vf_max(vf_set(-88), x));
    vf shifted = x * 1.44269504088896341f + magic;
    vf n = shifted - magic;
    vi power = ((vi)shifted - (vi)vf_set(magic) + 127) << 23;
    vf r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vf p = vf_set(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return (p * r * r + r + 1) * (vf)power;
}

static inline vf vf_sigmoid(vf x)
{
    return 1 / (1 + vf_exp(-x));
}

static inline vf vf_tanh(vf x)
{
    vf z = x * x;
    vf p = vf_set(-5.70498872745e-3f);
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    vf near = p * z * x + x;
    vf far = 1 - 2 / (1 + vf_exp(2 * x));
    return vf_select(z < 0.390625f, near, far);
}
