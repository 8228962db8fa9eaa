// SPDX-License-Identifier: Apache-2.0
// Runs as their journals tell them.
#include "lua/past/runs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "lua/past/run_name.h"

static json_t *node_of(tm_run_view *v, const char *name)
{
    json_t *node = json_object_get(v->nodes, name);
    if (!node) json_object_set_new(v->nodes, name, node = json_object());
    return node;
}

static void set_state(tm_run_view *v, const json_t *event, const char *state)
{
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(event, "nodes"), i, name)
        json_object_set_new(node_of(v, json_string_value(name)), "state", json_string(state));
}

static void copy(json_t *to, const json_t *from, const char *field)
{
    json_t *value = json_object_get(from, field);
    if (value) json_object_set(to, field, value);
}

static void take_sealed(tm_run_view *v, const json_t *event)
{
    static const char *const fields[] = {"seconds", "rows", "bytes", "entries", NULL};
    json_t *last = node_of(v, json_string_value(json_object_get(event, "node")));
    for (int i = 0; fields[i]; i++) copy(last, event, fields[i]);
    const char *name;
    json_t *counts;
    json_object_foreach(json_object_get(event, "counts"), name, counts)
        json_object_set(node_of(v, name), "counts", counts);
    set_state(v, event, "done");
}

static void take(tm_run_view *v, json_t *event)
{
    const char *kind = json_string_value(json_object_get(event, "event"));
    const char *node = json_string_value(json_object_get(event, "node"));
    if (!kind) return;
    if (strcmp(kind, "run") == 0) v->record = json_incref(event);
    else if (strcmp(kind, "end") == 0) v->end = json_incref(event);
    else if (strcmp(kind, "start") == 0) set_state(v, event, "running");
    else if (strcmp(kind, "cached") == 0) set_state(v, event, "cached");
    else if (strcmp(kind, "skipped") == 0) set_state(v, event, "not run");
    else if (strcmp(kind, "sealed") == 0) take_sealed(v, event);
    else if (strcmp(kind, "failed") == 0) {
        set_state(v, event, "failed");
        if (node) copy(node_of(v, node), event, "text");
        if (node) json_object_set(node_of(v, node), "failure", event);
    } else if (strcmp(kind, "entry") == 0 && node) {
        json_object_set_new(node_of(v, node), "entries",
                            json_integer(json_integer_value(json_object_get(event, "i")) + 1));
        copy(node_of(v, node), event, "step");
    } else if (strcmp(kind, "note") == 0 && node) {
        json_t *n = node_of(v, node);
        copy(n, event, "step");
        json_object_set(n, json_string_value(json_object_get(event, "name")),
                        json_object_get(event, "value"));
    }
}

// What was running when its run ended or died runs no more.
static void settle(tm_run_view *v)
{
    const char *name;
    json_t *node;
    json_object_foreach(v->nodes, name, node)
    {
        const char *state = json_string_value(json_object_get(node, "state"));
        if (state && strcmp(state, "running") == 0)
            json_object_set_new(node, "state", json_string("stopped"));
    }
}

tm_status tm_run_view_read(tm_store *store, const char *run, tm_run_view *v, tm_error *err)
{
    tm_journal_reader *reader = NULL;
    json_t *event;
    char found[32];
    *v = (tm_run_view){.nodes = json_object()};
    tm_status status = run ? tm_run_name(store, run, found, err) : TM_OK;
    if (status >= 0) status = tm_journal_reader_open(store, run ? found : NULL, &reader, err);
    if (status == TM_ENOENT && err && !err->hint[0])
        tm_hint(err, "`tidemill runs` lists the runs of this store");
    if (status < 0) {
        tm_run_view_clear(v);
        return status;
    }
    while (tm_journal_reader_next(reader, &event, NULL) == TM_OK) {
        take(v, event);
        json_decref(event);
    }
    tm_journal_reader_close(reader);
    const char *name = json_string_value(json_object_get(v->record, "run"));
    snprintf(v->run, sizeof v->run, "%s", name ? name : run ? found : "");
    pid_t pid = (pid_t)json_integer_value(json_object_get(v->record, "pid"));
    v->alive = !v->end && pid > 0 && (tm_sys.kill(pid, 0) == 0 || errno == EPERM);
    if (!v->alive) settle(v);
    return TM_OK;
}

void tm_run_view_clear(tm_run_view *v)
{
    json_decref(v->record);
    json_decref(v->nodes);
    json_decref(v->end);
    *v = (tm_run_view){0};
}

const char *tm_run_view_status(const tm_run_view *v)
{
    const char *status = json_string_value(json_object_get(v->end, "status"));
    return status ? status : v->alive ? "running" : "interrupted";
}

const char *tm_nearest_key(const json_t *object, const char *word)
{
    const char *name, *near = NULL;
    json_t *value;
    size_t n = 0;
    const char **names = tm_calloc(json_object_size(object) + 1, sizeof *names);
    if (!names) return NULL;
    json_object_foreach ((json_t *)object, name, value) names[n++] = name;
    near = tm_nearest(word, names);
    tm_free((void *)names);
    return near;
}

const char *tm_made_text(const tm_stage *stage, const json_t *fields, char text[96])
{
    const tm_type *type = stage ? tm_type_find(stage->outputs[0].type) : NULL;
    bool tree = type && type->tree;
    char size[16];
    long long n = (long long)json_integer_value(json_object_get(fields, tree ? "entries" : "rows"));
    snprintf(text, 96, "%lld %s%s, %s", n, tree ? type->entry : "record", n == 1 ? "" : "s",
             tm_cli_size((uint64_t)json_integer_value(json_object_get(fields, "bytes")), size));
    return text;
}
