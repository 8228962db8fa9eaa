// SPDX-License-Identifier: Apache-2.0
// The text that Prometheus reads. Names begin with tidemill_, units are seconds and bytes.
#include "lua/send/exposition.h"

#include <math.h>

static const char *const states[] = {"waiting", "running", "stopped", "done",
                                     "cached",  "failed",  "not run", NULL};

static void family(tm_buf *text, const char *name, const char *kind, const char *help)
{
    tm_buf_fmt(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void add_label(tm_buf *text, const char *name, const char *value, bool first)
{
    tm_buf_fmt(text, "%s%s=\"", first ? "{" : ",", name);
    for (; *value; value++) {
        if (*value == '\n') {
            tm_buf_str(text, "\\n");
            continue;
        }
        if (*value == '"' || *value == '\\') tm_buf_char(text, '\\');
        tm_buf_char(text, *value);
    }
    tm_buf_char(text, '"');
}

static void add_number(tm_buf *text, double value)
{
    if (isfinite(value))
        tm_buf_fmt(text, " %.17g\n", value);
    else
        tm_buf_fmt(text, " %s\n", isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
}

static void add_sample(tm_buf *text, const char *name, const char *label, const char *of, double value)
{
    tm_buf_str(text, name);
    add_label(text, label, of, true);
    tm_buf_char(text, '}');
    add_number(text, value);
}

static void add_run(const tm_past *past, tm_buf *text)
{
    const char *graph = json_string_value(json_object_get(past->record, "graph"));
    family(text, "tidemill_run_info", "gauge", "The run that is meant, its graph and how it stands.");
    tm_buf_str(text, "tidemill_run_info");
    add_label(text, "run", past->run, true);
    add_label(text, "graph", graph ? graph : "", false);
    add_label(text, "status", tm_past_status(past), false);
    tm_buf_str(text, "} 1\n");
    family(text, "tidemill_run_start_time_seconds", "gauge", "When the run began, since 1970.");
    tm_buf_str(text, "tidemill_run_start_time_seconds");
    add_number(text, (double)past->start_ms * 1e-3);
    family(text, "tidemill_run_duration_seconds", "gauge", "How long it has run, or ran.");
    tm_buf_str(text, "tidemill_run_duration_seconds");
    add_number(text, tm_past_seconds(past));
}

static void add_states(const tm_past *past, tm_buf *text)
{
    family(text, "tidemill_nodes", "gauge", "Nodes by state.");
    for (int k = 0; states[k]; k++)
        add_sample(text, "tidemill_nodes", "state", states[k], tm_past_count(past, states[k]));
    family(text, "tidemill_node_state", "gauge", "1 for the state that a node is in.");
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_node *node = &past->nodes[i];
        tm_buf_str(text, "tidemill_node_state");
        add_label(text, "node", node->name, true);
        add_label(text, "stage", node->stage, false);
        add_label(text, "state", tm_past_work(past, node)->state, false);
        tm_buf_str(text, "} 1\n");
    }
}

// ---- numbers of nodes; negative: not known ----

static double records(const tm_past *past, const tm_past_node *node)
{
    return (double)node->rows;
}

static double bytes(const tm_past *past, const tm_past_node *node)
{
    return (double)node->bytes;
}

static double entries(const tm_past *past, const tm_past_node *node)
{
    return (double)node->entries;
}

// Of all its executions so far.
static double seconds(const tm_past *past, const tm_past_node *node)
{
    double sum = node->n_spans ? 0 : -1, now = tm_past_seconds(past);
    for (size_t i = 0; i < node->n_spans; i++) {
        double end = node->spans[i].end_ms < 0 ? now : (double)node->spans[i].end_ms * 1e-3;
        sum += fmax(0, end - (double)node->spans[i].begin_ms * 1e-3);
    }
    return sum;
}

static double step(const tm_past *past, const tm_past_node *node)
{
    int64_t last = -1;
    for (size_t i = 0; i < node->n_series; i++) {
        const tm_past_series *s = &node->series[i];
        if (s->n && s->steps[s->n - 1] > last) last = s->steps[s->n - 1];
    }
    return (double)last;
}

static double deaths(const tm_past *past, const tm_past_node *node)
{
    return node->deaths;
}

static double cores(const tm_past *past, const tm_past_node *node)
{
    return (double)node->cores;
}

static double memory(const tm_past *past, const tm_past_node *node)
{
    return (double)node->memory;
}

static const struct {
    const char *name, *kind, *help;
    double (*value)(const tm_past *past, const tm_past_node *node);
} numbers[] = {
    {"tidemill_node_records", "gauge", "Records that the node has made.", records},
    {"tidemill_node_bytes", "gauge", "Bytes that the node has made.", bytes},
    {"tidemill_node_entries", "gauge", "Chunks or snapshots that the node has made.", entries},
    {"tidemill_node_seconds", "gauge", "Time for which the node was executed.", seconds},
    {"tidemill_node_step", "gauge", "The last step that the node measured.", step},
    {"tidemill_node_cores", "gauge", "The most cores that were lent to it.", cores},
    {"tidemill_node_memory_bytes", "gauge", "The most memory that a worker of it took.", memory},
    {"tidemill_worker_deaths_total", "counter", "Workers of the node that died.", deaths},
};

// A family without a sample is left out.
static void add_numbers(const tm_past *past, int k, tm_buf *text)
{
    bool first = true;
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_node *node = &past->nodes[i];
        double value = node->same ? -1 : numbers[k].value(past, node);
        if (value < 0) continue;
        if (first) family(text, numbers[k].name, numbers[k].kind, numbers[k].help);
        add_sample(text, numbers[k].name, "node", node->name, value);
        first = false;
    }
}

static void add_metrics(const tm_past *past, tm_buf *text)
{
    bool first = true;
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_node *node = &past->nodes[i];
        for (size_t k = 0; !node->same && k < node->n_series; k++) {
            const tm_past_series *s = &node->series[k];
            if (!s->n) continue;
            if (first) family(text, "tidemill_metric", "gauge", "The last value of a metric.");
            first = false;
            tm_buf_str(text, "tidemill_metric");
            add_label(text, "node", node->name, true);
            add_label(text, "name", s->name, false);
            tm_buf_char(text, '}');
            add_number(text, s->values[s->n - 1]);
        }
    }
}

void tm_exposition(const tm_past *past, tm_buf *text)
{
    add_run(past, text);
    add_states(past, text);
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) add_numbers(past, (int)k, text);
    add_metrics(past, text);
}
