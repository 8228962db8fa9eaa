// SPDX-License-Identifier: Apache-2.0
// plan: what a run would do to every node, and why.
#include <stdio.h>

#include "lua/session.h"

static const tm_flag flags[] = {TM_GRAPH_FLAGS, TM_CHOICE_FLAGS, TM_LOCK_FLAGS, TM_SMOKE_FLAG, {0}};

static void print_plan(const tm_plan *plan)
{
    int width = 4, counts[3] = {0};
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        int n = (int)strlen(plan->graph->nodes[i]->name);
        if (n > width && n <= 40) width = n;
    }
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = tm_plan_canonical(plan, plan->graph->nodes[i]);
        if (!p->wanted) continue;
        counts[p->state]++;
        const char *name = plan->graph->nodes[i]->name;
        if (p->reason[0]) printf("%-*s  %-22s %s\n", width, name, p->kind, p->reason);
        else printf("%-*s  %s\n", width, name, p->kind);
    }
    printf("%d cached, %d to run, %d maybe\n", counts[TM_CACHED], counts[TM_RUN], counts[TM_MAYBE]);
}

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    int code = tm_session_graph(&session, cli, cli->args[0]);
    if (code == TM_EXIT_OK) code = tm_session_store(&session, cli, TM_STORE_MAYBE);
    if (code == TM_EXIT_OK) code = tm_session_plan(&session, cli, cli->args + 1);
    if (code == TM_EXIT_OK) {
        if (cli->json) tm_cli_print(cli, tm_plan_json(session.plan));
        else print_plan(session.plan);
    }
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_plan = {
    .name = "plan", .brief = "Say what a run would do to every node, and why.", .usage = "GRAPH [NODE...]",
    .example = "tidemill plan graph.lua --set steps=2000", .min = 1, .max = -1, .flags = flags, .exec = exec,
};
