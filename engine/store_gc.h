// SPDX-License-Identifier: Apache-2.0
// Garbage collection and verification of a store.
//
// Roots: key records that the policy keeps, open logs, pins of open stores, what the caller names. Marking
// runs beside everybody else; then objects that are unmarked and older than the grace period are renamed into
// trash, some at a time under the store's lock, after looking for new roots; publishers touch what they reuse
// under the same lock, so what somebody just found cannot vanish. Order: records, logs, trees, objects.
#pragma once

#include "engine/store_key.h"

typedef struct tm_gc_policy {
    int64_t keep_ms;     // keep records younger than this
    int64_t keep_log_ms; // the same for open logs, memos and leases; 0: as for records
    uint64_t max_bytes;  // of the others the youngest stay, one by one, that fit into so much; 0: all go
    // Those of the most worth stay instead of the youngest. May be NULL.
    double (*worth)(const tm_record *record, void *arg);
    // Told of every record that goes, that of the least worth first, and of the bytes that nothing else holds
    // then. May be NULL.
    void (*goes)(const tm_record *record, uint64_t bytes, void *arg);
    int64_t grace_ms;    // never delete an object younger than this; must exceed the time from put to bind
    bool (*keep)(const tm_record *record, void *arg);  // keep this one whatever its age; may be NULL
    void *arg;
    const tm_hash *roots;  // artifacts, trees or objects to keep besides
    size_t n_roots;
} tm_gc_policy;

typedef struct tm_gc_report {
    size_t records_kept, records_dropped;
    size_t objects_kept, objects_removed;
    uint64_t bytes_kept, bytes_removed;  // as stored
    size_t trees_removed, logs_removed, tmp_removed;
} tm_gc_report;

// Told of each thing before it goes: "record", "object", "tree", "log", "tmp" and its name. May be NULL.
typedef void (*tm_gc_tell)(const char *what, const char *name, uint64_t bytes, void *arg);

// With `dry_run` nothing changes. Only one gc runs at a time (TM_EBUSY).
tm_status tm_store_gc(tm_store *store, const tm_gc_policy *policy, bool dry_run, tm_gc_tell tell, void *arg,
                      tm_gc_report *report, tm_error *err);

typedef struct tm_verify_report {
    size_t objects, corrupt;     // corrupt ones were moved to trash (not in a read-only store)
    uint64_t bytes;              // as stored
    size_t records, incomplete;  // records whose artifacts have lost bytes: they count as misses
    uint64_t bad_bytes;          // of the key ledger
} tm_verify_report;

// Read and hash every object. `tell` hears of "corrupt" objects and "incomplete" records.
tm_status tm_store_verify(tm_store *store, tm_gc_tell tell, void *arg, tm_verify_report *report,
                          tm_error *err);
