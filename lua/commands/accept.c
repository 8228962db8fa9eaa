// SPDX-License-Identifier: Apache-2.0
// accept: keep results across a new version of their stage that somebody knows to be harmless.
#include <stdio.h>
#include <stdlib.h>

#include "engine/accept.h"
#include "lua/cli/session.h"
#include "lua/past/past.h"

static const tm_flag flags[] = {
    {"--graph", 'g', "GRAPH", "the graph file (default: that of the latest run)"},
    {"--set", 's', "NAME=VALUE", "a parameter of the graph (default: those of the latest run)"},
    {0},
};

// The command line with the parameters that the run had, where none are given. *given is freed by the caller.
static tm_cli with_parameters(const tm_cli *cli, const json_t *args, const char ***given)
{
    tm_cli with = *cli;
    size_t n = json_array_size(args);
    *given = calloc(n + 1, sizeof **given);
    if (tm_cli_flag(cli, "--set") || !*given) return with;
    with.given = *given;
    with.n_given = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        const char *flag = json_string_value(json_array_get(args, i));
        if (!flag || strcmp(flag, "--set") != 0) continue;
        (*given)[2 * with.n_given] = flag;
        (*given)[2 * with.n_given++ + 1] = json_string_value(json_array_get(args, i + 1));
    }
    return with;
}

static int say(const tm_cli *cli, const char *node, const char *what, json_t *all)
{
    json_array_append_new(all, json_pack("{s:s, s:s*}", "node", node, "accepted", what[0] ? what : NULL));
    if (cli->json) return TM_EXIT_OK;
    if (what[0]) printf("%s: accepted, %s\n", node, what);
    else printf("%s: nothing to accept, it is cached\n", node);
    return TM_EXIT_OK;
}

// One node: a plan of its own, because what was accepted before it changes what is known.
static int accept_one(tm_session *session, const tm_cli *cli, const char *node, json_t *all)
{
    const char *targets[] = {node, NULL};
    char what[512] = "";
    tm_error err = {0};
    json_decref(session->before);
    tm_plan_free(session->plan);
    session->plan = NULL;
    session->before = NULL;
    int code = tm_session_plan(session, cli, targets);
    if (code != TM_EXIT_OK) return code;
    if (tm_accept(session->plan, node, what, sizeof what, &err) < 0) return tm_cli_fail(cli, &err);
    return say(cli, node, what, all);
}

static int exec(tm_cli *cli)
{
    tm_session session = {0}, first = {0};
    tm_past past = {0};
    tm_error err = {0};
    const char *graph = tm_cli_flag(cli, "--graph"), **given = NULL;
    int code = tm_session_store(&first, cli, 0);
    if (code == TM_EXIT_OK && tm_past_read(first.store, NULL, &past, &err) < 0)
        code = tm_cli_fail(cli, &err);
    if (!graph) graph = json_string_value(json_object_get(past.record, "path"));
    tm_cli with = with_parameters(cli, json_object_get(past.record, "args"), &given);
    json_t *all = json_array();
    if (code == TM_EXIT_OK) code = tm_session_graph(&session, &with, graph ? graph : "");
    session.store = first.store;
    for (int i = 0; i < cli->n_args && code == TM_EXIT_OK; i++)
        code = accept_one(&session, cli, cli->args[i], all);
    if (code == TM_EXIT_OK && cli->json) tm_cli_print(cli, json_pack("{s:O}", "nodes", all));
    json_decref(all);
    free(given);
    tm_past_clear(&past);
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_accept = {
    .name = "accept",
    .brief = "Keep the result of a node across a new version of its stage that changes nothing you need.",
    .usage = "NODE...",
    .example = "tidemill accept clean docs",
    .min = 1,
    .max = -1,
    .flags = flags,
    .exec = exec,
};
