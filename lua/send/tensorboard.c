// SPDX-License-Identifier: Apache-2.0
// TensorBoard: a folder for the run, with its parameters, and in it one for each node that has metrics.
#include <math.h>
#include <stdio.h>

#include "lua/send/event_file.h"
#include "lua/send/send.h"

static double wall_at(const tm_past *past, int64_t ms)
{
    return (double)(past->start_ms + (ms < 0 ? 0 : ms)) * 1e-3;
}

static void add_series(const tm_past *past, const tm_past_series *s, tm_buf *file)
{
    char tag[128], error_tag[144];
    tm_event_tag(s->name, tag);
    snprintf(error_tag, sizeof error_tag, "%s.error", tag);
    for (size_t i = 0; i < s->n; i++) {
        tm_event_scalar(file, wall_at(past, s->times[i]), s->steps[i], tag, s->values[i]);
        if (!isnan(s->errors[i]))
            tm_event_scalar(file, wall_at(past, s->times[i]), s->steps[i], error_tag, s->errors[i]);
    }
}

static tm_status write_events(tm_send_job *job, const char *name, const tm_buf *file, tm_error *err)
{
    char path[TM_SEND_NAME + 96];
    snprintf(path, sizeof path, "%s/events.out.tfevents.%lld.tidemill", name,
             (long long)(job->past->start_ms / 1000));
    return tm_send_file(job->made, path, file, err);
}

static tm_status write_node(tm_send_job *job, const tm_past_node *node, tm_error *err)
{
    char name[TM_SEND_NAME];
    tm_buf file = {0};
    tm_event_head(&file, wall_at(job->past, 0));
    for (size_t i = 0; i < node->n_series; i++) add_series(job->past, &node->series[i], &file);
    tm_status status = write_events(job, tm_send_name(job, node->name, ",=+@", name), &file, err);
    tm_buf_clear(&file);
    return status;
}

// A table for TensorBoard's TEXT page, which reads Markdown.
static void add_table(tm_buf *file, double wall, const char *tag, const json_t *values)
{
    tm_buf text = {0}, cell = {0};
    const char *name;
    json_t *value;
    tm_buf_str(&text, "| name | value |\n| --- | --- |\n");
    json_object_foreach((json_t *)values, name, value)
    {
        tm_buf_reset(&cell);
        tm_send_text(&cell, value);
        tm_buf_fmt(&text, "| %s | ", name);
        for (size_t i = 0; i < cell.size; i++) {
            if (cell.data[i] == '|') tm_buf_char(&text, '\\');
            tm_buf_char(&text, cell.data[i] == '\n' ? ' ' : cell.data[i]);
        }
        tm_buf_str(&text, " |\n");
    }
    if (!text.failed && !cell.failed)
        tm_event_text(file, wall, tag, text.data);
    else
        file->failed = true;
    tm_buf_clear(&text);
    tm_buf_clear(&cell);
}

static tm_status write_run(tm_send_job *job, tm_error *err)
{
    const tm_past *past = job->past;
    tm_buf file = {0};
    double wall = wall_at(past, 0);
    json_t *params = tm_send_params(past), *facts = tm_send_facts(past);
    tm_event_head(&file, wall);
    if (json_object_size(params)) add_table(&file, wall, "params", params);
    add_table(&file, wall, "run", facts);
    tm_event_began(&file, wall, past->run, params);
    if (past->end)
        tm_event_ended(&file, wall_at(past, past->last_ms), strcmp(tm_past_status(past), "done") == 0);
    tm_status status = write_events(job, ".", &file, err);
    json_decref(params);
    json_decref(facts);
    tm_buf_clear(&file);
    return status;
}

static tm_status send_run(tm_send_job *job, tm_error *err)
{
    size_t at = 0;
    const tm_past_node *node;
    TM_TRY(tm_path(job->made, err, "%s/%s", job->path, job->past->run));
    TM_TRY(write_run(job, err));
    while ((node = tm_send_next_node(job->past, &at))) TM_TRY(write_node(job, node, err));
    return tm_path(job->made, err, "%s", job->path);
}

const tm_send_tool tm_send_tool_tensorboard = {
    .name = "tensorboard",
    .brief = "event files: the metrics of each node, parameters as text and for the HPARAMS page",
    .place = "tensorboard",
    .open = "tensorboard --logdir %s",
    .write = send_run,
};
