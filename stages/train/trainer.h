// SPDX-License-Identifier: Apache-2.0
// The trainer: batches in, updates out, one set of options for every objective.
//
// A step draws `accumulate` batches, counts their units (labels, or pairs), and only then computes: each
// micro-batch's gradient is divided by the count of all, so that the split into micro-batches changes
// nothing. Then the global norm is clipped and AdamW (Loshchilov & Hutter 2019) updates the slab; matrices
// decay, vectors do not.
#pragma once

#include "stages/train/objective.h"
#include "stages/train/pack.h"
#include "stages/train/schedule.h"

typedef struct tm_trainer_options {
    const tm_objective *objective;
    const void *objective_options;  // borrowed; NULL for an objective without options
    tm_schedule schedule;
    double beta1, beta2, eps;
    double weight_decay;
    double clip;            // of the global gradient norm; 0: none
    uint32_t accumulate;    // batches of a step
    uint32_t tokens;        // of a batch, at most
    uint64_t seed;          // of an adapter's dropout
} tm_trainer_options;

// next_token, wsd at `lr` for `steps`, betas 0.9 and 0.95, eps 1e-8, decay 0.1, clip 1, accumulate 1.
tm_trainer_options tm_trainer_defaults(double lr, uint64_t steps, uint32_t tokens);

typedef struct tm_step {
    uint64_t step;      // updates done, this one included
    double loss;        // mean over units, natural log: means[0]
    double means[TM_MEASURES];  // the objective's measures
    uint64_t n_tokens;          // inputs
    uint64_t n_units;           // labels, or pairs
    uint32_t n_batches;         // micro-batches; fewer than `accumulate` where the data ended
    double grad_norm;           // before clipping
    double rate;                // learning rate
} tm_step;

typedef struct tm_trainer tm_trainer;

// Borrows the model and the device; trains the model's adapter if it has one, else all weights. All memory of
// training is taken here.
tm_status tm_trainer_new(tm_trainer **trainer, tm_model *model, tm_device *device,
                         const tm_trainer_options *options, tm_error *err);
void tm_trainer_free(tm_trainer *trainer);

// One update from the next batches of `pack`. TM_AGAIN: batches are missing yet (what was drawn is kept for
// the next call); TM_DONE: data or schedule are over and nothing was done. TM_EFAILED: loss or norm is not a
// number; the model is as it was before the step, and `step` tells loss and norm.
tm_status tm_trainer_step(tm_trainer *trainer, tm_pack *pack, tm_step *step, tm_error *err);

// Draw the batches of the next step now; `n` is how many there are, fewer than `accumulate` where the data
// ends. TM_AGAIN: as above.
tm_status tm_trainer_draw(tm_trainer *trainer, tm_pack *pack, uint32_t *n, tm_error *err);

// A step on batches the caller holds (`accumulate` of them).
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
