// SPDX-License-Identifier: Apache-2.0
// The last value of every metric of a run, in a file beside its journal: what is left of it when its results
// are not in the store any more.
//
// runs/rN/metrics is {NODE: [{"name", "step", "value", "error", "count"}, ...]}, with nodes that were
// cached. A number that is not finite is not there.
#pragma once

#include "lua/past/past.h"

tm_status tm_kept_metrics_write(tm_store *store, const char *run, tm_error *err);
// Adds them to the series of the nodes. No file, or a damaged one, adds nothing.
tm_status tm_kept_metrics_read(tm_past *past, tm_store *store, tm_error *err);
