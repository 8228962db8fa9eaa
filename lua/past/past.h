// SPDX-License-Identifier: Apache-2.0
// One reader of a whole run, past or present: what report, diff, compare, runs and the exporters stand on.
//
//   tm_past_read     the journal alone: the record of the run, its nodes, their executions, metrics as noted
//   tm_past_more     what a live run added since
//   tm_past_results  what the store has of its results: ports with rows and bytes, metrics with their errors,
//                    also of nodes that were cached and so noted nothing
//
// Times are in milliseconds since the run began, -1 where there is none. Lines of the journal that are
// damaged are passed over and counted. Texts and JSON in here belong to the past and go with it.
#pragma once

#include "engine/journal.h"
#include "engine/store_artifact.h"

// From a node's start to its end. Nodes of one group are executed together and share theirs.
typedef struct tm_past_span {
    int64_t begin_ms, end_ms; // end -1: it is running, or was cut off
    int64_t resumed;          // the step it went on from, or -1
    const char *end;          // "sealed", "failed", "skipped", or "" without an end
} tm_past_span;

// A metric of a node, by ascending steps. Of a running node, without errors and counts.
typedef struct tm_past_series {
    char name[96];
    size_t n, capacity;
    int64_t *steps, *times, *counts; // counts: what the mean runs over, or 0
    double *values, *errors;         // errors: standard errors, NaN where there is none
} tm_past_series;

typedef struct tm_past_port {
    char name[24];
    tm_hash artifact;
    bool there;   // its list is in the store: the numbers are known
    bool stored;  // its bytes were meant to stay, not only to flow through
    int64_t entries, rows, bytes;
} tm_past_port;

typedef struct tm_past_node {
    const char *name, *stage;
    const char *same;    // the node whose work it is, where that is another one, else NULL
    const char *state;   // "waiting" "running" "stopped" "done" "cached" "failed" "not run"
    const char *planned; // "cached" "run" "maybe" "resume from 300" ...
    const char *reason;  // of the plan
    const json_t *plan;  // as planned: "own", "inputs", "recipe", "file", "line", "group" ...
    tm_past_span *spans;
    size_t n_spans;
    double seconds;               // -1 where it was not executed to its end
    int64_t entries, rows, bytes; // of its main output, -1: unknown
    int64_t step;                 // that it was last heard of, or -1
    int64_t remembered;           // entries that the memo of an earlier run had
    int64_t cores, memory;        // most cores lent; bytes its worker took at most; -1: not recorded
    int deaths;                   // of workers
    const json_t *failure;        // the "failed" event ("code" "text" "hint"), or NULL
    const json_t *counts;         // what the stage counted, or NULL
    tm_past_series *series;
    size_t n_series;
    tm_past_port *ports; // after tm_past_results
    size_t n_ports;
} tm_past_node;

typedef struct tm_past {
    char run[32];
    json_t *record;      // the "run" event: "graph" "path" "params" "args" "files" "version" "cores" ...
    json_t *end;         // the "end" event, or NULL: it is running, or was cut off
    json_t *kept;        // other events that nodes point into, and "log" events in order
    char *note;          // what somebody said about the run, or NULL
    json_t *tags;        // of strings
    int64_t start_ms;    // since 1970
    int64_t last_ms;     // of the last event, since the start
    bool alive;          // its process is there
    size_t damaged;      // lines passed over
    tm_past_node *nodes; // in the order of the graph
    size_t n_nodes;
    json_t *index; // name -> place in `nodes`
    tm_journal_reader *reader;
} tm_past;

// `run`: as run_name.h has it ("r12", "latest", a tag), or NULL for the latest. TM_ENOENT if there is none.
tm_status tm_past_read(tm_store *store, const char *run, tm_past *past, tm_error *err);
tm_status tm_past_more(tm_past *past, tm_error *err);
tm_status tm_past_results(tm_past *past, tm_store *store, tm_error *err);
void tm_past_clear(tm_past *past);

const char *tm_past_status(const tm_past *past); // "done" "failed" "stopped" "running" "interrupted"
double tm_past_seconds(const tm_past *past);     // so far, if it has not ended
// How many nodes are in a state; of nodes that are the same work one counts.
int tm_past_count(const tm_past *past, const char *state);
// NULL if there is none. `tm_past_work`: the node that did the work, itself or the one it is the `same` as.
tm_past_node *tm_past_find(const tm_past *past, const char *node);
const tm_past_node *tm_past_work(const tm_past *past, const tm_past_node *node);
// The failure, if it was told of this node, not of another one of its group; else NULL.
const json_t *tm_past_own_failure(const tm_past_node *node);
const tm_past_series *tm_past_metric(const tm_past_node *node, const char *name);
const tm_past_port *tm_past_port_of(const tm_past_node *node, const char *port);
// It gives documents or their kin: neither snapshots nor metrics.
bool tm_past_gives_records(const tm_past_node *node);
