// SPDX-License-Identifier: Apache-2.0
// Pretraining: next-token prediction over packed documents, from fresh weights or from a model.
#include "stages/train/fit.h"

static const tm_option options[] = {TM_FIT_OPTIONS, {0}};

static const tm_fit_kind kind = {
    .objective = &tm_objective_next_token,
    .rows = TM_FEED_TOKENS,
    .valid = 3,
};

static tm_status check(tm_check *c, tm_error *err)
{
    return tm_fit_check(c, &kind, err);
}

static tm_status run(tm_work *work, tm_error *err)
{
    return tm_fit_run(work, &kind, NULL, err);
}

const tm_stage tm_stage_pretrain = {
    .name = "pretrain",
    .brief = "Train a model on documents, from fresh weights or from another model.",
    .help =
        "Documents are tokenized, packed into batches of `batch` tokens and never see each other. The optimizer is AdamW;\n"
        "norms do not decay. A document begins with what the tokenizer puts before a text, or else with its end token. Every\n"
        "snapshot is a Hugging Face folder with the tokenizer in it, which begins prompts in the same way. A run that is\n"
        "interrupted goes on bit for bit where it was; with more `steps` or `epochs` it goes on from the end of the stable\n"
        "part of its schedule. Metrics: train.loss (mean of 10 steps), valid.loss (at every snapshot), in nats per token.",
    .paper = "Loshchilov & Hutter 2019 (AdamW); Haegele et al. 2024 (warmup, stable, decay)",
    .example =
        "local base = tm.pretrain { tm.llama { layers = 4, width = 192, heads = 6 }, tokenizer = vocab, "
        "data = docs.train, steps = 500 }",
    .family = "train",
    .version = 2,
    .traits = TM_NUMERIC | TM_ELASTIC,
    .inputs = {{"", "model", TM_PORT_WHOLE, "architecture",
                "an architecture (fresh weights) or a model to go on from", NULL},
               {"tokenizer", "tokenizer", TM_PORT_WHOLE, NULL, "the tokenizer", NULL},
               {"data", "tokens", 0, NULL, "what to train on", "tokenize"},
               {"valid", "tokens", TM_PORT_OPTIONAL, NULL, "held-out documents for valid.loss", "tokenize"}},
    .outputs = {{"", "model", 0, NULL, "a snapshot every checkpoint_every steps and at the end", NULL},
                {"metrics", "metrics", 0, NULL, "train.loss and valid.loss by step", NULL},
                {"tokenizer", "tokenizer", TM_PORT_ALIAS, NULL, "the tokenizer it was given", "tokenizer"}},
    .options = options,
    .options_size = sizeof(tm_fit_options),
    .check = check,
    .prefix = tm_fit_prefix,
    .run = run,
};
