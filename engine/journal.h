// SPDX-License-Identifier: Apache-2.0
// The journal of a run: runs/rN/journal, one record a line, append-only.
//
//   <16 hex digits: XXH3-64 of the JSON> {"t":1700000000000,"event":"start",...}
//
// "t" is in milliseconds since 1970. A line is on record (durable) after tm_journal_sync; sync once for many.
// The reader passes over lines whose sum does not match and goes on behind them; a last line without its
// end is not there yet.
#pragma once

#include <jansson.h>

#include "engine/store.h"
#include "engine/unsynced.h"

typedef struct tm_journal tm_journal;

// Take the next free number: makes runs/rN and its journal, durably. `run` receives "rN", or "" where it
// failed.
tm_status tm_journal_create(tm_store *store, char run[32], tm_journal **journal, tm_error *err);
// Go on with the journal of a run that was interrupted; a torn tail is cut.
tm_status tm_journal_resume(tm_store *store, const char *run, tm_journal **journal, tm_error *err);
void tm_journal_close(tm_journal *journal);  // NULL is fine; syncs nothing

// Append {"t":now,"event":event, fields...}. `fields` is an object (NULL: none), borrowed.
tm_status tm_journal_append(tm_journal *journal, const char *event, json_t *fields, tm_error *err);
tm_status tm_journal_sync(tm_journal *journal, tm_error *err);
// The same in two halves, as tm_ledger_unsynced.
tm_status tm_journal_unsynced(tm_journal *journal, tm_unsynced *todo, tm_error *err);
void tm_journal_synced(tm_journal *journal, tm_status outcome);

// --- Reading -----------------------------------------------------------------------------------------------
typedef struct tm_journal_reader tm_journal_reader;

// `run` is "r12", or NULL for the latest.
tm_status tm_journal_reader_open(tm_store *store, const char *run, tm_journal_reader **reader, tm_error *err);
void tm_journal_reader_close(tm_journal_reader *reader);
// The next record, which the caller owns. TM_AGAIN: nothing more for now; call again later to follow a live
// run.
tm_status tm_journal_reader_next(tm_journal_reader *reader, json_t **record, tm_error *err);
size_t tm_journal_reader_bad(const tm_journal_reader *reader);  // damaged lines passed over so far

// Folder of a run; numbers of all runs, ascending (caller frees with tm_free).
tm_status tm_run_folder(tm_store *store, const char *run, char path[TM_PATH_MAX], tm_error *err);
tm_status tm_run_list(tm_store *store, uint64_t **numbers, size_t *count, tm_error *err);
