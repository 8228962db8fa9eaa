// SPDX-License-Identifier: Apache-2.0
// Merging the symbols of a piece: always the pair of the lowest rank, the leftmost of equals.
#include "stages/text/bpe_parts.h"

// The symbols of a short piece, linked by their places. The key of a pair is rank << 6 | place of its left
// symbol, so that the least key is the pair to merge, and finding it is a plain minimum.
typedef struct short_piece {
    int32_t keys[TM_BPE_SHORT];                      // INT32_MAX: no rule, or no pair begins here any more
    uint32_t made[TM_BPE_SHORT];                     // what the pair becomes
    uint8_t prev[TM_BPE_SHORT], next[TM_BPE_SHORT];  // TM_BPE_SHORT: none
} short_piece;

static inline void look_up(const tm_bpe *bpe, short_piece *piece, const uint32_t *ids, size_t at)
{
    size_t next = piece->next[at];
    tm_bpe_rule rule =
        next < TM_BPE_SHORT ? tm_bpe_rule_of(bpe, ids[at], ids[next]) : (tm_bpe_rule){.rank = TM_BPE_NONE};
    piece->keys[at] = rule.rank == TM_BPE_NONE ? INT32_MAX : (int32_t)(rule.rank << 6 | at);
    piece->made[at] = rule.id;
}

static inline int32_t least(const int32_t *keys, size_t n)
{
    int32_t min = INT32_MAX;
    for (size_t i = 0; i < n; i++) min = keys[i] < min ? keys[i] : min;
    return min;
}

size_t tm_bpe_merge_short(const tm_bpe *bpe, uint32_t *ids, size_t n)
{
    _Static_assert(TM_BPE_SHORT == 64 && TM_BPE_RULES_MAX <= 1 << 24, "a rank and a place fit into 31 bits");
    short_piece piece;
    for (size_t i = 0; i < n; i++) {
        piece.prev[i] = (uint8_t)(i ? i - 1 : TM_BPE_SHORT);
        piece.next[i] = (uint8_t)(i + 1 < n ? i + 1 : TM_BPE_SHORT);
        look_up(bpe, &piece, ids, i);
    }
    for (int32_t min; (min = least(piece.keys, n)) != INT32_MAX;) {
        size_t at = (size_t)min & 63, gone = piece.next[at], after = piece.next[gone];
        ids[at] = piece.made[at];
        piece.keys[gone] = INT32_MAX;
        piece.next[at] = (uint8_t)after;
        if (after < TM_BPE_SHORT) piece.prev[after] = (uint8_t)at;
        look_up(bpe, &piece, ids, at);
        if (piece.prev[at] < TM_BPE_SHORT) look_up(bpe, &piece, ids, piece.prev[at]);
    }
    size_t left = 0;
    for (size_t at = 0; n && at < TM_BPE_SHORT; at = piece.next[at]) ids[left++] = ids[at];
    return left;
}

// A symbol in a doubly linked list. `rank` is that of its pair with `next`; an entry of the heap with another
// rank is out of date. A symbol that was merged into the one before it has rank TM_BPE_NONE.
struct tm_bpe_site {
    uint32_t id, made, rank, prev, next;
};

static bool reserve(tm_bpe_heap *heap, size_t n)
{
    if (n <= heap->capacity) return true;
    size_t capacity = n + n / 2;
    struct tm_bpe_site *sites = tm_realloc(heap->sites, capacity * sizeof *sites);
    if (sites) heap->sites = sites;
    uint64_t *joins = sites ? tm_realloc(heap->joins, 2 * capacity * sizeof *joins) : NULL;
    if (!joins) return false;
    heap->joins = joins;
    heap->capacity = capacity;
    return true;
}

void tm_bpe_heap_clear(tm_bpe_heap *heap)
{
    tm_free(heap->sites);
    tm_free(heap->joins);
    *heap = (tm_bpe_heap){0};
}

static void push(tm_bpe_heap *heap, uint64_t join)
{
    size_t i = heap->n++;
    for (; i > 0 && heap->joins[(i - 1) / 2] > join; i = (i - 1) / 2)
        heap->joins[i] = heap->joins[(i - 1) / 2];
    heap->joins[i] = join;
}

static uint64_t pop(tm_bpe_heap *heap)
{
    uint64_t *joins = heap->joins, top = joins[0], last = joins[--heap->n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < heap->n; i = child) {
        if (child + 1 < heap->n && joins[child + 1] < joins[child]) child++;
        if (joins[child] >= last) break;
        joins[i] = joins[child];
    }
    joins[i] = last;
    return top;
}

// Look up the pair that begins at a site, and queue it if there is a rule.
static void update(const tm_bpe *bpe, tm_bpe_heap *heap, uint32_t at)
{
    struct tm_bpe_site *site = &heap->sites[at];
    site->rank = TM_BPE_NONE;
    if (site->next == TM_BPE_NONE) return;
    tm_bpe_rule rule = tm_bpe_rule_of(bpe, site->id, heap->sites[site->next].id);
    site->rank = rule.rank;
    site->made = rule.id;
    if (rule.rank != TM_BPE_NONE) push(heap, (uint64_t)rule.rank << 32 | at);
}

static void merge_at(const tm_bpe *bpe, tm_bpe_heap *heap, uint32_t at)
{
    struct tm_bpe_site *site = &heap->sites[at], *gone = &heap->sites[site->next];
    site->id = site->made;
    site->next = gone->next;
    gone->rank = TM_BPE_NONE;
    if (site->next != TM_BPE_NONE) heap->sites[site->next].prev = at;
    if (site->prev != TM_BPE_NONE) update(bpe, heap, site->prev);
    update(bpe, heap, at);
}

size_t tm_bpe_merge_long(const tm_bpe *bpe, tm_bpe_heap *heap, uint32_t *ids, size_t n)
{
    if (n <= TM_BPE_SHORT) return tm_bpe_merge_short(bpe, ids, n);
    if (!reserve(heap, n)) return 0;
    heap->n = 0;
    for (size_t i = 0; i < n; i++)
        heap->sites[i] = (struct tm_bpe_site){.id = ids[i],
                                              .prev = i ? (uint32_t)(i - 1) : TM_BPE_NONE,
                                              .next = i + 1 < n ? (uint32_t)(i + 1) : TM_BPE_NONE};
    for (size_t i = 0; i < n; i++) update(bpe, heap, (uint32_t)i);
    while (heap->n) {
        uint64_t top = pop(heap);
        uint32_t at = (uint32_t)top;
        if (heap->sites[at].rank == top >> 32) merge_at(bpe, heap, at);
    }
    size_t left = 0;
    for (uint32_t at = 0; at != TM_BPE_NONE; at = heap->sites[at].next) ids[left++] = heap->sites[at].id;
    return left;
}
