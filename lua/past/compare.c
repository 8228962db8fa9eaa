// SPDX-License-Identifier: Apache-2.0
// Rows to compare.
#include "lua/past/compare.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/nearest.h"
#include "lua/past/past.h"

// ---- order ----

static const json_t *key_of(const json_t *row, const char *name)
{
    const json_t *param = json_object_get(json_object_get(row, "params"), name);
    const json_t *metric = json_object_get(json_object_get(row, "metrics"), name);
    if (param) return param;
    if (metric) return json_object_get(metric, "value");
    return strcmp(name, "seconds") == 0 || strcmp(name, "name") == 0 ? json_object_get(row, name) : NULL;
}

static bool none(const json_t *key)
{
    return !key || json_is_null(key);
}

static int order_of(const json_t *a, const json_t *b, bool down)
{
    if (none(a) || none(b)) return none(a) - none(b);
    double x = json_number_value(a), y = json_number_value(b);
    bool texts = json_is_string(a) && json_is_string(b);
    int order = texts ? strcmp(json_string_value(a), json_string_value(b)) : (x > y) - (x < y);
    return down ? -order : order;
}

typedef struct sorted {
    json_t *row;
    const json_t *key;
    size_t i;
} sorted;

static int by_key(const void *a, const void *b, void *down)
{
    const sorted *x = a, *y = b;
    int order = order_of(x->key, y->key, *(bool *)down);
    return order ? order : (x->i > y->i) - (x->i < y->i);
}

// ---- the points of a sweep ----

// The length of one value: a number, or what is before the next dot or comma. So "0.003.exam" is 0.003.
static size_t value_size(const char *text)
{
    char *end;
    strtod(text, &end);
    size_t n = (size_t)(end - text);
    if (n && (!*end || *end == ',' || *end == '.')) return n;
    return strcspn(text, ".,");
}

// The length of "lr=1e-4,rank=8" at the beginning of a text; 0 if it is no point.
static size_t point_size(const char *text)
{
    size_t at = 0;
    for (;;) {
        size_t name = strcspn(text + at, "=,./");
        if (!name || text[at + name] != '=') return 0;
        at += name + 1;
        at += value_size(text + at);
        if (text[at] != ',') return text[at] && text[at] != '.' ? 0 : at;
        at++;
    }
}

// The point that a node belongs to: where it begins and its length, and what follows (".exam" or "").
static const char *point_of(const char *node, const char *sweep, size_t *size)
{
    size_t n = strlen(sweep);
    if (strncmp(node, sweep, n) != 0 || node[n] != '/') return NULL;
    *size = point_size(node + n + 1);
    return *size ? node + n + 1 : NULL;
}

static json_t *params_of(const char *point, size_t size)
{
    json_t *params = json_object();
    for (size_t at = 0; at < size;) {
        char name[64], value[96], *end;
        size_t n = strcspn(point + at, "=");
        snprintf(name, sizeof name, "%.*s", (int)n, point + at);
        at += n + 1;
        size_t v = value_size(point + at);
        snprintf(value, sizeof value, "%.*s", (int)v, point + at);
        double number = strtod(value, &end);
        bool text = !v || *end;
        json_object_set_new(params, name, text ? json_string(value) : json_real(number));
        at += v + 1;
    }
    return params;
}

static void set_metric(json_t *metrics, const char *name, const tm_past_series *s)
{
    size_t i = s->n - 1;
    json_object_set_new(metrics, name,
                        json_pack("{s:o, s:o*, s:I}", "value", tm_number_json(s->values[i]), "error",
                                  json_real(s->errors[i]), "step", (json_int_t)s->steps[i]));
}

// `part` tells nodes of one point apart that have metrics of the same name.
static void add_metrics(json_t *row, const tm_past_node *node, const char *part, bool all)
{
    char name[300];
    json_t *metrics = json_object_get(row, "metrics");
    for (size_t k = 0; k < node->n_series; k++) {
        const tm_past_series *s = &node->series[k];
        if (!all && tm_metric_minor(s->name)) continue;
        bool taken = json_object_get(metrics, s->name) != NULL && part[0];
        snprintf(name, sizeof name, "%s%s%s", taken ? part + 1 : "", taken ? "." : "", s->name);
        set_metric(metrics, name, s);
    }
}

// Of the nodes of a point: the worst that happened to any of them.
static const char *worse(const char *a, const char *b)
{
    static const char *const states[] = {"failed", "not run", "stopped", "waiting",
                                         "running", "done",    "cached",  NULL};
    for (int i = 0; states[i]; i++)
        if (strcmp(a, states[i]) == 0 || strcmp(b, states[i]) == 0) return states[i];
    return b;
}

static void add_node(json_t *row, const tm_past *past, const tm_past_node *node, const char *part, bool all)
{
    const tm_past_node *work = tm_past_work(past, node);
    const char *state = json_string_value(json_object_get(row, "state"));
    double seconds = json_number_value(json_object_get(row, "seconds"));
    json_object_set_new(row, "state", json_string(state ? worse(state, work->state) : work->state));
    json_object_set_new(row, "seconds", json_real(seconds + (work->seconds > 0 ? work->seconds : 0)));
    add_metrics(row, work, part, all);
}

static json_t *row_named(json_t *rows, json_t *index, const char *name, const char *point, size_t size)
{
    json_t *row = json_object_get(index, name);
    if (row) return row;
    row = json_pack("{s:s, s:o, s:{}}", "name", name, "params", params_of(point, size), "metrics");
    json_array_append(rows, row);
    json_object_set_new(index, name, row);
    return row;
}

// By the first value that differs, numbers as numbers.
static int by_values(const void *a, const void *b)
{
    const sorted *x = a, *y = b;
    const char *name;
    json_t *value, *params = json_object_get(y->row, "params");
    json_object_foreach(json_object_get(x->row, "params"), name, value)
    {
        int order = order_of(value, json_object_get(params, name), false);
        if (order) return order;
    }
    return (x->i > y->i) - (x->i < y->i);
}

static void order_points(json_t *rows)
{
    size_t n = json_array_size(rows);
    sorted *all = tm_calloc(n + 1, sizeof *all);
    if (!all) return; // as they come then
    for (size_t i = 0; i < n; i++) all[i] = (sorted){json_incref(json_array_get(rows, i)), NULL, i};
    qsort(all, n, sizeof *all, by_values);
    for (size_t i = 0; i < n; i++) json_array_set_new(rows, i, all[i].row);
    tm_free(all);
}

json_t *tm_compare_sweep(const tm_past *past, const char *sweep, bool all)
{
    json_t *rows = json_array(), *index = json_object();
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_node *node = &past->nodes[i];
        char name[200];
        size_t size;
        const char *point = point_of(node->name, sweep, &size);
        if (!point) continue;
        snprintf(name, sizeof name, "%.*s", (int)size, point);
        add_node(row_named(rows, index, name, point, size), past, node, point + size, all);
    }
    json_decref(index);
    order_points(rows);
    return rows;
}

size_t tm_compare_sweep_size(const char *node)
{
    const char *slash = strchr(node, '/');
    while (slash && !point_size(slash + 1)) slash = strchr(slash + 1, '/');
    return slash ? (size_t)(slash - node) : 0;
}

json_t *tm_compare_sweeps(const tm_past *past)
{
    json_t *sweeps = json_object();
    for (size_t i = 0; i < past->n_nodes; i++) {
        const char *name = past->nodes[i].name, *slash = strrchr(name, '/');
        char sweep[200];
        if (!slash || !point_size(slash + 1)) continue;
        snprintf(sweep, sizeof sweep, "%.*s", (int)(slash - name), name);
        json_object_set_new(sweeps, sweep, json_true());
    }
    return sweeps;
}

// ---- runs ----

static void add_run_metrics(json_t *row, const tm_past *past, bool all)
{
    char name[400];
    for (size_t i = 0; i < past->n_nodes; i++)
        for (size_t k = 0; k < past->nodes[i].n_series; k++) {
            const tm_past_series *s = &past->nodes[i].series[k];
            if (!all && tm_metric_minor(s->name)) continue;
            snprintf(name, sizeof name, "%s.%s", past->nodes[i].name, s->name);
            set_metric(json_object_get(row, "metrics"), name, s);
        }
}

json_t *tm_compare_runs(const tm_past_list *list, bool all)
{
    const char *name;
    json_t *unused, *rows = json_array(), *params = json_object();
    tm_past_list_params(list, SIZE_MAX, params);
    for (size_t i = 0; i < list->n; i++) {
        const tm_past *p = &list->runs[i];
        json_t *row = json_pack("{s:s, s:s, s:f, s:{}, s:{}}", "name", p->run, "state", tm_past_status(p),
                                "seconds", tm_past_seconds(p), "params", "metrics");
        json_object_foreach(params, name, unused)
        {
            tm_fact fact = tm_fact_of(p, name);
            if (fact.kind == TM_FACT_NONE) continue;
            json_object_set_new(json_object_get(row, "params"), name,
                                fact.kind == TM_FACT_NUMBER ? json_real(fact.number)
                                                            : json_string(fact.text));
        }
        add_run_metrics(row, p, all);
        json_array_append_new(rows, row);
    }
    json_decref(params);
    return rows;
}

// ---- sorting ----

static tm_status sort_rows(json_t *rows, const char *name, bool down, tm_error *err)
{
    size_t n = json_array_size(rows);
    sorted *all = tm_calloc(n + 1, sizeof *all);
    if (!all) return tm_fail(err, TM_ENOMEM, "no memory to sort %zu rows", n);
    for (size_t i = 0; i < n; i++) {
        json_t *row = json_incref(json_array_get(rows, i));
        all[i] = (sorted){row, key_of(row, name), i};
    }
    qsort_r(all, n, sizeof *all, by_key, &down);
    for (size_t i = 0; i < n; i++) json_array_set_new(rows, i, all[i].row);
    tm_free(all);
    return TM_OK;
}

static json_t *names_of(const json_t *rows)
{
    static const char *const parts[] = {"params", "metrics", NULL};
    const char *name;
    size_t i;
    json_t *row, *unused, *names = json_pack("{s:b, s:b}", "seconds", 1, "name", 1);
    json_array_foreach((json_t *)rows, i, row) for (int k = 0; parts[k]; k++)
        json_object_foreach(json_object_get(row, parts[k]), name, unused)
            json_object_set_new(names, name, json_true());
    return names;
}

// The name that ends in ".NAME": NULL if there is none, or several, which are `listed`.
static const char *longer_name(const json_t *names, const char *name, char listed[300])
{
    const char *one, *found = NULL;
    json_t *unused;
    size_t at = 0, size = strlen(name);
    int n = 0;
    listed[0] = 0;
    json_object_foreach((json_t *)names, one, unused)
    {
        size_t whole = strlen(one);
        if (whole <= size || one[whole - size - 1] != '.' || strcmp(one + whole - size, name) != 0) continue;
        if (at < 200) at += (size_t)snprintf(listed + at, 300 - at, "%s%.90s", at ? ", " : "", one);
        found = one;
        n++;
    }
    return n == 1 ? found : NULL;
}

tm_status tm_compare_sort(json_t *rows, const char *name, tm_error *err)
{
    bool down = name[0] == '-';
    char listed[300] = "";
    json_t *names = names_of(rows);
    tm_status status;
    name += down;
    if (!json_object_get(names, name) && strcmp(name, "took") == 0) name = "seconds"; // as the column says
    const char *longer = json_object_get(names, name) ? name : longer_name(names, name, listed);
    if (longer) {
        status = sort_rows(rows, longer, down, err);
    } else {
        const char *near = tm_nearest_key(names, name);
        status = tm_fail(err, TM_EINVAL, "--sort: there is no \"%s\" to sort by", name);
        if (listed[0])
            tm_hint(err, "which one is meant: %s?", listed);
        else if (near)
            tm_hint(err, "did you mean %s?", near);
    }
    json_decref(names);
    return status;
}
