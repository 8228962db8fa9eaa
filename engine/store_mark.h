// SPDX-License-Identifier: Apache-2.0
// What is reachable in a store: the marking half of gc (store_gc.c sweeps).
#pragma once

#include "engine/store_impl.h"

typedef struct tm_marks {
    tm_store *store;
    bool counting;      // sum up `bytes` (a stat per object)
    tm_hash_map table;  // see store_mark.c
    uint64_t bytes;     // as stored, of what is marked
    struct tm_mark_was *trial; // marked since the trial began, and what each was before
    size_t n_trial, trial_capacity;
    bool on_trial;
} tm_marks;

bool tm_marked(const tm_marks *marks, tm_hash hash);

// Mark an object and what it leads to. What is missing or damaged leads nowhere; any other failure must end
// gc, because too little would be marked.
tm_status tm_mark_any(tm_marks *marks, tm_hash hash, tm_error *err);
tm_status tm_mark_artifact(tm_marks *marks, tm_hash hash, tm_error *err);
// The hashes in the array "refs" of a JSON object.
tm_status tm_mark_refs(tm_marks *marks, const char *text, tm_error *err);
tm_status tm_mark_record(tm_marks *marks, const tm_record *record, tm_error *err);
// The same, taken back when more than `limit` bytes are marked then.
tm_status tm_mark_trial(tm_marks *marks, const tm_record *record, uint64_t limit, bool *fits, tm_error *err);

// What each of some records would add to those before it, in bytes. Nothing stays marked.
tm_status tm_mark_apart(tm_marks *marks, const tm_record *const *records, size_t n, uint64_t *bytes,
                        tm_error *err);

void tm_marks_clear(tm_marks *marks);
