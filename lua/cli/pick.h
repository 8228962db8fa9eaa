// SPDX-License-Identifier: Apache-2.0
// Which records of a data log are looked at: a window of them, those with a text or an id, those that another
// log does not have, or some drawn by chance.
#pragma once

#include "engine/store_artifact.h"
#include "engine/type.h"

// Ids of records, as a set.
typedef struct tm_ids {
    tm_hash *sorted;
    size_t n, capacity;
} tm_ids;

// Add those of a log whose type has ids (TM_EINVAL: it has none).
tm_status tm_ids_read(tm_store *store, const tm_type *type, const tm_artifact *log, tm_ids *ids,
                      tm_error *err);
void tm_ids_clear(tm_ids *ids);

typedef struct tm_pick {
    int64_t skip, left;    // of what fits the rest
    const char *text;      // has these bytes in a column of text or in its meta, or NULL
    const char *id;        // its id begins so, or NULL
    const tm_ids *without; // its id is none of these, or NULL
    const int64_t *step;   // of metrics: it is of this step, or NULL
    bool sample;           // `left` of what fits, by chance
    uint64_t seed;
} tm_pick;

// Calls `each` for the records, in the order of the log; counts `skip` and `left` down. Bytes that were not
// kept are an error that says how to keep them.
typedef tm_status tm_pick_row(void *arg, const tm_batch *batch, size_t row, tm_error *err);
tm_status tm_pick_rows(tm_store *store, const tm_type *type, const tm_artifact *log, tm_pick *pick,
                       tm_pick_row *each, void *arg, tm_error *err);
