// SPDX-License-Identifier: Apache-2.0
// Reading the journals of past and present runs: what status, logs, runs and why stand on.
#pragma once

#include "lua/cli/session.h"

// What a journal says of a run so far.
typedef struct tm_run_view {
    char run[32];
    json_t *record;   // the "run" event: graph, nodes with keys and reasons, parameters
    json_t
        *nodes; // name -> {"state", "seconds", "rows", "bytes", "entries", "counts", "text", "progress"...}
    json_t *end;      // the "end" event, or NULL: running, or killed
    bool alive;       // its process is there
} tm_run_view;

// `run`: as lua/past/run_name.h has it, or NULL for the latest. TM_ENOENT if there is none.
tm_status tm_run_view_read(tm_store *store, const char *run, tm_run_view *view, tm_error *err);
void tm_run_view_clear(tm_run_view *view);
// The row of a node of a recorded plan, or NULL if this program has none of that name. (The node's "stage" is
// what the graph file calls it: of a stage made there, a name that no row has.)
const tm_stage *tm_recorded_stage(const json_t *node);
// What a node made, from its "rows", "entries" and "bytes": "63 records, 48 KB", of a trainer "3 snapshots,
// 366 KB". `stage` may be NULL.
const char *tm_made_text(const tm_stage *stage, const json_t *fields, char text[96]);

// The key of a JSON object nearest in spelling to `word`, or NULL.
const char *tm_nearest_key(const json_t *object, const char *word);

const char *tm_run_view_status(
    const tm_run_view *view); // "ok", "failed", "stopped", "running", "interrupted"
