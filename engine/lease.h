// SPDX-License-Identifier: Apache-2.0
// One lock per recipe key, so that two runs share the work instead of doing it twice.
//
// leases/RECIPE is locked with flock for as long as the holder lives (close-on-exec, released by the kernel
// when the process dies). The epoch inside grows with every acquisition; it goes into the key record.
#pragma once

#include "engine/store.h"

typedef struct tm_lease tm_lease;

typedef struct tm_lease_holder {
    uint64_t epoch;
    int64_t pid;
    int64_t time_ms;  // of the acquisition
    char run[32];     // "r12"
    char host[64];
} tm_lease_holder;

// TM_EBUSY when somebody else has it; `holder` (may be NULL) says who. Never waits; but whoever only looks at
// a lease has it for some microseconds, so a first refusal means little.
tm_status tm_lease_try(tm_store *store, tm_hash recipe, const char *run, tm_lease **lease,
                       tm_lease_holder *holder, tm_error *err);
uint64_t tm_lease_epoch(const tm_lease *lease);
void tm_lease_release(tm_lease *lease);  // NULL is fine

// Who holds it now; TM_ENOENT when nobody does.
tm_status tm_lease_look(tm_store *store, tm_hash recipe, tm_lease_holder *holder, tm_error *err);
