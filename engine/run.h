// SPDX-License-Identifier: Apache-2.0
// One execution of a plan: the scheduler, an event loop over worker processes and signals.
//
// The scheduler reads no data and computes nothing: it answers workers' questions for entries, keeps the
// order of logs, lends cores, and binds keys. See docs/architecture.md for the life of a group.
#pragma once

#include "engine/plan.h"

typedef struct tm_run_options {
    int cores;            // to lend; 0: all there are
    bool keep_going;      // after a failure run what does not depend on it
    int64_t grace_ms;     // no training state younger than this is freed; 0: a minute
    const json_t *facts;  // for the journal: command line, git commit, versions (borrowed)
    // Told of everything that happens, in order: the events of the journal, and "progress" and "note"
    // besides.
    void (*watch)(void *arg, const char *event, const json_t *fields);
    void *arg;
} tm_run_options;

typedef struct tm_run_result {
    char run[32];         // "r12"
    int done, cached, failed, skipped;
    bool stopped;         // by a signal
    int signal;
    double seconds;
    tm_error error;       // of the first failure
    char failed_node[192];
} tm_run_result;

// TM_OK, TM_EFAILED (a stage failed), TM_ESTOPPED, or what kept the run from starting.
tm_status tm_run_plan(tm_plan *plan, const tm_run_options *options, tm_run_result *result, tm_error *err);
