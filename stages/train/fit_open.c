// SPDX-License-Identifier: Apache-2.0
// What training needs before its first step: model, packing, schedule, trainer, and the place where an
// earlier run stopped.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "stages/format/content.h"
#include "stages/text/tokenizer_folder.h"
#include "stages/train/fit_internal.h"

// Of a micro-batch at most, unless one text is longer. What fits a micro-batch decides the numbers, so it
// depends on options and on the model's shape alone.
#define MICRO_TOKENS 8192
#define MICRO_BYTES (1ull << 30) // activations
#define SHUFFLE_WINDOW 1024      // documents

// ---- model and tokenizer ----

static tm_status take_folder(fit *f, const char *port, char folder[1024], tm_error *err)
{
    tm_snapshot snapshot;
    tm_status status = tm_take_tree(f->work, port, &snapshot, err);
    if (status == TM_DONE)
        return tm_fail(err, TM_ENOENT, port[0] ? "there is no tokenizer" : "there is no model to go on from");
    TM_TRY(status);
    snprintf(folder, 1024, "%s", snapshot.folder);
    return TM_OK;
}

// Documents begin with what the tokenizer puts before a text. Where it puts nothing they begin with the end
// token, and the snapshots' tokenizer says so: prompts then begin as the documents did.
static tm_status make_start(fit *f, const tm_tokenizer *t, tm_error *err)
{
    f->start = t->start >= 0 ? t->start : t->eos;
    if (t->start >= 0 || t->eos < 0 || f->kind->rows != TM_FEED_TOKENS) return TM_OK;
    char path[1200];
    tm_buf given = {0};
    snprintf(path, sizeof path, "%s/tokenizer.json", f->tokenizer_folder);
    tm_status status = tm_file_read(path, &given, err);
    if (status >= 0)
        status = tm_tokenizer_json_start(tm_buf_view(&given), tm_bpe_text(t->bpe, (uint32_t)t->eos),
                                         (uint32_t)t->eos, &f->with_start, err);
    tm_buf_clear(&given);
    return status;
}

static tm_status load_tokenizer(fit *f, tm_error *err)
{
    tm_tokenizer tokenizer;
    TM_TRY(tm_tokenizer_load(&tokenizer, f->tokenizer_folder, err));
    f->vocab = (uint32_t)tm_bpe_size(tokenizer.bpe);
    f->eos = tokenizer.eos;
    tm_status status = make_start(f, &tokenizer, err);
    tm_tokenizer_clear(&tokenizer);
    return status;
}

static tm_status fresh_model(fit *f, tm_error *err)
{
    tm_model_config config;
    TM_TRY(tm_architecture_config(tm_work_value(f->work, ""), f->vocab, f->eos, &config, err));
    return tm_model_init(&f->model, &config, f->device, (uint64_t)f->o->seed, err);
}

static tm_status given_model(fit *f, tm_error *err)
{
    tm_lora lora;
    TM_TRY(tm_model_open_apart(&f->model, f->input_folder, err));
    if (f->model->config.vocab < f->vocab)
        return tm_fail(err, TM_EINVAL, "the model has %u entries, the tokenizer %u", f->model->config.vocab,
                       f->vocab);
    if (!f->o->adapter) return TM_OK;
    TM_TRY(tm_lora_of(f->o->adapter, &lora, err));
    return tm_model_adapt(f->model, &lora, f->device, (uint64_t)f->o->seed, err);
}

// The tokenizer is that of its port, else the model's own.
static tm_status open_model(fit *f, const tm_resume *resume, tm_error *err)
{
    if (tm_work_connected(f->work, "")) TM_TRY(take_folder(f, "", f->input_folder, err));
    if (tm_work_connected(f->work, "tokenizer"))
        TM_TRY(take_folder(f, "tokenizer", f->tokenizer_folder, err));
    else memcpy(f->tokenizer_folder, f->input_folder, sizeof f->input_folder);
    TM_TRY(load_tokenizer(f, err));
    if (resume) TM_TRY(tm_model_open_apart(&f->model, resume->model, err));
    else if (f->input_folder[0]) TM_TRY(given_model(f, err));
    else TM_TRY(fresh_model(f, err));
    f->length = fit_length(f->o, f->kind, f->model->config.length);
    if (f->length <= f->model->config.length) return TM_OK;
    tm_fail(err, TM_EINVAL, "length %lld is more than the model's %u positions", (long long)f->length,
            f->model->config.length);
    tm_hint(err, "length = %u", f->model->config.length);
    return TM_EINVAL;
}

// ---- batches ----

// Bytes that a training pass holds of one token.
static uint64_t bytes_of_token(const tm_model_config *c)
{
    uint64_t q = (uint64_t)c->heads * c->head_dim, kv = (uint64_t)c->kv_heads * c->head_dim;
    return 4 * (uint64_t)c->layers * (4 * (uint64_t)c->width + 2 * q + 2 * kv + 3 * (uint64_t)c->ffn);
}

static void split_batch(fit *f)
{
    uint64_t batch = (uint64_t)f->o->batch, least = (uint64_t)f->length;
    if (f->kind->rows == TM_FEED_PAIRS) least *= 2;
    uint64_t most = MICRO_BYTES / bytes_of_token(&f->model->config);
    if (most > MICRO_TOKENS) most = MICRO_TOKENS;
    if (most < least) most = least;
    uint64_t parts = (batch + most - 1) / most;
    if (batch / parts < least) parts = batch / least;
    f->accumulate = (uint32_t)parts;
    f->micro = (uint32_t)(batch / parts);
}

static tm_overlong overlong_of(const fit *f)
{
    const char *name = f->o->overlong;
    if (!name) return f->kind->rows == TM_FEED_TOKENS ? TM_OVERLONG_CUT : TM_OVERLONG_DROP;
    return strcmp(name, "drop") == 0       ? TM_OVERLONG_DROP
           : strcmp(name, "truncate") == 0 ? TM_OVERLONG_TRUNCATE
                                           : TM_OVERLONG_CUT;
}

// Documents get their marks here and fill every batch; examples and pairs have their own marks and
// are never cut to fill one.
tm_pack_options fit_pack_options(const fit *f)
{
    bool plain = f->kind->rows == TM_FEED_TOKENS;
    return (tm_pack_options){
        .tokens = f->micro,
        .length = (uint32_t)f->length,
        .bos = plain ? f->start : -1,
        .eos = plain ? f->eos : -1,
        .whole = !plain,
        .overlong = overlong_of(f),
        .window = SHUFFLE_WINDOW,
        .seed = (uint64_t)f->o->seed,
        .epochs = (uint64_t)(f->o->epochs || f->o->steps ? f->o->epochs : 1),
    };
}

// Updates in all epochs: packs them once.
static tm_status count_steps(fit *f, uint64_t *steps, tm_error *err)
{
    tm_pack *pack = NULL;
    tm_pack_options how = fit_pack_options(f);
    tm_documents documents = tm_feed_documents(&f->feed);
    TM_TRY(tm_pack_new(&pack, &how, &documents, err));
    uint64_t batches = 0;
    tm_tokens batch;
    tm_status status;
    while ((status = tm_pack_next(pack, &batch, err)) == TM_OK) batches++;
    tm_pack_free(pack);
    *steps = (batches + f->accumulate - 1) / f->accumulate;
    return status < 0 ? status : TM_OK;
}

static tm_status open_pack(fit *f, tm_error *err)
{
    split_batch(f);
    tm_feed_init(&f->feed, f->work, "data", f->kind->rows);
    tm_documents documents = tm_feed_documents(&f->feed);
    tm_pack_options how = fit_pack_options(f);
    return tm_pack_new(&f->pack, &how, &documents, err);
}

// ---- schedule and trainer ----

static double rate_of(const fit *f)
{
    if (f->o->lr > 0) return f->o->lr;
    if (!tm_work_connected(f->work, "")) return 1e-3;
    return f->model->adapter ? 1e-4 : 2e-5;
}

static tm_status open_schedule(fit *f, tm_error *err)
{
    uint64_t total = (uint64_t)f->o->steps;
    f->counted = total == 0;
    if (f->counted) TM_TRY(count_steps(f, &total, err));
    TM_TRY(tm_schedule_of(f->o->schedule, rate_of(f), total, &f->schedule, err));
    if (f->schedule.warmup * 2 <= total || tm_work_smoke(f->work)) return TM_OK;
    tm_work_log(f->work,
                "the warmup takes %llu of %llu steps: a shorter one is schedule = tm.%s { warmup = %llu }",
                (unsigned long long)f->schedule.warmup, (unsigned long long)total, f->schedule.kind->name,
                (unsigned long long)(total + 9) / 10);
    tm_work_count(f->work, "long_warmup", 1);
    return TM_OK;
}

static tm_status open_trainer(fit *f, tm_error *err)
{
    tm_trainer_options how = tm_trainer_defaults(f->schedule.peak, f->schedule.total, f->micro);
    how.objective = f->kind->objective;
    how.objective_options = f->objective;
    how.schedule = f->schedule;
    how.beta1 = f->o->beta1;
    how.beta2 = f->o->beta2;
    how.eps = f->o->eps;
    how.weight_decay = f->o->weight_decay;
    how.clip = f->o->clip;
    how.accumulate = f->accumulate;
    how.seed = (uint64_t)f->o->seed;
    return tm_trainer_new(&f->trainer, f->model, f->device, &how, err);
}

static tm_status restore(fit *f, const tm_resume *resume, tm_error *err)
{
    char path[1200];
    tm_view state;
    snprintf(path, sizeof path, "%s/%s", resume->state, TM_STATE_FILE);
    TM_TRY(tm_content_map(path, &state, err));
    tm_status status = tm_trainer_restore(f->trainer, state, err);
    tm_content_unmap(state);
    TM_TRY(status);
    tm_pack_seek(f->pack, tm_trainer_cursor(f->trainer));
    return fit_restore_side(f, resume->side, resume->again, err);
}

// Held-out data without a record is known before a step is lost to it. What is there has begun to flow when
// the data has, so this waits for nothing else.
static tm_status look_at_valid(fit *f, tm_error *err)
{
    uint64_t have;
    double unused;
    if (!tm_work_connected(f->work, "valid")) return TM_OK;
    tm_feed_init(&f->valid_feed, f->work, "valid", f->kind->rows);
    tm_documents documents = tm_feed_documents(&f->valid_feed);
    TM_TRY(documents.reach(documents.ctx, 1, &have, err));
    return have ? TM_OK : fit_validate(f, 0, &unused, err);
}

tm_status fit_open(fit *f, tm_error *err)
{
    tm_resume resume;
    TM_TRY(tm_device_open_cpu(tm_work_cores(f->work), &f->device, err));
    f->metrics = tm_work_batch(f->work, "metrics");
    if (!f->metrics) return tm_fail(err, TM_ENOMEM, "no memory for metrics");
    tm_status resuming = tm_work_resume(f->work, &resume, err);
    TM_TRY(resuming);
    TM_TRY(open_model(f, resuming == TM_OK ? &resume : NULL, err));
    TM_TRY(open_pack(f, err));
    TM_TRY(look_at_valid(f, err));
    TM_TRY(open_schedule(f, err));
    TM_TRY(open_trainer(f, err));
    tm_work_log(f->work, "%.2f M parameters, %u tokens an update on %s",
                (double)tm_model_trainable(f->model).map->n_values * 1e-6, f->micro * f->accumulate,
                tm_device_name(f->device));
    return resuming == TM_OK ? restore(f, &resume, err) : TM_OK;
}

void fit_close(fit *f)
{
    if (f->valid_pass) tm_pass_free(f->valid_pass);
    if (f->trainer) tm_trainer_free(f->trainer);
    if (f->pack) tm_pack_free(f->pack);
    if (f->model) tm_model_free(f->model);
    tm_device_close(f->device);
    tm_feed_clear(&f->feed);
    tm_feed_clear(&f->valid_feed);
    tm_batch_unref(f->metrics);
    tm_buf_clear(&f->with_start);
    tm_free(f->room);
}
