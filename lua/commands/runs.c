// SPDX-License-Identifier: Apache-2.0
// runs: what was run in this store.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lua/git.h"
#include "lua/runs.h"

static const tm_flag flags[] = {{"--last", 'n', "N", "only the last N (default 20; 0: all)"}, {0}};

static json_t *one_json(const tm_run_view *v)
{
    return json_pack("{s:s, s:s, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?}", "run", v->run, "status",
                     tm_run_view_status(v), "graph", json_object_get(v->record, "graph"), "started",
                     json_object_get(v->record, "t"), "seconds", json_object_get(v->end, "seconds"), "done",
                     json_object_get(v->end, "done"), "cached", json_object_get(v->end, "cached"), "failed",
                     json_object_get(v->end, "failed"), "git", json_object_get(v->record, "git"));
}

static void print_one(const json_t *run)
{
    char started[32] = "", commit[16];
    time_t t = (time_t)(json_integer_value(json_object_get(run, "started")) / 1000);
    struct tm parts;
    if (localtime_r(&t, &parts)) strftime(started, sizeof started, "%Y-%m-%d %H:%M:%S", &parts);
    const char *graph = json_string_value(json_object_get(run, "graph"));
    printf("%-6s %-20s %-12s %8.1f s  %3lld run %3lld cached  %-8s  %s\n",
           json_string_value(json_object_get(run, "run")), started,
           json_string_value(json_object_get(run, "status")),
           json_number_value(json_object_get(run, "seconds")),
           (long long)json_integer_value(json_object_get(run, "done")),
           (long long)json_integer_value(json_object_get(run, "cached")),
           tm_git_short(json_object_get(run, "git"), commit), graph ? graph : "");
}

static json_t *list(tm_store *store, size_t last)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    json_t *all = json_array();
    if (tm_run_list(store, &numbers, &n, NULL) < 0) return all;
    for (size_t i = last && n > last ? n - last : 0; i < n; i++) {
        char run[32];
        tm_run_view view;
        snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[i]);
        if (tm_run_view_read(store, run, &view, NULL) < 0) continue;
        json_array_append_new(all, one_json(&view));
        tm_run_view_clear(&view);
    }
    tm_free(numbers);
    return all;
}

static int exec(tm_cli *cli)
{
    double last = 20;
    if (tm_cli_number(cli, "--last", 0, &last) != TM_EXIT_OK) return TM_EXIT_USAGE;
    tm_session session = {0};
    int code = tm_session_store(&session, cli, 0);
    if (code == TM_EXIT_OK) {
        json_t *all = list(session.store, (size_t)last), *run;
        size_t i;
        if (cli->json)
            tm_cli_print(cli, json_pack("{s:O}", "runs", all));
        else
            json_array_foreach(all, i, run) print_one(run);
        json_decref(all);
    }
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_runs = {
    .name = "runs",
    .brief = "List the runs of this store.",
    .usage = "",
    .example = "tidemill runs",
    .flags = flags,
    .exec = exec,
};
