// SPDX-License-Identifier: Apache-2.0
// Things that were tried, as rows that can be put side by side: the points of a sweep, or runs.
//
//   [{"name", "state", "seconds", "params": {name: value}, "metrics": {name: {"value", "error", "step"}}}]
#pragma once

#include "lua/past/past_list.h"

// The points of the sweep that is called `sweep` in a run, in order of their values (1e-3, 3e-3, 0.01): nodes
// SWEEP/lr=1e-4,rank=8 and those that belong to them (SWEEP/lr=1e-4,rank=8.exam). `all`: also metrics of
// training batches and their kin.
json_t *tm_compare_sweep(const tm_past *past, const char *sweep, bool all);
// The length of the sweep's name in that of a node of one of its points (SWEEP/lr=1e-4.exam); 0: of none.
size_t tm_compare_sweep_size(const char *node);
// Names of the sweeps of a run.
json_t *tm_compare_sweeps(const tm_past *past);
// Runs, with the parameters in which they differ.
json_t *tm_compare_runs(const tm_past_list *list, bool all);

// By the name of a row, a parameter, a metric, or "seconds"; "-NAME": descending. Rows without it come last.
// TM_EINVAL names the nearest.
tm_status tm_compare_sort(json_t *rows, const char *name, tm_error *err);
