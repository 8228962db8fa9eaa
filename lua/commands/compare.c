// SPDX-License-Identifier: Apache-2.0
// compare: the points of a sweep, or several runs, as one table: what differs, and what came of it.
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/nearest.h"
#include "lua/cli/counts.h"
#include "lua/cli/session.h"
#include "lua/cli/table.h"
#include "lua/past/compare.h"
#include "lua/past/fact.h"
#include "lua/past/past.h"
#include "lua/past/past_list.h"
#include "lua/past/run_name.h"

static const tm_flag flags[] = {
    {"--sort", 0, "NAME",
     "by a metric, a parameter, seconds; -NAME: the other way (default: points by their values)"},
    {"--full", 0, NULL, "all metrics, also those that are the same in all, and of training batches"},
    {"--csv", 0, NULL, "as CSV"},
    {0},
};

// ---- the table ----

// What is told of each row.
typedef struct fact {
    enum { NAME, PARAM, METRIC, STATE, TIME } kind;
    const char *name;
} fact;

typedef struct sheet {
    const json_t *rows;
    json_t *params, *metrics; // names that rows have
    fact *facts;
    size_t n, same;           // `same`: metrics that are left out, as they are the same in all rows
    bool sweep, csv;
} sheet;

// Names of what rows have under `part`, in order.
static json_t *names_of(const json_t *rows, const char *part)
{
    size_t i;
    const char *name;
    json_t *row, *unused, *names = json_object();
    json_array_foreach((json_t *)rows, i, row) json_object_foreach(json_object_get(row, part), name, unused)
        json_object_set_new(names, name, json_true());
    return names;
}

static const json_t *value_of(const fact *f, const json_t *row)
{
    switch (f->kind) {
    case PARAM: return json_object_get(json_object_get(row, "params"), f->name);
    case METRIC: return json_object_get(json_object_get(row, "metrics"), f->name);
    case STATE: return json_object_get(row, "state");
    case TIME: return json_object_get(row, "seconds");
    case NAME: break;
    }
    return json_object_get(row, "name");
}

static bool differs(const sheet *s, const fact *f)
{
    size_t i;
    json_t *row;
    const json_t *first = value_of(f, json_array_get(s->rows, 0));
    json_array_foreach((json_t *)s->rows, i, row)
    {
        const json_t *value = value_of(f, row);
        if (value != first && !(value && first && json_equal(value, first))) return true;
    }
    return json_array_size(s->rows) == 1;
}

// `all`: also what is the same in all rows.
static void add_fact(sheet *s, int kind, const char *name, bool all)
{
    fact f = {.kind = kind, .name = name};
    if (all || differs(s, &f)) s->facts[s->n++] = f;
    else s->same += kind == METRIC;
}

static bool collect(sheet *s, bool full)
{
    const char *name;
    json_t *unused;
    s->params = names_of(s->rows, "params");
    s->metrics = names_of(s->rows, "metrics");
    s->facts = calloc(json_object_size(s->params) + json_object_size(s->metrics) + 3, sizeof *s->facts);
    if (!s->facts) return false;
    if (!s->sweep) add_fact(s, NAME, "run", true);
    json_object_foreach(s->params, name, unused) add_fact(s, PARAM, name, true);
    json_object_foreach(s->metrics, name, unused) add_fact(s, METRIC, name, s->csv || full);
    add_fact(s, STATE, s->sweep ? "state" : "status", s->csv);
    add_fact(s, TIME, s->csv ? "seconds" : "took", true);
    return true;
}

static const char *number_text(const sheet *s, double number, char text[32])
{
    if (!s->csv) return tm_number_text(number, text);
    snprintf(text, 32, "%.10g", number);
    return text;
}

static void metric_cell(const sheet *s, tm_table *t, const json_t *metric)
{
    char text[32];
    const json_t *value = json_object_get(metric, "value"), *error = json_object_get(metric, "error");
    if (!metric)
        tm_table_cell(t, "%s", "");
    else if (json_is_null(value))
        tm_table_cell(t, "%s", "nan");
    else if (error && !s->csv)
        tm_table_cell(t, "%s +-%.2g", number_text(s, json_number_value(value), text),
                      json_number_value(error));
    else
        tm_table_cell(t, "%s", number_text(s, json_number_value(value), text));
}

// The value of a parameter as the name of a point spells it: 1e-3 of "decay=none,lr=1e-3".
static bool spelled(const json_t *row, const char *param, char text[96])
{
    const char *at = json_string_value(json_object_get(row, "name"));
    size_t n = strlen(param);
    for (; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, param, n) != 0 || at[n] != '=') continue;
        snprintf(text, 96, "%.*s", (int)strcspn(at + n + 1, ","), at + n + 1);
        return true;
    }
    return false;
}

static void cell(const sheet *s, tm_table *t, const fact *f, const json_t *row)
{
    char text[32], value_text[96];
    const json_t *value = value_of(f, row);
    if (f->kind == PARAM && s->sweep && !s->csv && spelled(row, f->name, value_text))
        tm_table_cell(t, "%s", value_text);
    else if (f->kind == METRIC)
        metric_cell(s, t, value);
    else if (f->kind == TIME && s->csv)
        tm_table_cell(t, "%.3f", json_number_value(value));
    else if (f->kind == TIME)
        tm_table_cell(t, "%s", tm_duration_text(json_number_value(value), text));
    else if (json_is_number(value))
        tm_table_cell(t, "%s", number_text(s, json_number_value(value), text));
    else
        tm_table_cell(t, "%s", value ? json_string_value(value) : "");
}

// A line for each run or point.
static tm_table *table_of_rows(const sheet *s)
{
    size_t i;
    json_t *row;
    tm_table *t = tm_table_new();
    for (size_t k = 0; k < s->n; k++)
        tm_table_column(t, s->facts[k].name, s->facts[k].kind != NAME && s->facts[k].kind != STATE);
    json_array_foreach((json_t *)s->rows, i, row) for (size_t k = 0; k < s->n; k++)
        cell(s, t, &s->facts[k], row);
    return t;
}

// A line for each fact. Points are called by their parameters.
static tm_table *table_of_facts(const sheet *s)
{
    size_t i;
    json_t *row;
    tm_table *t = tm_table_new();
    tm_table_column(t, "", false);
    json_array_foreach((json_t *)s->rows, i, row)
        tm_table_column(t, json_string_value(json_object_get(row, "name")), true);
    for (size_t k = 0; k < s->n; k++) {
        if (s->facts[k].kind == NAME || (s->sweep && s->facts[k].kind == PARAM)) continue;
        tm_table_cell(t, "%s", s->facts[k].name);
        json_array_foreach((json_t *)s->rows, i, row) cell(s, t, &s->facts[k], row);
    }
    return t;
}

// What stays at the left when the rest comes in parts.
static size_t head_of(const sheet *s)
{
    size_t n = 0;
    while (n < s->n && s->facts[n].kind <= PARAM) n++;
    return n;
}

// As it is if that fits, else turned if that does, else in parts: the way that takes fewer lines.
static void print_readable(const sheet *s, const tm_table *rows)
{
    size_t head = head_of(s), parts = tm_table_parts(rows, head, stdout);
    tm_table *facts = parts > 1 ? table_of_facts(s) : NULL;
    size_t turned = tm_table_parts(facts, 1, stdout);
    if (turned == 1 || (facts && turned * s->n < parts * (json_array_size(s->rows) + 1)))
        tm_table_print_parts(facts, 1, stdout);
    else
        tm_table_print_parts(rows, head, stdout);
    tm_table_free(facts);
}

static tm_status print(const json_t *rows, bool sweep, bool csv, bool full, tm_error *err)
{
    sheet s = {.rows = rows, .sweep = sweep, .csv = csv};
    bool good = collect(&s, full);
    tm_table *t = good ? table_of_rows(&s) : NULL;
    if (csv)
        tm_table_csv(t, stdout);
    else if (t)
        print_readable(&s, t);
    if (s.same) printf("%zu measure%s the same in all (--full)\n", s.same, s.same == 1 ? "" : "s");
    tm_table_free(t);
    json_decref(s.params);
    json_decref(s.metrics);
    free(s.facts);
    return good ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for a table");
}

// ---- what is compared ----

static tm_status no_sweep(const tm_past *past, const char *word, tm_error *err)
{
    json_t *sweeps = tm_compare_sweeps(past);
    const char *near = word ? tm_nearest_key(sweeps, word) : NULL, *name;
    char list[300] = "";
    size_t at = 0;
    json_t *unused;
    json_object_foreach(sweeps, name, unused) if (at + 60 < sizeof list) at +=
        (size_t)snprintf(list + at, sizeof list - at, "%s%.50s", at ? ", " : "", name);
    if (word)
        tm_fail_as(err, TM_ENOENT, "TM0506", "run %s has no sweep \"%s\"", past->run, word);
    else
        tm_fail(err, TM_EINVAL, "run %s has %s", past->run, at ? "several sweeps: name one" : "no sweep");
    if (near)
        tm_hint(err, "did you mean %s?", near);
    else if (at)
        tm_hint(err, "its sweeps are %s", list);
    else
        tm_hint(err, "name several runs to compare these: tidemill compare r1 r2");
    json_decref(sweeps);
    return err->status;
}

// The only sweep of a run, or the one named. `title`: "r3:trials".
static tm_status sweep_rows(const tm_cli *cli, tm_past *past, const char *word, char title[300],
                            json_t **rows, tm_error *err)
{
    json_t *sweeps = tm_compare_sweeps(past);
    const char *only = json_object_size(sweeps) == 1 ? json_object_iter_key(json_object_iter(sweeps)) : NULL;
    const char *sweep = word && word[0] ? word : only;
    if (sweep) *rows = tm_compare_sweep(past, sweep, tm_cli_flag(cli, "--full") != NULL);
    if (sweep) snprintf(title, 300, "%s:%.200s", past->run, sweep);
    json_decref(sweeps);
    return json_array_size(*rows) ? TM_OK : no_sweep(past, word && word[0] ? word : NULL, err);
}

// What a smoke run made is nothing to use without knowing it.
static tm_status only_smoke(const char *run, const char *sweep, tm_error *err)
{
    tm_fail(err, TM_ENOENT, "only a smoke run has \"%s\" so far", sweep);
    tm_hint(err, "run the graph, or compare the points of the smoke run: tidemill compare %s:%s", run, sweep);
    return TM_ENOENT;
}

// The latest real run that has the sweep; else, for the nearest name, the latest that has any.
static tm_status search(tm_store *store, const char *sweep, tm_past *past, tm_error *err)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    char run[32], any[32] = "", smoke[32] = "";
    bool found = false;
    TM_TRY(tm_run_list(store, &numbers, &n, err));
    while (n-- > 0 && !found) {
        snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[n]);
        if (tm_past_read(store, run, past, NULL) < 0) continue;
        json_t *sweeps = tm_compare_sweeps(past);
        found = json_object_get(sweeps, sweep) != NULL;
        if (!any[0] && json_object_size(sweeps)) snprintf(any, sizeof any, "%s", run);
        json_decref(sweeps);
        if (found && json_is_true(json_object_get(past->record, "smoke"))) {
            if (!smoke[0]) snprintf(smoke, sizeof smoke, "%s", run);
            found = false;
        }
        if (!found) tm_past_clear(past);
    }
    tm_free(numbers);
    if (!found && smoke[0]) return only_smoke(smoke, sweep, err);
    return found ? TM_OK : tm_past_read(store, any[0] ? any : NULL, past, err);
}

// "r3:trials", "r3", "baseline", or "trials" of the latest run that has it.
static tm_status read_sweep(tm_store *store, const char *text, tm_past *past, const char **sweep,
                            tm_error *err)
{
    const char *colon = strchr(text, ':');
    char name[64], run[32];
    snprintf(name, sizeof name, "%.*s", colon ? (int)(colon - text) : 63, text);
    *sweep = colon ? colon + 1 : NULL;
    tm_status status = tm_run_name(store, name, run, err);
    if (status >= 0)
        status = tm_past_read(store, run, past, err);
    else if (!colon)
        status = search(store, *sweep = text, past, err);
    return status < 0 ? status : tm_past_results(past, store, err);
}

// As `runs` sorts them.
static tm_status sort_runs(tm_past_list *list, const char *sort, tm_error *err)
{
    if (!sort) return TM_OK;
    json_t *names = json_pack("{s:b}", "name", 1);
    for (size_t i = 0; i < list->n; i++) tm_fact_names(&list->runs[i], names);
    tm_status status = tm_past_list_sort(list, sort, names, err);
    json_decref(names);
    if (status >= 0) tm_past_list_say_mixed(list, sort + (sort[0] == '-'));
    return status;
}

static tm_status run_rows(const tm_cli *cli, tm_store *store, json_t **rows, tm_error *err)
{
    tm_past_list list = {.runs = tm_calloc((size_t)cli->n_args + 1, sizeof *list.runs)};
    tm_status status = list.runs ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for %d runs", cli->n_args);
    for (int i = 0; status >= 0 && i < cli->n_args; i++) {
        status = tm_past_read(store, cli->args[i], &list.runs[list.n], err);
        if (status >= 0) status = tm_past_results(&list.runs[list.n++], store, err);
    }
    if (status >= 0) status = sort_runs(&list, tm_cli_flag(cli, "--sort"), err);
    if (status >= 0) *rows = tm_compare_runs(&list, tm_cli_flag(cli, "--full") != NULL);
    tm_past_list_clear(&list);
    return status;
}

static tm_status compare(const tm_cli *cli, tm_store *store, tm_error *err)
{
    tm_past past = {0};
    json_t *rows = NULL;
    const char *word, *sort = tm_cli_flag(cli, "--sort");
    char title[300] = "";
    bool csv = tm_cli_flag(cli, "--csv") != NULL, smoke;
    bool sweep = cli->n_args == 1;
    tm_status status =
        sweep ? read_sweep(store, cli->args[0], &past, &word, err) : run_rows(cli, store, &rows, err);
    if (sweep && status >= 0) status = sweep_rows(cli, &past, word, title, &rows, err);
    smoke = json_is_true(json_object_get(past.record, "smoke"));
    if (status >= 0 && sort && sweep) status = tm_compare_sort(rows, sort, err);
    if (status >= 0 && cli->json)
        tm_cli_print(cli, json_pack("{s:s?, s:O}", "run", sweep ? past.run : NULL, "rows", rows));
    if (status >= 0 && !cli->json && !csv && sweep)
        printf("%s of %s%s\n", title, json_string_value(json_object_get(past.record, "graph")),
               smoke ? ", a smoke run" : "");
    if (status >= 0 && !cli->json)
        status = print(rows, sweep, csv, tm_cli_flag(cli, "--full") != NULL, err);
    json_decref(rows);
    tm_past_clear(&past);
    return status;
}

static int exec(tm_cli *cli)
{
    return tm_session_in_store(cli, compare);
}

const tm_command tm_command_compare = {
    .name = "compare",
    .brief = "Put the points of a sweep, or several runs, side by side: what differs, and what came of it.",
    .usage = "[RUN:]SWEEP | RUN RUN...",
    .example = "tidemill compare r12:trials --sort valid.loss",
    .min = 1,
    .max = -1,
    .flags = flags,
    .exec = exec,
};
