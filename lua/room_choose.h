// SPDX-License-Identifier: Apache-2.0
// Which results go so that as many bytes get free as are needed, and hardly more.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TM_ROOM_RANKS = 5 }; // of tm_rank (lua/room.h)

typedef struct tm_room_item {
    int rank;
    uint64_t bytes; // that get free with it
    double cost;    // of making it again
    bool goes;
} tm_room_item;

// Sets `goes`. Items come with the least worth first: by rank, then by cost for each byte. No item of a
// higher rank goes than must; then the cost counts. The best is looked for among the cheap ones filled up
// with one more item, and costs within a rank at most twice what is possible. All go if they are not enough.
void tm_room_choose(tm_room_item *items, size_t n, uint64_t need);
// Below 0: the items of `a` that go are less to lose than those of `b`.
int tm_room_compare(const tm_room_item *a, size_t n_a, const tm_room_item *b, size_t n_b);
