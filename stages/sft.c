// SPDX-License-Identifier: Apache-2.0
// Supervised fine-tuning: a model learns the answers of conversations.
#include "stages/train/fit.h"

static const tm_option options[] = {TM_FIT_OPTIONS, {0}};

static const tm_fit_kind kind = {
    .objective = &tm_objective_next_token,
    .rows = TM_FEED_EXAMPLES,
    .valid = 2,
};

static tm_status check(tm_check *c, tm_error *err)
{
    return tm_fit_check(c, &kind, err);
}

static tm_status run(tm_work *work, tm_error *err)
{
    return tm_fit_run(work, &kind, NULL, err);
}

const tm_stage tm_stage_sft = {
    .name = "sft",
    .brief = "Fine-tune a model on conversations: it learns the answers, given what comes before them.",
    .help = "The loss is the mean over the tokens of answers, all of a batch counting alike, whatever "
            "conversation and micro-batch\n"
            "they are in. Conversations are packed whole: they lie side by side in a batch and never see "
            "each other. One that\n"
            "is longer than `length` is left out, unless `overlong` says otherwise. Without `steps` the data "
            "is gone through\n"
            "`epochs` times. With more `epochs` or `steps` a finished training goes on from the end of the "
            "stable part of its\n"
            "schedule, and one that was interrupted bit for bit where it was. `tuned:best \"valid.loss\"` is "
            "the best\n"
            "snapshot. With adapter = tm.lora {} the weights stay as they are, and snapshots hold the "
            "adapter in PEFT's files with\n"
            "the model as base/; a model that has an adapter gets it trained on. Metrics: train.loss (mean "
            "of 10 steps), valid.loss (at\n"
            "every snapshot), in nats per learned token.",
    .paper = "Ouyang et al. 2022 (InstructGPT, step 1); Loshchilov & Hutter 2019 (AdamW)",
    .example = "local tuned = tm.sft { base, data = chat.train, valid = chat.valid, epochs = 2, stop = { "
               "patience = 3 } }",
    .family = "train",
    .version = 1,
    .traits = TM_NUMERIC | TM_ELASTIC,
    .inputs = TM_FIT_TUNING_INPUTS("the model to go on from", "examples", "conversations to learn from",
                                   "held-out conversations for valid.loss", "tokenize_chat"),
    .outputs = TM_FIT_OUTPUTS("train.loss and valid.loss by step"),
    .options = options,
    .options_size = sizeof(tm_fit_options),
    .check = check,
    .prefix = tm_fit_prefix,
    .run = run,
};
