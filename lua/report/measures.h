// SPDX-License-Identifier: Apache-2.0
// Names and values of measures, for the table of one run and of two.
#pragma once

#include "lua/report/parts.h"

// Of "[MODEL.]TASK.MEASURE": "MODEL" or "", and "TASK.MEASURE", which points into `name`.
void tm_measure_split(const char *name, char model[96], const char **measure);
bool tm_measure_judge(const tm_past_node *node);
bool tm_measure_less_is_better(const char *measure);
void tm_measure_cell(tm_buf *page, const tm_past_series *series);  // its last value, with its error
