// SPDX-License-Identifier: Apache-2.0
// Ranks and worths of results.
#include "lua/room.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/hash_map.h"
#include "engine/store_artifact.h"
#include "lua/lock/lock.h"

#define LOOKED_AT 400 // runs
#define RANK_STEP 1e9 // between worths of ranks: seconds a megabyte
#define FIRST_STEP (10 * RANK_STEP)
#define WEEK_MS 604800000.0

typedef struct about {
    tm_rank rank;
    int64_t used_ms; // by a run, or made
    double seconds, megabytes;
    bool first; // to go, before all that are not
    json_t *facts;
    char of[192];
} about;

struct tm_room {
    tm_store *store;
    about *all; // parallel to the records
    size_t n;
    tm_hash_map places; // content key -> its place + 1
    json_t *graphs;     // path -> true: whose latest run was seen
    int64_t now_ms;
    bool live;
};

static about *find(const tm_room *room, tm_hash content)
{
    uint64_t place = 0;
    return tm_hash_map_get(&room->places, content, &place) && place ? &room->all[place - 1] : NULL;
}

// ---- records ----

static double stored_megabytes(tm_store *store, const tm_record *record, const json_t *facts)
{
    double bytes = 0;
    for (size_t i = 0; i < record->n_ports; i++) {
        tm_artifact log = {0};
        json_t *name;
        size_t k;
        bool hollow = false;
        json_array_foreach(json_object_get(facts, "hollow"), k, name) hollow |=
            strcmp(json_string_value(name), record->ports[i].name) == 0;
        if (!hollow && tm_artifact_get(store, record->ports[i].artifact, &log, NULL) >= 0)
            bytes += (double)log.bytes;
        tm_artifact_clear(&log);
    }
    return bytes * 1e-6;
}

static tm_status read_records(tm_room *room, tm_error *err)
{
    room->n = tm_key_count(room->store);
    room->all = tm_calloc(room->n + 1, sizeof *room->all);
    if (!room->all) return tm_fail(err, TM_ENOMEM, "no memory for %zu results", room->n);
    for (size_t i = 0; i < room->n; i++) {
        const tm_record *record = tm_key_at(room->store, i);
        about *a = &room->all[i];
        a->facts = json_loads(record->json, 0, NULL);
        const json_t *smoke = json_object_get(json_object_get(a->facts, "doc"), "smoke");
        a->rank = json_is_true(smoke) ? TM_RANK_SMOKE : TM_RANK_PLAIN;
        a->used_ms = record->time_ms;
        a->seconds = json_number_value(json_object_get(a->facts, "seconds"));
        a->megabytes = stored_megabytes(room->store, record, a->facts);
        if (!tm_hash_map_put(&room->places, record->content, i + 1))
            return tm_fail(err, TM_ENOMEM, "no memory for %zu results", room->n);
    }
    return TM_OK;
}

// ---- runs ----

static void raise_rank(about *a, tm_rank rank, const char *of)
{
    if (rank <= a->rank) return;
    a->rank = rank;
    snprintf(a->of, sizeof a->of, "%s", of);
}

// Steps of a chain and what the plan put in have a name with "/" or ".", results that people name have not.
static bool is_named(const char *name)
{
    return !strpbrk(name, "/.");
}

static void look_at_node(tm_room *room, const tm_past *past, const tm_past_node *node, bool latest,
                         const char *graph)
{
    tm_hash recipe;
    const char *hex = json_string_value(json_object_get(node->plan, "recipe"));
    const tm_record *record =
        hex && tm_hash_parse(hex, &recipe) ? tm_key_by_recipe(room->store, recipe) : NULL;
    about *a = record ? find(room, record->content) : NULL;
    if (!a) return;
    if (past->start_ms > a->used_ms) a->used_ms = past->start_ms;
    if (past->alive && !past->end)
        raise_rank(a, TM_RANK_LIVE, "");
    else if (latest && is_named(node->name))
        raise_rank(a, TM_RANK_LATEST, graph);
}

static void look_at_lock(tm_room *room, const char *graph)
{
    char path[TM_PATH_MAX];
    const char *name;
    json_t *lock = NULL, *key;
    if (tm_lock_path(graph, NULL, path, NULL) < 0 || tm_lock_read(path, &lock, NULL) < 0) return;
    const json_t *section = json_object_get(json_object_get(lock, "graphs"), tm_lock_name(graph));
    json_object_foreach(json_object_get(section, "keys"), name, key)
    {
        tm_hash content;
        const char *hex = json_string_value(key);
        about *a = hex && tm_hash_parse(hex, &content) ? find(room, content) : NULL;
        if (a) raise_rank(a, TM_RANK_PINNED, tm_lock_name(graph));
    }
    json_decref(lock);
}

static void look_at_run(tm_room *room, const tm_past *past)
{
    const char *path = json_string_value(json_object_get(past->record, "path"));
    bool smoke = json_is_true(json_object_get(past->record, "smoke"));
    bool ok = strcmp(tm_past_status(past), "done") == 0, first = path && !json_object_get(room->graphs, path);
    bool latest = !smoke && ((ok && first) || json_array_size(past->tags));
    room->live |= past->alive && !past->end;
    for (size_t i = 0; i < past->n_nodes; i++)
        look_at_node(room, past, &past->nodes[i], latest, path ? tm_lock_name(path) : "");
    if (!path || smoke || !ok || !first) return;
    json_object_set_new(room->graphs, path, json_true());
    look_at_lock(room, path);
}

static tm_status read_runs(tm_room *room, tm_error *err)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    TM_TRY(tm_run_list(room->store, &numbers, &n, err));
    tm_status status = TM_OK;
    for (size_t i = n; i-- > 0 && status >= 0 && n - i <= LOOKED_AT;) {
        char run[32];
        tm_past past = {0};
        snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[i]);
        if (tm_past_read(room->store, run, &past, NULL) < 0) continue;
        look_at_run(room, &past);
        tm_past_clear(&past);
    }
    tm_free(numbers);
    return status;
}

tm_status tm_room_open(tm_store *store, tm_room **out, tm_error *err)
{
    tm_room *room = tm_calloc(1, sizeof *room);
    if (!room) return tm_fail(err, TM_ENOMEM, "no memory to look at results");
    room->store = store;
    room->graphs = json_object();
    room->now_ms = tm_time_ms();
    tm_status status = tm_key_refresh(store, err);
    if (status >= 0) status = read_records(room, err);
    if (status >= 0) status = read_runs(room, err);
    if (status < 0)
        tm_room_close(room);
    else
        *out = room;
    return status;
}

void tm_room_close(tm_room *room)
{
    if (!room) return;
    for (size_t i = 0; room->all && i < room->n; i++) json_decref(room->all[i].facts);
    tm_free(room->all);
    tm_hash_map_clear(&room->places);
    json_decref(room->graphs);
    tm_free(room);
}

tm_worth tm_room_worth(const tm_room *room, const tm_record *record)
{
    const about *a = find(room, record->content);
    if (!a) return (tm_worth){.rank = TM_RANK_LIVE, .worth = INFINITY, .of = ""}; // made since we looked
    double weeks = (double)(room->now_ms - a->used_ms) / WEEK_MS;
    double cost = a->seconds * exp2(-fmax(weeks, 0)), rate = cost / fmax(a->megabytes, 1e-3);
    return (tm_worth){.rank = a->rank,
                      .worth = (double)a->rank * RANK_STEP + fmin(rate, RANK_STEP / 2) -
                               (a->first ? FIRST_STEP : 0),
                      .seconds = a->seconds,
                      .cost = cost,
                      .first = a->first,
                      .facts = a->facts,
                      .of = a->of};
}

void tm_room_first(tm_room *room, tm_hash content, bool first)
{
    about *a = find(room, content);
    if (a) a->first = first;
}

bool tm_room_live(const tm_room *room)
{
    return room->live;
}
