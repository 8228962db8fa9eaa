// SPDX-License-Identifier: Apache-2.0
// What the work of a plan will need, from what earlier runs of the store needed.
//
// Of the earlier executions of a stage the likest are taken: with the same options, else of the same node,
// else any. Their times are scaled by size (of trainers steps, tokens of a step and weights, or the bytes of
// their data and weights, and where one went on from an earlier point, its time by the steps it did; of
// others the bytes that go in, of which `:take(n)` lets through as many as n records had), and the median is
// the estimate; work on a model more than four times smaller or bigger is passed over. Chains that one
// worker executes are one piece of work, told at their last node.
//
// Stages overlap, so times of nodes do not add up. Of each earlier execution that part is known too which
// came after its inputs had ended; the longest way through the plan over these parts is the time of the run.
#pragma once

#include "engine/plan.h"

typedef enum {
    TM_SURE_NONE,   // nothing like it was run
    TM_SURE_STAGE,  // other nodes of this stage
    TM_SURE_OTHER,  // the same options in another graph or under another name
    TM_SURE_NODE,   // this node with other options
    TM_SURE_SAME,   // the same work on other data, or once more
} tm_sure;

typedef struct tm_estimate {
    tm_sure sure;
    int runs;         // executions that it is from
    double seconds;
    double tail;      // of them, after its inputs have ended
    int64_t memory;   // most that a worker had at once; -1: not known
    int64_t bytes;    // of its main output; -1: not known
} tm_estimate;

typedef struct tm_needs {
    tm_estimate *nodes;        // parallel to plan->nodes: of the last node of each group that will or may run
    double least, most;        // seconds: of what runs certainly, and with all that may run
    tm_sure sure;              // of the least sure of its parts that are known
    int known, unknown;        // pieces of work
    int64_t memory;            // of the biggest; -1: not known
    int64_t disk;              // for what is stored, if all runs that may
    int64_t disk_free;         // where the store is, or will be; -1: not known
    int64_t memory_there;
} tm_needs;

tm_status tm_needs_of(const tm_plan *plan, const char *home, tm_needs *needs, tm_error *err);
void tm_needs_clear(tm_needs *needs);

json_t *tm_estimate_json(const tm_estimate *estimate);
json_t *tm_needs_json(const tm_needs *needs);
// What will not fit, in a line; false if all will.
bool tm_needs_too_much(const tm_needs *needs, char *text, size_t size);
