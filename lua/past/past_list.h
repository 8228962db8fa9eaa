// SPDX-License-Identifier: Apache-2.0
// Many past runs: read, chosen, sorted, and what tells them apart.
#pragma once

#include "lua/past/where.h"

typedef struct tm_past_list {
    tm_past *runs;  // the oldest first
    size_t n;
} tm_past_list;

// The last runs of a store with their results (`last` 0: all). Runs that did not begin are left out.
tm_status tm_past_list_read(tm_store *store, size_t last, tm_past_list *list, tm_error *err);
void tm_past_list_clear(tm_past_list *list);

void tm_past_list_keep(tm_past_list *list, const tm_where *where);  // only those of which it holds
void tm_past_list_last(tm_past_list *list, size_t n);
// By a fact, ascending; "-NAME": descending. Runs without it come last. TM_EINVAL: none of `names`.
tm_status tm_past_list_sort(tm_past_list *list, const char *name, const json_t *names, tm_error *err);

// Tells on stderr which is meant by a bare name that stands for several things in one of the runs.
void tm_past_list_say_mixed(const tm_past_list *list, const char *name);

// Names of all parameters, and of all metrics as NODE.METRIC (name -> true, in their order).
json_t *tm_past_list_columns(const tm_past_list *list);
// Add to `names` at most `most` parameters in which runs differ; metrics that most runs have, the results of
// judges and validation before all else. Not those that are there.
void tm_past_list_params(const tm_past_list *list, size_t most, json_t *names);
void tm_past_list_metrics(const tm_past_list *list, size_t most, json_t *names);
