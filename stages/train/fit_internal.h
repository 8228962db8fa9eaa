// SPDX-License-Identifier: Apache-2.0
// What the files of the trainers' body share: fit.c is the loop, fit_open.c what it needs, fit_snapshot.c
// what it leaves behind, fit_given.c which documents a step was given, fit_plan.c what the plan asks.
#pragma once

#include "stages/train/architecture.h"
#include "stages/train/fit.h"
#include "stages/train/trainer.h"

#define TM_STATE_FILE "training_state.safetensors"

#define TM_LAST_STEPS 3 // told of when the next one is not a number

// What the measures of the steps behind come to.
typedef struct fit_tally {
    double sums[TM_MEASURES]; // of the steps since the last rows of train.*
    int64_t n_steps;
    double best; // of the metric of `stop`
    int64_t n_measured, n_worse;
} fit_tally;

typedef struct fit {
    tm_work *work;
    const tm_fit_kind *kind;
    const tm_fit_options *o;
    const void *objective; // its options
    tm_schedule schedule;
    bool counted; // the schedule's total comes from `epochs`

    tm_device *device;
    tm_model *model;
    tm_trainer *trainer;
    tm_pack *pack;
    tm_feed feed, valid_feed;
    tm_pass *valid_pass;
    float *room;                 // of the objective, for `valid`
    char input_folder[1024];     // the given model: the base of an adapter lies there; "" for fresh weights
    char tokenizer_folder[1024]; // what is copied into snapshots
    uint32_t vocab;
    int64_t eos, start; // tokens; start goes before a document
    tm_buf with_start;  // tokenizer.json of the snapshots, where it is not the given one
    uint32_t micro, accumulate;
    int64_t length; // of a text, at most

    tm_batch *metrics; // rows since the last snapshot
    fit_tally tally;
    // The same once the last step was trained and before anything was made of it: a run with other options
    // makes of it what is its own.
    fit_tally before;
    size_t before_rows;
    bool again;     // the step that training goes on from is such a one
    bool stopped;   // the patience of `stop` is over
    bool ended;     // the last step found the end of the data
    bool has_entry; // the last step's snapshot is in the log
    tm_step last[TM_LAST_STEPS]; // the newest of this process behind
    uint64_t n_tokens;  // trained on by this process
} fit;

// "; the step had 12 documents: ID, ID, ID, ..." of a step that failed; the node's log gets more of them. The
// pack stands elsewhere then.
void fit_tell_given(fit *f, const tm_step *step, char *text, size_t size);

// Tokens of a text, at most: as asked for, or as a model of so many positions and a batch have room for.
int64_t fit_length(const tm_fit_options *o, const tm_fit_kind *kind, int64_t positions);
// How often `valid` is measured besides at snapshots; 0: not at all.
int64_t fit_valid_every(const tm_fit_options *o);
tm_stop_options fit_stop(const tm_fit_options *o);

// Everything up to the first step, resumed or not. Close also what failed half-way.
tm_status fit_open(fit *f, tm_error *err);
void fit_close(fit *f);
tm_pack_options fit_pack_options(const fit *f);

// Rows of metrics, kept until the next snapshot.
tm_status fit_add_metric(fit *f, int64_t step, const char *split, const char *measure, double value,
                         tm_error *err);
// Measure on `valid`, if there is one; `watched` gets the metric that `stop` names.
tm_status fit_validate(fit *f, int64_t step, double *watched, tm_error *err);
// Put the metrics and a snapshot of the model after `step`.
tm_status fit_put(fit *f, int64_t step, tm_error *err);
// Where to go on after Ctrl-C: weights and state in one folder. Returns TM_ESTOPPED.
tm_status fit_keep(fit *f, int64_t step, tm_error *err);
// Take over what the side of a snapshot says; `again`: as it was before anything was made of its step.
tm_status fit_restore_side(fit *f, const json_t *side, bool again, tm_error *err);
