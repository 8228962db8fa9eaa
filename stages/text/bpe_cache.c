// SPDX-License-Identifier: Apache-2.0
// The slow side of the cache of pieces: what is put in, and long pieces.
#include "stages/text/bpe_cache.h"

#include <sys/mman.h>

#include "engine/base/hash.h"

#define SLOTS ((size_t)1 << 15)
#define AREA_BYTES ((size_t)1 << 20)
#define AREA_IDS ((size_t)1 << 18)
#define LINES_BYTES (sizeof(tm_bpe_line) << TM_BPE_LINES_LOG2)
#define HUGE_PAGE ((size_t)2 << 20)

struct tm_bpe_slot {
    uint64_t hash;
    uint32_t bytes_at, size;  // size 0: empty
    uint32_t ids_at, n;
};

// The lines are visited at random: in huge pages, if the system has them, the addresses cost less.
static void place_lines(tm_bpe_cache *cache)
{
    cache->block = tm_alloc(LINES_BYTES + HUGE_PAGE);
    if (!cache->block) return;
    uintptr_t at = ((uintptr_t)cache->block + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
    cache->lines = (tm_bpe_line *)at;
    madvise(cache->lines, LINES_BYTES, MADV_HUGEPAGE);
    memset(cache->lines, 0, LINES_BYTES);
}

bool tm_bpe_cache_init(tm_bpe_cache *cache)
{
    place_lines(cache);
    cache->slots = tm_calloc(SLOTS, sizeof *cache->slots);
    cache->bytes = tm_alloc(AREA_BYTES);
    cache->ids = tm_alloc(AREA_IDS * sizeof *cache->ids);
    return cache->lines && cache->slots && cache->bytes && cache->ids;
}

void tm_bpe_cache_clear(tm_bpe_cache *cache)
{
    tm_free(cache->block);
    tm_free(cache->slots);
    tm_free(cache->bytes);
    tm_free(cache->ids);
    *cache = (tm_bpe_cache){0};
}

static void put_short(tm_bpe_cache *cache, tm_view piece, const uint32_t *ids, size_t n)
{
    char padded[16] = {0};
    memcpy(padded, piece.data, piece.size);
    tm_bpe_key key = tm_bpe_key_of(padded, piece.size);
    tm_bpe_line *line = &cache->lines[tm_bpe_line_of(key)];
    line->entries[1] = line->entries[0];
    line->entries[0] = (struct tm_bpe_short){.key = key, .n = (uint32_t)n};
    memcpy(line->entries[0].ids, ids, n * sizeof *ids);
}

static void put_long(tm_bpe_cache *cache, tm_view piece, const uint32_t *ids, size_t n)
{
    if (cache->n_bytes + piece.size > AREA_BYTES || cache->n_ids + n > AREA_IDS) {
        memset(cache->slots, 0, SLOTS * sizeof *cache->slots);
        cache->n_bytes = cache->n_ids = 0;
    }
    uint64_t hash = tm_hash64(piece.data, piece.size, 0);
    struct tm_bpe_slot *slots = cache->slots + 2 * (hash % (SLOTS / 2));
    slots[1] = slots[0];
    slots[0] = (struct tm_bpe_slot){hash, (uint32_t)cache->n_bytes, (uint32_t)piece.size,
                                    (uint32_t)cache->n_ids, (uint32_t)n};
    memcpy(cache->bytes + cache->n_bytes, piece.data, piece.size);
    memcpy(cache->ids + cache->n_ids, ids, n * sizeof *ids);
    cache->n_bytes += piece.size;
    cache->n_ids += n;
}

void tm_bpe_cache_preload(tm_bpe_cache *cache, tm_view piece, uint32_t id)
{
    if (piece.size <= TM_BPE_KEY_BYTES) put_short(cache, piece, &id, 1);
}

void tm_bpe_cache_put(tm_bpe_cache *cache, tm_view piece, const uint32_t *ids, size_t n)
{
    if (piece.size <= TM_BPE_KEY_BYTES && n <= TM_BPE_KEY_IDS)
        put_short(cache, piece, ids, n);
    else if (piece.size <= TM_BPE_LONGEST)
        put_long(cache, piece, ids, n);
}

const uint32_t *tm_bpe_cache_get_long(const tm_bpe_cache *cache, tm_view piece, size_t *n)
{
    if (piece.size > TM_BPE_LONGEST) return NULL;
    uint64_t hash = tm_hash64(piece.data, piece.size, 0);
    const struct tm_bpe_slot *slot = cache->slots + 2 * (hash % (SLOTS / 2));
    if (slot->hash != hash) slot++;
    if (slot->hash != hash || slot->size != piece.size) return NULL;
    if (memcmp(cache->bytes + slot->bytes_at, piece.data, piece.size) != 0) return NULL;
    *n = slot->n;
    return cache->ids + slot->ids_at;
}
