// SPDX-License-Identifier: Apache-2.0
// What can be asked of a run by name: what `runs --where`, --sort and `compare` speak of.
//
//   run status seconds age when graph note tag done cached failed     of every run
//   commit                                                            "1a2b3c4", with "+" if it says not all
//   smoke                                                             "smoke" of a smoke run
//   rank                                                              a parameter of its graph
//   valid.loss                                                        a metric: the best of a run's nodes
//   tuned.valid.loss                                                  a metric of a node
//
// Of a metric the last value of each node counts. Nodes of one stage (the points of a sweep, say) compete:
// the lowest loss, perplexity or bits per byte, the highest of all else. The same name of another stage is
// another thing, as DPO's loss is not that of pretraining: the last stage that has it is meant.
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

// The fact of a run with this name; kind TM_FACT_NONE if it has none.
tm_fact tm_fact_of(const tm_past *past, const char *name);
// The names "NODE.METRIC, NODE.METRIC" of a metric that several stages have in a run, the last node of each;
// false if the name is none such.
bool tm_fact_mixed(const tm_past *past, const char *name, char list[300]);
// "within error" if two values differ by no more than twice the standard error of their difference, else
// "beyond error"; NULL where an error is not known. What `diff` and the page of two runs say.
const char *tm_verdict(double before, double before_error, double after, double after_error);
// Whether the name is one that every run has.
bool tm_fact_fixed(const char *name);
// Add the names that a run has to an object (name -> true): fixed ones, parameters, metrics, NODE.METRICs.
void tm_fact_names(const tm_past *past, json_t *names);

// "1.8743": as many digits as tell numbers apart that are a part in a hundred thousand apart.
const char *tm_number_text(double number, char text[32]);
json_t *tm_number_json(double number);  // null if it is none
// A metric that is looked at only when somebody wants to see all: of training batches, or a part of a loss.
bool tm_metric_minor(const char *name);
