// SPDX-License-Identifier: Apache-2.0
// Lists of past runs.
#include "lua/past/past_list.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/nearest.h"
#include "lua/past/compare.h"
#include "lua/past/past.h"

enum { MANY = 4 }; // nodes of a run

static tm_status read_one(tm_store *store, uint64_t number, tm_past_list *list, tm_error *err)
{
    char run[32];
    tm_past *past = &list->runs[list->n];
    snprintf(run, sizeof run, "r%llu", (unsigned long long)number);
    tm_status status = tm_past_read(store, run, past, err);
    if (status == TM_ENOENT) return TM_OK;
    TM_TRY(status);
    list->n++;
    return tm_past_results(past, store, err);
}

tm_status tm_past_list_read(tm_store *store, size_t last, tm_past_list *list, tm_error *err)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    *list = (tm_past_list){0};
    TM_TRY(tm_run_list(store, &numbers, &n, err));
    list->runs = tm_calloc(n + 1, sizeof *list->runs);
    tm_status status = list->runs ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for %zu runs", n);
    for (size_t i = last && n > last ? n - last : 0; status >= 0 && i < n; i++)
        status = read_one(store, numbers[i], list, err);
    tm_free(numbers);
    if (status < 0) tm_past_list_clear(list);
    return status;
}

void tm_past_list_clear(tm_past_list *list)
{
    for (size_t i = 0; i < list->n; i++) tm_past_clear(&list->runs[i]);
    tm_free(list->runs);
    *list = (tm_past_list){0};
}

// ---- choosing ----

void tm_past_list_keep(tm_past_list *list, const tm_where *where)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (tm_where_holds(where, &list->runs[i]))
            list->runs[n++] = list->runs[i];
        else
            tm_past_clear(&list->runs[i]);
    }
    list->n = n;
}

void tm_past_list_last(tm_past_list *list, size_t n)
{
    if (list->n <= n) return;
    size_t more = list->n - n;
    for (size_t i = 0; i < more; i++) tm_past_clear(&list->runs[i]);
    memmove(list->runs, list->runs + more, n * sizeof *list->runs);
    list->n = n;
}

typedef struct order {
    const char *name;
    bool down;
} order;

static int by_fact(const void *a, const void *b, void *arg)
{
    const order *o = arg;
    tm_fact x = tm_fact_of(a, o->name), y = tm_fact_of(b, o->name);
    int way = o->down ? -1 : 1;
    if (x.kind == TM_FACT_NONE || y.kind == TM_FACT_NONE)
        return (x.kind == TM_FACT_NONE) - (y.kind == TM_FACT_NONE);
    if (x.kind != TM_FACT_NUMBER || y.kind != TM_FACT_NUMBER) return way * strcmp(x.text, y.text);
    bool x_nan = x.number != x.number, y_nan = y.number != y.number;
    if (x_nan || y_nan) return x_nan - y_nan;
    return way * ((x.number > y.number) - (x.number < y.number));
}

tm_status tm_past_list_sort(tm_past_list *list, const char *name, const json_t *names, tm_error *err)
{
    order o = {.name = name + (name[0] == '-'), .down = name[0] == '-'};
    if (strcmp(o.name, "run") == 0 || strcmp(o.name, "name") == 0) o.name = "when";
    if (!json_object_get(names, o.name)) {
        const char *near = tm_nearest_key(names, o.name);
        tm_fail_as(err, TM_EINVAL, "TM0004", "--sort: no run here has a \"%s\"", o.name);
        if (near) tm_hint(err, "did you mean %s?", near);
        return TM_EINVAL;
    }
    qsort_r(list->runs, list->n, sizeof *list->runs, by_fact, &o);
    return TM_OK;
}

void tm_past_list_say_mixed(const tm_past_list *list, const char *name)
{
    char names[300];
    for (size_t i = list->n; i-- > 0;) {
        if (!tm_fact_mixed(&list->runs[i], name, names)) continue;
        fprintf(stderr, "%s is %s.%s in %s, the last stage that has it, of %s\n", name,
                tm_fact_of(&list->runs[i], name).node, name, list->runs[i].run, names);
        return;
    }
}

// ---- what tells them apart ----

static void add_params(const tm_past *past, json_t *names)
{
    size_t i;
    json_t *param;
    json_array_foreach(json_object_get(past->record, "params"), i, param)
        json_object_set_new(names, json_string_value(json_object_get(param, "name")), json_true());
}

json_t *tm_past_list_columns(const tm_past_list *list)
{
    char name[400];
    json_t *names = json_object();
    for (size_t i = 0; i < list->n; i++) add_params(&list->runs[i], names);
    for (size_t i = 0; i < list->n; i++)
        for (size_t n = 0; n < list->runs[i].n_nodes; n++) {
            const tm_past_node *node = &list->runs[i].nodes[n];
            for (size_t k = 0; k < node->n_series; k++) {
                snprintf(name, sizeof name, "%s.%s", node->name, node->series[k].name);
                json_object_set_new(names, name, json_true());
            }
        }
    return names;
}

static bool differs(const tm_past_list *list, const char *name)
{
    const char *first = NULL;
    tm_fact a = {0};
    for (size_t i = 0; i < list->n; i++) {
        tm_fact b = tm_fact_of(&list->runs[i], name);
        if (b.kind == TM_FACT_NONE) continue;
        if (first && strcmp(a.text, b.text) != 0) return true;
        a = b;
        first = name;
    }
    return false;
}

void tm_past_list_params(const tm_past_list *list, size_t most, json_t *names)
{
    const char *name;
    json_t *unused, *all = json_object();
    for (size_t i = 0; i < list->n; i++) add_params(&list->runs[i], all);
    json_object_foreach(all, name, unused)
    {
        if (!most || json_object_get(names, name) || !differs(list, name)) continue;
        json_object_set_new(names, name, json_true());
        most--;
    }
    json_decref(all);
}

// Of two metrics that as many runs have, the one that is worth more.
static int worth(const char *name)
{
    return strcmp(name, "valid.loss") == 0 ? 3 : tm_metric_minor(name) ? 1 : 2;
}

typedef struct holders {
    json_t *nodes;  // metric -> how many nodes of a run have it that are no points of a sweep
    json_t *points; // metric -> how many points
} holders;

static void count_one(json_t *counts, const char *name, json_int_t first, json_int_t more)
{
    const json_t *count = json_object_get(counts, name);
    json_object_set_new(counts, name, json_integer((count ? json_integer_value(count) : first) + more));
}

static holders holders_of(const tm_past *past)
{
    holders h = {json_object(), json_object()};
    for (size_t n = 0; n < past->n_nodes; n++) {
        const tm_past_node *node = &past->nodes[n];
        json_t *counts = tm_compare_sweep_size(node->name) ? h.points : h.nodes;
        for (size_t k = 0; k < node->n_series; k++) count_one(counts, node->series[k].name, 0, 1);
    }
    return h;
}

// By its own name a metric counts that one node of the run has, or points of a sweep alone, else by
// NODE.NAME. What many nodes have, and tables of points, is none of the run's. "" if it is nothing to count.
static void counted_name(const tm_past_node *node, const char *metric, const holders *h, bool mixed,
                         char name[400])
{
    json_int_t nodes = json_integer_value(json_object_get(h->nodes, metric));
    json_int_t points = json_integer_value(json_object_get(h->points, metric));
    bool point = tm_compare_sweep_size(node->name) > 0, bare = !mixed && nodes + (points > 0) == 1;
    name[0] = 0;
    if (strchr(metric, '=') || strncmp(metric, "train.", 6) == 0 || nodes > MANY || (point && !bare)) return;
    snprintf(name, 400, "%s%s%s", bare ? "" : node->name, bare ? "" : ".", metric);
}

// Adds a run to the counts of those that have each metric. `mixed`: names that stand for several things.
static void count_run(const tm_past *past, const json_t *mixed, json_t *counts)
{
    char name[400];
    json_t *seen = json_object();
    holders h = holders_of(past);
    for (size_t n = 0; n < past->n_nodes; n++)
        for (size_t k = 0; k < past->nodes[n].n_series; k++) {
            const char *metric = past->nodes[n].series[k].name;
            counted_name(&past->nodes[n], metric, &h, json_object_get(mixed, metric) != NULL, name);
            if (!name[0] || json_object_get(seen, name)) continue;
            json_object_set_new(seen, name, json_true());
            count_one(counts, name, worth(metric), 4);
        }
    json_decref(h.nodes);
    json_decref(h.points);
    json_decref(seen);
}

// Metrics that stages of several kinds have in one of the runs.
static json_t *mixed_names(const tm_past_list *list)
{
    char names[300];
    json_t *mixed = json_object();
    for (size_t i = 0; i < list->n; i++)
        for (size_t n = 0; n < list->runs[i].n_nodes; n++)
            for (size_t k = 0; k < list->runs[i].nodes[n].n_series; k++) {
                const char *metric = list->runs[i].nodes[n].series[k].name;
                if (!json_object_get(mixed, metric) && tm_fact_mixed(&list->runs[i], metric, names))
                    json_object_set_new(mixed, metric, json_true());
            }
    return mixed;
}

void tm_past_list_metrics(const tm_past_list *list, size_t most, json_t *names)
{
    json_t *counts = json_object(), *mixed = mixed_names(list), *count;
    for (size_t i = 0; i < list->n; i++) count_run(&list->runs[i], mixed, counts);
    json_decref(mixed);
    for (; most && json_object_size(counts); most--) {
        const char *name, *best = NULL;
        json_int_t most_runs = 0;
        json_object_foreach(counts, name, count)
        {
            if (json_integer_value(count) > most_runs) {
                most_runs = json_integer_value(count);
                best = name;
            }
        }
        if (!best) break;
        json_object_set_new(names, best, json_true());
        json_object_del(counts, best);
    }
    json_decref(counts);
}
