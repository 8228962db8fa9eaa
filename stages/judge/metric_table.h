// SPDX-License-Identifier: Apache-2.0
// The last value of every metric of some logs, by name.
//
// A name is [MODEL.]TASK.MEASURE. MODEL may have dots of its own ("lr=0.5,seed=1"), so that a name is taken
// apart from its end.
#pragma once

#include "engine/base/hash_map.h"
#include "engine/stage.h"

typedef struct tm_metric_row {
    char *name; // with the prefix
    int64_t step, count;
    double value, error; // error: NaN if there is none
} tm_metric_row;

// Starts as {0}. Rows stand in the order in which their names came first.
typedef struct tm_metric_table {
    tm_metric_row *rows;
    size_t n, capacity;
    tm_hash_map places; // hash of a name -> its row
} tm_metric_table;

void tm_metric_table_clear(tm_metric_table *table);

// Put a row (its name is copied) in the place of the one with that name, or behind the others.
tm_status tm_metric_table_put(tm_metric_table *table, const tm_metric_row *row, tm_error *err);

// Put what an input port of metrics gives, up to step `until` (-1: all of it); "PREFIX." goes before the
// names unless it is empty.
tm_status tm_metric_table_take(tm_metric_table *table, tm_work *work, const char *port, const char *prefix,
                               int64_t until, tm_error *err);

const tm_metric_row *tm_metric_table_find(const tm_metric_table *table, const char *name); // or NULL

// The name in a table nearest to one that is not there, or NULL.
const char *tm_metric_table_nearest(const tm_metric_table *table, const char *name);

// ---- names ----

// Where TASK.MEASURE begins in a name; 0: there is no MODEL before it.
size_t tm_metric_measure_at(const char *name);

// What stands for a link of a MANY port in names: "base" for ".base" and "on.base", "" for a single link.
const char *tm_metric_prefix(const char *port, const char *input);

// Plan time. The names that will be in a log of metrics with attributes `attrs`, each with the prefix,
// appended to the list `names`; false: they are not known.
bool tm_metric_names(const json_t *attrs, const char *prefix, json_t *names);

// Whether one of `names` is `name`. If not, TM_EINVAL, and `fault` says what there is.
tm_status tm_metric_known(const json_t *names, const char *name, tm_option_fault *fault, tm_error *err);
