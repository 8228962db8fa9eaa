// SPDX-License-Identifier: Apache-2.0
// Steps: draw, count, accumulate, clip, update; and the state that continues them.
#include "stages/train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct tm_trainer {
    tm_model *model;
    tm_device *dev;
    tm_trainer_options options;
    tm_pass *pass;
    tm_trainable what;    // the model's weights, or its adapter's
    float *grads, *m, *v; // slabs of it; first and second moments
    uint64_t steps;
    tm_pack_cursor cursor;
    tm_tokens *batches; // drawn for the next step; views of `copies`
    uint32_t n_batches;
    int32_t *copies;
    double *scores;
    float *room; // of the objective
};

// ---- life

tm_trainer_options tm_trainer_defaults(double lr, uint64_t steps, uint32_t tokens)
{
    return (tm_trainer_options){
        .objective = &tm_objective_next_token,
        .schedule = tm_schedule_default(lr, steps),
        .beta1 = 0.9,
        .beta2 = 0.95,
        .eps = 1e-8,
        .weight_decay = 0.1,
        .clip = 1,
        .accumulate = 1,
        .tokens = tokens,
    };
}

static tm_status check_unit(const char *name, double value, tm_error *err)
{
    if (value >= 0 && value < 1) return TM_OK;
    return tm_fail(err, TM_EINVAL, "trainer: %s must be in [0, 1), got %g", name, value);
}

static tm_status check(const tm_trainer_options *o, tm_error *err)
{
    TM_TRY(tm_schedule_check(&o->schedule, err));
    TM_TRY(check_unit("beta1", o->beta1, err));
    TM_TRY(check_unit("beta2", o->beta2, err));
    if (!(o->eps > 0)) return tm_fail(err, TM_EINVAL, "trainer: eps must be above 0, got %g", o->eps);
    if (!(o->weight_decay >= 0 && o->clip >= 0))
        return tm_fail(err, TM_EINVAL, "trainer: decay (%g) and clip (%g) must be 0 or more", o->weight_decay,
                       o->clip);
    if (o->accumulate == 0 || o->accumulate > 65536)
        return tm_fail(err, TM_EINVAL, "trainer: accumulate must be in 1..65536, got %u", o->accumulate);
    return TM_OK;
}

static size_t copy_ints(uint32_t tokens)
{
    return 4 * (size_t)tokens + 1; // ids, labels, positions, cu_seqlens
}

static tm_status allocate(tm_trainer *t, tm_error *err)
{
    const tm_trainer_options *o = &t->options;
    TM_TRY(tm_pass_new(&t->pass, t->model, t->dev, TM_PASS_TRAIN, o->tokens, err));
    if (o->objective->quiet) tm_pass_quiet(t->pass);
    TM_TRY(tm_param_slab_new(t->what.map, &t->grads, err));
    TM_TRY(tm_param_slab_new(t->what.map, &t->m, err));
    TM_TRY(tm_param_slab_new(t->what.map, &t->v, err));
    t->batches = tm_calloc(o->accumulate, sizeof *t->batches);
    t->copies = tm_calloc(o->accumulate * copy_ints(o->tokens), sizeof *t->copies);
    t->scores = tm_calloc(o->accumulate, o->tokens * sizeof *t->scores);
    t->room = tm_calloc(o->tokens, 2 * sizeof *t->room);
    bool there = t->batches && t->copies && t->scores && t->room;
    return there ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for batches");
}

tm_status tm_trainer_new(tm_trainer **out, tm_model *model, tm_device *device,
                         const tm_trainer_options *options, tm_error *err)
{
    TM_TRY(check(options, err));
    tm_trainer *t = tm_calloc(1, sizeof *t);
    if (!t) return tm_fail(err, TM_ENOMEM, "no memory for a trainer");
    t->model = model;
    t->dev = device;
    t->options = *options;
    t->what = tm_model_trainable(model);
    tm_status status = allocate(t, err);
    if (status < 0) {
        tm_trainer_free(t);
        return status;
    }
    *out = t;
    return TM_OK;
}

void tm_trainer_free(tm_trainer *t)
{
    if (!t) return;
    tm_pass_free(t->pass);
    tm_param_slab_free(t->grads);
    tm_param_slab_free(t->m);
    tm_param_slab_free(t->v);
    tm_free(t->batches);
    tm_free(t->copies);
    tm_free(t->scores);
    tm_free(t->room);
    tm_free(t);
}

uint64_t tm_trainer_steps(const tm_trainer *t)
{
    return t->steps;
}

tm_pack_cursor tm_trainer_cursor(const tm_trainer *t)
{
    return t->cursor;
}

const float *tm_trainer_grads(const tm_trainer *t)
{
    return t->grads;
}

// ---- a step

static tm_status accumulate(tm_trainer *t, const tm_tokens *batches, uint32_t n, tm_step *step, tm_error *err)
{
    const tm_objective *objective = t->options.objective;
    double sums[TM_MEASURES] = {0};
    uint64_t units = 0;
    for (uint32_t i = 0; i < n; i++) units += objective->units(&batches[i]);
    if (units == 0) return tm_fail(err, TM_EINVAL, "a step without anything to learn");
    tm_fill(t->dev, t->grads, (int64_t)t->what.map->n_floats, 0);
    for (uint32_t i = 0; i < n; i++) {
        tm_pass_noise(t->pass, t->options.seed, t->steps * t->options.accumulate + i);
        TM_TRY(tm_pass_forward(t->pass, &batches[i], err));
        objective->backward(t->options.objective_options, t->pass, &batches[i], (double)units, t->room,
                            t->grads, sums);
        step->n_tokens += (uint64_t)batches[i].n_tokens;
    }
    step->n_units = units;
    step->n_batches = n;
    for (int k = 0; k < TM_MEASURES; k++) step->means[k] = sums[k] / (double)units;
    step->loss = step->means[0];
    return tm_device_status(t->dev, err);
}

// The factor of torch.nn.utils.clip_grad_norm_.
static double clip_factor(const tm_trainer *t, double norm)
{
    if (t->options.clip == 0) return 1;
    return fmin(1, t->options.clip / (norm + 1e-6));
}

static void apply(tm_trainer *t, const tm_step *step)
{
    const tm_trainer_options *o = &t->options;
    const tm_param_map *map = t->what.map;
    float *w = t->what.slab;
    size_t matrix = map->n_matrix;
    tm_adamw_args args = {
        .lr = (float)step->rate,
        .beta1 = (float)o->beta1,
        .beta2 = (float)o->beta2,
        .eps = (float)o->eps,
        .weight_decay = (float)o->weight_decay,
        .grad_scale = (float)clip_factor(t, step->grad_norm),
        .step = (int64_t)step->step,
    };
    tm_adamw(t->dev, w, t->m, t->v, t->grads, (int64_t)matrix, &args);
    args.weight_decay = 0;
    tm_adamw(t->dev, w + matrix, t->m + matrix, t->v + matrix, t->grads + matrix,
             (int64_t)(map->n_floats - matrix), &args);
}

tm_status tm_trainer_update(tm_trainer *t, const tm_tokens *batches, uint32_t n, tm_step *step, tm_error *err)
{
    double squares;
    *step = (tm_step){.step = t->steps + 1, .rate = tm_schedule_rate(&t->options.schedule, t->steps)};
    TM_TRY(accumulate(t, batches, n, step, err));
    tm_sum_squares(t->dev, &squares, t->grads, (int64_t)t->what.map->n_floats);
    step->grad_norm = sqrt(squares);
    if (!isfinite(step->loss) || !isfinite(step->grad_norm))
        return tm_fail(err, TM_EFAILED, "step %" PRIu64 ": loss %g, gradient norm %g", step->step, step->loss,
                       step->grad_norm);
    apply(t, step);
    TM_TRY(tm_device_status(t->dev, err));
    t->steps++;
    return TM_OK;
}

static void keep_batch(tm_trainer *t, const tm_tokens *batch)
{
    uint32_t tokens = t->options.tokens;
    size_t n = (size_t)batch->n_tokens;
    int32_t *to = t->copies + t->n_batches * copy_ints(tokens);
    memcpy(to, batch->ids, n * sizeof *to);
    memcpy(to + tokens, batch->labels, n * sizeof *to);
    memcpy(to + 2 * tokens, batch->positions, n * sizeof *to);
    memcpy(to + 3 * tokens, batch->cu_seqlens, ((size_t)batch->n_segments + 1) * sizeof *to);
    tm_tokens *kept = &t->batches[t->n_batches];
    *kept = *batch;
    if (batch->scores) {
        double *scores = t->scores + (size_t)t->n_batches * tokens;
        memcpy(scores, batch->scores, (size_t)batch->n_segments * sizeof *scores);
        kept->scores = scores;
    }
    t->n_batches++;
    kept->ids = to;
    kept->labels = to + tokens;
    kept->positions = to + 2 * tokens;
    kept->cu_seqlens = to + 3 * tokens;
}

// Draw what the next step lacks. TM_DONE: there is nothing more, and nothing drawn.
static tm_status draw(tm_trainer *t, tm_pack *pack, tm_error *err)
{
    while (t->n_batches < t->options.accumulate) {
        tm_tokens batch;
        tm_status status = tm_pack_next(pack, &batch, err);
        if (status == TM_DONE && t->n_batches > 0) break;
        if (status != TM_OK) return status;
        if ((uint32_t)batch.n_tokens > t->options.tokens)
            return tm_fail(err, TM_EINVAL, "a batch of %d tokens, planned for %u", batch.n_tokens,
                           t->options.tokens);
        keep_batch(t, &batch);
    }
    return TM_OK;
}

tm_status tm_trainer_draw(tm_trainer *t, tm_pack *pack, uint32_t *n, tm_error *err)
{
    tm_status status = draw(t, pack, err);
    *n = t->n_batches;
    return status == TM_DONE ? TM_OK : status;
}

tm_status tm_trainer_step(tm_trainer *t, tm_pack *pack, tm_step *step, tm_error *err)
{
    *step = (tm_step){.step = t->steps};
    if (t->steps >= t->options.schedule.total) return TM_DONE;
    tm_status status = draw(t, pack, err);
    if (status != TM_OK) return status;
    uint32_t n = t->n_batches;
    t->n_batches = 0;
    TM_TRY(tm_trainer_update(t, t->batches, n, step, err));
    t->cursor = tm_pack_tell(pack);
    return TM_OK;
}

// ---- state

#define NAME_SIZE (TM_PARAM_NAME + 16)
#define FIRST "exp_avg."
#define SECOND "exp_avg_sq."

struct tm_trainer_state_owner {
    tm_st_tensor *tensors;
    char *names;
    tm_view *pieces;
    tm_buf header;
};

static tm_status lay_out(const tm_trainer *t, tm_trainer_state *state, tm_error *err)
{
    struct tm_trainer_state_owner *o = state->owner;
    size_t n = t->what.map->n_params;
    o->tensors = tm_calloc(2 * n, sizeof *o->tensors);
    o->names = tm_calloc(2 * n, NAME_SIZE);
    o->pieces = tm_calloc(2 * n + 1, sizeof *o->pieces);
    if (!o->tensors || !o->names || !o->pieces)
        return tm_fail(err, TM_ENOMEM, "no memory for training state");
    tm_param_tensors(t->what.map, t->m, FIRST, o->names, o->tensors);
    tm_param_tensors(t->what.map, t->v, SECOND, o->names + n * NAME_SIZE, o->tensors + n);
    char steps[24], cursor[TM_PACK_CURSOR_TEXT];
    snprintf(steps, sizeof steps, "%" PRIu64, t->steps);
    tm_pack_cursor_text(t->cursor, cursor);
    tm_st_meta meta[] = {{"step", steps}, {"cursor", cursor}};
    TM_TRY(tm_safetensors_header(o->tensors, 2 * n, meta, 2, &o->header, err));
    o->pieces[0] = tm_buf_view(&o->header);
    for (size_t i = 0; i < 2 * n; i++) o->pieces[i + 1] = o->tensors[i].data;
    state->file = (tm_content){"training_state.safetensors", o->pieces, 2 * n + 1};
    return TM_OK;
}

tm_status tm_trainer_save(const tm_trainer *t, tm_trainer_state *state, tm_error *err)
{
    *state = (tm_trainer_state){.owner = tm_calloc(1, sizeof *state->owner)};
    if (!state->owner) return tm_fail(err, TM_ENOMEM, "no memory for training state");
    tm_status status = lay_out(t, state, err);
    if (status < 0) tm_trainer_state_clear(state);
    return status;
}

void tm_trainer_state_clear(tm_trainer_state *state)
{
    struct tm_trainer_state_owner *o = state->owner;
    if (o) {
        tm_free(o->tensors);
        tm_free(o->names);
        tm_free(o->pieces);
        tm_buf_clear(&o->header);
        tm_free(o);
    }
    *state = (tm_trainer_state){0};
}

static tm_status restore_slab(const tm_param_map *map, float *slab, const char *prefix,
                              const tm_safetensors *file, tm_error *err)
{
    for (size_t i = 0; i < map->n_params; i++) {
        char name[NAME_SIZE];
        snprintf(name, sizeof name, "%s%s", prefix, map->params[i].name);
        const tm_st_tensor *tensor = tm_safetensors_find(file, name);
        if (!tensor || tensor->dtype != TM_ST_F32)
            return tm_fail(err, TM_EFORMAT, "training state: no float32 tensor %s", name);
        TM_TRY(tm_param_put(map, slab, &map->params[i], tensor, err));
    }
    return TM_OK;
}

static tm_status restore(tm_trainer *t, const tm_safetensors *file, tm_error *err)
{
    const char *steps = tm_safetensors_meta(file, "step"), *cursor = tm_safetensors_meta(file, "cursor");
    char *end = NULL;
    uint64_t n = steps ? strtoull(steps, &end, 10) : 0;
    if (!steps || *end != '\0' || !cursor || !tm_pack_cursor_parse(cursor, &t->cursor))
        return tm_fail(err, TM_EFORMAT, "training state: no step or no cursor");
    TM_TRY(restore_slab(t->what.map, t->m, FIRST, file, err));
    TM_TRY(restore_slab(t->what.map, t->v, SECOND, file, err));
    t->steps = n;
    t->n_batches = 0;
    return TM_OK;
}

tm_status tm_trainer_restore(tm_trainer *t, tm_view state, tm_error *err)
{
    tm_safetensors file;
    TM_TRY(tm_safetensors_parse(&file, state, err));
    tm_status status = restore(t, &file, err);
    tm_safetensors_close(&file);
    return status;
}
