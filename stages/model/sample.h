// SPDX-License-Identifier: Apache-2.0
// The choice of the next token: filters and a draw.
//
// The filters and their order are those of transformers: repetition penalty, temperature, top-k, top-p,
// min-p, each over what the one before left.
#pragma once

#include "engine/base/status.h"

typedef struct tm_sampler {
    double
        temperature; // 0: greedy, the largest logit (after the repetition penalty; the smallest id of equals)
    double repetition; // logits of tokens seen before: divided by it if positive, else multiplied; 0, 1: off
    uint32_t top_k; // 0: all; otherwise exactly so many (unlike transformers, which keeps equals of the last)
    double top_p;   // 1: all; the smallest set of likeliest tokens whose probability reaches it
    double min_p;   // 0: all; those at least so likely as this share of the likeliest
    uint64_t seed;
} tm_sampler;

// A token that can be chosen, and its weight: its probability is the weight over the sum of all.
typedef struct tm_choice {
    float weight;
    int32_t id;
} tm_choice;

// Tokens that came before: those of the prompt and those chosen.
typedef struct tm_seen {
    const uint32_t *ids;
    size_t n;
} tm_seen;

// What a token is drawn from: fills `choices` (room for vocab) and gives their number, at least 1. A logit
// that is not a number is left out; if all are, token 0 is the only choice. With filters the likeliest is
// first; without them ids ascend. `*sum` is the sum of the weights.
uint32_t tm_sample_choices(const tm_sampler *sampler, const float *logits, uint32_t vocab, tm_seen seen,
                           tm_choice *choices, double *sum);

// Choose a token; depends on (sampler, index, logits, seen) alone: draw number `index` of the seed. `choices`
// is scratch with room for vocab.
int32_t tm_sample(const tm_sampler *sampler, uint64_t index, const float *logits, uint32_t vocab,
                  tm_seen seen, tm_choice *choices);

// The model's log-probability of a token, before any filter.
double tm_log_prob(const float *logits, uint32_t vocab, int32_t id);
