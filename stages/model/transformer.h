// SPDX-License-Identifier: Apache-2.0
// Decoder transformers: explicit forward and backward over one parameter slab.
//
// Activations are [tokens, width]. A batch is a row of segments (documents or pieces of them) one after the
// other; `positions` start again in each, and attention does not cross `cu_seqlens`. A pass holds every
// activation, planned once for the largest batch; forward, loss and backward allocate nothing.
#pragma once

#include "kernels/ops.h"
#include "stages/format/hf_folder.h"
#include "stages/model/params.h"

// A packed batch; borrowed.
typedef struct tm_tokens {
    int32_t n_tokens, n_segments;
    const int32_t *ids;         // [n_tokens], below the vocabulary
    const int32_t *labels;      // [n_tokens]; -1: not a target
    const int32_t *positions;   // [n_tokens], below the length of the model
    const int32_t *cu_seqlens;  // [n_segments + 1], 0 first, ascending, n_tokens last
} tm_tokens;

typedef struct tm_model {
    tm_model_config config;
    tm_param_map map;
    float *params;  // slab
} tm_model;

// A model whose parameters are zero; one with fresh parameters; one from a folder.
tm_status tm_model_new(tm_model **model, const tm_model_config *config, tm_error *err);
tm_status tm_model_init(tm_model **model, const tm_model_config *config, tm_device *device, uint64_t seed,
                        tm_error *err);
tm_status tm_model_load(tm_model **model, const tm_hf_folder *folder, tm_error *err);
void tm_model_free(tm_model *model);

// The model as the files of a folder, `extras` (tokenizer, training state) among them. They borrow from model and
// extras.
typedef struct tm_model_files {
    tm_hf_files hf;
    tm_buf config, generation;
    tm_view config_view, generation_view;
    tm_st_tensor *tensors;
} tm_model_files;
tm_status tm_model_files_make(tm_model_files *files, const tm_model *model, const tm_file_content *extras,
                              size_t n_extras, tm_error *err);
void tm_model_files_clear(tm_model_files *files);

// Memory for one model at up to `max_tokens` tokens a batch. Borrows the model and the device.
typedef struct tm_pass tm_pass;
typedef enum {
    TM_PASS_FORWARD,  // one layer's activations: evaluation
    TM_PASS_TRAIN,    // those of every layer, and gradients of activations
} tm_pass_kind;
tm_status tm_pass_new(tm_pass **pass, const tm_model *model, tm_device *device, tm_pass_kind kind,
                      uint32_t max_tokens, tm_error *err);
void tm_pass_free(tm_pass *pass);
uint64_t tm_pass_bytes(const tm_model_config *config, tm_pass_kind kind, uint32_t max_tokens);

// Run the blocks: the final hidden states (after the last norm) are in the pass, [n_tokens, width].
// TM_EINVAL: an id outside the vocabulary, more tokens than planned, segments that do not cover the batch.
tm_status tm_pass_forward(tm_pass *pass, const tm_tokens *batch, tm_error *err);
const float *tm_pass_hidden(const tm_pass *pass);

// After forward: sum of the labels' losses (natural log) and their number; per-token losses if `losses` is not
// NULL, [n_tokens], 0 where there is no label.
typedef struct tm_loss {
    double sum;
    uint64_t count;
} tm_loss;
void tm_pass_score(tm_pass *pass, tm_loss *loss, float *losses);

// After forward: the logits of rows [first, first + n), n * vocab floats. For decoding and tests.
void tm_pass_logits(tm_pass *pass, int32_t first, int32_t n, float *logits);

// After forward of a training pass: the loss, and the gradient of (sum of losses / denominator) added to `grads`
// (a slab). The denominator is the number of labels over all micro-batches and ranks of the step, so that
// accumulation and packing change nothing.
void tm_pass_backward(tm_pass *pass, double denominator, float *grads, tm_loss *loss);
