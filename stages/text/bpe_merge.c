// SPDX-License-Identifier: Apache-2.0
// Merging the symbols of a piece: always the pair of the lowest rank, the leftmost of equals.
#include "stages/text/bpe_parts.h"

size_t tm_bpe_merge_short(const tm_bpe *bpe, uint32_t *ids, size_t n)
{
    uint32_t rank[TM_BPE_SHORT], made[TM_BPE_SHORT];  // of the pair that begins here
    for (size_t i = 0; i + 1 < n; i++) {
        tm_bpe_rule rule = tm_bpe_rule_of(bpe, ids[i], ids[i + 1]);
        rank[i] = rule.rank;
        made[i] = rule.id;
    }
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++) best = rank[i] < rank[best] ? i : best;
        if (rank[best] == TM_BPE_NONE) break;
        ids[best] = made[best];
        n--;
        for (size_t i = best + 1; i < n; i++) ids[i] = ids[i + 1];
        for (size_t i = best + 1; i + 1 < n; i++) rank[i] = rank[i + 1], made[i] = made[i + 1];
        for (size_t i = best ? best - 1 : 0; i <= best && i + 1 < n; i++) {
            tm_bpe_rule rule = tm_bpe_rule_of(bpe, ids[i], ids[i + 1]);
            rank[i] = rule.rank;
            made[i] = rule.id;
        }
    }
    return n;
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
