// SPDX-License-Identifier: Apache-2.0
// Bits per byte of held-out text.
//
// Each document is cut into windows of `length` tokens; every window is predicted from its own beginning (the
// document's first one after the token that starts documents). The sum of -log2 p over all tokens of the
// text, divided by its bytes, compares models with different tokenizers; bzip2 -9 on the same text, one
// document after the other, is the yardstick that needs no model.
#pragma once

#include "engine/stage.h"
#include "stages/model/pass.h"
#include "stages/text/tokenizer_folder.h"

typedef struct tm_perplexity_options {
    int64_t length;
} tm_perplexity_options;

typedef struct tm_perplexity {
    double loss;           // nats per token
    double bits_per_byte;
    double error;          // standard error of bits_per_byte, over tokens
    uint64_t n_tokens, n_bytes;
} tm_perplexity;

// Texts of one task, in log order; the views point into chunks that stay as long as the list.
typedef struct tm_texts {
    tm_batch **chunks;
    size_t n_chunks;
    uint64_t n_bytes;
} tm_texts;

tm_status tm_texts_take(tm_texts *texts, tm_work *work, const char *port, tm_error *err);
void tm_texts_clear(tm_texts *texts);

tm_status tm_perplexity_measure(const tm_model *model, tm_device *device, const tm_tokenizer *tokenizer,
                                const tm_texts *texts, const tm_perplexity_options *options,
                                tm_perplexity *result, tm_error *err);

// Bits per byte of bzip2 -9 on all texts, one behind the other.
tm_status tm_texts_bzip2(const tm_texts *texts, double *bits_per_byte, tm_error *err);
