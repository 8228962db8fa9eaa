// SPDX-License-Identifier: Apache-2.0
// Keys: which artifacts a node's work has. One ledger (`keys`), read into memory when the store is opened.
//
// The first record of a content key wins. Binding is for the scheduler alone, after the objects are durable
// (tm_store_sync by who put them): objects, key record, journal, catalogue. A record is visible when
// tm_key_bind returns, durable after tm_store_sync. Records say nothing about bytes: they may have been
// collected, so ask tm_artifact_complete; a record without its bytes is a miss.
#pragma once

#include "engine/store.h"

typedef struct tm_key_port {
    char name[24];
    tm_hash artifact;
} tm_key_port;

typedef struct tm_record {
    tm_hash own;      // the node's work without its inputs
    tm_hash recipe;   // with its inputs by recipe
    tm_hash content;  // with its inputs by hash
    uint64_t epoch;   // of the lease it was made under
    int64_t time_ms;  // filled by tm_key_bind when 0
    const tm_key_port *ports;
    size_t n_ports;
    // An object of the caller. Hashes in its array "refs" are kept by gc as well; "hollow" and "kept" say
    // which bytes are not (store_hollow.h).
    const char *json;
} tm_record;

typedef enum {
    TM_BIND_WON,       // there was no record of this content key
    TM_BIND_SAME,      // there was one with the same artifacts; nothing written for it
    TM_BIND_DIFFERENT  // there was one with other artifacts: it stays, and the stage is not deterministic
} tm_bind_outcome;

// With `replace` (the caller found the bytes of the earlier record gone) the new record takes its place.
// When the content key is bound already under another recipe or own key, that alias is recorded (SAME only).
tm_status tm_key_bind(tm_store *store, const tm_record *record, bool replace, tm_bind_outcome *outcome,
                      tm_error *err);

// Borrowed, until the next bind, refresh or close; NULL when there is none. For recipe and own: the latest.
const tm_record *tm_key_by_content(tm_store *store, tm_hash content);
const tm_record *tm_key_by_recipe(tm_store *store, tm_hash recipe);
const tm_record *tm_key_by_own(tm_store *store, tm_hash own);
// The record with the same own key bound before this one.
const tm_record *tm_key_before(tm_store *store, const tm_record *record);

size_t tm_key_count(tm_store *store);
const tm_record *tm_key_at(tm_store *store, size_t index);  // in order of time

// See what other processes bound since. Cheap when nothing was.
tm_status tm_key_refresh(tm_store *store, tm_error *err);
// Forget a record (its objects go with the next gc). One that is not there is no error.
tm_status tm_key_drop(tm_store *store, tm_hash content, tm_error *err);
