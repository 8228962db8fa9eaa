// SPDX-License-Identifier: Apache-2.0
// Direct preference optimization: a model learns to prefer one answer to another, without leaving the model
// it began as.
#include <string.h>

#include "stages/train/fit.h"

typedef struct dpo_options {
    tm_fit_options fit;
    double beta, label_smoothing;
    const char *loss;
} dpo_options;

static const tm_option options[] = {
    {"beta", TM_OPT_NUMBER, offsetof(dpo_options, beta), "0.1", 1e-6, 1e6, NULL,
     "how much leaving the reference costs: a larger beta stays closer to it", 0},
    {"loss", TM_OPT_CHOICE, offsetof(dpo_options, loss), "\"sigmoid\"", 0, 0, "sigmoid ipo",
     "sigmoid (DPO), or ipo: a square loss on margins per token", 0},
    {"label_smoothing", TM_OPT_NUMBER, offsetof(dpo_options, label_smoothing), "0", 0, 0.5, NULL,
     "sigmoid: the share of pairs that may be the wrong way round", 0},
    TM_FIT_OPTIONS,
    {0},
};

static const tm_fit_kind kind = {
    .objective = &tm_objective_preference,
    .rows = TM_FEED_PAIRS,
    .valid = 2,
};

static tm_status check(tm_check *c, tm_error *err)
{
    const dpo_options *o = c->options;
    if (strcmp(o->loss, "ipo") == 0 && o->label_smoothing > 0) {
        c->fault->option = "label_smoothing";
        return tm_fail(err, TM_EINVAL, "label_smoothing belongs to the sigmoid loss");
    }
    return tm_fit_check(c, &kind, err);
}

static tm_status run(tm_work *work, tm_error *err)
{
    const dpo_options *o = tm_work_options(work);
    tm_preference preference = {
        .loss = strcmp(o->loss, "ipo") == 0 ? TM_PREFERENCE_IPO : TM_PREFERENCE_SIGMOID,
        .beta = o->beta,
        .label_smoothing = o->label_smoothing,
    };
    return tm_fit_run(work, &kind, &preference, err);
}

const tm_stage tm_stage_dpo = {
    .name = "dpo",
    .brief = "Train a model on preferences: it learns to prefer the chosen answer to the rejected one.",
    .help = "The reference is the model that is given, with its adapter. tm.reference is put before the "
            "data: it computes the\n"
            "reference's log-probabilities once, and they are kept like any result. Training goes on from "
            "the same model: its\n"
            "adapter, a fresh one (`adapter`), or all weights. Both answers of a pair lie in one "
            "micro-batch, and `batch` counts\n"
            "the tokens of both with their prompts; a pair of which one text is longer than `length` is left "
            "out. Dropout is off,\n"
            "so that the first step has the loss ln 2 (sigmoid). Metrics, as TRL names them, for train "
            "(means of 10 steps) and\n"
            "valid (at every snapshot): loss, rewards.chosen and rewards.rejected (beta times the log-ratio "
            "to the reference),\n"
            "rewards.accuracies (share of pairs whose chosen answer has the larger reward), rewards.margins, "
            "logps.chosen,\n"
            "logps.rejected.",
    .paper = "Rafailov et al. 2023 (DPO); Azar et al. 2024 (IPO); Mitchell 2023 (label smoothing)",
    .example =
        "local aligned = tm.dpo { tuned, data = prefs.train, valid = prefs.valid, beta = 0.1, epochs = 1 }",
    .family = "align",
    .version = 1,
    .traits = TM_NUMERIC | TM_ELASTIC,
    .inputs = TM_FIT_TUNING_INPUTS("the model to go on from, and the reference", "scored_pairs",
                                   "preferences to learn from", "held-out preferences to measure on",
                                   "reference"),
    .outputs = TM_FIT_OUTPUTS("loss, rewards and log-probabilities by step"),
    .options = options,
    .options_size = sizeof(dpo_options),
    .check = check,
    .prefix = tm_fit_prefix,
    .run = run,
};
