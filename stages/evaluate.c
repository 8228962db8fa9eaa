// SPDX-License-Identifier: Apache-2.0
// Models judged by tasks: one row of metrics per snapshot and measure.
#include <stdio.h>

#include "stages/judge/metric_table.h"
#include "stages/judge/task.h"
#include "stages/text/shape.h"

typedef struct task {
    const tm_task *row;
    char name[64]; // as in `tasks = { NAME = ... }`
    const tm_option *table;
    void *options, *state;
} task;

#define MAX_TASKS 16
#define IN_TASKS "tasks."

typedef struct evaluate {
    task tasks[MAX_TASKS];
    size_t n_tasks;
} evaluate;

// The task that a value stands for.
static const tm_task *task_of(const json_t *value)
{
    const char *name = json_string_value(json_object_get(value, "$value"));
    return name ? tm_task_find(name) : NULL;
}

// ---- plan ----

static tm_status check_documents(const tm_check *c, tm_error *err)
{
    for (size_t i = 0; i < c->n_links; i++) {
        const tm_task *row = task_of(json_object_get(c->given, c->links[i].port));
        if (!row || (row->shape && strcmp(row->shape, "any") == 0)) continue;
        tm_check of_task = *c;
        of_task.inputs[0] = c->links[i].attrs;
        tm_status status =
            row->shape ? tm_shape_is(&of_task, 0, row->shape, err) : tm_shape_plain(&of_task, 0, err);
        if (status >= 0) continue;
        c->fault->option = row->name;
        tm_error_prefix(err, "tm.%s", row->name);
        return status;
    }
    return TM_OK;
}

static void add_names(const tm_check *c, const char *model, json_t *names)
{
    const char *port;
    json_t *value;
    json_object_foreach((json_t *)c->given, port, value)
    {
        const tm_task *row = task_of(value);
        if (!row || strncmp(port, IN_TASKS, strlen(IN_TASKS)) != 0) continue;
        for (const char *const *m = row->measures; *m; m++) {
            char name[256];
            snprintf(name, sizeof name, "%.100s%s%.60s.%.60s", model, model[0] ? "." : "",
                     port + strlen(IN_TASKS), *m);
            json_array_append_new(names, json_string(name));
        }
    }
}

static tm_status check(tm_check *c, tm_error *err)
{
    json_t *names = json_array();
    for (size_t i = 0; i < c->n_links; i++)
        if (!c->links[i].row->name[0] && strncmp(c->links[i].port, IN_TASKS, strlen(IN_TASKS)) != 0)
            add_names(c, tm_metric_prefix(c->links[i].port, ""), names);
    json_object_set_new(c->outputs[0], "metrics", names);
    return check_documents(c, err);
}

// ---- run ----

static tm_status begin_task(tm_work *work, const char *port, task *t, tm_error *err)
{
    const json_t *value = tm_work_value(work, port);
    const tm_value *row;
    t->row = task_of(value);
    if (!t->row || !(row = tm_value_find(t->row->name)))
        return tm_fail(err, TM_EINVAL, "there is no such task: %s", port);
    snprintf(t->name, sizeof t->name, "%.60s", port + strlen(IN_TASKS));
    t->table = row->options;
    t->options = tm_calloc(1, row->options_size);
    t->state = tm_calloc(1, t->row->state_size);
    if (!t->options || !t->state) return tm_fail(err, TM_ENOMEM, "no memory for a task");
    TM_TRY(tm_options_fill(t->table, value, t->options, err));
    return t->row->begin(t->state, t->options, work, port, err);
}

static tm_status begin(tm_work *work, tm_error *err)
{
    evaluate *e = tm_work_state(work);
    const char *port;
    for (size_t i = 0; (port = tm_work_port_at(work, "tasks", i)); i++) {
        if (i == MAX_TASKS) return tm_fail(err, TM_EINVAL, "there are more than %d tasks", MAX_TASKS);
        e->n_tasks = i + 1;
        tm_status status = begin_task(work, port, &e->tasks[i], err);
        if (status < 0) tm_error_prefix(err, "%s", port);
        TM_TRY(status);
    }
    return TM_OK;
}

static void end(tm_work *work)
{
    evaluate *e = tm_work_state(work);
    for (size_t i = 0; i < e->n_tasks; i++) {
        task *t = &e->tasks[i];
        if (t->state) t->row->end(t->state);
        if (t->options) tm_options_clear(t->table, t->options);
        tm_free(t->state);
        tm_free(t->options);
    }
}

typedef struct subject {
    tm_subject of;
    tm_batch *out;
    int64_t step;
    tm_model *model;
    tm_tokenizer tokenizer;
} subject;

static tm_status add(const subject *s, const task *t, size_t i, const tm_measure *result, tm_error *err)
{
    char name[256];
    const char *label = tm_work_label(s->of.work);
    snprintf(name, sizeof name, "%s%s%s.%s", label, label[0] ? "." : "", t->name, t->row->measures[i]);
    tm_metric m = {.step = s->step,
                   .name = tm_view_str(name),
                   .value = result->value,
                   .error = result->error,
                   .count = (int64_t)result->count};
    if (i == 0) tm_work_note(s->of.work, s->step, name, result->value);
    return tm_metrics_add(s->out, &m, err);
}

static tm_status judge(const subject *s, const task *t, tm_error *err)
{
    tm_measure results[TM_TASK_MEASURES] = {0};
    tm_status status = t->row->measure(t->state, t->options, &s->of, results, err);
    if (status < 0) tm_error_prefix(err, "%s", t->name);
    for (size_t i = 0; status >= 0 && t->row->measures[i]; i++) status = add(s, t, i, &results[i], err);
    return status;
}

static tm_status open_subject(subject *s, const tm_snapshot *snapshot, tm_error *err)
{
    s->step = json_integer_value(json_object_get(snapshot->attrs, "step"));
    TM_TRY(tm_device_open_cpu(tm_work_cores(s->of.work), &s->of.device, err));
    TM_TRY(tm_tokenizer_load(&s->tokenizer, snapshot->folder, err));
    tm_status status = tm_model_open(&s->model, snapshot->folder, err);
    s->of.folder = snapshot->folder;
    s->of.model = s->model;
    s->of.tokenizer = &s->tokenizer;
    return status;
}

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    const evaluate *e = tm_work_state(work);
    subject s = {.of.work = work, .out = out[0]};
    (void)in;
    tm_status status = open_subject(&s, tm_work_snapshot(work), err);
    for (size_t i = 0; status >= 0 && i < e->n_tasks; i++) status = judge(&s, &e->tasks[i], err);
    if (s.model) tm_model_free(s.model);
    tm_tokenizer_clear(&s.tokenizer);
    tm_device_close(s.of.device);
    return status;
}

const tm_stage tm_stage_evaluate = {
    .name = "evaluate",
    .brief = "Judge models by tasks: on the last snapshot, or on every one while training goes on.",
    .help =
        "`base:each {}` takes every snapshot as it appears, `base` the last one. Several models are given\n"
        "as a table, and their metrics are named MODEL.TASK.MEASURE. Each is judged with its own\n"
        "tokenizer. What a task measures is in its own page: `tidemill describe perplexity`.",
    .example = "local curve = tm.evaluate { base:each {}, tasks = { text = tm.perplexity { docs.valid } } }",
    .family = "judge",
    .version = 3, // 2: standard errors over documents; 3: texts begin as in training
    .traits = TM_NUMERIC,
    .inputs = {{"", "model", TM_PORT_MANY | TM_PORT_APART, NULL,
                "models: one, a selection of snapshots, or a table of them", NULL},
               {"tasks", NULL, TM_PORT_MANY, "task", "what to measure, by name", NULL}},
    .outputs = {{"", "metrics", 0, NULL, "measures by step", NULL}},
    .state_size = sizeof(evaluate),
    .check = check,
    .begin = begin,
    .map = map,
    .end = end,
};
