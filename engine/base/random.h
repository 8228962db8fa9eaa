// SPDX-License-Identifier: Apache-2.0
// Random numbers without state: a function of (seed, stream, index), the same on every machine and thread.
// The mixer is SplitMix64's finaliser (Steele, Lea & Flood 2014), applied to each part in turn.
#pragma once

#include <stdint.h>

static inline uint64_t tm_mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint64_t tm_random_u64(uint64_t seed, uint64_t stream, uint64_t index)
{
    return tm_mix64(tm_mix64(tm_mix64(seed) ^ stream) ^ index);
}

// In [0, 1), 53 bits.
static inline double tm_random_unit(uint64_t seed, uint64_t stream, uint64_t index)
{
    return (double)(tm_random_u64(seed, stream, index) >> 11) * 0x1p-53;
}

// In [0, n), n > 0; the bias of the multiply is below n / 2^64.
static inline uint64_t tm_random_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)tm_random_u64(seed, stream, index) * n) >> 64);
}
