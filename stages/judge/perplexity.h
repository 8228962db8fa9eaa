// SPDX-License-Identifier: Apache-2.0
// Bits per byte of held-out text.
//
// Each document is cut into windows of `length` tokens; every window is predicted from its own beginning (the
// document's first one after the token that starts documents). The sum of -log2 p over all tokens of the
// text, divided by its bytes, compares models with different tokenizers; bzip2 -9 on the same text, one
// document after the other, is the yardstick that needs no model.
#pragma once

#include "stages/judge/task.h"

typedef struct tm_perplexity_options {
    int64_t length;
} tm_perplexity_options;

typedef struct tm_perplexity {
    double loss;       // nats per token
    double loss_error; // its standard error over documents; NaN for fewer than two
    double bits_per_byte;
    double error; // the same for it
    uint64_t n_tokens, n_bytes;
} tm_perplexity;

tm_status tm_perplexity_measure(const tm_subject *subject, const tm_texts *texts,
                                const tm_perplexity_options *options, tm_perplexity *result, tm_error *err);
