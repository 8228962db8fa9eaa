// SPDX-License-Identifier: Apache-2.0
// Putting results where people want them: every node with an option `to` (a path) that a run has made.
#pragma once

#include "engine/plan.h"

// Appends {"node", "path"} for each. A folder that is there already is exchanged if it was placed by us
// before and holds nothing else; TM_EEXIST otherwise.
tm_status tm_place_all(const tm_plan *plan, json_t *placed, tm_error *err);

// Before any work: TM_EEXIST if a place of the plan holds something that this store did not put there.
tm_status tm_place_check(const tm_plan *plan, tm_error *err);

// Write logs of data (documents, tokens, metrics), one behind the other, to a path as JSON lines.
tm_status tm_place_lines(tm_store *store, const tm_type *type, const tm_hash *artifacts, size_t n,
                         const char *path, bool replace, tm_error *err);

// Write an artifact to a path: the last snapshot as a folder; documents, tokens or metrics as JSON lines.
tm_status tm_place_artifact(tm_store *store, const tm_type *type, tm_hash artifact, const char *path,
                            bool replace, tm_error *err);
