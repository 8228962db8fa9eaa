// SPDX-License-Identifier: Apache-2.0
// A run from its journal. past_results.c adds what the store has.
#include "lua/past/past.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/past/label.h"
#include "lua/past/past_series.h"
#include "lua/past/run_name.h"

static const char *text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "";
}

static int64_t number_of(const json_t *object, const char *field, int64_t without)
{
    const json_t *value = json_object_get(object, field);
    return json_is_number(value) ? (int64_t)json_number_value(value) : without;
}

// ---- nodes ----

tm_past_node *tm_past_find(const tm_past *past, const char *node)
{
    const json_t *at = node ? json_object_get(past->index, node) : NULL;
    return at ? &past->nodes[json_integer_value(at)] : NULL;
}

const tm_past_node *tm_past_work(const tm_past *past, const tm_past_node *node)
{
    const tm_past_node *work = node->same ? tm_past_find(past, node->same) : NULL;
    return work ? work : node;
}

const json_t *tm_past_own_failure(const tm_past_node *node)
{
    return node->failure && strcmp(text_of(node->failure, "node"), node->name) == 0 ? node->failure : NULL;
}

static tm_status no_memory(tm_error *err)
{
    return tm_fail(err, TM_ENOMEM, "no memory to read a run");
}

static tm_status take_record(tm_past *past, json_t *event, tm_error *err)
{
    const char *name;
    json_t *plan, *plans = json_object_get(event, "nodes");
    if (past->record) return TM_OK;
    past->record = json_incref(event);
    past->start_ms = number_of(event, "t", 0);
    if (text_of(event, "run")[0]) snprintf(past->run, sizeof past->run, "%s", text_of(event, "run"));
    past->nodes = tm_calloc(json_object_size(plans) + 1, sizeof *past->nodes);
    if (!past->nodes) return no_memory(err);
    json_object_foreach(plans, name, plan)
    {
        const char *same = json_string_value(json_object_get(plan, "same"));
        json_object_set_new(past->index, name, json_integer((json_int_t)past->n_nodes));
        past->nodes[past->n_nodes++] = (tm_past_node){.name = name,
                                                      .stage = text_of(plan, "stage"),
                                                      .same = same,
                                                      .state = "waiting",
                                                      .planned = text_of(plan, "state"),
                                                      .reason = text_of(plan, "reason"),
                                                      .plan = plan,
                                                      .seconds = -1,
                                                      .entries = -1,
                                                      .rows = -1,
                                                      .bytes = -1,
                                                      .step = -1,
                                                      .cores = -1,
                                                      .memory = -1};
    }
    return TM_OK;
}

// ---- executions ----

static tm_status begin_span(tm_past_node *node, int64_t at, int64_t resumed, tm_error *err)
{
    tm_past_span *spans = tm_realloc(node->spans, (node->n_spans + 1) * sizeof *spans);
    if (!spans) return no_memory(err);
    node->spans = spans;
    spans[node->n_spans++] = (tm_past_span){.begin_ms = at, .end_ms = -1, .resumed = resumed, .end = ""};
    return TM_OK;
}

static void end_span(tm_past_node *node, int64_t at, const char *end)
{
    tm_past_span *last = node->n_spans ? &node->spans[node->n_spans - 1] : NULL;
    if (!last || last->end_ms >= 0) return;
    last->end_ms = at;
    last->end = end;
}

static void take_sealed(tm_past *past, const json_t *event)
{
    tm_past_node *node = tm_past_find(past, text_of(event, "node"));
    const char *name;
    json_t *counts;
    if (!node) return;
    node->seconds = json_number_value(json_object_get(event, "seconds"));
    node->entries = number_of(event, "entries", -1);
    node->rows = number_of(event, "rows", -1);
    node->bytes = number_of(event, "bytes", -1);
    json_array_append(past->kept, (json_t *)event);
    json_object_foreach(json_object_get(event, "counts"), name, counts)
    {
        tm_past_node *one = tm_past_find(past, name);
        if (one) one->counts = counts;
    }
}

// What an event says of one of its nodes. `end`: the state it leaves the node in, or NULL: it begins.
static tm_status take_change(tm_past *past, tm_past_node *node, const json_t *event, const char *end,
                             tm_error *err)
{
    int64_t at = number_of(event, "t", past->start_ms) - past->start_ms;
    node->state = end ? end : "running";
    if (!end) return begin_span(node, at, number_of(event, "resume", -1), err);
    end_span(node, at,
             strcmp(end, "done") == 0     ? "sealed"
             : strcmp(end, "failed") == 0 ? "failed"
                                          : "skipped");
    node->cores = number_of(event, "cores", node->cores);
    node->memory = number_of(event, "memory", node->memory);
    if (strcmp(end, "failed") == 0) node->failure = event;
    return TM_OK;
}

static tm_status take_changes(tm_past *past, json_t *event, const char *end, tm_error *err)
{
    size_t i;
    json_t *name;
    if (end && strcmp(end, "failed") == 0) json_array_append(past->kept, event);
    json_array_foreach(json_object_get(event, "nodes"), i, name)
    {
        tm_past_node *node = tm_past_find(past, json_string_value(name));
        if (node) TM_TRY(take_change(past, node, event, end, err));
    }
    return TM_OK;
}

static void take_entry(tm_past *past, const json_t *event)
{
    tm_past_node *node = tm_past_find(past, text_of(event, "node"));
    if (!node || text_of(event, "port")[0]) return;
    int64_t i = number_of(event, "i", 0);
    node->rows = (i > 0 && node->rows > 0 ? node->rows : 0) + number_of(event, "rows", 0);
    node->bytes = (i > 0 && node->bytes > 0 ? node->bytes : 0) + number_of(event, "bytes", 0);
    node->entries = i + 1;
    node->step = number_of(event, "step", node->step);
    node->remembered += json_is_true(json_object_get(event, "remembered"));
}

static tm_status take_note(tm_past *past, const json_t *event, tm_error *err)
{
    tm_past_node *node = tm_past_find(past, text_of(event, "node"));
    const json_t *value = json_object_get(event, "value");
    tm_past_point point = {.step = number_of(event, "step", 0),
                           .value = json_number_value(value),
                           .error = NAN,
                           .time = number_of(event, "t", 0) - past->start_ms};
    if (!node || !json_is_number(value)) return TM_OK;
    node->step = point.step;
    return tm_past_add(node, text_of(event, "name"), &point, err);
}

static tm_status take(tm_past *past, json_t *event, tm_error *err)
{
    const char *kind = text_of(event, "event");
    if (strcmp(kind, "run") == 0) return take_record(past, event, err);
    past->last_ms = number_of(event, "t", past->start_ms) - past->start_ms;
    if (strcmp(kind, "start") == 0) return take_changes(past, event, NULL, err);
    if (strcmp(kind, "cached") == 0) return take_changes(past, event, "cached", err);
    if (strcmp(kind, "skipped") == 0) return take_changes(past, event, "not run", err);
    if (strcmp(kind, "failed") == 0) return take_changes(past, event, "failed", err);
    if (strcmp(kind, "note") == 0) return take_note(past, event, err);
    if (strcmp(kind, "sealed") == 0) {
        take_sealed(past, event);
        return take_changes(past, event, "done", err);
    }
    if (strcmp(kind, "entry") == 0) take_entry(past, event);
    if (strcmp(kind, "kept") == 0) {
        tm_past_node *node = tm_past_find(past, text_of(event, "node"));
        if (node) node->step = number_of(event, "step", node->step);
    }
    if (strcmp(kind, "died") == 0) {
        tm_past_node *node = tm_past_find(past, text_of(event, "node"));
        if (node) node->deaths++;
    }
    if (strcmp(kind, "log") == 0) json_array_append(past->kept, event);
    if (strcmp(kind, "end") == 0 && !past->end) past->end = json_incref(event);
    return TM_OK;
}

// ---- reading ----

// What was running when its run ended or died runs no more.
static void settle(tm_past *past)
{
    for (size_t i = 0; i < past->n_nodes; i++)
        if (strcmp(past->nodes[i].state, "running") == 0) past->nodes[i].state = "stopped";
}

tm_status tm_past_more(tm_past *past, tm_error *err)
{
    json_t *event;
    tm_status status;
    while ((status = tm_journal_reader_next(past->reader, &event, err)) == TM_OK) {
        status = take(past, event, err);
        json_decref(event);
        if (status < 0) return status;
    }
    if (status < 0) return status;
    past->damaged = tm_journal_reader_bad(past->reader);
    pid_t pid = (pid_t)number_of(past->record, "pid", 0);
    past->alive = !past->end && pid > 0 && (tm_sys.kill(pid, 0) == 0 || errno == EPERM);
    if (!past->alive) settle(past);
    return TM_OK;
}

static tm_status open_past(tm_store *store, const char *run, tm_past *past, tm_error *err)
{
    char name[32];
    past->index = json_object();
    past->kept = json_array();
    if (!past->index || !past->kept) return no_memory(err);
    if (run) TM_TRY(tm_run_name(store, run, name, err));
    if (run) run = name;
    tm_status status = tm_journal_reader_open(store, run, &past->reader, err);
    if (status == TM_ENOENT) tm_hint(err, "`tidemill runs` lists the runs of this store");
    if (status < 0) return status;
    if (run) snprintf(past->run, sizeof past->run, "%s", run);
    TM_TRY(tm_past_more(past, err));
    if (past->record) return tm_label_read(store, past->run, past->record, &past->note, &past->tags, err);
    tm_fail_as(err, TM_ENOENT, "TM0505", "the journal of run %s does not say what it was",
               run ? run : "that is the latest");
    tm_hint(err, "it was killed while it began, or its first line is damaged (%zu damaged lines)",
            past->damaged);
    return TM_ENOENT;
}

tm_status tm_past_read(tm_store *store, const char *run, tm_past *past, tm_error *err)
{
    *past = (tm_past){0};
    tm_status status = open_past(store, run, past, err);
    if (status < 0) tm_past_clear(past);
    return status;
}

void tm_past_clear(tm_past *past)
{
    for (size_t i = 0; i < past->n_nodes; i++) {
        for (size_t k = 0; k < past->nodes[i].n_series; k++) tm_past_series_clear(&past->nodes[i].series[k]);
        tm_free(past->nodes[i].series);
        tm_free(past->nodes[i].spans);
        tm_free(past->nodes[i].ports);
    }
    tm_free(past->nodes);
    tm_free(past->note);
    tm_journal_reader_close(past->reader);
    json_decref(past->record);
    json_decref(past->end);
    json_decref(past->kept);
    json_decref(past->tags);
    json_decref(past->index);
    *past = (tm_past){0};
}

const char *tm_past_status(const tm_past *past)
{
    const char *status = json_string_value(json_object_get(past->end, "status"));
    if (!status) return past->alive ? "running" : "interrupted";
    return strcmp(status, "ok") == 0 ? "done" : status;  // as journals said once
}

int tm_past_count(const tm_past *past, const char *state)
{
    int n = 0;
    for (size_t i = 0; i < past->n_nodes; i++)
        n += tm_past_work(past, &past->nodes[i]) == &past->nodes[i] &&
             strcmp(past->nodes[i].state, state) == 0;
    return n;
}

double tm_past_seconds(const tm_past *past)
{
    if (past->end) return json_number_value(json_object_get(past->end, "seconds"));
    return (double)(past->alive ? tm_time_ms() - past->start_ms : past->last_ms) * 1e-3;
}
