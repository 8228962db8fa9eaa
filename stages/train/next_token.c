// SPDX-License-Identifier: Apache-2.0
// The objective of pretraining and fine-tuning: the likelihood of every label.
#include "stages/train/objective.h"

static uint64_t units(const tm_tokens *batch)
{
    uint64_t n = 0;
    for (int32_t i = 0; i < batch->n_tokens; i++) n += batch->labels[i] >= 0;
    return n;
}

static void score(const void *options, tm_pass *pass, const tm_tokens *batch, float *room, double *sums)
{
    tm_loss loss;
    tm_pass_score(pass, &loss, NULL);
    sums[0] += loss.sum;
}

static void backward(const void *options, tm_pass *pass, const tm_tokens *batch, double denominator,
                     float *room, float *grads, double *sums)
{
    tm_loss loss;
    tm_pass_backward(pass, NULL, denominator, grads, &loss);
    sums[0] += loss.sum;
}

static const char *const measures[] = {"loss", NULL};

const tm_objective tm_objective_next_token = {
    .name = "next_token",
    .brief = "the likelihood of every label",
    .measures = measures,
    .units = units,
    .score = score,
    .backward = backward,
};
