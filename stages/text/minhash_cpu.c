// SPDX-License-Identifier: Apache-2.0
// Multiply, add, minimum: 112 hash functions over a run of shingles.
//
// The high half of a 64-bit a x (x 32 bits) is high(a_low x) + a_high x, mod 2^32; there is no carry from b.
// Each register holds the minimum of 8 or 16 functions while all shingles of a run stream by.
#include <stdlib.h>

#include "stages/text/minhash_parts.h"

static void update_base(const tm_minhash_constants *c, const uint32_t *shingles, size_t n,
                           uint32_t signature[TM_MINHASH_VALUES])
{
    for (size_t i = 0; i < TM_MINHASH_VALUES; i++) {
        uint64_t a = (uint64_t)c->a_high[i] << 32 | c->a_low[i];
        uint32_t least = signature[i];
        for (size_t s = 0; s < n; s++) {
            uint32_t value = (uint32_t)((a * shingles[s]) >> 32) + c->b_high[i];
            least = value < least ? value : least;
        }
        signature[i] = least;
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

// One step for 8 functions and one shingle.
#define STEP2(k, x)                                                                                          \
    do {                                                                                                     \
        __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(low##k, x), 32);                                   \
        __m256i odd = _mm256_mul_epu32(low_odd##k, x);                                                       \
        __m256i high = _mm256_add_epi32(_mm256_mullo_epi32(high##k, x), add##k);                             \
        least##k = _mm256_min_epu32(least##k, _mm256_add_epi32(_mm256_blend_epi32(even, odd, 0xaa), high));  \
    } while (0)
#define LOAD2(k)                                                                                             \
    __m256i low##k = _mm256_loadu_si256((const __m256i *)(c->a_low + i + 8 * k));                            \
    __m256i low_odd##k = _mm256_srli_epi64(low##k, 32);                                                      \
    __m256i high##k = _mm256_loadu_si256((const __m256i *)(c->a_high + i + 8 * k));                          \
    __m256i add##k = _mm256_loadu_si256((const __m256i *)(c->b_high + i + 8 * k));                           \
    __m256i least##k = _mm256_loadu_si256((const __m256i *)(signature + i + 8 * k))

__attribute__((target("avx2"))) static void update_avx2(const tm_minhash_constants *c,
                                                        const uint32_t *shingles, size_t n,
                                                        uint32_t signature[TM_MINHASH_VALUES])
{
    for (size_t i = 0; i < TM_MINHASH_VALUES; i += 16) {
        LOAD2(0);
        LOAD2(1);
        for (size_t s = 0; s < n; s++) {
            __m256i x = _mm256_set1_epi32((int)shingles[s]);
            STEP2(0, x);
            STEP2(1, x);
        }
        _mm256_storeu_si256((__m256i *)(signature + i), least0);
        _mm256_storeu_si256((__m256i *)(signature + i + 8), least1);
    }
}

#define STEP5(k, x)                                                                                          \
    do {                                                                                                     \
        __m512i even = _mm512_srli_epi64(_mm512_mul_epu32(low##k, x), 32);                                   \
        __m512i odd = _mm512_mul_epu32(low_odd##k, x);                                                       \
        __m512i high = _mm512_add_epi32(_mm512_mullo_epi32(high##k, x), add##k);                             \
        least##k =                                                                                           \
            _mm512_min_epu32(least##k, _mm512_add_epi32(_mm512_mask_blend_epi32(0xaaaa, even, odd), high));  \
    } while (0)
#define LOAD5(k)                                                                                             \
    __m512i low##k = _mm512_loadu_si512(c->a_low + i + 16 * k);                                              \
    __m512i low_odd##k = _mm512_srli_epi64(low##k, 32);                                                      \
    __m512i high##k = _mm512_loadu_si512(c->a_high + i + 16 * k);                                            \
    __m512i add##k = _mm512_loadu_si512(c->b_high + i + 16 * k);                                             \
    __m512i least##k = _mm512_loadu_si512(signature + i + 16 * k)

// 112 = 3 x 32 + 16.
__attribute__((target("avx512f"))) static void update_avx512(const tm_minhash_constants *c,
                                                             const uint32_t *shingles, size_t n,
                                                             uint32_t signature[TM_MINHASH_VALUES])
{
    size_t i = 0;
    for (; i + 32 <= TM_MINHASH_VALUES; i += 32) {
        LOAD5(0);
        LOAD5(1);
        for (size_t s = 0; s < n; s++) {
            __m512i x = _mm512_set1_epi32((int)shingles[s]);
            STEP5(0, x);
            STEP5(1, x);
        }
        _mm512_storeu_si512(signature + i, least0);
        _mm512_storeu_si512(signature + i + 16, least1);
    }
    LOAD5(0);
    for (size_t s = 0; s < n; s++) STEP5(0, _mm512_set1_epi32((int)shingles[s]));
    _mm512_storeu_si512(signature + i, least0);
}
#endif

const tm_minhash_cpu *tm_minhash_cpu_pick(void)
{
    static const tm_minhash_cpu base = {"base", update_base};
#if defined(__x86_64__)
    static const tm_minhash_cpu avx2 = {"avx2", update_avx2}, avx512 = {"avx512", update_avx512};
    const char *hide = getenv("TM_CPU");
    bool only_base = hide && !strcmp(hide, "base");
    bool only_avx2 = hide && !strcmp(hide, "avx2");
    if (only_base || !__builtin_cpu_supports("avx2")) return &base;
    return only_avx2 || !__builtin_cpu_supports("avx512f") ? &avx2 : &avx512;
#else
    return &base;
#endif
}
