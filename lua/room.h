// SPDX-License-Identifier: Apache-2.0
// What results of a store are worth keeping: how long they take to make again for each of their bytes, who
// needs them, and when they were used last.
//
// Ranks, the first to go first:
//
//   smoke    of smoke runs
//   plain    everything else
//   latest   named results of the latest run of each graph, and of runs with a tag
//   pinned   in tidemill.lock beside the graph of one of the runs
//   live     needed by a run that is at work: never goes
//
// Within a rank those go first that take least to make again for each byte; half a worth for every week that
// no run used them.
#pragma once

#include <jansson.h>

#include "engine/store_gc.h"

typedef enum { TM_RANK_SMOKE, TM_RANK_PLAIN, TM_RANK_LATEST, TM_RANK_PINNED, TM_RANK_LIVE } tm_rank;

typedef struct tm_worth {
    tm_rank rank;
    double worth;           // by which they go, the least first; ranks do not overlap
    double seconds;         // to make it again, if its inputs are there
    double cost;            // the same, halved for every week without use
    bool first;             // see tm_room_first
    const json_t *facts;    // of the record: "node", "run"
    const char *of;         // LATEST, PINNED: which graph; else ""
} tm_worth;

typedef struct tm_room tm_room;

tm_status tm_room_open(tm_store *store, tm_room **room, tm_error *err);
void tm_room_close(tm_room *room);
tm_worth tm_room_worth(const tm_room *room, const tm_record *record);
bool tm_room_live(const tm_room *room);  // a run of this store is at work

// Look for what goes under a policy whose worth is that of this room, so that hardly more gets free than is
// needed; the worths say it then (room_fit.c). Nothing is changed in the store.
tm_status tm_room_fit(tm_room *room, tm_store *store, const tm_gc_policy *policy, tm_error *err);
// From now on a result goes before all others, or not.
void tm_room_first(tm_room *room, tm_hash content, bool first);
