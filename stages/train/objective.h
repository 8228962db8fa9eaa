// SPDX-License-Identifier: Apache-2.0
// What is trained for. An objective is a row in a file of its own: it turns the log-probabilities of a
// batch's labels into a loss and the numbers shown beside it.
//
// Everything is a sum over units (labels, or pairs of answers) and is divided once, by the units of all
// micro-batches of a step together, so that the split into micro-batches and the packing change nothing.
#pragma once

#include "stages/model/pass.h"

#define TM_MEASURES 8

typedef struct tm_objective {
    const char *name;
    const char *brief;
    const char *const
        *measures; // names of the sums, "loss" first; NULL behind the last (TM_MEASURES at most)

    const char *shown;  // the measure that is shown while training goes on, beside the loss; or NULL
    bool quiet;  // without dropout: what is learned is the distance from a model without it

    // Units of a batch: its share of the denominator.
    uint64_t (*units)(const tm_tokens *batch);
    // After a forward pass: add what the batch contributes to `sums`, one number a measure. `options` are the
    // objective's own; `room` [2 * n_tokens] is scratch memory.
    void (*score)(const void *options, tm_pass *pass, const tm_tokens *batch, float *room, double *sums);
    // The same, and the gradient of the loss's sum / denominator is added to `grads`.
    void (*backward)(const void *options, tm_pass *pass, const tm_tokens *batch, double denominator,
                     float *room, float *grads, double *sums);
} tm_objective;

// The mean negative log-likelihood of the labels: pretraining and supervised fine-tuning. No options.
extern const tm_objective tm_objective_next_token;

// The preference of one answer over another (preference.c): batches of pairs (tm_tokens.scores).
extern const tm_objective tm_objective_preference;

typedef enum {
    TM_PREFERENCE_SIGMOID, // Rafailov et al. 2023
    TM_PREFERENCE_IPO,     // Azar et al. 2024
} tm_preference_loss;

typedef struct tm_preference {
    tm_preference_loss loss;
    double beta;            // how much a deviation from the reference costs
    double label_smoothing; // sigmoid: the share of pairs whose order is taken to be wrong (Mitchell 2023)
} tm_preference;
