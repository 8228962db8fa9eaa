// SPDX-License-Identifier: Apache-2.0
// What can be asked of a run by name: what `runs --where`, --sort and `compare` speak of.
//
//   run status seconds age when graph note tag done cached failed     of every run
//   commit                                                            "1a2b3c4", with "+" if it says not all
//   smoke                                                             "smoke" of a smoke run
//   rank                                                              a parameter of its graph
//   valid.loss                                                        a metric: of the last node that has it
//   tuned.valid.loss                                                  a metric of a node
#pragma once

#include "lua/past/past.h"

typedef enum { TM_FACT_NONE, TM_FACT_NUMBER, TM_FACT_TEXT, TM_FACT_TAGS } tm_fact_kind;

typedef struct tm_fact {
    tm_fact_kind kind;
    double number;       // "when" in seconds since 1970, "age" and "seconds" in seconds
    double error;        // of a metric: its standard error, or NaN
    int64_t step;        // of a metric, else -1
    const char *node;    // of a metric, else NULL
    const json_t *tags;
    char text[200];      // of every fact: as it is shown
} tm_fact;

// The fact of a run with this name; kind TM_FACT_NONE if it has none. Of metrics the last value.
tm_fact tm_fact_of(const tm_past *past, const char *name);
// Whether the name is one that every run has.
bool tm_fact_fixed(const char *name);
// Add the names that a run has to an object (name -> true): fixed ones, parameters, metrics, NODE.METRICs.
void tm_fact_names(const tm_past *past, json_t *names);

// "1.8743": as many digits as tell numbers apart that are a part in a hundred thousand apart.
const char *tm_number_text(double number, char text[32]);
json_t *tm_number_json(double number);  // null if it is none
// A metric that is looked at only when somebody wants to see all: of training batches, or a part of a loss.
bool tm_metric_minor(const char *name);
