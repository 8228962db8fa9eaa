// SPDX-License-Identifier: Apache-2.0
// Pretraining: next-token prediction over packed documents, from fresh weights or from a model.
//
// Order of what a step leaves behind: a chunk of metrics, then the snapshot they belong to, so that both logs
// can be cut at the same entry when training goes on from there.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "stages/format/content.h"
#include "stages/text/tokenizer_folder.h"
#include "stages/train/architecture.h"
#include "stages/train/feed.h"
#include "stages/train/trainer.h"

// Of a micro-batch at most, unless one document is longer: what fits the caches decides the numbers, so it is
// fixed.
#define MICRO_TOKENS 8192
#define SHUFFLE_WINDOW 1024  // documents
#define STATE_FILE "training_state.safetensors"

typedef struct pretrain_options {
    int64_t steps, epochs, batch, length, checkpoint_every, valid_tokens, seed;
    double lr, weight_decay, clip, beta1, beta2, eps;
    const char *overlong;
    const json_t *schedule;
} pretrain_options;

static const tm_option options[] = {
    {"steps", TM_OPT_INT, offsetof(pretrain_options, steps), NULL, 1, 1e9, NULL, "updates", TM_OPT_EXTENDS},
    {"epochs", TM_OPT_INT, offsetof(pretrain_options, epochs), "0", 0, 1e6, NULL,
     "stop after so many passes over the data, if that is sooner (0: no limit)", TM_OPT_EXTENDS},
    {"batch", TM_OPT_INT, offsetof(pretrain_options, batch), "4096", 8, 1 << 24, NULL, "tokens of an update",
     0},
    {"length", TM_OPT_INT, offsetof(pretrain_options, length), "512", 2, 1 << 20, NULL,
     "tokens that see each other, at most; a longer document is cut", 0},
    {"overlong", TM_OPT_CHOICE, offsetof(pretrain_options, overlong), "\"cut\"", 0, 0, "cut truncate drop",
     "what becomes of a longer document", 0},
    {"lr", TM_OPT_NUMBER, offsetof(pretrain_options, lr), "0.001", 0, 10, NULL, "peak learning rate", 0},
    {"schedule", TM_OPT_VALUE, offsetof(pretrain_options, schedule), "null", 0, 0, "schedule",
     "learning rate by step (default: tm.wsd {})", TM_OPT_EXTENDS},
    {"weight_decay", TM_OPT_NUMBER, offsetof(pretrain_options, weight_decay), "0.1", 0, 1, NULL,
     "of matrices", 0},
    {"clip", TM_OPT_NUMBER, offsetof(pretrain_options, clip), "1", 0, 1e9, NULL,
     "largest gradient norm (0: any)", 0},
    {"beta1", TM_OPT_NUMBER, offsetof(pretrain_options, beta1), "0.9", 0, 0.99999, NULL, "of AdamW", 0},
    {"beta2", TM_OPT_NUMBER, offsetof(pretrain_options, beta2), "0.95", 0, 0.99999, NULL, "of AdamW", 0},
    {"eps", TM_OPT_NUMBER, offsetof(pretrain_options, eps), "1e-8", 0, 1, NULL, "of AdamW", 0},
    {"checkpoint_every", TM_OPT_INT, offsetof(pretrain_options, checkpoint_every), "200", 1, 1e9, NULL,
     "steps between snapshots", TM_OPT_NOKEY},
    {"valid_tokens", TM_OPT_INT, offsetof(pretrain_options, valid_tokens), "65536", 1, 1e9, NULL,
     "held-out tokens that valid.loss is measured on", 0},
    {"seed", TM_OPT_INT, offsetof(pretrain_options, seed), "1", 0, 0x1p53, NULL, "of weights and order", 0},
    {0},
};

typedef struct pretrain {
    tm_work *work;
    const pretrain_options *o;
    tm_device *device;
    tm_model *model;
    tm_trainer *trainer;
    tm_pack *pack;
    tm_feed feed, valid_feed;
    tm_pass *valid_pass;
    char tokenizer_folder[1024];
    uint32_t vocab;
    int64_t eos, start;   // tokens; start goes before a document
    tm_buf with_start;    // tokenizer.json of the snapshots, where it is not the given one
    uint32_t micro, accumulate;
    tm_batch *metrics;   // rows since the last snapshot
    double loss_sum;     // since the last row of train.loss
    int64_t loss_n;
} pretrain;

static tm_schedule schedule_of(const pretrain_options *o)
{
    tm_schedule schedule;
    if (tm_schedule_of(o->schedule, o->lr, (uint64_t)o->steps, &schedule, NULL) < 0)
        schedule = tm_schedule_default(o->lr, (uint64_t)o->steps);
    return schedule;
}

// ---- plan ----

static tm_status check(tm_check *c, tm_error *err)
{
    const pretrain_options *o = c->options;
    tm_schedule schedule;
    json_t *tokenizer = json_object_get(c->inputs[1], "tokenizer");
    if (tokenizer) json_object_set(c->outputs[0], "tokenizer", tokenizer);
    json_object_set_new(c->outputs[0], "dtype", json_string("f32"));
    if (o->length > o->batch) {
        c->fault->option = "length";
        snprintf(c->fault->why, sizeof c->fault->why, "a batch must hold one document of the full length");
        snprintf(c->fault->fix, sizeof c->fault->fix, "batch = %lld or more, or a smaller length",
                 (long long)o->length);
        return tm_fail(err, TM_EINVAL, "length (%lld) is larger than batch (%lld tokens)",
                       (long long)o->length, (long long)o->batch);
    }
    c->fault->option = "schedule";
    tm_status status = tm_schedule_of(o->schedule, o->lr, (uint64_t)o->steps, &schedule, err);
    c->fault->option = NULL;
    return status;
}

// Up to which step two runs that differ in steps or schedule are the same: the curve so far decides.
static tm_status prefix(const tm_check *c, int64_t step, json_t *into, tm_error *err)
{
    const pretrain_options *o = c->options;
    tm_schedule s = schedule_of(o);
    uint64_t same_until = tm_schedule_extends(&s);
    if (step > o->steps) return tm_fail(err, TM_DONE, "it is at step %lld already", (long long)step);
    if ((uint64_t)step > same_until)
        return tm_fail(err, TM_DONE, "%s depends on the number of steps from step %llu on", s.kind->name,
                       (unsigned long long)same_until);
    json_object_set_new(into, "schedule", json_string(s.kind->name));
    json_object_set_new(into, "peak", json_real(s.peak));
    json_object_set_new(into, "warmup", json_integer((json_int_t)s.warmup));
    json_object_set_new(into, "epochs", json_integer(o->epochs));
    return TM_OK;
}

// ---- setting up ----

// Documents begin with what the tokenizer puts before a text. Where it puts nothing they begin with the end
// token, and the snapshots' tokenizer says so: prompts then begin as the documents did.
static tm_status make_start(pretrain *p, const tm_tokenizer *t, tm_error *err)
{
    p->start = t->start >= 0 ? t->start : t->eos;
    if (t->start >= 0 || t->eos < 0) return TM_OK;
    char path[1200];
    tm_buf given = {0};
    snprintf(path, sizeof path, "%s/tokenizer.json", p->tokenizer_folder);
    tm_status status = tm_file_read(path, &given, err);
    if (status >= 0)
        status = tm_tokenizer_json_start(tm_buf_view(&given), tm_bpe_text(t->bpe, (uint32_t)t->eos),
                                         (uint32_t)t->eos, &p->with_start, err);
    tm_buf_clear(&given);
    return status;
}

static tm_status load_tokenizer(pretrain *p, tm_error *err)
{
    tm_snapshot snapshot;
    tm_tokenizer tokenizer;
    tm_status status = tm_take_tree(p->work, "tokenizer", &snapshot, err);
    if (status == TM_DONE) return tm_fail(err, TM_ENOENT, "there is no tokenizer");
    TM_TRY(status);
    snprintf(p->tokenizer_folder, sizeof p->tokenizer_folder, "%s", snapshot.folder);
    TM_TRY(tm_tokenizer_load(&tokenizer, snapshot.folder, err));
    p->vocab = (uint32_t)tm_bpe_size(tokenizer.bpe);
    p->eos = tokenizer.eos;
    status = make_start(p, &tokenizer, err);
    tm_tokenizer_clear(&tokenizer);
    return status;
}

static tm_status load_model(pretrain *p, const char *folder, tm_error *err)
{
    tm_hf_folder files;
    TM_TRY(tm_hf_folder_open(&files, folder, err));
    tm_status status = tm_model_load(&p->model, &files, err);
    tm_hf_folder_close(&files);
    return status;
}

static tm_status fresh_model(pretrain *p, tm_error *err)
{
    tm_model_config config;
    TM_TRY(tm_architecture_config(tm_work_value(p->work, ""), p->vocab, p->eos, &config, err));
    return tm_model_init(&p->model, &config, p->device, (uint64_t)p->o->seed, err);
}

static tm_status given_model(pretrain *p, tm_error *err)
{
    tm_snapshot snapshot;
    tm_status status = tm_take_tree(p->work, "", &snapshot, err);
    if (status == TM_DONE) return tm_fail(err, TM_ENOENT, "there is no model to go on from");
    TM_TRY(status);
    TM_TRY(load_model(p, snapshot.folder, err));
    if (p->model->config.vocab >= p->vocab) return TM_OK;
    return tm_fail(err, TM_EINVAL, "the model has %u entries, the tokenizer %u", p->model->config.vocab,
                   p->vocab);
}

static tm_overlong overlong_of(const char *name)
{
    return strcmp(name, "drop") == 0       ? TM_OVERLONG_DROP
           : strcmp(name, "truncate") == 0 ? TM_OVERLONG_TRUNCATE
                                           : TM_OVERLONG_CUT;
}

static tm_status make_pack(pretrain *p, tm_error *err)
{
    const pretrain_options *o = p->o;
    p->accumulate = (uint32_t)((o->batch + MICRO_TOKENS - 1) / MICRO_TOKENS);
    if (o->batch / p->accumulate < o->length) p->accumulate = (uint32_t)(o->batch / o->length);
    p->micro = (uint32_t)(o->batch / p->accumulate);
    tm_pack_options how = {
        .tokens = p->micro,
        .length = (uint32_t)o->length,
        .bos = p->start,
        .eos = p->eos,
        .overlong = overlong_of(o->overlong),
        .window = SHUFFLE_WINDOW,
        .seed = (uint64_t)o->seed,
        .epochs = (uint64_t)o->epochs,
    };
    tm_feed_init(&p->feed, p->work, "data");
    tm_documents documents = tm_feed_documents(&p->feed);
    return tm_pack_new(&p->pack, &how, &documents, err);
}

static tm_status make_trainer(pretrain *p, tm_error *err)
{
    const pretrain_options *o = p->o;
    tm_trainer_options how = tm_trainer_defaults(o->lr, (uint64_t)o->steps, p->micro);
    TM_TRY(tm_schedule_of(o->schedule, o->lr, (uint64_t)o->steps, &how.schedule, err));
    how.beta1 = o->beta1;
    how.beta2 = o->beta2;
    how.eps = o->eps;
    how.weight_decay = o->weight_decay;
    how.clip = o->clip;
    how.accumulate = p->accumulate;
    return tm_trainer_new(&p->trainer, p->model, p->device, &how, err);
}

static tm_status restore(pretrain *p, const tm_resume *resume, tm_error *err)
{
    char path[1200];
    tm_view state;
    snprintf(path, sizeof path, "%s/%s", resume->state, STATE_FILE);
    TM_TRY(tm_content_map(path, &state, err));
    tm_status status = tm_trainer_restore(p->trainer, state, err);
    tm_content_unmap(state);
    if (status >= 0) tm_pack_seek(p->pack, tm_trainer_cursor(p->trainer));
    p->loss_sum = json_number_value(json_object_get(resume->side, "loss_sum"));
    p->loss_n = json_integer_value(json_object_get(resume->side, "loss_n"));
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(resume->side, "metrics"), i, row)
    {
        tm_metric m = {.step = json_integer_value(json_array_get(row, 0)),
                       .name = tm_view_str(json_string_value(json_array_get(row, 1))),
                       .value = json_number_value(json_array_get(row, 2)), .error = NAN, .count = 1};
        if (status >= 0) status = tm_metrics_add(p->metrics, &m, err);
    }
    return status;
}

static tm_status set_up(pretrain *p, tm_error *err)
{
    tm_resume resume;
    TM_TRY(tm_device_open_cpu(tm_work_cores(p->work), &p->device, err));
    TM_TRY(load_tokenizer(p, err));
    p->metrics = tm_work_batch(p->work, "metrics");
    if (!p->metrics) return tm_fail(err, TM_ENOMEM, "no memory for metrics");
    tm_status resuming = tm_work_resume(p->work, &resume, err);
    TM_TRY(resuming);
    if (resuming == TM_OK) TM_TRY(load_model(p, resume.model, err));
    else if (tm_work_connected(p->work, "")) TM_TRY(given_model(p, err));
    else TM_TRY(fresh_model(p, err));
    if (p->o->length > p->model->config.length)
        return tm_fail(err, TM_EINVAL, "length %lld is more than the model's %u positions",
                       (long long)p->o->length, p->model->config.length);
    TM_TRY(make_pack(p, err));
    TM_TRY(make_trainer(p, err));
    tm_work_log(p->work, "%.2f M parameters, %u tokens an update on %s",
                (double)p->model->map.n_values * 1e-6, p->micro * p->accumulate, tm_device_name(p->device));
    return resuming == TM_OK ? restore(p, &resume, err) : TM_OK;
}

static void tear_down(pretrain *p)
{
    if (p->valid_pass) tm_pass_free(p->valid_pass);
    if (p->trainer) tm_trainer_free(p->trainer);
    if (p->pack) tm_pack_free(p->pack);
    if (p->model) tm_model_free(p->model);
    tm_device_close(p->device);
    tm_feed_clear(&p->feed);
    tm_feed_clear(&p->valid_feed);
    tm_batch_unref(p->metrics);
    tm_buf_clear(&p->with_start);
}

// ---- metrics ----

static tm_status add_metric(pretrain *p, int64_t step, const char *name, double value, tm_error *err)
{
    tm_metric m = {.step = step, .name = tm_view_str(name), .value = value, .error = NAN, .count = 1};
    tm_work_note(p->work, step, name, value);
    return tm_metrics_add(p->metrics, &m, err);
}

// Mean loss over the first `valid_tokens` held-out tokens, packed without shuffling.
static tm_status validate(pretrain *p, int64_t step, tm_error *err)
{
    if (!tm_work_connected(p->work, "valid")) return TM_OK;
    if (!p->valid_pass) {
        tm_feed_init(&p->valid_feed, p->work, "valid");
        TM_TRY(tm_pass_new(&p->valid_pass, p->model, p->device, TM_PASS_FORWARD, p->micro, err));
    }
    tm_pack *pack = NULL;
    tm_pack_options how = {
        .tokens = p->micro, .length = (uint32_t)p->o->length, .bos = p->start, .eos = p->eos, .epochs = 1};
    tm_documents documents = tm_feed_documents(&p->valid_feed);
    TM_TRY(tm_pack_new(&pack, &how, &documents, err));
    tm_loss all = {0};
    tm_tokens batch;
    tm_status status = TM_OK;
    while (status == TM_OK && all.count < (uint64_t)p->o->valid_tokens) {
        status = tm_pack_next(pack, &batch, err);
        if (status != TM_OK) break;
        status = tm_pass_forward(p->valid_pass, &batch, err);
        if (status < 0) break;
        tm_loss one;
        tm_pass_score(p->valid_pass, &one, NULL);
        all.sum += one.sum;
        all.count += one.count;
    }
    tm_pack_free(pack);
    if (status < 0) return status;
    return all.count ? add_metric(p, step, "valid.loss", all.sum / (double)all.count, err) : TM_OK;
}

// ---- snapshots ----

static tm_status write_tokenizer(const pretrain *p, const char *folder, tm_error *err)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
                                        NULL};
    for (int i = 0; names[i]; i++) {
        char from[1200], to[1200];
        snprintf(from, sizeof from, "%s/%s", p->tokenizer_folder, names[i]);
        snprintf(to, sizeof to, "%s/%s", folder, names[i]);
        if (i == 0 && p->with_start.size)
            TM_TRY(tm_file_write(to, p->with_start.data, p->with_start.size, false, err));
        else if (tm_file_exists(from)) TM_TRY(tm_file_copy(from, to, 0644, err));
    }
    return TM_OK;
}

static tm_status write_state(const pretrain *p, const char *folder, tm_error *err)
{
    char path[1200];
    tm_trainer_state state;
    TM_TRY(tm_trainer_save(p->trainer, &state, err));
    snprintf(path, sizeof path, "%s/%s", folder, STATE_FILE);
    tm_status status = tm_content_write(path, state.file.pieces, state.file.n_pieces, err);
    tm_trainer_state_clear(&state);
    return status;
}

static tm_status write_model(const pretrain *p, char *folder, size_t size, tm_error *err)
{
    TM_TRY(tm_work_scratch(p->work, folder, size, err));
    TM_TRY(tm_model_write(p->model, folder, NULL, 0, err));
    return write_tokenizer(p, folder, err);
}

static json_t *side_of(const pretrain *p)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < tm_batch_rows(p->metrics); i++) {
        tm_metric m = tm_metrics_get(p->metrics, i);
        json_array_append_new(rows,
                              json_pack("[I, s%, f]", (json_int_t)m.step, m.name.data, m.name.size, m.value));
    }
    return json_pack("{s:f, s:I, s:o}", "loss_sum", p->loss_sum, "loss_n", (json_int_t)p->loss_n, "metrics",
                     rows);
}

static tm_status put_snapshot(pretrain *p, int64_t step, tm_error *err)
{
    char model[1024], state[1024];
    TM_TRY(validate(p, step, err));
    TM_TRY(write_model(p, model, sizeof model, err));
    TM_TRY(tm_work_scratch(p->work, state, sizeof state, err));
    TM_TRY(write_state(p, state, err));
    tm_batch *metrics = p->metrics;
    p->metrics = tm_work_batch(p->work, "metrics");
    TM_TRY(tm_put(p->work, "metrics", metrics, err));
    if (!p->metrics) return tm_fail(err, TM_ENOMEM, "no memory for metrics");
    return tm_put_tree(p->work, "", model, json_pack("{s:I}", "step", (json_int_t)step), state, side_of(p),
                       err);
}

// Where to go on after Ctrl-C: weights and state in one folder.
static tm_status keep_point(pretrain *p, int64_t step, tm_error *err)
{
    char folder[1024];
    TM_TRY(write_model(p, folder, sizeof folder, err));
    TM_TRY(write_state(p, folder, err));
    TM_TRY(tm_work_keep(p->work, folder, step, side_of(p), err));
    return tm_fail(err, TM_ESTOPPED, "stopped at step %lld", (long long)step);
}

// ---- the loop ----

static tm_status diverged(const tm_step *s, tm_error *err)
{
    tm_fail(err, TM_EFAILED, "loss is %g and the gradient's norm %g at step %llu", s->loss, s->grad_norm,
            (unsigned long long)s->step);
    tm_hint(err, "a lower learning rate (this step had %.3g) or a longer warmup", s->rate);
    return TM_EFAILED;
}

static bool snapshot_due(const pretrain *p, uint64_t step)
{
    tm_schedule schedule = schedule_of(p->o);
    bool stable_ends = step == tm_schedule_extends(&schedule);
    return step % (uint64_t)p->o->checkpoint_every == 0 || stable_ends || step == (uint64_t)p->o->steps;
}

static tm_status after_step(pretrain *p, const tm_step *s, tm_error *err)
{
    int64_t step = (int64_t)s->step;
    p->loss_sum += s->loss;
    p->loss_n++;
    if (step % 10 == 0 || step == p->o->steps) {
        TM_TRY(add_metric(p, step, "train.loss", p->loss_sum / (double)p->loss_n, err));
        p->loss_sum = 0;
        p->loss_n = 0;
    }
    tm_work_progress(p->work, (double)step, (double)p->o->steps, "step");
    if (snapshot_due(p, s->step)) return put_snapshot(p, step, err);
    return tm_work_stopping(p->work) ? keep_point(p, step, err) : TM_OK;
}

static tm_status train(pretrain *p, tm_error *err)
{
    tm_step s = {0};
    uint64_t first = tm_trainer_steps(p->trainer);
    while (tm_trainer_steps(p->trainer) < (uint64_t)p->o->steps) {
        TM_TRY(tm_pool_resize(tm_device_pool(p->device), tm_work_cores(p->work), err));
        tm_error why = {0};
        tm_status status = tm_trainer_step(p->trainer, p->pack, &s, &why);
        if (status == TM_EFAILED) return diverged(&s, err);
        if (status < 0 && err) *err = why;
        TM_TRY(status);
        if (status == TM_DONE) break;
        TM_TRY(after_step(p, &s, err));
    }
    // The epochs ended before the steps did, and the last steps have no snapshot yet.
    uint64_t last = tm_trainer_steps(p->trainer);
    return last > first && !snapshot_due(p, last) ? put_snapshot(p, (int64_t)last, err) : TM_OK;
}

static tm_status run(tm_work *work, tm_error *err)
{
    pretrain p = {.work = work, .o = tm_work_options(work)};
    tm_status status = set_up(&p, err);
    if (status >= 0) status = train(&p, err);
    tear_down(&p);
    return status < 0 ? status : TM_OK;
}

const tm_stage tm_stage_pretrain = {
    .name = "pretrain",
    .brief = "Train a model on documents, from fresh weights or from another model.",
    .help =
        "Documents are tokenized, packed into batches of `batch` tokens and never see each other. The optimizer is AdamW;\n"
        "norms do not decay. A document begins with what the tokenizer puts before a text, or else with its end token. Every\n"
        "snapshot is a Hugging Face folder with the tokenizer in it, which begins prompts in the same way. A run that is\n"
        "interrupted goes on bit for bit where it was; with more `steps` it goes on from the end of the stable part of its\n"
        "schedule. Metrics: train.loss (mean of 10 steps), valid.loss (at every snapshot), in nats per token.",
    .paper = "Loshchilov & Hutter 2019 (AdamW); Haegele et al. 2024 (warmup, stable, decay)",
    .example =
        "local base = tm.pretrain { tm.llama { layers = 4, width = 192, heads = 6 }, tokenizer = vocab, "
        "data = docs.train, steps = 500 }",
    .family = "train",
    .version = 2,
    .traits = TM_NUMERIC | TM_ELASTIC,
    .inputs = {{"", "model", TM_PORT_WHOLE, "architecture",
                "an architecture (fresh weights) or a model to go on from", NULL},
               {"tokenizer", "tokenizer", TM_PORT_WHOLE, NULL, "the tokenizer", NULL},
               {"data", "tokens", 0, NULL, "what to train on", "tokenize"},
               {"valid", "tokens", TM_PORT_OPTIONAL, NULL, "held-out documents for valid.loss", "tokenize"}},
    .outputs = {{"", "model", 0, NULL, "a snapshot every checkpoint_every steps and at the end", NULL},
                {"metrics", "metrics", 0, NULL, "train.loss and valid.loss by step", NULL},
                {"tokenizer", "tokenizer", TM_PORT_ALIAS, NULL, "the tokenizer it was given", "tokenizer"}},
    .options = options,
    .options_size = sizeof(pretrain_options),
    .check = check,
    .prefix = prefix,
    .run = run,
};
