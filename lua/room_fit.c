// SPDX-License-Identifier: Apache-2.0
// What goes so that hardly more gets free than is needed: tried without changing anything.
#include "lua/room.h"
#include "lua/room_choose.h"

typedef struct going {
    const tm_room *room;
    tm_room_item *items; // that go, the least worth first
    tm_hash *contents;   // parallel
    size_t n, capacity;
    bool all_first; // they are among those that were to go first
    bool failed;
} going;

static void hear(const tm_record *record, uint64_t bytes, void *arg)
{
    going *g = arg;
    tm_worth w = tm_room_worth(g->room, record);
    g->all_first &= w.first;
    if (g->n == g->capacity) {
        size_t capacity = g->capacity ? 2 * g->capacity : 256;
        tm_room_item *items = tm_realloc(g->items, capacity * sizeof *items);
        if (items) g->items = items;
        tm_hash *contents = items ? tm_realloc(g->contents, capacity * sizeof *contents) : NULL;
        if (contents) g->contents = contents;
        g->failed |= !contents;
        if (!contents) return;
        g->capacity = capacity;
    }
    g->items[g->n] = (tm_room_item){.rank = w.rank, .bytes = bytes, .cost = w.cost, .goes = true};
    g->contents[g->n++] = record->content;
}

static double worth(const tm_record *record, void *arg)
{
    return tm_room_worth(((going *)arg)->room, record).worth;
}

static bool keep_live(const tm_record *record, void *arg)
{
    return tm_room_worth(((going *)arg)->room, record).rank == TM_RANK_LIVE;
}

static void clear(going *g)
{
    tm_free(g->items);
    tm_free(g->contents);
    g->items = NULL;
    g->contents = NULL;
    g->n = g->capacity = 0;
}

// What goes with a limit, and the bytes that stay.
static tm_status look(tm_store *store, const tm_gc_policy *policy, uint64_t limit, going *g, uint64_t *kept,
                      tm_error *err)
{
    tm_gc_policy trial = *policy;
    tm_gc_report report;
    clear(g);
    g->all_first = true;
    trial.max_bytes = limit;
    trial.worth = worth;
    trial.keep = keep_live;
    trial.goes = hear;
    trial.arg = g;
    TM_TRY(tm_store_gc(store, &trial, true, NULL, NULL, &report, err));
    *kept = report.bytes_kept;
    return g->failed ? tm_fail(err, TM_ENOMEM, "no memory to look at results") : TM_OK;
}

static void set_first(tm_room *room, const going *g, bool chosen)
{
    for (size_t i = 0; i < g->n; i++) tm_room_first(room, g->contents[i], chosen && g->items[i].goes);
}

// `by_worth`: what goes without choosing. Bytes that results share are counted for one of them, so what was
// chosen is looked at once more, and taken only if nothing else must go and less is lost.
static tm_status choose(tm_room *room, tm_store *store, const tm_gc_policy *policy, const going *by_worth,
                        tm_error *err)
{
    going all = {.room = room}, chosen = {.room = room};
    uint64_t whole, least, kept;
    tm_status status = look(store, policy, UINT64_MAX, &all, &whole, err);
    if (status >= 0) status = look(store, policy, 1, &all, &least, err);
    if (status >= 0 && whole > policy->max_bytes) {
        tm_room_choose(all.items, all.n, whole - policy->max_bytes);
        set_first(room, &all, true);
        status = look(store, policy, policy->max_bytes, &chosen, &kept, err);
        bool better = status >= 0 && kept <= policy->max_bytes && chosen.all_first &&
                      tm_room_compare(chosen.items, chosen.n, by_worth->items, by_worth->n) < 0;
        if (!better) set_first(room, &all, false);
    }
    clear(&all);
    clear(&chosen);
    return status;
}

tm_status tm_room_fit(tm_room *room, tm_store *store, const tm_gc_policy *policy, tm_error *err)
{
    going by_worth = {.room = room};
    uint64_t kept;
    tm_status status = look(store, policy, policy->max_bytes, &by_worth, &kept, err);
    if (status >= 0 && kept < policy->max_bytes && by_worth.n)
        status = choose(room, store, policy, &by_worth, err);
    clear(&by_worth);
    return status;
}
