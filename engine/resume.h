// SPDX-License-Identifier: Apache-2.0
// Where a trainer can go on from: an interrupted run of the same work, or the equal beginning of a shorter
// one.
//
// Beside every snapshot's entry its producer leaves a cursor (JSON): {"step", "state": tree, "refs": [tree],
// "prefix": hash, "taken": {port: n}, "entries": [n]}. `prefix` is the hash of what matters up to that step
// (the stage's prefix callback), `taken` how many entries of each data input were read (absent: it was read
// to its end), `entries` how many each output port had by then. A snapshot of a finished run can be continued
// when the prefix of the new options at its step is equal and the entries read are the first ones of the new
// inputs.
//
// A log is a function of the graph alone, never of what the store held. Whether a longer run has a snapshot
// at the step where a shorter one left its state is for its own options to say: the shorter one's schedule or
// data may have ended there. So the point is the state alone (`again`): the entries before it are taken over
// (the stage's prefix callback has seen that they are those of the new options), and the trainer makes its
// own again if it has one there.
#pragma once

#include "engine/plan.h"

// The name of an output port's open log: "main" for the main one.
static inline const char *tm_port_file(const tm_port *port)
{
    return port->name[0] ? port->name : "main";
}

typedef struct tm_resume_point {
    int64_t step;
    bool again;            // of a finished run: what was put since the snapshot before it is not taken over
    tm_hash model, state;  // trees; equal when one folder holds both
    json_t *cursor;
    // Entries of the output ports that come before this point.
    size_t n_entries[TM_MAX_PORTS];
    tm_entry *entries[TM_MAX_PORTS];
    json_t **cursors;      // of port 0, n_entries[0] of them
    char why_not[160];     // when nothing was found although there was something to look at
} tm_resume_point;

// The i-th entry of an input that is still being made: TM_OK, TM_AGAIN (not yet), TM_DONE (there are no
// more).
typedef tm_status (*tm_resume_look)(void *arg, const tm_link *link, size_t i, tm_entry *entry);

// TM_OK, TM_DONE when there is no such point, or TM_AGAIN: what an unknown input gave so far (`look`) does
// not tell yet. Without `look` unknown inputs count as different.
tm_status tm_resume_find(const tm_plan *plan, const tm_plan_node *node, tm_resume_look look, void *arg,
                         tm_resume_point *point, tm_error *err);
void tm_resume_clear(tm_resume_point *point);

// Where a run of that work left off that did not end; -1: nowhere that could be gone on from.
int64_t tm_resume_stopped(const tm_plan *plan, const tm_plan_node *node, tm_hash recipe);

// The hash of the stage's prefix document at `step`, for a snapshot with that cursor; TM_DONE when the stage
// says that nothing can continue.
tm_status tm_resume_prefix(const tm_graph *graph, const tm_node *node, int64_t step, const json_t *cursor,
                           tm_hash *hash, tm_error *err);
