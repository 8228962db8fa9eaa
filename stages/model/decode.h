// SPDX-License-Identifier: Apache-2.0
// A model that reads on: a cache of keys and values behind which tokens are added.
//
// A decoder holds one sequence, or several side by side: then what is said below of "the tokens held" is
// about the one that was turned to last, number 0 at first.
#pragma once

#include "stages/model/pass.h"

typedef struct tm_decoder tm_decoder;

// Room for `capacity` tokens, prompt and answer together.
tm_status tm_decoder_new(tm_decoder **decoder, const tm_model *model, tm_device *device, uint32_t capacity,
                         tm_error *err);
void tm_decoder_free(tm_decoder *decoder);

// The same for several sequences, each with room for `capacity` tokens; as many as `wanted`, but no more than
// give each of them the bits that it has alone (TM_ROWS_ALIKE), nor than 256 MiB hold; at least one.
tm_status tm_decoder_new_wide(tm_decoder **decoder, const tm_model *model, tm_device *device,
                              uint32_t capacity, size_t wanted, tm_error *err);
int32_t tm_decoder_width(const tm_decoder *decoder); // how many sequences
void tm_decoder_turn(tm_decoder *decoder, int32_t sequence);

// Forget the tokens from number `size` on.
void tm_decoder_cut(tm_decoder *decoder, int32_t size);

// Add tokens after those already there (a prompt, or the last choice), in chunks; returns the logits after
// the last of them in `*logits` (vocab floats, owned by the decoder, valid until the next call). TM_EINVAL:
// beyond the capacity.
tm_status tm_decoder_feed(tm_decoder *decoder, const int32_t *ids, int32_t n, const float **logits,
                          tm_error *err);

// Add one token to each of n different sequences, all in one pass; the logits after them, [n, vocab], owned
// by the decoder. TM_EINVAL: beyond the capacity of one.
tm_status tm_decoder_step(tm_decoder *decoder, const int32_t *sequences, const int32_t *ids, int32_t n,
                          const float **logits, tm_error *err);
int32_t tm_decoder_size(const tm_decoder *decoder);      // tokens held
int32_t tm_decoder_capacity(const tm_decoder *decoder);
const tm_model *tm_decoder_model(const tm_decoder *decoder);

// Make what is held these tokens, n > 0: the beginning that is held already is kept, the rest is computed.
// Gives the logits after the last, and in `*kept` (may be NULL) how many tokens were not computed.
tm_status tm_decoder_read(tm_decoder *decoder, const uint32_t *ids, int32_t n, const float **logits,
                          int32_t *kept, tm_error *err);

// The log-probability of each token after those before it, for tokens that begin anew (what is held is
// forgotten): log_probs[i] is that of ids[i + 1], n - 1 of them.
tm_status tm_decoder_score(tm_decoder *decoder, const uint32_t *ids, int32_t n, float *log_probs,
                           tm_error *err);
