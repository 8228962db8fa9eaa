// SPDX-License-Identifier: Apache-2.0
// check: whether a graph file is right, without looking at any store.
#include <stdio.h>

#include "lua/session.h"

static const tm_flag flags[] = {TM_GRAPH_FLAGS, TM_LOCK_FLAGS, {0}};

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    int code = tm_session_graph(&session, cli, cli->args[0]);
    if (code == TM_EXIT_OK) {
        size_t n = session.graph->n_nodes;
        if (cli->json) tm_cli_print(cli, json_pack("{s:[], s:I}", "errors", "nodes", (json_int_t)n));
        else printf("%s: %zu nodes, no errors\n", cli->args[0], n);
    }
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_check = {
    .name = "check", .brief = "Check a graph file: names, options, types.", .usage = "GRAPH",
    .example = "tidemill check graph.lua", .min = 1, .max = 1, .flags = flags, .exec = exec,
};
