// SPDX-License-Identifier: Apache-2.0
// Chrome's trace events: the executions of nodes as spans, on as many lines as ran at once, and counters of
// what was lent and measured. Perfetto and chrome://tracing open the file.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lua/send/send.h"

// Nodes of one group that ran together; the innermost is the group's last.
typedef struct span {
    const tm_past_node *node;
    int64_t begin, end; // ms
    int group, lane;
    bool ended, again; // again: the same execution as the span before
} span;

typedef struct spans {
    span *all;
    size_t n;
    int lanes;
} spans;

static int by_begin(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin) return (x->begin > y->begin) - (x->begin < y->begin);
    if (x->group != y->group) return x->group - y->group;
    return (x->node > y->node) - (x->node < y->node);
}

static tm_status collect(const tm_past *past, spans *s, tm_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < past->n_nodes; i++) n += past->nodes[i].n_spans;
    s->all = tm_calloc(n + 1, sizeof *s->all);
    if (!s->all) return tm_fail(err, TM_ENOMEM, "no memory for %zu spans", n);
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_node *node = &past->nodes[i];
        const json_t *group = json_object_get(node->plan, "group");
        for (size_t k = 0; !node->same && k < node->n_spans; k++)
            s->all[s->n++] = (span){.node = node,
                                    .begin = node->spans[k].begin_ms,
                                    .end = node->spans[k].end_ms < 0 ? past->last_ms : node->spans[k].end_ms,
                                    .ended = node->spans[k].end_ms >= 0,
                                    .group = group ? (int)json_integer_value(group) : -1 - (int)i};
    }
    if (s->n) qsort(s->all, s->n, sizeof *s->all, by_begin);
    return TM_OK;
}

// The first lane that is free at the beginning of a span.
static tm_status give_lanes(spans *s, tm_error *err)
{
    int64_t *free_at = tm_calloc(s->n + 1, sizeof *free_at);
    if (!free_at) return tm_fail(err, TM_ENOMEM, "no memory for %zu lanes", s->n);
    for (size_t i = 0; i < s->n; i++) {
        span *one = &s->all[i], *before = i ? one - 1 : NULL;
        one->again = before && before->group == one->group && before->begin == one->begin;
        if (one->again)
            one->lane = before->lane;
        else
            for (one->lane = 0; one->lane < s->lanes && free_at[one->lane] > one->begin;) one->lane++;
        if (one->lane == s->lanes) s->lanes++;
        if (free_at[one->lane] < one->end) free_at[one->lane] = one->end;
    }
    tm_free(free_at);
    return TM_OK;
}

static json_t *event(const char *kind, const char *name, int lane, int64_t ms)
{
    return json_pack("{s:s, s:s, s:i, s:i, s:I}", "ph", kind, "name", name, "pid", 1, "tid", lane, "ts",
                     (json_int_t)(ms * 1000));
}

static void add(json_t *events, json_t *one, json_t *args)
{
    json_object_set_new(one, "args", args);
    json_array_append_new(events, one);
}

static void set_count(json_t *args, const char *name, int64_t value)
{
    if (value >= 0) json_object_set_new(args, name, json_integer(value));
}

static void add_names(json_t *events, const tm_past *past, int lanes)
{
    char text[TM_SEND_NAME + 64], title[TM_SEND_NAME];
    tm_send_title(past, title);
    snprintf(text, sizeof text, "tidemill %s: %s", past->run, title);
    add(events, event("M", "process_name", 0, 0), json_pack("{s:s}", "name", text));
    for (int i = 0; i < lanes; i++) {
        snprintf(text, sizeof text, "worker %d", i + 1);
        add(events, event("M", "thread_name", i + 1, 0), json_pack("{s:s}", "name", text));
        add(events, event("M", "thread_sort_index", i + 1, 0), json_pack("{s:i}", "sort_index", i));
    }
}

static void add_span(json_t *events, const span *s)
{
    const tm_past_node *node = s->node;
    json_t *one = event("X", node->name, s->lane + 1, s->begin);
    json_t *args = json_pack("{s:s, s:s}", "stage", node->stage, "reason", node->reason);
    json_object_set_new(one, "dur", json_integer((s->end - s->begin) * 1000));
    json_object_set_new(one, "cat", json_string(node->stage));
    set_count(args, "records", node->rows);
    set_count(args, "bytes", node->bytes);
    set_count(args, "entries", node->entries);
    set_count(args, "cores at most", node->cores);
    set_count(args, "memory at most", node->memory);
    if (!s->ended)
        json_object_set_new(args, "end", json_string("did not end"));
    else if (strcmp(node->state, "failed") == 0)
        json_object_set(args, "failed", json_object_get(node->failure, "text"));
    add(events, one, args);
}

// ---- counters ----

typedef struct change {
    int64_t at, nodes, cores, memory;
} change;

static int by_time(const void *a, const void *b)
{
    const change *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static int64_t known(int64_t value)
{
    return value < 0 ? 0 : value;
}

static void add_counter(json_t *events, const char *name, const char *unit, int64_t at, double value)
{
    json_t *number =
        value == floor(value) && fabs(value) < 1e15 ? json_integer((json_int_t)value) : json_real(value);
    add(events, event("C", name, 0, at), json_pack("{s:o}", unit, number));
}

// What ran, and the most cores and memory that this took, over time.
static tm_status add_counters(json_t *events, const tm_past *past, const spans *s, tm_error *err)
{
    double most = json_number_value(json_object_get(past->record, "cores"));  // there were no more
    change *all = tm_calloc(2 * s->n + 1, sizeof *all), now = {0};
    size_t n = 0;
    bool cores = false, memory = false;
    if (!all) return tm_fail(err, TM_ENOMEM, "no memory for counters");
    for (size_t i = 0; i < s->n; i++) {
        const tm_past_node *node = s->all[i].node;
        if (s->all[i].again) continue;
        cores = cores || node->cores >= 0;
        memory = memory || node->memory >= 0;
        all[n++] = (change){s->all[i].begin, 1, known(node->cores), known(node->memory)};
        all[n++] = (change){s->all[i].end, -1, -known(node->cores), -known(node->memory)};
    }
    if (n) qsort(all, n, sizeof *all, by_time);
    for (size_t i = 0; i < n; i++) {
        now.nodes += all[i].nodes, now.cores += all[i].cores, now.memory += all[i].memory;
        if (i + 1 < n && all[i + 1].at == all[i].at) continue;
        add_counter(events, "executions", "running", all[i].at, (double)now.nodes);
        if (cores) add_counter(events, "cores, at most", "lent", all[i].at, fmin((double)now.cores, most));
        if (memory) add_counter(events, "memory, at most", "bytes", all[i].at, (double)now.memory);
    }
    tm_free(all);
    return TM_OK;
}

static void add_metrics(json_t *events, const tm_past *past)
{
    char name[TM_SEND_NAME + 128];
    size_t at = 0;
    const tm_past_node *node;
    while ((node = tm_send_next_node(past, &at)))
        for (size_t i = 0; i < node->n_series; i++) {
            const tm_past_series *s = &node->series[i];
            snprintf(name, sizeof name, "%s %s", node->name, s->name);
            for (size_t k = 0; k < s->n; k++)
                if (s->times[k] >= 0 && isfinite(s->values[k]))
                    add_counter(events, name, "value", s->times[k], s->values[k]);
        }
}

static void add_logs(json_t *events, const tm_past *past)
{
    size_t i;
    json_t *one;
    json_array_foreach(past->kept, i, one)
    {
        const char *text = json_string_value(json_object_get(one, "text"));
        const char *node = json_string_value(json_object_get(one, "node"));
        if (!text) continue;
        json_t *instant = event("i", node ? node : past->run, 0,
                                json_integer_value(json_object_get(one, "t")) - past->start_ms);
        json_object_set_new(instant, "s", json_string("p"));
        add(events, instant, json_pack("{s:s}", "text", text));
    }
}

static tm_status fill(json_t *events, const tm_past *past, spans *s, tm_error *err)
{
    TM_TRY(collect(past, s, err));
    TM_TRY(give_lanes(s, err));
    add_names(events, past, s->lanes);
    for (size_t i = 0; i < s->n; i++) add_span(events, &s->all[i]);
    TM_TRY(add_counters(events, past, s, err));
    add_metrics(events, past);
    add_logs(events, past);
    return TM_OK;
}

static tm_status send_run(tm_send_job *job, tm_error *err)
{
    spans s = {0};
    json_t *events = json_array();
    tm_status status = fill(events, job->past, &s, err);
    tm_free(s.all);
    json_t *all = json_pack("{s:o, s:s, s:o}", "traceEvents", events, "displayTimeUnit", "ms", "otherData",
                            tm_send_facts(job->past));
    char *text = all ? json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(all);
    if (status >= 0 && !text) status = tm_fail(err, TM_ENOMEM, "no memory for a trace");
    if (status >= 0) status = tm_path(job->made, err, "%s", job->path);
    if (status >= 0)
        status = strcmp(job->path, "-") == 0 ? tm_fd_write(STDOUT_FILENO, text, strlen(text), "stdout", err)
                                             : tm_file_write(job->path, text, strlen(text), false, err);
    free(text);
    return status;
}

const tm_send_tool tm_send_tool_trace = {
    .name = "trace",
    .brief = "Chrome's trace events: what ran when, beside what, with counters",
    .place = "%s.trace.json",
    .open = "open %s in https://ui.perfetto.dev or chrome://tracing",
    .file = true,
    .write = send_run,
};
