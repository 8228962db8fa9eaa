// SPDX-License-Identifier: Apache-2.0
// W&B: an offline run, `offline-run-TIME-ID/run-ID.wandb`, which `wandb sync` uploads.
//
// The file is a LevelDB log (blocks of 32 KiB; records of checksum, length and type) of Record messages.
// Metrics are NODE/METRIC with dots as slashes, and NODE/step is the axis of a node's metrics, because steps
// begin anew in each node.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

#include "lua/send/protobuf.h"
#include "lua/send/send.h"

enum { BLOCK = 32768, HEAD = 7, FULL = 1, FIRST = 2, MIDDLE = 3, LAST = 4 };
// Fields of Record.
enum { HISTORY = 2, SUMMARY = 3, METRIC = 12, RUN = 17, EXIT = 18, HEADER = 21, FOOTER = 22 };

typedef struct wandb {
    tm_send_job *job;
    tm_buf file;
    tm_buf summary; // SummaryRecord: last values
    uint64_t n_records, n_rows;
} wandb;

// ---- the log ----

static void put_piece(tm_buf *file, int type, const char *data, size_t size)
{
    unsigned char kind = (unsigned char)type;
    uint32_t sum = (uint32_t)crc32(crc32(0, &kind, 1), (const unsigned char *)data, (unsigned)size);
    tm_buf_le32(file, sum);
    tm_buf_char(file, (char)size);
    tm_buf_char(file, (char)(size >> 8));
    tm_buf_char(file, (char)type);
    tm_buf_add(file, data, size);
}

static void put_record(tm_buf *file, tm_view record)
{
    for (bool first = true, last = false; !last; first = false) {
        size_t left = BLOCK - file->size % BLOCK;
        if (left < HEAD) {
            tm_buf_add(file, "\0\0\0\0\0\0", left);
            left = BLOCK;
        }
        size_t size = record.size < left - HEAD ? record.size : left - HEAD;
        last = size == record.size;
        put_piece(file, first ? last ? FULL : FIRST : last ? LAST : MIDDLE, record.data, size);
        record.data += size;
        record.size -= size;
    }
}

// Adds a Record with one field, and clears it.
static void put(wandb *w, unsigned field, tm_buf *message)
{
    tm_buf record = {0};
    tm_pb_uint(&record, 1, ++w->n_records);
    tm_pb_message(&record, field, message);
    if (record.failed)
        w->file.failed = true;
    else
        put_record(&w->file, tm_buf_view(&record));
    tm_buf_clear(&record);
}

// ---- items: ConfigItem, HistoryItem and SummaryItem are one and the same ----

static void add_json(tm_buf *message, unsigned field, const char *key, const char *json)
{
    tm_buf item = {0};
    tm_pb_text(&item, 1, key);
    tm_pb_text(&item, 16, json);
    tm_pb_message(message, field, &item);
}

static void add_value(tm_buf *message, unsigned field, const char *key, const json_t *value)
{
    char *json = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (json)
        add_json(message, field, key, json);
    else
        message->failed = true;
    free(json);
}

static void add_number(tm_buf *message, unsigned field, const char *key, double value)
{
    char json[40];
    if (isfinite(value))
        snprintf(json, sizeof json, "%.17g", value);
    else
        snprintf(json, sizeof json, "\"%s\"", isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
    add_json(message, field, key, json);
}

// ---- records ----

static void put_header(wandb *w)
{
    tm_buf header = {0}, version = {0};
    tm_pb_text(&version, 1, "tidemill " TM_VERSION);
    tm_pb_text(&version, 2, "0.15.0"); // the oldest that is to read it
    tm_pb_message(&header, 1, &version);
    put(w, HEADER, &header);
}

static void add_config(tm_buf *run, const tm_past *past)
{
    tm_buf config = {0};
    const char *name;
    json_t *value, *params = tm_send_params(past), *facts = tm_send_facts(past);
    json_object_foreach(params, name, value) add_value(&config, 1, name, value);
    add_value(&config, 1, "tidemill", facts);
    tm_pb_message(run, 4, &config);
    json_decref(params);
    json_decref(facts);
}

static void add_git(tm_buf *run, const tm_past *past)
{
    const char *commit = json_string_value(json_object_get(json_object_get(past->record, "git"), "commit"));
    tm_buf git = {0};
    if (!commit) return;
    tm_pb_text(&git, 2, commit);
    tm_pb_message(run, 21, &git);
}

static void put_run(wandb *w, const char *id)
{
    const tm_past *past = w->job->past;
    tm_buf run = {0}, start = {0};
    char title[TM_SEND_NAME];
    size_t i;
    json_t *tag;
    tm_send_title(past, title);
    tm_pb_text(&run, 1, id);
    tm_pb_text(&run, 3, title);
    add_config(&run, past);
    tm_pb_text(&run, 8, past->run);
    tm_pb_text(&run, 9, past->note);
    json_array_foreach(past->tags, i, tag) tm_pb_text(&run, 10, json_string_value(tag));
    tm_pb_uint(&start, 1, (uint64_t)(past->start_ms / 1000));
    tm_pb_uint(&start, 2, (uint64_t)(past->start_ms % 1000 * 1000000));
    tm_pb_message(&run, 17, &start);
    add_git(&run, past);
    put(w, RUN, &run);
}

// Parts of a name are a slash apart here.
static const char *metric_name(wandb *w, const char *node, const char *metric, const char *more,
                               char text[TM_SEND_NAME])
{
    char full[TM_SEND_NAME + 128];
    snprintf(full, sizeof full, "%s/%s%s", node, metric, more);
    for (char *p = full; *p; p++)
        if (*p == '.' && tm_send_parts(full, p)) *p = '/';
    return tm_send_name(w->job, full, "", text);
}

static void put_metric(wandb *w, const char *name, const char *axis)
{
    tm_buf metric = {0}, options = {0};
    tm_pb_text(&metric, 1, name);
    tm_pb_text(&metric, 4, axis);
    tm_pb_uint(&options, axis ? 1 : 2, 1); // axis: its value is put beside each row; itself: hidden
    tm_pb_uint(&options, 3, 1);
    tm_pb_message(&metric, 6, &options);
    put(w, METRIC, &metric);
}

static void define(wandb *w, const tm_past_node *node)
{
    char axis[TM_SEND_NAME], name[TM_SEND_NAME];
    put_metric(w, metric_name(w, node->name, "step", "", axis), NULL);
    for (size_t i = 0; i < node->n_series; i++)
        put_metric(w, metric_name(w, node->name, node->series[i].name, "", name), axis);
}

// ---- history: a row for each step of each node ----

// The least step above `*step` of any series; false when there is none.
static bool next_step(const tm_past_node *node, const size_t *at, int64_t *step)
{
    bool found = false;
    for (size_t i = 0; i < node->n_series; i++) {
        const tm_past_series *s = &node->series[i];
        if (at[i] < s->n && (!found || s->steps[at[i]] < *step)) *step = s->steps[at[i]], found = true;
    }
    return found;
}

static int64_t add_point(wandb *w, tm_buf *row, const tm_past_node *node, const tm_past_series *s, size_t i)
{
    char name[TM_SEND_NAME];
    add_number(row, 1, metric_name(w, node->name, s->name, "", name), s->values[i]);
    if (!isnan(s->errors[i]))
        add_number(row, 1, metric_name(w, node->name, s->name, ".error", name), s->errors[i]);
    return s->times[i] < 0 ? 0 : s->times[i];
}

static void end_row(wandb *w, tm_buf *row, int64_t time)
{
    tm_buf step = {0};
    add_number(row, 1, "_timestamp", (double)(w->job->past->start_ms + time) * 1e-3);
    add_number(row, 1, "_runtime", (double)time * 1e-3);
    add_number(row, 1, "_step", (double)w->n_rows);
    tm_pb_uint(&step, 1, w->n_rows++);
    tm_pb_message(row, 2, &step);
    put(w, HISTORY, row);
}

static void put_rows(wandb *w, const tm_past_node *node, size_t *at)
{
    char axis[TM_SEND_NAME];
    int64_t step = 0;
    metric_name(w, node->name, "step", "", axis);
    while (next_step(node, at, &step)) {
        tm_buf row = {0};
        int64_t time = 0;
        add_number(&row, 1, axis, (double)step);
        for (size_t i = 0; i < node->n_series; i++)
            while (at[i] < node->series[i].n && node->series[i].steps[at[i]] == step)
                time = add_point(w, &row, node, &node->series[i], at[i]++);
        end_row(w, &row, time);
    }
}

static void add_last(wandb *w, const tm_past_node *node)
{
    char name[TM_SEND_NAME];
    for (size_t i = 0; i < node->n_series; i++) {
        const tm_past_series *s = &node->series[i];
        if (s->n)
            add_number(&w->summary, 1, metric_name(w, node->name, s->name, "", name), s->values[s->n - 1]);
    }
}

static tm_status put_nodes(wandb *w, tm_error *err)
{
    const tm_past_node *node;
    for (size_t at = 0; (node = tm_send_next_node(w->job->past, &at));) define(w, node);
    for (size_t at = 0; (node = tm_send_next_node(w->job->past, &at));) {
        size_t *places = tm_calloc(node->n_series, sizeof *places);
        if (!places) return tm_fail(err, TM_ENOMEM, "no memory to send a run");
        put_rows(w, node, places);
        add_last(w, node);
        tm_free(places);
    }
    put(w, SUMMARY, &w->summary);
    return TM_OK;
}

static void put_end(wandb *w)
{
    tm_buf end = {0}, footer = {0};
    tm_pb_uint(&end, 1, strcmp(tm_past_status(w->job->past), "done") == 0 ? 0 : 1);
    tm_pb_uint(&end, 2, (uint64_t)tm_past_seconds(w->job->past));
    put(w, EXIT, &end);
    put(w, FOOTER, &footer);
}

static tm_status write_all(wandb *w, const char *id, tm_error *err)
{
    char when[32], folder[TM_PATH_MAX], name[64];
    time_t seconds = (time_t)(w->job->past->start_ms / 1000);
    struct tm parts;
    if (!gmtime_r(&seconds, &parts)) return tm_fail(err, TM_EFORMAT, "the run has no time");
    strftime(when, sizeof when, "%Y%m%d_%H%M%S", &parts);
    tm_buf_add(&w->file, ":W&B\xe1\xbe\0", HEAD);
    put_header(w);
    put_run(w, id);
    TM_TRY(put_nodes(w, err));
    put_end(w);
    TM_TRY(tm_path(w->job->made, err, "%s/offline-run-%s-%s", w->job->path, when, id));
    TM_TRY(tm_path(folder, err, "%s/files", w->job->made));
    TM_TRY(tm_dir_make(folder, err));
    snprintf(name, sizeof name, "run-%s.wandb", id);
    return tm_send_file(w->job->made, name, &w->file, err);
}

static tm_status send_run(tm_send_job *job, tm_error *err)
{
    wandb w = {.job = job};
    char id[33];
    tm_send_id(job->past, id);
    id[8] = 0;
    tm_status status = write_all(&w, id, err);
    tm_buf_clear(&w.file);
    tm_buf_clear(&w.summary);
    return status;
}

const tm_send_tool tm_send_tool_wandb = {
    .name = "wandb",
    .brief = "an offline run: metrics are NODE/METRIC over NODE/step, parameters the config",
    .place = "wandb",
    .open = "wandb sync %s",
    .write = send_run,
};
