// SPDX-License-Identifier: Apache-2.0
// The trainer: batches in, updates out, one set of options for every objective.
//
// A step draws `accumulate` batches, counts their labels, and only then computes: each micro-batch's gradient
// is divided by the count of all, so that the split into micro-batches changes nothing. Then the global norm
// is clipped and AdamW (Loshchilov & Hutter 2019) updates the slab; matrices decay, vectors do not.
#pragma once

#include "stages/model/pass.h"
#include "stages/train/pack.h"
#include "stages/train/schedule.h"

// What is trained for: a row. `backward` adds the gradients of a micro-batch whose forward pass is done.
typedef struct tm_objective {
    const char *name;   // "next_token"
    const char *brief;
    void (*backward)(tm_pass *pass, const tm_tokens *batch, double denominator, float *grads, tm_loss *loss);
    uint64_t (*weight)(const tm_tokens *batch);  // its share of the denominator
} tm_objective;

const tm_objective *tm_objective_find(const char *name);  // NULL: no such objective

typedef struct tm_trainer_options {
    const tm_objective *objective;
    tm_schedule schedule;
    double beta1, beta2, eps;
    double weight_decay;
    double clip;            // of the global gradient norm; 0: none
    uint32_t accumulate;    // batches of a step
    uint32_t tokens;        // of a batch, at most
} tm_trainer_options;

// next_token, wsd at `lr` for `steps`, betas 0.9 and 0.95, eps 1e-8, decay 0.1, clip 1, accumulate 1.
tm_trainer_options tm_trainer_defaults(double lr, uint64_t steps, uint32_t tokens);

typedef struct tm_step {
    uint64_t step;      // updates done, this one included
    double loss;        // mean over labels, natural log
    uint64_t n_tokens;  // inputs
    uint64_t n_labels;
    double grad_norm;  // before clipping
    double rate;       // learning rate
} tm_step;

typedef struct tm_trainer tm_trainer;

// Borrows the model and the device. All memory of training is taken here.
tm_status tm_trainer_new(tm_trainer **trainer, tm_model *model, tm_device *device,
                         const tm_trainer_options *options, tm_error *err);
void tm_trainer_free(tm_trainer *trainer);

// One update from the next batches of `pack`. TM_AGAIN: batches are missing yet (what was drawn is kept for
// the next call); TM_DONE: data or schedule are over and nothing was done. TM_EFAILED: loss or norm is not a
// number; the model is as it was before the step, and `step` tells loss and norm.
tm_status tm_trainer_step(tm_trainer *trainer, tm_pack *pack, tm_step *step, tm_error *err);

// The same on batches the caller holds (`accumulate` of them).
tm_status tm_trainer_update(tm_trainer *trainer, const tm_tokens *batches, uint32_t n, tm_step *step,
                            tm_error *err);

uint64_t tm_trainer_steps(const tm_trainer *trainer);  // updates done
tm_pack_cursor tm_trainer_cursor(const tm_trainer *trainer);  // of the pack, after the last update
const float *tm_trainer_grads(const tm_trainer *trainer);  // slab of the last step, before clipping

// Everything but the weights, as `training_state.safetensors`: first and second moments by tensor name, and
// in the metadata the step and the cursor. With the weights of the same step it continues bit for bit.
typedef struct tm_trainer_state {
    tm_content file;
    struct tm_trainer_state_owner *owner;
} tm_trainer_state;
tm_status tm_trainer_save(const tm_trainer *trainer, tm_trainer_state *state, tm_error *err);
void tm_trainer_state_clear(tm_trainer_state *state);

// Continue from such a file: the caller loads the weights of the same snapshot into the model and seeks the
// pack to tm_trainer_cursor. TM_EFORMAT names a tensor that is missing or of another shape.
tm_status tm_trainer_restore(tm_trainer *trainer, tm_view state, tm_error *err);
