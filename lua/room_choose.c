// SPDX-License-Identifier: Apache-2.0
// Choosing what goes: cheap items first, one more to fill up, and none that is not needed.
#include "lua/room_choose.h"

typedef struct loss {
    int rank; // the highest
    double cost[TM_ROOM_RANKS];
    uint64_t bytes;
} loss;

static void add(loss *l, const tm_room_item *item)
{
    if (item->rank > l->rank) l->rank = item->rank;
    l->cost[item->rank] += item->cost;
    l->bytes += item->bytes;
}

static int compare(const loss *a, const loss *b)
{
    if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
    for (int r = TM_ROOM_RANKS; r-- > 0;)
        if (a->cost[r] != b->cost[r]) return a->cost[r] < b->cost[r] ? -1 : 1;
    return a->bytes != b->bytes ? (a->bytes < b->bytes ? -1 : 1) : 0;
}

int tm_room_compare(const tm_room_item *a, size_t n_a, const tm_room_item *b, size_t n_b)
{
    loss x = {0}, y = {0};
    for (size_t i = 0; i < n_a; i++)
        if (a[i].goes) add(&x, &a[i]);
    for (size_t i = 0; i < n_b; i++)
        if (b[i].goes) add(&y, &b[i]);
    return compare(&x, &y);
}

// The cheap ones so far (`goes`) and the item at `last`, without those that are not needed then, which are
// looked for from the dearest on. With `take` they are dropped.
static loss with_last(tm_room_item *items, size_t last, uint64_t spare, bool take)
{
    loss l = {0};
    for (size_t i = last; i-- > 0;) {
        if (!items[i].goes) continue;
        if (items[i].bytes <= spare) {
            spare -= items[i].bytes;
            if (take) items[i].goes = false;
        } else {
            add(&l, &items[i]);
        }
    }
    add(&l, &items[last]);
    return l;
}

void tm_room_choose(tm_room_item *items, size_t n, uint64_t need)
{
    uint64_t cheap = 0, best_spare = 0;
    size_t best = n;
    loss least = {0};
    for (size_t i = 0; i < n; i++) items[i].goes = false;
    if (!need) return;
    for (size_t i = 0; i < n; i++) {
        if (cheap + items[i].bytes < need) {
            cheap += items[i].bytes;
            items[i].goes = items[i].bytes > 0;
            continue;
        }
        uint64_t spare = cheap + items[i].bytes - need;
        loss l = with_last(items, i, spare, false);
        if (best < n && compare(&l, &least) >= 0) continue;
        best = i;
        best_spare = spare;
        least = l;
    }
    for (size_t i = best; best < n && i < n; i++) items[i].goes = i == best;
    if (best < n) with_last(items, best, best_spare, true);
}
