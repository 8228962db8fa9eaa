// SPDX-License-Identifier: Apache-2.0
// Models judged by tasks: one row of metrics per snapshot and measure.
#include <math.h>
#include <stdio.h>

#include "stages/train/perplexity.h"

typedef struct task {
    char name[64];  // as in `tasks = { NAME = ... }`
    tm_perplexity_options options;
    tm_texts texts;
    double bzip2;
} task;

#define MAX_TASKS 16

typedef struct evaluate {
    task tasks[MAX_TASKS];
    size_t n_tasks;
} evaluate;

static tm_status begin_task(tm_work *work, const char *port, task *t, tm_error *err)
{
    const json_t *value = tm_work_value(work, port);
    snprintf(t->name, sizeof t->name, "%.60s", port + strlen("tasks."));
    TM_TRY(tm_options_fill(tm_value_find("perplexity")->options, value, &t->options, err));
    TM_TRY(tm_texts_take(&t->texts, work, port, err));
    return tm_texts_bzip2(&t->texts, &t->bzip2, err);
}

static tm_status begin(tm_work *work, tm_error *err)
{
    evaluate *e = tm_work_state(work);
    const char *port;
    for (size_t i = 0; (port = tm_work_port_at(work, "tasks", i)); i++) {
        if (i == MAX_TASKS) return tm_fail(err, TM_EINVAL, "there are more than %d tasks", MAX_TASKS);
        e->n_tasks = i + 1;
        TM_TRY(begin_task(work, port, &e->tasks[i], err));
    }
    return TM_OK;
}

static void end(tm_work *work)
{
    evaluate *e = tm_work_state(work);
    for (size_t i = 0; i < e->n_tasks; i++) tm_texts_clear(&e->tasks[i].texts);
}

typedef struct subject {
    tm_work *work;
    tm_batch *out;
    int64_t step;
    tm_model *model;
    tm_tokenizer tokenizer;
    tm_device *device;
} subject;

static tm_status add(const subject *s, const task *t, const char *measure, double value, double error,
                     uint64_t count, tm_error *err)
{
    char name[256];
    const char *label = tm_work_label(s->work);
    snprintf(name, sizeof name, "%s%s%s.%s", label, label[0] ? "." : "", t->name, measure);
    tm_metric m = {
        .step = s->step, .name = tm_view_str(name), .value = value, .error = error, .count = (int64_t)count};
    if (strcmp(measure, "bits_per_byte") == 0) tm_work_note(s->work, s->step, name, value);
    return tm_metrics_add(s->out, &m, err);
}

static tm_status judge(const subject *s, const task *t, tm_error *err)
{
    tm_perplexity r;
    TM_TRY(tm_perplexity_measure(s->model, s->device, &s->tokenizer, &t->texts, &t->options, &r, err));
    TM_TRY(add(s, t, "bits_per_byte", r.bits_per_byte, r.error, r.n_bytes, err));
    TM_TRY(add(s, t, "loss", r.loss, NAN, r.n_tokens, err));
    TM_TRY(add(s, t, "perplexity", exp(r.loss), NAN, r.n_tokens, err));
    return add(s, t, "bzip2_bits_per_byte", t->bzip2, NAN, r.n_bytes, err);
}

static tm_status open_subject(subject *s, const tm_snapshot *snapshot, tm_error *err)
{
    tm_hf_folder folder;
    s->step = json_integer_value(json_object_get(snapshot->attrs, "step"));
    TM_TRY(tm_device_open_cpu(tm_work_cores(s->work), &s->device, err));
    TM_TRY(tm_tokenizer_load(&s->tokenizer, snapshot->folder, err));
    TM_TRY(tm_hf_folder_open(&folder, snapshot->folder, err));
    tm_status status = tm_model_load(&s->model, &folder, err);
    tm_hf_folder_close(&folder);
    return status;
}

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    const evaluate *e = tm_work_state(work);
    subject s = {.work = work, .out = out[0]};
    (void)in;
    tm_status status = open_subject(&s, tm_work_snapshot(work), err);
    for (size_t i = 0; status >= 0 && i < e->n_tasks; i++) status = judge(&s, &e->tasks[i], err);
    if (s.model) tm_model_free(s.model);
    tm_tokenizer_clear(&s.tokenizer);
    tm_device_close(s.device);
    return status;
}

const tm_stage tm_stage_evaluate = {
    .name = "evaluate",
    .brief = "Judge models by tasks: on the last snapshot, or on every one while training goes on.",
    .help =
        "`base:each {}` takes every snapshot as it appears, `base` the last one. Several models are given as a table, and\n"
        "their metrics are named MODEL.TASK.MEASURE. tm.perplexity measures bits_per_byte (with its standard error),\n"
        "loss and perplexity, and for comparison what bzip2 -9 makes of the same text.",
    .example = "local curve = tm.evaluate { base:each {}, tasks = { text = tm.perplexity { docs.valid } } }",
    .family = "judge",
    .version = 1,
    .traits = TM_NUMERIC,
    .inputs = {{"", "model", TM_PORT_MANY, NULL, "models: one, a selection of snapshots, or a table of them",
                NULL},
               {"tasks", NULL, TM_PORT_MANY, "task", "what to measure, by name", NULL}},
    .outputs = {{"", "metrics", 0, NULL, "measures by step", NULL}},
    .state_size = sizeof(evaluate),
    .begin = begin,
    .map = map,
    .end = end,
};
