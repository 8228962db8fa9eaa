// SPDX-License-Identifier: Apache-2.0
// Generation: a cache of keys and values, and the choice of the next token.
#pragma once

#include "stages/model/pass.h"

typedef struct tm_decoder tm_decoder;

// Room for `capacity` tokens, prompt and answer together.
tm_status tm_decoder_new(tm_decoder **decoder, const tm_model *model, tm_device *device, uint32_t capacity,
                         tm_error *err);
void tm_decoder_free(tm_decoder *decoder);
void tm_decoder_reset(tm_decoder *decoder);  // forget all tokens

// Add tokens after those already there (a prompt, or the last choice); returns the logits after the last of
// them in `*logits` (vocab floats, owned by the decoder, valid until the next call). TM_EINVAL: beyond the
// capacity.
tm_status tm_decoder_feed(tm_decoder *decoder, const int32_t *ids, int32_t n, const float **logits,
                          tm_error *err);
int32_t tm_decoder_size(const tm_decoder *decoder);  // tokens held

typedef struct tm_sampler {
    double temperature;  // 0: greedy (the smallest id among equals)
    uint32_t top_k;      // 0: all
    double top_p;        // 1: all; the smallest set of likeliest tokens whose probability reaches it
    uint64_t seed;
} tm_sampler;

// A token and its logit.
typedef struct tm_choice {
    float logit;
    int32_t id;
} tm_choice;

// Choose a token; the choice depends on (seed, index, logits) alone. `scratch` has room for vocab choices. A
// logit that is not a number is never chosen, unless all are (then token 0).
int32_t tm_sample(const tm_sampler *sampler, uint64_t index, const float *logits, uint32_t vocab,
                  tm_choice *scratch);
