// SPDX-License-Identifier: Apache-2.0
// Private to collecting garbage: what store_gc.c (everything) and store_free.c (a few trees at once) share.
#pragma once

#include "engine/store_gc.h"
#include "engine/store_mark.h"

typedef struct tm_gc {
    tm_store *store;
    const tm_gc_policy *policy;
    bool dry_run;
    tm_gc_tell tell;
    void *arg;
    tm_gc_report *report;
    int64_t now;
    tm_marks marks;
    bool *keep;           // of the records
    size_t n_records;     // that were looked at
    uint64_t generation;  // of the keys then
} tm_gc;

typedef struct tm_gc_candidate {
    tm_hash hash;
    bool packed;
} tm_gc_candidate;

// One gc at a time: TM_EBUSY, or a descriptor to close.
tm_status tm_gc_alone(tm_store *store, int *fd, tm_error *err);
// Call a function for every name in a part of the store.
tm_status tm_gc_for_names(tm_gc *g, const char *part, tm_status (*visit)(tm_gc *, const char *, tm_error *),
                          tm_error *err);
// Mark what an open log leads to, or let it go when it is too old.
tm_status tm_gc_visit_log(tm_gc *g, const char *name, tm_error *err);
// Rename into trash, which is emptied later; `name` is what it is called there.
tm_status tm_gc_discard(tm_gc *g, const char *path, const char *name, tm_error *err);
// Remove objects, at most some hundred, after a last look at records and pins: those that are marked or young
// stay.
tm_status tm_gc_sweep(tm_gc *g, const tm_gc_candidate *list, size_t count, tm_error *err);
