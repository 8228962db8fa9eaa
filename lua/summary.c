// SPDX-License-Identifier: Apache-2.0
// The end of a run, as plain lines.
#include "lua/summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/store_artifact.h"
#include "lua/counts.h"
#include "lua/funnel.h"
#include "lua/measures.h"
#include "lua/session.h"

static void print_place(const tm_plan *plan, const char *name, const char *path)
{
    char size[TM_COUNT_TEXT];
    tm_artifact log = {0};
    const tm_node *node = tm_graph_find(plan->graph, name);
    const tm_plan_node *p = node ? tm_plan_canonical(plan, node) : NULL;
    bool there = p && tm_artifact_get(plan->store, p->outputs[0], &log, NULL) >= 0;
    printf("%s: %s%s%s\n", name, path, there ? ", " : "", there ? tm_size_text(log.bytes, size) : "");
    tm_artifact_clear(&log);
}

// Whether a model was taught to answer, somewhere on its way.
static bool answers(const tm_node *node)
{
    while (node) {
        if (strcmp(node->stage->name, "sft") == 0 || strcmp(node->stage->name, "dpo") == 0) return true;
        const tm_link *link = tm_node_link(node, "");
        node = link ? link->from : NULL;
    }
    return false;
}

// A line to go on with: talk to the last model that answers and is not a smaller copy.
static void print_try(const tm_plan *plan)
{
    const tm_node *talker = NULL;
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = &plan->nodes[i];
        bool model = strcmp(p->node->stage->outputs[0].type, "model") == 0 && !p->node->inserted;
        bool export = strcmp(p->node->stage->family, "export") == 0;
        if (p->wanted && model && !export && !strchr(p->node->name, '.') && answers(p->node))
            talker = p->node;
    }
    if (!talker) return;
    char here[TM_PATH_MAX], found[TM_PATH_MAX] = "";
    if (getcwd(here, sizeof here)) tm_session_find_store(here, found);
    const char *store = tm_store_folder(plan->store);
    bool near = strcmp(found, store) == 0;  // a command started here finds it by itself
    printf("try: tidemill chat %s%s%s\n", talker->name, near ? "" : " --store ", near ? "" : store);
}

void tm_summary_print(const tm_plan *plan, tm_status status, const tm_run_result *result,
                      const json_t *placed)
{
    size_t i;
    json_t *one;
    tm_funnel_print(plan, stdout);
    tm_measures_print(plan, stdout);
    json_array_foreach(placed, i, one) print_place(plan, json_string_value(json_object_get(one, "node")),
                                                   json_string_value(json_object_get(one, "path")));
    if (status == TM_OK && !plan->graph->smoke) print_try(plan);
    printf("%s: %s in %.1f s; %d nodes run, %d cached", result->run,
           status == TM_OK         ? "done"
           : status == TM_ESTOPPED ? "stopped"
                                   : "failed",
           result->seconds, result->done, result->cached);
    if (result->failed) printf(", %d failed", result->failed);
    if (result->skipped) printf(", %d not run", result->skipped);
    putchar('\n');
    if (status == TM_ESTOPPED) printf("run it again to go on where it was\n");
}
