// SPDX-License-Identifier: Apache-2.0
// runs: what was run in this store, with what came of it.
#include <stdio.h>
#include <stdlib.h>

#include "lua/cli/session.h"
#include "lua/cli/table.h"
#include "lua/past/graph_name.h"
#include "lua/past/past.h"
#include "lua/past/past_list.h"
#include "lua/past/where.h"

static const tm_flag flags[] = {
    {"--where", 'w', "CONDITION", "only runs of which it holds: 'valid.loss < 1.9 and status == done'"},
    {"--sort", 0, "NAME", "by a parameter, a metric, seconds ..; -NAME: the other way (default: when)"},
    {"--last", 'n', "N", "only the last N (default 20; 0: all)"},
    {"--csv", 0, NULL, "as CSV, with all parameters and metrics"},
    {0},
};

enum { MAX_METRICS = 3, MAX_PARAMS = 3 };

// ---- JSON and CSV ----

static json_t *params_json(const tm_past *past)
{
    size_t i;
    json_t *param, *all = json_object();
    json_array_foreach(json_object_get(past->record, "params"), i, param) json_object_set(
        all, json_string_value(json_object_get(param, "name")), json_object_get(param, "value"));
    return all;
}

static json_t *metrics_json(const tm_past *past)
{
    json_t *all = json_object();
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_node *node = &past->nodes[i];
        json_t *of_node = json_object();
        for (size_t k = 0; k < node->n_series; k++) {
            const tm_past_series *s = &node->series[k];
            json_t *one =
                json_pack("{s:I, s:o, s:o*}", "step", (json_int_t)s->steps[s->n - 1], "value",
                          tm_number_json(s->values[s->n - 1]), "error", json_real(s->errors[s->n - 1]));
            json_object_set_new(of_node, s->name, one);
        }
        if (json_object_size(of_node)) json_object_set(all, node->name, of_node);
        json_decref(of_node);
    }
    return all;
}

static json_t *run_json(const tm_past *p)
{
    return json_pack("{s:s, s:s, s:O?, s:O?, s:I, s:f, s:O?, s:O?, s:O?, s:s?, s:O, s:o, s:o, s:O?, s:b}",
                     "run", p->run, "status", tm_past_status(p), "graph", json_object_get(p->record, "graph"), "path",
                     json_object_get(p->record, "path"), "started", (json_int_t)p->start_ms, "seconds",
                     tm_past_seconds(p), "done", json_object_get(p->end, "done"), "cached",
                     json_object_get(p->end, "cached"), "failed", json_object_get(p->end, "failed"), "note",
                     p->note, "tags", p->tags, "params", params_json(p), "metrics",
                     metrics_json(p), "git", json_object_get(p->record, "git"), "smoke",
                     json_is_true(json_object_get(p->record, "smoke")));
}

static void print_json(const tm_cli *cli, const tm_past_list *list)
{
    json_t *runs = json_array();
    for (size_t i = 0; i < list->n; i++) json_array_append_new(runs, run_json(&list->runs[i]));
    tm_cli_print(cli, json_pack("{s:o}", "runs", runs));
}

// The graph file of a run: with as many of its folders as tell it from files of that name in other places.
static const char *graph_text(const tm_past_list *list, const tm_past *run)
{
    const char *path = tm_graph_path(run->record);
    int folders = 0;
    for (size_t i = 0; i < list->n; i++) {
        int apart = tm_graph_apart(path, tm_graph_path(list->runs[i].record));
        if (apart > folders) folders = apart;
    }
    return tm_graph_tail(path, folders);
}

static void print_csv(const tm_past_list *list)
{
    static const char *const first[] = {"run",    "when",   "graph",  "status", "seconds",
                                        "done",   "cached", "failed", "commit", "smoke",
                                        "tag",    "note",   NULL};
    const char *name;
    json_t *unused, *names = tm_past_list_columns(list);
    tm_table *table = tm_table_new();
    for (int k = 0; first[k]; k++) tm_table_column(table, first[k], false);
    json_object_foreach(names, name, unused) tm_table_column(table, name, false);
    for (size_t i = 0; i < list->n; i++) {
        const tm_past *p = &list->runs[i];
        for (int k = 0; first[k]; k++) {
            tm_fact fact = tm_fact_of(p, first[k]);
            if (strcmp(first[k], "seconds") == 0)
                tm_table_cell(table, "%.3f", fact.number);
            else
                tm_table_cell(table, "%s",
                              strcmp(first[k], "graph") == 0 ? graph_text(list, p) : fact.text);
        }
        json_object_foreach(names, name, unused)
        {
            tm_fact fact = tm_fact_of(p, name);
            if (fact.kind == TM_FACT_NUMBER)
                tm_table_cell(table, "%.10g", fact.number);
            else
                tm_table_cell(table, "%s", fact.text);
        }
    }
    tm_table_csv(table, stdout);
    tm_table_free(table);
    json_decref(names);
}

// ---- for people ----

// What the line asks for, then parameters in which the runs differ, then metrics that most of them have.
static json_t *shown_names(const tm_cli *cli, const tm_past_list *list, const tm_where *where)
{
    json_t *names = json_object();
    const char *sort = tm_cli_flag(cli, "--sort"), *name;
    for (size_t i = 0; where && (name = tm_where_name(where, i)); i++)
        if (!tm_fact_fixed(name)) json_object_set_new(names, name, json_true());
    if (sort && !tm_fact_fixed(sort + (sort[0] == '-')))
        json_object_set_new(names, sort + (sort[0] == '-'), json_true());
    tm_past_list_params(list, MAX_PARAMS, names);
    tm_past_list_metrics(list, MAX_METRICS, names);
    return names;
}

static bool is_metric(const tm_past_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (tm_fact_of(&list->runs[i], name).node) return true;
    return false;
}

static void print_table(const tm_cli *cli, const tm_past_list *list, const tm_where *where)
{
    const char *name;
    json_t *unused, *names = shown_names(cli, list, where);
    tm_table *t = tm_table_new();
    tm_table_column(t, "run", false);
    tm_table_column(t, "when", false);
    tm_table_column(t, "status", false);
    tm_table_column(t, "took", true);
    tm_table_column(t, "ran", true);
    tm_table_column(t, "cached", true);
    json_object_foreach(names, name, unused)
    {
        tm_table_column(t, name, true);
        tm_table_optional(t, is_metric(list, name) ? 1 : 2);
    }
    tm_table_column(t, "graph", false);
    tm_table_optional(t, 4);
    tm_table_column(t, "commit", false);
    tm_table_optional(t, 3);
    tm_table_column(t, "smoke", false);
    tm_table_optional(t, 1);
    tm_table_column(t, "tags", false);
    tm_table_column(t, "note", false);
    for (size_t i = 0; i < list->n; i++) {
        static const char *const first[] = {"run", "when", "status", "seconds", "done", "cached", NULL};
        static const char *const last[] = {"graph", "commit", "smoke", "tag", "note", NULL};
        const tm_past *p = &list->runs[i];
        for (int k = 0; first[k]; k++) tm_table_cell(t, "%s", tm_fact_of(p, first[k]).text);
        json_object_foreach(names, name, unused) tm_table_cell(t, "%s", tm_fact_of(p, name).text);
        for (int k = 0; last[k]; k++)
            tm_table_cell(t, "%s", k ? tm_fact_of(p, last[k]).text : graph_text(list, p));
    }
    size_t left = tm_table_print(t, stdout);
    if (left) printf("%zu more column%s in a wider terminal, or with --csv\n", left, left == 1 ? "" : "s");
    tm_table_free(t);
    json_decref(names);
}

static void say_all_mixed(const tm_cli *cli, const tm_past_list *list, const tm_where *where)
{
    const char *sort = tm_cli_flag(cli, "--sort"), *name;
    for (size_t i = 0; where && (name = tm_where_name(where, i)); i++) tm_past_list_say_mixed(list, name);
    if (sort) tm_past_list_say_mixed(list, sort + (sort[0] == '-'));
}

// ---- the command ----

static tm_status choose(const tm_cli *cli, tm_past_list *list, const tm_where *where, size_t last,
                        tm_error *err)
{
    const char *sort = tm_cli_flag(cli, "--sort");
    json_t *names = json_object();
    for (size_t i = 0; i < list->n; i++) tm_fact_names(&list->runs[i], names);
    tm_status status = where && list->n ? tm_where_check(where, names, list->runs, list->n, err) : TM_OK;
    if (status >= 0 && !cli->json) say_all_mixed(cli, list, where);
    if (status >= 0 && where) tm_past_list_keep(list, where);
    if (status >= 0 && last) tm_past_list_last(list, last);
    if (status >= 0 && sort && list->n) status = tm_past_list_sort(list, sort, names, err);
    json_decref(names);
    return status;
}

static tm_status runs(const tm_cli *cli, tm_store *store, size_t last, const tm_where *where, tm_error *err)
{
    tm_past_list list;
    size_t all;
    TM_TRY(tm_past_list_read(store, where ? 0 : last, &list, err));
    all = list.n;
    tm_status status = choose(cli, &list, where, last, err);
    if (status >= 0) {
        if (cli->json)
            print_json(cli, &list);
        else if (tm_cli_flag(cli, "--csv"))
            print_csv(&list);
        else
            print_table(cli, &list, where);
        if (!list.n && all && !cli->json) fprintf(stderr, "none of %zu runs is like that\n", all);
    }
    tm_past_list_clear(&list);
    return status;
}

static int exec(tm_cli *cli)
{
    double last = 20;
    tm_where *where = NULL;
    tm_session session = {0};
    tm_error err = {0};
    const char *condition = tm_cli_flag(cli, "--where");
    if (tm_cli_number(cli, "--last", 0, &last) != TM_EXIT_OK) return TM_EXIT_USAGE;
    if (condition && tm_where_parse(condition, &where, &err) < 0) return tm_cli_fail(cli, &err);
    int code = tm_session_store(&session, cli, 0);
    if (code == TM_EXIT_OK && runs(cli, session.store, (size_t)last, where, &err) < 0)
        code = tm_cli_fail(cli, &err);
    tm_where_free(where);
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_runs = {
    .name = "runs",
    .brief = "List the runs of this store, with what came of them.",
    .usage = "",
    .example = "tidemill runs --where 'valid.loss < 1.9 and status == done' --sort valid.loss",
    .flags = flags,
    .exec = exec,
};
