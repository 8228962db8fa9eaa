// SPDX-License-Identifier: Apache-2.0
// Metrics of a past run as series: adding points. Private to past*.c.
#pragma once

#include "lua/past/past.h"

typedef struct tm_past_point {
    int64_t step, time, count;
    double value, error;
} tm_past_point;

// Into the node's series of that name, at its step; a later point of the same step takes the place of an
// earlier one, and keeps its time if it has none.
tm_status tm_past_add(tm_past_node *node, const char *name, const tm_past_point *point, tm_error *err);
void tm_past_series_clear(tm_past_series *series);
