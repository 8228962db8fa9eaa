// SPDX-License-Identifier: Apache-2.0
// One life of a store, as a run would lead it; the fault tests break it everywhere.
#pragma once

#include "engine/base/io.h"

// What was announced so far: each part promises what its name says, after a sync.
typedef struct promises {
    bool objects;  // chunks, a compressed one, a big one in pieces, a snapshot, the artifacts
    bool key;      // the record that binds them
    bool log;      // two entries with their cursors
    bool memo;
    bool journal;  // of run `run`: "start", "node"
    char run[32];
} promises;

typedef enum { RUN_WORK = 1, RUN_GC = 2 } scenario_parts;

// Do all of it in the store at `folder` (made if need be); `done` says how far it came, also on failure.
// `told` is called whenever another promise was made (may be NULL).
tm_status scenario_run(const char *folder, unsigned parts, promises *done,
                       void (*told)(const promises *, void *), void *arg, tm_error *err);

// Whether a store keeps the promises; otherwise *what says which one it broke. A store that cannot even be
// opened breaks the first.
bool scenario_kept(const char *folder, const promises *made, const char **what, tm_error *err);

// Open, verify all; whether nothing is corrupt and, after a gc, nothing is left in tmp and trash.
bool scenario_clean(const char *folder, const char **what, tm_error *err);
