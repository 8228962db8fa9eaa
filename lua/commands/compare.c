// SPDX-License-Identifier: Apache-2.0
// compare: the points of a sweep, or several runs, as one table: what differs, and what came of it.
#include <stdio.h>

#include "engine/base/nearest.h"
#include "lua/cli/counts.h"
#include "lua/cli/session.h"
#include "lua/cli/table.h"
#include "lua/past/compare.h"
#include "lua/past/past.h"
#include "lua/past/run_name.h"

static const tm_flag flags[] = {
    {"--sort", 0, "NAME",
     "by a metric, a parameter, seconds; -NAME: the other way (default: as in the graph)"},
    {"--full", 0, NULL, "all metrics, also those of training batches"},
    {"--csv", 0, NULL, "as CSV"},
    {0},
};

// ---- the table ----

// Names of what rows have under `part`, in order.
static json_t *columns(const json_t *rows, const char *part)
{
    size_t i;
    const char *name;
    json_t *row, *unused, *names = json_object();
    json_array_foreach((json_t *)rows, i, row) json_object_foreach(json_object_get(row, part), name, unused)
        json_object_set_new(names, name, json_true());
    return names;
}

static void param_cell(tm_table *t, const json_t *value, bool csv)
{
    char text[32];
    if (json_is_string(value))
        tm_table_cell(t, "%s", json_string_value(value));
    else if (!value)
        tm_table_cell(t, "%s", "");
    else if (csv)
        tm_table_cell(t, "%.10g", json_number_value(value));
    else
        tm_table_cell(t, "%s", tm_number_text(json_number_value(value), text));
}

static void metric_cell(tm_table *t, const json_t *metric, bool csv)
{
    char text[32];
    const json_t *value = json_object_get(metric, "value"), *error = json_object_get(metric, "error");
    if (!metric)
        tm_table_cell(t, "%s", "");
    else if (json_is_null(value))
        tm_table_cell(t, "%s", "nan");
    else if (csv)
        tm_table_cell(t, "%.10g", json_number_value(value));
    else if (error)
        tm_table_cell(t, "%s +-%.2g", tm_number_text(json_number_value(value), text),
                      json_number_value(error));
    else
        tm_table_cell(t, "%s", tm_number_text(json_number_value(value), text));
}

static void fill(tm_table *t, const json_t *row, const json_t *params, const json_t *metrics, bool sweep,
                 bool csv)
{
    char took[32];
    const char *name;
    json_t *unused;
    double seconds = json_number_value(json_object_get(row, "seconds"));
    if (!sweep) tm_table_cell(t, "%s", json_string_value(json_object_get(row, "name")));
    json_object_foreach((json_t *)params, name, unused)
        param_cell(t, json_object_get(json_object_get(row, "params"), name), csv);
    json_object_foreach((json_t *)metrics, name, unused)
        metric_cell(t, json_object_get(json_object_get(row, "metrics"), name), csv);
    tm_table_cell(t, "%s", json_string_value(json_object_get(row, "state")));
    if (csv)
        tm_table_cell(t, "%.3f", seconds);
    else
        tm_table_cell(t, "%s", tm_duration_text(seconds, took));
}

static void print(const json_t *rows, bool sweep, bool csv)
{
    size_t i;
    const char *name;
    json_t *row, *unused, *params = columns(rows, "params"), *metrics = columns(rows, "metrics");
    tm_table *t = tm_table_new();
    if (!sweep) tm_table_column(t, "run", false);
    json_object_foreach(params, name, unused) tm_table_column(t, name, true);
    json_object_foreach(metrics, name, unused)
    {
        tm_table_column(t, name, true);
        tm_table_optional(t, 1);
    }
    tm_table_column(t, sweep ? "state" : "status", false);
    tm_table_column(t, csv ? "seconds" : "took", true);
    json_array_foreach((json_t *)rows, i, row) fill(t, row, params, metrics, sweep, csv);
    if (csv)
        tm_table_csv(t, stdout);
    else
        tm_table_print(t, stdout);
    tm_table_free(t);
    json_decref(params);
    json_decref(metrics);
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

// The only sweep of a run, or the one named.
static tm_status sweep_rows(const tm_cli *cli, tm_past *past, const char *word, json_t **rows, tm_error *err)
{
    json_t *sweeps = tm_compare_sweeps(past);
    const char *only = json_object_size(sweeps) == 1 ? json_object_iter_key(json_object_iter(sweeps)) : NULL;
    const char *sweep = word && word[0] ? word : only;
    if (sweep) *rows = tm_compare_sweep(past, sweep, tm_cli_flag(cli, "--full") != NULL);
    json_decref(sweeps);
    return json_array_size(*rows) ? TM_OK : no_sweep(past, word && word[0] ? word : NULL, err);
}

// The latest run that has the sweep; else, for the nearest name, the latest that has any.
static tm_status search(tm_store *store, const char *sweep, tm_past *past, tm_error *err)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    char run[32], any[32] = "";
    bool found = false;
    TM_TRY(tm_run_list(store, &numbers, &n, err));
    while (n-- > 0 && !found) {
        snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[n]);
        if (tm_past_read(store, run, past, NULL) < 0) continue;
        json_t *sweeps = tm_compare_sweeps(past);
        found = json_object_get(sweeps, sweep) != NULL;
        if (!any[0] && json_object_size(sweeps)) snprintf(any, sizeof any, "%s", run);
        json_decref(sweeps);
        if (!found) tm_past_clear(past);
    }
    tm_free(numbers);
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

static tm_status run_rows(const tm_cli *cli, tm_store *store, json_t **rows, tm_error *err)
{
    tm_past_list list = {.runs = tm_calloc((size_t)cli->n_args + 1, sizeof *list.runs)};
    tm_status status = list.runs ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for %d runs", cli->n_args);
    for (int i = 0; status >= 0 && i < cli->n_args; i++) {
        status = tm_past_read(store, cli->args[i], &list.runs[list.n], err);
        if (status >= 0) status = tm_past_results(&list.runs[list.n++], store, err);
    }
    if (status >= 0) *rows = tm_compare_runs(&list, tm_cli_flag(cli, "--full") != NULL);
    tm_past_list_clear(&list);
    return status;
}

static tm_status compare(const tm_cli *cli, tm_store *store, tm_error *err)
{
    tm_past past = {0};
    json_t *rows = NULL;
    const char *word, *sort = tm_cli_flag(cli, "--sort");
    bool sweep = cli->n_args == 1;
    tm_status status =
        sweep ? read_sweep(store, cli->args[0], &past, &word, err) : run_rows(cli, store, &rows, err);
    if (sweep && status >= 0) status = sweep_rows(cli, &past, word, &rows, err);
    if (status >= 0 && sort) status = tm_compare_sort(rows, sort, err);
    if (status >= 0 && cli->json)
        tm_cli_print(cli, json_pack("{s:O}", "rows", rows));
    else if (status >= 0)
        print(rows, sweep, tm_cli_flag(cli, "--csv") != NULL);
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
