// SPDX-License-Identifier: Apache-2.0
// Counting what the steps of a chain removed.
#include "lua/console/funnel.h"

#include "lua/cli/counts.h"
#include "lua/cli/emptied.h"
#include "lua/cli/fold.h"

// A step of the chain that ends in `end`: its own node, or "END/STEP", of which there are some.
static bool in_chain(const tm_node *node, const tm_node *end)
{
    size_t n = strlen(end->name);
    return node == end || (strncmp(node->name, end->name, n) == 0 && node->name[n] == '/');
}

static void print_chain(const tm_plan *plan, const tm_plan_node *end, FILE *file)
{
    char kept[TM_COUNT_TEXT], all[TM_COUNT_TEXT], one[TM_COUNT_TEXT];
    tm_buf steps = {0};
    int64_t removed = 0, rows = tm_emptied_rows(plan, end, 0);
    int n_steps = 0;
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_node *node = plan->graph->nodes[i];
        int port = tm_stage_output(node->stage, "removed");
        if (!in_chain(node, end->node)) continue;
        n_steps++;
        if (port < 0) continue;
        int64_t n = tm_emptied_rows(plan, tm_plan_canonical(plan, node), port);
        if (n <= 0) continue;
        removed += n;
        tm_buf_fmt(&steps, "%s%s %s", steps.size ? ", " : "", tm_node_called(node), tm_count_text(n, one));
    }
    if (n_steps > 1 && rows >= 0 && removed && tm_buf_status(&steps, NULL) >= 0)
        tm_fold_print(file, 2, "%s: %s of %s documents kept; removed: %s", end->node->name,
                      tm_count_text(rows, kept), tm_count_text(rows + removed, all), steps.data);
    tm_buf_clear(&steps);
}

void tm_funnel_print(const tm_plan *plan, FILE *file)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = &plan->nodes[i];
        bool documents = strcmp(p->node->stage->outputs[0].type, "documents") == 0;
        bool step = strchr(p->node->name, '/') || !(p->node->stage->traits & TM_STEP);
        if (p->wanted && p->known && documents && !step) print_chain(plan, p, file);
    }
}
