// SPDX-License-Identifier: Apache-2.0
// Open logs: the durable entries of a producer that has not ended, so that it resumes when it was killed.
//
// logs/RECIPE/PORT is a ledger. The scheduler appends an entry when its bytes are durable, with a cursor: a
// small JSON of the producer from which it can go on after this entry (hashes in its array "refs" are kept by
// gc). Other runs follow the same log with tm_log_refresh. When a restarted producer's entry differs from
// what was there, tm_log_cut forgets the entries from there on and the generation grows.
#pragma once

#include "engine/store.h"
#include "engine/unsynced.h"

typedef struct tm_log tm_log;

tm_status tm_log_open(tm_store *store, tm_hash recipe, const char *port, tm_log **log, tm_error *err);
void tm_log_close(tm_log *log);  // NULL is fine

size_t tm_log_count(const tm_log *log);
tm_entry tm_log_entry(const tm_log *log, size_t index);
const char *tm_log_cursor(const tm_log *log, size_t index);  // "" when none was given
uint64_t tm_log_generation(const tm_log *log);

tm_status tm_log_append(tm_log *log, tm_entry entry, const char *cursor,
                        tm_error *err);  // cursor may be NULL
tm_status tm_log_cut(tm_log *log, size_t keep, tm_error *err);
tm_status tm_log_refresh(tm_log *log, tm_error *err);
tm_status tm_log_sync(tm_log *log, tm_error *err);
// The same in two halves, as tm_ledger_unsynced.
tm_status tm_log_unsynced(tm_log *log, tm_unsynced *todo, tm_error *err);
void tm_log_synced(tm_log *log, tm_status outcome);

// Forget all open logs of a recipe: it was sealed and bound, or must start afresh. Absent is fine.
tm_status tm_log_drop(tm_store *store, tm_hash recipe, tm_error *err);
