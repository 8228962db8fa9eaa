// SPDX-License-Identifier: Apache-2.0
// A cache of pieces and their ids. It forgets as it pleases, and never gives ids of another piece.
//
// Short pieces (up to 15 bytes, up to 3 ids) lie in lines of 64 bytes, two a line, keyed by the bytes
// themselves:
//
//     | 15 bytes of the piece, its size | 3 ids, how many |  the same once more  |
//
// All that had to be merged have a slot by hash as well, and their bytes and ids in two areas that are
// emptied when they are full: long pieces are found there, and short ones that lost their place in a line.
#pragma once

#include "engine/base/bytes.h"

#define TM_BPE_KEY_BYTES 15
#define TM_BPE_KEY_IDS 3
#define TM_BPE_LONGEST 512  // bytes of a piece that is worth remembering

typedef struct tm_bpe_key {
    uint64_t low, high;  // {0, 0}: no piece
} tm_bpe_key;

typedef struct tm_bpe_line {
    struct tm_bpe_short {
        tm_bpe_key key;
        uint32_t ids[TM_BPE_KEY_IDS], n;
    } entries[2];
} tm_bpe_line;

typedef struct tm_bpe_cache {
    tm_bpe_line *lines;  // within `block`
    void *block;
    struct tm_bpe_slot *slots;
    char *bytes;
    uint32_t *ids;
    size_t n_bytes, n_ids;
} tm_bpe_cache;

#define TM_BPE_LINES_LOG2 16

bool tm_bpe_cache_init(tm_bpe_cache *cache);  // false without memory; clear it all the same
void tm_bpe_cache_clear(tm_bpe_cache *cache);

void tm_bpe_cache_preload(tm_bpe_cache *cache, tm_view piece, uint32_t id);  // into a line, if it fits
void tm_bpe_cache_put(tm_bpe_cache *cache, tm_view piece, const uint32_t *ids, size_t n);

// The ids of a piece that its line does not have; NULL if they are unknown.
const uint32_t *tm_bpe_cache_get_long(const tm_bpe_cache *cache, tm_view piece, size_t *n);

// The key of a piece of up to 15 bytes; 16 bytes are read.
static inline tm_bpe_key tm_bpe_key_of(const char *p, size_t n)
{
    static const uint64_t masks[16][2] = {
#define FULL UINT64_MAX
        {0, 0},
        {0xff, 0},
        {0xffff, 0},
        {0xffffff, 0},
        {0xffffffff, 0},
        {0xffffffffff, 0},
        {0xffffffffffff, 0},
        {0xffffffffffffff, 0},
        {FULL, 0},
        {FULL, 0xff},
        {FULL, 0xffff},
        {FULL, 0xffffff},
        {FULL, 0xffffffff},
        {FULL, 0xffffffffff},
        {FULL, 0xffffffffffff},
        {FULL, 0xffffffffffffff},
#undef FULL
    };
    return (tm_bpe_key){tm_le64(p) & masks[n][0], (tm_le64(p + 8) & masks[n][1]) | (uint64_t)n << 56};
}

static inline size_t tm_bpe_line_of(tm_bpe_key key)
{
    uint64_t a = (key.low ^ 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;
    uint64_t b = (key.high ^ a >> 32) * 0xc2b2ae3d27d4eb4fu;
    return (a ^ b) >> (64 - TM_BPE_LINES_LOG2);
}

static inline bool tm_bpe_key_eq(tm_bpe_key a, tm_bpe_key b)
{
    return ((a.low ^ b.low) | (a.high ^ b.high)) == 0;
}
