// SPDX-License-Identifier: Apache-2.0
// Groups in the order of the plan, each after those that it reads.
#include "lua/console/console_left.h"

#include <math.h>
#include <stdlib.h>

// When the last of a group's inputs ends, from now.
static double inputs_end(const tm_plan *plan, const tm_group *group, const double *ends)
{
    double end = 0;
    int g = (int)(group - plan->groups);
    for (int k = 0; k < group->n; k++) {
        const tm_node *node = plan->graph->nodes[group->nodes[k]];
        for (size_t i = 0; i < node->n_links; i++) {
            int from = tm_plan_canonical(plan, node->links[i].from)->group;
            if (from >= 0 && from < g && ends[from] > end) end = ends[from];
        }
    }
    return end;
}

static double end_of(const tm_plan *plan, const tm_needs *needs, const tm_console_part *part,
                     const tm_group *group, const double *ends)
{
    double start = inputs_end(plan, group, ends);
    if (part->over) return 0;
    if (!isnan(part->left_s)) return fmax(start, part->left_s);
    const tm_estimate *e = needs ? &needs->nodes[group->nodes[group->n - 1]] : NULL;
    if (!e || e->sure == TM_SURE_NONE) return NAN;
    return fmax(start + e->tail - part->since_s, 0);
}

double tm_console_left(const tm_plan *plan, const tm_needs *needs, const tm_console_part *parts)
{
    double most = 0, *ends = calloc(plan->n_groups + 1, sizeof *ends);
    for (size_t g = 0; ends && g < plan->n_groups && !isnan(most); g++) {
        ends[g] = end_of(plan, needs, &parts[g], &plan->groups[g], ends);
        most = isnan(ends[g]) ? NAN : fmax(most, ends[g]);
    }
    free(ends);
    return most;
}
