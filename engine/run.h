// SPDX-License-Identifier: Apache-2.0
// One execution of a plan: the scheduler, an event loop over worker processes and signals.
//
// The scheduler reads no data and computes nothing: it answers workers' questions for entries, keeps the
// order of logs, lends cores, and binds keys. See docs/architecture.md for the life of a group.
#pragma once

#include <sys/types.h>

#include "engine/plan.h"

// A run at one moment, for those who watch it.
typedef struct run tm_run_now;

typedef struct tm_run_options {
    int cores;            // to lend; 0: all there are
    bool keep_going;      // after a failure run what does not depend on it
    int64_t grace_ms;     // no training state younger than this is freed; 0: a minute
    const json_t *facts;  // for the journal: command line, git commit, versions (borrowed)
    // Told of everything that happens, in order: the events of the journal, and "progress", "note" and
    // "suspend" (Ctrl-Z: the process is about to stop) besides.
    void (*watch)(void *arg, const char *event, const json_t *fields);
    // Called some ten times a second, whatever happens; NULL: not wanted.
    void (*tick)(void *arg, const tm_run_now *now);
    // Called when all work is over and its results are bound, before the run is said to have ended: what else
    // belongs to it. If it fails, so has the run. NULL: nothing.
    tm_status (*settle)(void *arg, tm_error *err);
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

// A worker process that has work.
typedef struct tm_run_worker {
    pid_t pid;
    int node;   // index in the graph: the last of its group
    int cores;  // lent to it now
} tm_run_worker;

// Those that have work, up to `room`; how many there are.
size_t tm_run_workers(const tm_run_now *now, tm_run_worker *workers, size_t room);
// What a node has given to a port so far (borrowed until the run goes on), and how many entries. Objects are
// there as soon as they are in this list.
size_t tm_run_entries(const tm_run_now *now, int node, int port, const tm_entry **entries);

// TM_OK, TM_EFAILED (a stage failed), TM_ESTOPPED, what `settle` failed with, or what kept the run from
// starting.
tm_status tm_run_plan(tm_plan *plan, const tm_run_options *options, tm_run_result *result, tm_error *err);
