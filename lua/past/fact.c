// SPDX-License-Identifier: Apache-2.0
// Facts of runs by name.
#include "lua/past/fact.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "engine/base/json.h"
#include "engine/select.h"
#include "lua/cli/counts.h"
#include "lua/lock/git.h"
#include "lua/past/graph_name.h"

static const char *const fixed[] = {"run",  "status", "seconds", "age",    "when",   "graph",
                                    "note", "tag",    "done",    "cached", "failed",
                                    "commit", "smoke",  "took",    "ran",    NULL};

bool tm_fact_fixed(const char *name)
{
    for (int i = 0; fixed[i]; i++)
        if (strcmp(fixed[i], name) == 0) return true;
    return false;
}

// ---- texts ----

const char *tm_number_text(double number, char text[32])
{
    if (fabs(number) < 1e15 && number == floor(number))
        snprintf(text, 32, "%.0f", number);
    else
        snprintf(text, 32, "%.5g", number);
    return text;
}

json_t *tm_number_json(double number)
{
    json_t *value = json_real(number);
    return value ? value : json_null();
}

// "2026-11-21 17:03", in local time.
static const char *when_text(int64_t ms, char text[32])
{
    time_t t = (time_t)(ms / 1000);
    struct tm parts;
    text[0] = 0;
    if (localtime_r(&t, &parts)) strftime(text, 32, "%Y-%m-%d %H:%M", &parts);
    return text;
}

// ---- one fact ----

static tm_fact of_text(const char *text)
{
    tm_fact fact = {.kind = text && text[0] ? TM_FACT_TEXT : TM_FACT_NONE, .error = NAN, .step = -1};
    snprintf(fact.text, sizeof fact.text, "%s", text ? text : "");
    return fact;
}

static tm_fact of_number(double number)
{
    char text[32];
    tm_fact fact = of_text(tm_number_text(number, text));
    fact.kind = TM_FACT_NUMBER;
    fact.number = number;
    return fact;
}

static tm_fact shown_as(tm_fact fact, const char *text)
{
    snprintf(fact.text, sizeof fact.text, "%s", text);
    return fact;
}

static tm_fact of_tags(const json_t *tags)
{
    tm_fact fact = of_text("");
    size_t i, at = 0;
    json_t *tag;
    json_array_foreach((json_t *)tags, i, tag)
    {
        if (at < sizeof fact.text)
            at += (size_t)snprintf(fact.text + at, sizeof fact.text - at, "%s%s", at ? " " : "",
                                   json_string_value(tag));
    }
    if (json_array_size(tags)) fact.kind = TM_FACT_TAGS;
    fact.tags = tags;
    return fact;
}

static tm_fact of_count(const tm_past *past, const char *name)
{
    const json_t *n = json_object_get(past->end, name);
    return n ? of_number(json_number_value(n)) : of_text("");
}

static tm_fact of_fixed(const tm_past *past, const char *name)
{
    char text[32];
    double age = (double)(tm_time_ms() - past->start_ms) * 1e-3;
    if (strcmp(name, "run") == 0) return of_text(past->run);
    if (strcmp(name, "status") == 0) return of_text(tm_past_status(past));
    if (strcmp(name, "note") == 0) return of_text(past->note);
    if (strcmp(name, "commit") == 0) return of_text(tm_git_short(json_object_get(past->record, "git"), text));
    if (strcmp(name, "smoke") == 0)
        return of_text(json_is_true(json_object_get(past->record, "smoke")) ? "smoke" : "");
    if (strcmp(name, "tag") == 0) return of_tags(past->tags);
    if (strcmp(name, "graph") == 0) return of_text(tm_graph_path(past->record));
    if (strcmp(name, "age") == 0) return shown_as(of_number(age), tm_duration_text(age, text));
    if (strcmp(name, "when") == 0)
        return shown_as(of_number((double)past->start_ms * 1e-3), when_text(past->start_ms, text));
    if (strcmp(name, "seconds") == 0 || strcmp(name, "took") == 0) {
        double seconds = tm_past_seconds(past);
        return shown_as(of_number(seconds), tm_duration_text(seconds, text));
    }
    return of_count(past, strcmp(name, "ran") == 0 ? "done" : name);  // as columns of `runs` are called
}

static tm_fact of_param(const json_t *value)
{
    if (json_is_string(value)) return of_text(json_string_value(value));
    if (json_is_number(value)) return of_number(json_number_value(value));
    if (json_is_boolean(value)) return of_text(json_is_true(value) ? "true" : "false");
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    tm_fact fact = of_text(text && !json_is_null(value) ? text : "");
    tm_json_free(text);
    return fact;
}

static const json_t *find_param(const tm_past *past, const char *name)
{
    size_t i;
    json_t *param;
    json_array_foreach(json_object_get(past->record, "params"), i,
                       param) if (strcmp(json_string_value(json_object_get(param, "name")), name) ==
                                  0) return json_object_get(param, "value");
    return NULL;
}

static tm_fact of_series(const tm_past_node *node, const tm_past_series *series)
{
    tm_fact fact = of_number(series->values[series->n - 1]);
    fact.error = series->errors[series->n - 1];
    fact.step = series->steps[series->n - 1];
    fact.node = node->name;
    return fact;
}

// NODE.METRIC: the longest name of a node that it begins with.
static tm_fact of_node_metric(const tm_past *past, const char *name)
{
    char node[200];
    for (const char *dot = strrchr(name, '.'); dot; dot = memrchr(name, '.', (size_t)(dot - name))) {
        snprintf(node, sizeof node, "%.*s", (int)(dot - name), name);
        const tm_past_node *found = tm_past_find(past, node);
        const tm_past_node *work = found ? tm_past_work(past, found) : NULL;
        const tm_past_series *series = work ? tm_past_metric(work, dot + 1) : NULL;
        if (series) return of_series(found, series);
    }
    return of_text("");
}

// Of the nodes of the last stage in the graph that has the metric, the one with the best value.
static const tm_past_node *best_holder(const tm_past *past, const char *metric)
{
    const tm_past_node *best = NULL;
    double least = NAN;
    for (size_t i = past->n_nodes; i-- > 0;) {
        const tm_past_node *node = &past->nodes[i];
        const tm_past_series *series = tm_past_metric(node, metric);
        if (!series || !series->n || (best && strcmp(node->stage, best->stage) != 0)) continue;
        double value = series->values[series->n - 1];
        if (best && (value != value || (least == least && !tm_select_better(metric, value, least)))) continue;
        best = node;
        least = value;
    }
    return best;
}

tm_fact tm_fact_of(const tm_past *past, const char *name)
{
    if (tm_fact_fixed(name)) return of_fixed(past, name);
    const json_t *param = find_param(past, name);
    if (param) return of_param(param);
    const tm_past_node *node = best_holder(past, name);
    return node ? of_series(node, tm_past_metric(node, name)) : of_node_metric(past, name);
}

bool tm_fact_mixed(const tm_past *past, const char *name, char list[300])
{
    const char *stages[8];
    size_t n = 0, at = 0;
    list[0] = 0;
    if (tm_fact_fixed(name) || find_param(past, name)) return false;
    for (size_t i = past->n_nodes; i-- > 0 && n < 8;) {
        const tm_past_node *node = &past->nodes[i];
        size_t k = 0;
        if (!tm_past_metric(node, name)) continue;
        while (k < n && strcmp(stages[k], node->stage) != 0) k++;
        if (k < n) continue;
        stages[n++] = node->stage;
        if (at < 200)
            at += (size_t)snprintf(list + at, 300 - at, "%s%.60s.%.30s", at ? ", " : "", node->name, name);
    }
    return n > 1;
}

const char *tm_verdict(double before, double before_error, double after, double after_error)
{
    double difference = after - before, error = hypot(before_error, after_error);
    if (error != error || difference != difference) return NULL;
    return fabs(difference) <= 2 * error ? "within error" : "beyond error";
}

void tm_fact_names(const tm_past *past, json_t *names)
{
    char name[400];
    size_t i;
    json_t *param;
    for (int k = 0; fixed[k]; k++) json_object_set_new(names, fixed[k], json_true());
    json_array_foreach(json_object_get(past->record, "params"), i, param)
        json_object_set_new(names, json_string_value(json_object_get(param, "name")), json_true());
    for (size_t n = 0; n < past->n_nodes; n++)
        for (size_t k = 0; k < past->nodes[n].n_series; k++) {
            const char *metric = past->nodes[n].series[k].name;
            json_object_set_new(names, metric, json_true());
            snprintf(name, sizeof name, "%s.%s", past->nodes[n].name, metric);
            json_object_set_new(names, name, json_true());
        }
}

bool tm_metric_minor(const char *name)
{
    return strncmp(name, "train.", 6) == 0 || strncmp(name, "rate", 4) == 0 ||
           (strncmp(name, "valid.", 6) == 0 && strcmp(name, "valid.loss") != 0);
}
