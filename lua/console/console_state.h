// SPDX-License-Identifier: Apache-2.0
// What a run is doing, as the console shows it: kept from the run's events and from looking at the run.
//
// tm_console_view is a plain picture of one moment. Drawing it (console_draw.h) needs nothing else.
#pragma once

#include "engine/run.h"
#include "lua/estimate.h"

// A node in work. Numbers that are not known are NaN, `memory` is 0 then.
typedef struct tm_console_node {
    const char *name;    // borrowed from the graph
    bool working;        // a worker of it has a core; else it waits for something
    const char *doing;   // instead of progress: "waits for data", "is written"; NULL: the numbers tell
    double done, total;  // in `unit`
    char unit[24];       // "steps", "documents", "chunks"
    double rate, amount_rate;  // of units, and of another unit, per second
    char amount_unit[24];
    double loss;
    double cached;       // share of its entries that was remembered from earlier runs
    double left_s;
    uint64_t memory;     // resident, of its workers
} tm_console_node;

#define TM_CONSOLE_WARNINGS 3

typedef struct tm_console_view {
    double elapsed_s, left_s;  // left_s: NaN if not known
    int all, done, cached, running, failed;  // nodes; done includes cached
    int stopping;              // Ctrl-C so often
    tm_console_node *nodes;
    size_t n_nodes;
    const char *waiting[8];    // nodes that are yet to start, the first of them (NULL: no more are known)
    int n_waiting;
    char warnings[TM_CONSOLE_WARNINGS][240];  // the newest first; "" none
    char sample_of[160], sample[1024];        // "removed by clean/gopher: word_count 17", and a text
} tm_console_view;

typedef struct tm_console_state tm_console_state;

// NULL without memory. `needs`: what earlier runs tell of the work (borrowed), or NULL.
tm_console_state *tm_console_state_new(const tm_plan *plan, const tm_needs *needs);
void tm_console_state_free(tm_console_state *state);

void tm_console_state_event(tm_console_state *state, const char *event, const json_t *fields);
// Look at what no event tells: processes, and results that are made. Called as often as one likes; looks as
// often as that pays.
void tm_console_state_look(tm_console_state *state, const tm_run_now *now);
// The moment (borrowed, until the next call).
const tm_console_view *tm_console_state_view(tm_console_state *state);
