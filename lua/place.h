// SPDX-License-Identifier: Apache-2.0
// Putting results where people want them: every node with an option `to` (a path) that a run has made.
#pragma once

#include "engine/plan.h"

// Appends {"node", "path"} for each. A folder that is there already is exchanged if it was placed by us
// before and holds nothing else; TM_EEXIST otherwise.
tm_status tm_place_all(const tm_plan *plan, json_t *placed, tm_error *err);

// Before any work: TM_EEXIST if a place of the plan holds something that this store did not put there, TM_EIO
// if it may not be made.
tm_status tm_place_check(const tm_plan *plan, tm_error *err);

// Logs of data: documents, tokens, metrics.
typedef struct tm_place_logs {
    const tm_type *type;
    const char *shape;  // of documents (stages/text/shape.h), or NULL
    const tm_hash *artifacts;
    size_t n;
} tm_place_logs;

// Write them, one behind the other, to a path as JSON lines: columns by name. Conversations and preferences
// have what their text says instead of it ("messages", or "prompt", "chosen" and "rejected"), as tm.read
// takes them.
tm_status tm_place_lines(tm_store *store, const tm_place_logs *logs, const char *path, bool replace,
                         tm_error *err);

// The same to a file that is open; `name` is for errors.
tm_status tm_place_print(tm_store *store, const tm_place_logs *logs, int fd, const char *name, tm_error *err);

// The shape of what a port of a recorded node ("nodes" of its run) gives, or NULL.
const char *tm_place_shape(const json_t *node, const char *port);
