// SPDX-License-Identifier: Apache-2.0
// Selectors: which entries of a log a consumer takes.
#pragma once

#include "engine/graph.h"
#include "engine/store_artifact.h"
#include "engine/store_tree.h"

// The step of a snapshot, from its attributes; -1 if it has none.
int64_t tm_snapshot_step(tm_store *store, tm_hash tree);

// Index of the entry that `select` picks from a sealed model log (LAST, LATEST, AT, BEST); TM_ENOENT if there
// is none. For BEST the producer's metrics artifact is needed (lower is better for losses, higher for the
// rest).
tm_status tm_select_entry(tm_store *store, const tm_select *select, const tm_artifact *log, tm_hash metrics,
                          size_t *index, tm_error *err);
// Whether a value of a metric is better than the best so far: lower for losses, higher for the rest.
bool tm_select_better(const char *metric, double value, double best);
// Whether EACH takes the entry with this index and step.
bool tm_select_each(const tm_select *select, int64_t step);
