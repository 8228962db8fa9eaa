// SPDX-License-Identifier: Apache-2.0
// A pass through a decoder transformer: explicit forward and backward over one parameter slab, and over that
// of the model's adapter if it has one.
//
// Activations are [tokens, width]. A batch is a row of segments (documents or pieces of them) one after the
// other; `positions` start again in each, and attention does not cross `cu_seqlens`. A pass holds every
// activation, planned once for the largest batch; forward, loss and backward allocate nothing.
#pragma once

#include "stages/model/model.h"

// A packed batch; borrowed.
typedef struct tm_tokens {
    int32_t n_tokens, n_segments;
    const int32_t *ids;         // [n_tokens], below the vocabulary
    const int32_t *labels;      // [n_tokens]; -1: not a target
    const int32_t *positions;   // [n_tokens], below the length of the model
    const int32_t *cu_seqlens;  // [n_segments + 1], 0 first, ascending, n_tokens last
    const double *scores;       // [n_segments] the objective's own (the reference's log-probability), or NULL
} tm_tokens;

// Memory for one model at up to `max_tokens` tokens a batch. Borrows the model and the device.
typedef struct tm_pass tm_pass;
typedef enum {
    TM_PASS_FORWARD,  // one layer's activations: evaluation
    TM_PASS_TRAIN,    // those of every layer, and gradients of activations
} tm_pass_kind;
tm_status tm_pass_new(tm_pass **pass, const tm_model *model, tm_device *device, tm_pass_kind kind,
                      uint32_t max_tokens, tm_error *err);
void tm_pass_free(tm_pass *pass);
uint64_t tm_pass_bytes(const tm_pass *pass);  // what it holds

// Dropout (of an adapter, in a training pass) in the forward passes to come: a function of seed, draw and
// element. `draw` numbers the micro-batches of a training: updates done * accumulate + the micro-batch, so
// that a run that was interrupted goes on with the same.
void tm_pass_noise(tm_pass *pass, uint64_t seed, uint64_t draw);
void tm_pass_quiet(tm_pass *pass);  // no dropout from here on

// The ops that making a pass, running it forward and reading logits call, NULL behind the last.
const char *const *tm_pass_ops(void);

// Keys and values of tokens already seen, for generation: [layers][capacity, kv_heads * head_dim] each.
typedef struct tm_cache {
    float *keys, *values;
    int32_t capacity;  // in tokens
} tm_cache;

// Rows of a cache: with its own tokens, segment i of a batch is start[i] .. start[i] + count[i].
typedef struct tm_cache_rows {
    const int32_t *start, *count;  // [n_segments]
} tm_cache_rows;

// Run the blocks: the final hidden states (after the last norm) are in the pass, [n_tokens, width].
// TM_EINVAL: an id outside the vocabulary, more tokens than planned, segments that do not cover the batch.
tm_status tm_pass_forward(tm_pass *pass, const tm_tokens *batch, tm_error *err);
const float *tm_pass_hidden(const tm_pass *pass);

// The same for a batch whose segments go on behind what their rows of `cache` hold: keys and values of the
// new tokens become the last of those rows. TM_EINVAL also: rows that lie outside the cache.
tm_status tm_pass_extend(tm_pass *pass, const tm_tokens *batch, const tm_cache *cache, tm_cache_rows at,
                         tm_error *err);

// After forward: sum of the labels' losses (natural log) and their number; the log-probability of each label
// in `log_probs` if it is not NULL, [n_tokens], 0 where there is no label.
typedef struct tm_loss {
    double sum;
    uint64_t count;
} tm_loss;
void tm_pass_score(tm_pass *pass, tm_loss *loss, float *log_probs);

// After forward: the logits of rows [first, first + n), n * vocab floats. For decoding and tests.
void tm_pass_logits(tm_pass *pass, int32_t first, int32_t n, float *logits);

// After forward of a training pass: the loss, and the gradient of sum(weight * loss) / denominator added to
// `grads`, a slab of what tm_model_trainable says (with an adapter the model's own weights get none, which
// saves a third of the work). The denominator is the number of labels over all micro-batches and ranks of the
// step, so that accumulation and packing change nothing. `weights` [n_tokens] may be NULL (all 1). Once for
// each forward: the activations are used up.
void tm_pass_backward(tm_pass *pass, const float *weights, double denominator, float *grads, tm_loss *loss);
