// SPDX-License-Identifier: Apache-2.0
// What a record-wise group made of an input entry: memo/GROUP, a ledger, in memory as a hash table.
//
// GROUP is the group's key without its inputs. A hit says which entries each port got; whether their bytes
// are still there is the caller's question (tm_store_has).
#pragma once

#include "engine/store.h"
#include "engine/unsynced.h"

typedef struct tm_memo tm_memo;

typedef struct tm_memo_port {
    const tm_entry *entries;
    size_t count;
} tm_memo_port;

// `n_ports` at most 16, always the same for one group.
tm_status tm_memo_open(tm_store *store, tm_hash group, size_t n_ports, tm_memo **memo, tm_error *err);
void tm_memo_close(tm_memo *memo);  // NULL is fine

// Outputs of an input entry, one tm_memo_port per port; borrowed until close. NULL: not known.
const tm_memo_port *tm_memo_find(tm_memo *memo, tm_hash input);
// Later results for the same input replace earlier ones. Visible at once, durable after tm_memo_sync; call
// that after tm_store_sync of the objects.
tm_status tm_memo_add(tm_memo *memo, tm_hash input, const tm_memo_port *ports, tm_error *err);
tm_status tm_memo_sync(tm_memo *memo, tm_error *err);
// The same in two halves, as tm_ledger_unsynced.
tm_status tm_memo_unsynced(tm_memo *memo, tm_unsynced *todo, tm_error *err);
void tm_memo_synced(tm_memo *memo, tm_status outcome);
size_t tm_memo_count(const tm_memo *memo);
