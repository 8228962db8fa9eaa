// SPDX-License-Identifier: Apache-2.0
// MLflow: a run in a file store, `mlruns/EXPERIMENT/RUN/{meta.yaml,metrics,params,tags,artifacts}`.
//
// The experiment is the graph. meta.yaml of the run is written last: MLflow does not see a run without it.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/send/send.h"

#define MAX_PARAM 6000 // bytes; longer ones MLflow refuses

static void add_number(tm_buf *text, double value)
{
    if (isfinite(value))
        tm_buf_fmt(text, "%.17g", value);
    else
        tm_buf_str(text, isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
}

// Text between single quotes is YAML that needs no escapes but for the quote.
static void add_quoted(tm_buf *yaml, const char *key, const char *text)
{
    tm_buf_fmt(yaml, "%s: '", key);
    for (; *text; text++) {
        if (*text == '\'') tm_buf_char(yaml, '\'');
        tm_buf_char(yaml, (unsigned char)*text < ' ' ? ' ' : *text);
    }
    tm_buf_str(yaml, "'\n");
}

// The folder as a file URI.
static void add_uri(tm_buf *yaml, const char *key, const char *folder, const char *inside)
{
    char *real = realpath(folder, NULL);
    tm_buf_fmt(yaml, "%s: 'file://", key);
    for (const unsigned char *p = (const unsigned char *)(real ? real : folder); *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
                     strchr("/-_.~", *p);
        if (plain)
            tm_buf_char(yaml, (char)*p);
        else
            tm_buf_fmt(yaml, "%%%02X", *p);
    }
    tm_buf_fmt(yaml, "%s'\n", inside);
    free(real);
}

static tm_status write_series(tm_send_job *job, const char *node, const tm_past_series *s, bool errors,
                              tm_error *err)
{
    char full[TM_SEND_NAME + 128], name[TM_SEND_NAME], path[TM_SEND_NAME + 16];
    tm_buf text = {0};
    for (size_t i = 0; i < s->n; i++) {
        double value = errors ? s->errors[i] : s->values[i];
        if (errors && isnan(value)) continue;
        tm_buf_fmt(&text, "%lld ", (long long)(job->past->start_ms + (s->times[i] < 0 ? 0 : s->times[i])));
        add_number(&text, value);
        tm_buf_fmt(&text, " %lld\n", (long long)s->steps[i]);
    }
    snprintf(full, sizeof full, "%s/%s%s", node, s->name, errors ? ".error" : "");
    tm_status status = TM_OK;
    if (text.size || text.failed) {
        snprintf(path, sizeof path, "metrics/%s", tm_send_name(job, full, " :", name));
        status = tm_send_file(job->made, path, &text, err);
    }
    tm_buf_clear(&text);
    return status;
}

static tm_status write_metrics(tm_send_job *job, tm_error *err)
{
    size_t at = 0;
    const tm_past_node *node;
    while ((node = tm_send_next_node(job->past, &at)))
        for (size_t i = 0; i < node->n_series; i++) {
            TM_TRY(write_series(job, node->name, &node->series[i], false, err));
            TM_TRY(write_series(job, node->name, &node->series[i], true, err));
        }
    return TM_OK;
}

static tm_status write_value(tm_send_job *job, const char *folder, const char *name, const json_t *value,
                             tm_error *err)
{
    char path[TM_SEND_NAME + 64];
    tm_buf text = {0};
    tm_send_text(&text, value);
    if (text.size > MAX_PARAM) {
        size_t end = MAX_PARAM;
        while (end && ((unsigned char)text.data[end] & 0xc0) == 0x80) end--;
        text.size = end;
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    tm_status status = tm_send_file(job->made, path, &text, err);
    tm_buf_clear(&text);
    return status;
}

static tm_status write_params(tm_send_job *job, tm_error *err)
{
    char name[TM_SEND_NAME];
    const char *param;
    json_t *value, *params = tm_send_params(job->past);
    tm_status status = TM_OK;
    json_object_foreach(params, param, value) if (status >= 0) status =
        write_value(job, "params", tm_send_name(job, param, " :", name), value, err);
    json_decref(params);
    return status;
}

// Facts become tags; some have names of their own in MLflow.
static const char *tag_name(const char *fact, char text[64])
{
    static const char *const names[][2] = {{"git.commit", "mlflow.source.git.commit"},
                                           {"git.branch", "mlflow.source.git.branch"},
                                           {"graph", "mlflow.source.name"},
                                           {"note", "mlflow.note.content"},
                                           {"run", "mlflow.runName"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i][0], fact) == 0) return names[i][1];
    snprintf(text, 64, "tidemill.%s", fact);
    return text;
}

static tm_status write_tags(tm_send_job *job, tm_error *err)
{
    char text[64];
    const char *fact;
    json_t *value, *facts = tm_send_facts(job->past), *local = json_string("LOCAL");
    tm_status status = write_value(job, "tags", "mlflow.source.type", local, err);
    json_object_foreach(facts, fact, value) if (status >= 0) status =
        write_value(job, "tags", tag_name(fact, text), value, err);
    json_decref(facts);
    json_decref(local);
    return status;
}

// 18 digits for a name, as MLflow gives; the same name always has the same.
static void experiment_id(const char *title, char id[32])
{
    uint64_t hash = tm_hash64(title, strlen(title), 0);
    snprintf(id, 32, "%llu", (unsigned long long)(100000000000000000ull + hash % 900000000000000000ull));
}

static tm_status write_experiment(const tm_send_job *job, const char *id, const char *title, tm_error *err)
{
    char folder[TM_PATH_MAX], path[TM_PATH_MAX];
    TM_TRY(tm_path(folder, err, "%s/%s", job->path, id));
    TM_TRY(tm_path(path, err, "%s/meta.yaml", folder));
    TM_TRY(tm_dir_make(folder, err));
    if (tm_file_exists(path)) return TM_OK;
    tm_buf yaml = {0};
    add_uri(&yaml, "artifact_location", folder, "");
    tm_buf_fmt(&yaml, "creation_time: %lld\n", (long long)job->past->start_ms);
    tm_buf_fmt(&yaml, "experiment_id: '%s'\n", id);
    tm_buf_fmt(&yaml, "last_update_time: %lld\nlifecycle_stage: active\n", (long long)job->past->start_ms);
    add_quoted(&yaml, "name", title);
    tm_status status = tm_send_file(folder, "meta.yaml", &yaml, err);
    tm_buf_clear(&yaml);
    return status;
}

static int mlflow_status(const tm_past *past)
{
    const char *status = tm_past_status(past);
    if (strcmp(status, "running") == 0) return 1;
    if (strcmp(status, "done") == 0) return 3;
    return strcmp(status, "failed") == 0 ? 4 : 5; // FAILED, KILLED
}

static tm_status write_meta(tm_send_job *job, const char *experiment, const char *id, tm_error *err)
{
    const tm_past *past = job->past;
    tm_buf yaml = {0};
    add_uri(&yaml, "artifact_uri", job->made, "/artifacts");
    if (mlflow_status(past) == 1)
        tm_buf_str(&yaml, "end_time: null\n");
    else
        tm_buf_fmt(&yaml, "end_time: %lld\n", (long long)(past->start_ms + past->last_ms));
    tm_buf_fmt(&yaml, "entry_point_name: ''\nexperiment_id: '%s'\nlifecycle_stage: active\n", experiment);
    tm_buf_fmt(&yaml, "run_id: '%s'\nrun_name: '%s'\nrun_uuid: '%s'\n", id, past->run, id);
    tm_buf_fmt(&yaml, "source_name: ''\nsource_type: 4\nsource_version: ''\nstart_time: %lld\nstatus: %d\n",
               (long long)past->start_ms, mlflow_status(past));
    tm_buf_str(&yaml, "tags: []\nuser_id: ''\n");
    tm_status status = tm_send_file(job->made, "meta.yaml", &yaml, err);
    tm_buf_clear(&yaml);
    return status;
}

static tm_status send_run(tm_send_job *job, tm_error *err)
{
    char title[TM_SEND_NAME], experiment[32], id[33], path[TM_PATH_MAX];
    tm_send_title(job->past, title);
    experiment_id(title, experiment);
    tm_send_id(job->past, id);
    TM_TRY(write_experiment(job, experiment, title, err));
    TM_TRY(tm_path(job->made, err, "%s/%s/%s", job->path, experiment, id));
    TM_TRY(tm_path(path, err, "%s/artifacts", job->made));
    TM_TRY(tm_dir_make(path, err));
    TM_TRY(write_metrics(job, err));
    TM_TRY(write_params(job, err));
    TM_TRY(write_tags(job, err));
    TM_TRY(write_meta(job, experiment, id, err));
    return tm_path(job->made, err, "%s", job->path);
}

const tm_send_tool tm_send_tool_mlflow = {
    .name = "mlflow",
    .brief = "a run in a file store: the graph is the experiment, metrics are NODE/METRIC",
    .place = "mlruns",
    .open = "MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri %s",
    .write = send_run,
};
