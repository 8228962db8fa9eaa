// SPDX-License-Identifier: Apache-2.0
// Fitting: the body that all trainers share. A trainer is a stage file with its ports and a tm_fit_kind;
// options, checks, packing, metrics, snapshots, early stopping and going on after an interruption are here.
//
// A step trains on `batch` tokens: for all trainers and kinds of rows this counts inputs, with prompts and
// both answers of a pair. Steps are counted in updates. Where only `epochs` is given the data is read to its
// end first and packed once without computing, so that the schedule knows its total.
//
// Order of what a step leaves behind: a chunk of metrics, then the snapshot they belong to, so that both logs
// can be cut at the same entry when training goes on from there.
//
// Which steps have a snapshot follows from the options and the data alone: fit.c says where. A run that goes
// on from one with other options takes over the snapshots before it, if they are its own too (tm_fit_prefix),
// and makes of the step itself what its own options say.
#pragma once

#include "engine/stage.h"
#include "stages/train/feed.h"
#include "stages/train/objective.h"

// The options of every trainer; the first member of its options, filled from TM_FIT_OPTIONS.
typedef struct tm_fit_options {
    int64_t steps, epochs, batch, length, valid_every, valid_tokens, checkpoint_every, seed;
    double lr, weight_decay, clip, beta1, beta2, eps;
    const char *overlong;
    const json_t *schedule, *adapter, *stop, *keep;
} tm_fit_options;

// The rows of these options: one table and one set of defaults for all trainers.
#define TM_FIT_OPTIONS \
    {"steps", TM_OPT_INT, offsetof(tm_fit_options, steps), "null", 1, 1e9, NULL, \
     "updates (default: as many as `epochs` take)", TM_OPT_EXTENDS, ".." TM_SMOKE_STEPS}, \
    {"epochs", TM_OPT_INT, offsetof(tm_fit_options, epochs), "null", 1, 1e6, NULL, \
     "passes over the data; with `steps`, stop where the first of them ends (default: 1 without `steps`)", \
     TM_OPT_EXTENDS}, \
    {"batch", TM_OPT_INT, offsetof(tm_fit_options, batch), "4096", 8, 1 << 24, NULL, \
     "tokens of an update, at most; prompts and both answers of a pair count", 0}, \
    {"length", TM_OPT_INT, offsetof(tm_fit_options, length), "null", 2, 1 << 20, NULL, \
     "tokens that see each other, at most (default: 512, or as many as the model or `batch` has room for)", 0}, \
    {"overlong", TM_OPT_CHOICE, offsetof(tm_fit_options, overlong), "null", 0, 0, "cut truncate drop", \
     "what becomes of a longer text (default: documents are cut into pieces, all else is left out)", 0}, \
    {"lr", TM_OPT_NUMBER, offsetof(tm_fit_options, lr), "null", 1e-12, 10, NULL, \
     "peak learning rate (default: 1e-3 for fresh weights, 1e-4 with an adapter, else 2e-5)", 0}, \
    {"adapter", TM_OPT_VALUE, offsetof(tm_fit_options, adapter), "null", 0, 0, "adapter", \
     "train a fresh adapter and leave the weights as they are (default: the model's adapter, or all weights)", 0}, \
    {"schedule", TM_OPT_VALUE, offsetof(tm_fit_options, schedule), "null", 0, 0, "schedule", \
     "learning rate by step (default: tm.wsd {})", TM_OPT_EXTENDS}, \
    {"weight_decay", TM_OPT_NUMBER, offsetof(tm_fit_options, weight_decay), "0.1", 0, 1, NULL, \
     "of matrices", 0}, \
    {"clip", TM_OPT_NUMBER, offsetof(tm_fit_options, clip), "1", 0, 1e9, NULL, \
     "largest gradient norm (0: any)", 0}, \
    {"beta1", TM_OPT_NUMBER, offsetof(tm_fit_options, beta1), "0.9", 0, 0.99999, NULL, "of AdamW", 0}, \
    {"beta2", TM_OPT_NUMBER, offsetof(tm_fit_options, beta2), "0.95", 0, 0.99999, NULL, "of AdamW", 0}, \
    {"eps", TM_OPT_NUMBER, offsetof(tm_fit_options, eps), "1e-8", 0, 1, NULL, "of AdamW", 0}, \
    {"valid_every", TM_OPT_INT, offsetof(tm_fit_options, valid_every), "null", 1, 1e9, NULL, \
     "steps between measures on `valid` besides those at snapshots (default: none; with `stop` 50)", 0}, \
    {"valid_tokens", TM_OPT_INT, offsetof(tm_fit_options, valid_tokens), "65536", 1, 1e9, NULL, \
     "held-out labels that are measured, at most", 0, "..2048"}, \
    {"stop", TM_OPT_VALUE, offsetof(tm_fit_options, stop), "null", 0, 0, "stop", \
     "end when a measure on `valid` no longer gets better: { patience = 3, metric = \"valid.loss\" }", 0}, \
    {"checkpoint_every", TM_OPT_INT, offsetof(tm_fit_options, checkpoint_every), "200", 1, 1e9, NULL, \
     "steps between snapshots", TM_OPT_EXTENDS, "..3"}, \
    {"keep", TM_OPT_VALUE, offsetof(tm_fit_options, keep), "null", 0, 0, "keep", \
     "whose bytes stay: { best = 1, last = 1 } (default: those of all snapshots)", TM_OPT_NOKEY}, \
    {"seed", TM_OPT_INT, offsetof(tm_fit_options, seed), "1", 0, 0x1p53, NULL, "of weights and order", 0}

// The ports that a trainer gives: `measures` is what its metrics are.
#define TM_FIT_OUTPUTS(measures) \
    {{"", "model", 0, NULL, "a snapshot every checkpoint_every steps and at the end", NULL}, \
     {"metrics", "metrics", 0, NULL, measures, NULL}, \
     {"tokenizer", "tokenizer", TM_PORT_ALIAS, NULL, "the model's tokenizer", ""}}

// Those that one takes that goes on from a model: rows of a type, and what makes them of documents.
#define TM_FIT_TUNING_INPUTS(model, rows, learned, held_out, conversion) \
    {{"", "model", TM_PORT_WHOLE, NULL, model, NULL}, \
     {"data", rows, 0, NULL, learned, conversion}, \
     {"valid", rows, TM_PORT_OPTIONAL, NULL, held_out, conversion}}

// Early stopping (`stop`): the measures at multiples of valid_every are compared; every one that is the best
// so far gets a snapshot.
typedef struct tm_stop_options {
    int64_t patience;
    const char *metric;
} tm_stop_options;

// What makes a trainer of the body.
typedef struct tm_fit_kind {
    const tm_objective *objective;
    tm_feed_rows rows;  // of the ports `data` and `valid`
    int valid;          // index of the input port `valid`
} tm_fit_kind;

// For the stage's row. Check states the attributes of the model (`tokenizer`, `dtype`, `adapter`, and
// `positions`, the longest text that it takes, where the graph says so); prefix tells how far two runs that
// differ in steps, epochs, schedule or checkpoint_every are the same.
tm_status tm_fit_check(tm_check *check, const tm_fit_kind *kind, tm_error *err);
tm_status tm_fit_prefix(const tm_check *check, int64_t step, json_t *into, tm_error *err);

// Train: input ports "" (a model or an architecture), `data`, `valid` and maybe `tokenizer` (the model's own
// without one); output ports "" and `metrics`. `objective` holds the objective's options.
tm_status tm_fit_run(tm_work *work, const tm_fit_kind *kind, const void *objective, tm_error *err);
