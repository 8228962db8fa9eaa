// SPDX-License-Identifier: Apache-2.0
// A file of checksummed records that only grows: what keys, open logs and memos are kept in.
//
// Layout, little-endian, every frame at a multiple of 8:
//
//   "TMLEDGR1" kind[8] sum u64 | magic u32  size u32  sum u64  payload[size]  zeros to 8 | frame ...
//
// sum = XXH3-64 of the payload, seeded with the frame's offset, so that a frame is good only where it was
// written. A reader passes over bytes that are no frame and goes on at the next good one; what follows the
// last good frame is a torn tail. Any number of processes may read; appends take the file's lock, read what
// others added, cut a torn tail, and write at the end, so any number may write as well. An append is
// *visible* when it returns and *durable* after tm_ledger_sync. A ledger that was replaced by a rename
// (compaction) is noticed and read anew. One thread at a time per handle.
#pragma once

#include "engine/unsynced.h"

typedef struct tm_ledger tm_ledger;

// Called for every good frame in file order; `payload` lives for the call. A failure ends the reading and
// is passed on. `reset` calls (payload.data NULL) say that the file was replaced: forget what came before.
typedef tm_status (*tm_ledger_take)(tm_view payload, void *arg, tm_error *err);

// `kind` has at most 8 characters; a file of another kind is TM_EFORMAT. An absent file is read as an empty
// one and made by the first lock or append; its folder must be there by then.
tm_status tm_ledger_open(const char *path, const char *kind, tm_ledger_take take, void *arg,
                         tm_ledger **ledger, tm_error *err);
void tm_ledger_close(tm_ledger *ledger);  // NULL is fine; syncs nothing

// Read what was appended since the last reading; cheap when nothing was (one stat).
tm_status tm_ledger_refresh(tm_ledger *ledger, tm_error *err);

// Between lock and unlock no other process appends; tm_ledger_lock refreshes first.
tm_status tm_ledger_lock(tm_ledger *ledger, tm_error *err);
void tm_ledger_unlock(tm_ledger *ledger);

// Append one record (with the lock, or taking it for the call). It is not passed to `take`. On failure the
// file ends where it ended before.
tm_status tm_ledger_append(tm_ledger *ledger, const void *payload, size_t size, tm_error *err);
tm_status tm_ledger_sync(tm_ledger *ledger, tm_error *err);  // file, and its folder after a creation
// The same in two halves, around a tm_unsynced_sync in another thread. TM_DONE: there is nothing to sync.
tm_status tm_ledger_unsynced(tm_ledger *ledger, tm_unsynced *todo, tm_error *err);
void tm_ledger_synced(tm_ledger *ledger, tm_status outcome);

// Write the given records as a new file and rename it over; the lock must be held. Durable when it returns.
tm_status tm_ledger_replace(tm_ledger *ledger, const tm_view *payloads, size_t count, tm_error *err);

uint64_t tm_ledger_bad_bytes(const tm_ledger *ledger);  // passed over so far, torn tails not counted
uint64_t tm_ledger_bytes(const tm_ledger *ledger);
