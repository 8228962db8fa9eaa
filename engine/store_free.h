// SPDX-License-Identifier: Apache-2.0
// Freeing a few trees at once while everybody works: training states that a newer one has replaced.
#pragma once

#include "engine/store.h"

typedef struct tm_free_list {
    const tm_hash *trees;  // to be freed
    size_t n_trees;
    const tm_hash *hollow;  // of these the files alone: the manifests stay
    size_t n_hollow;
    tm_hash recipe;        // whose open log names them: it does not count,
    const tm_hash *keep;   // but what of it is to stay
    size_t n_keep;
    int64_t grace_ms;      // nothing younger goes: more than it takes from putting an object to naming it
} tm_free_list;

// Remove the trees, with those of their files that nothing else leads to: no key record, no other open log,
// no pin, nothing in `keep`. A tree that is named itself stays whole; so does, till another time, a young
// one.
// TM_EBUSY while a gc is at work. Reads the lists of all records (some microseconds each).
tm_status tm_store_free(tm_store *store, const tm_free_list *list, tm_error *err);
