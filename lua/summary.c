// SPDX-License-Identifier: Apache-2.0
// The end of a run, as plain lines.
#include "lua/summary.h"

#include <stdio.h>
#include <stdlib.h>

#include "lua/measures.h"

static void failure(const tm_plan *plan, const tm_run_result *result, const tm_error *err)
{
    const tm_node *node = tm_graph_find(plan->graph, result->failed_node);
    tm_diags *diags = calloc(1, sizeof *diags);
    if (!diags) return;
    tm_diag *d = tm_diag_add(diags, "TM0401", node ? node->file : "", node ? node->line : 0);
    if (node) TM_DIAG(d->owner, "%s", node->stage->name);
    TM_DIAG(d->what, "%.150s failed: %.340s", result->failed_node, err->text);
    TM_DIAG(d->fix, "%s", err->hint);
    tm_diags_print(diags, plan->graph->folder, stderr, false);
    fprintf(stderr, "kept   %d nodes done, %d cached; not run: %d\n", result->done, result->cached,
            result->skipped);
    fprintf(stderr, "look   tidemill logs %s:%s\n", result->run, result->failed_node);
    free(diags);
}

void tm_summary_print(const tm_plan *plan, tm_status status, const tm_run_result *result, const tm_error *err,
                      const json_t *placed)
{
    size_t i;
    json_t *one;
    if (status == TM_EFAILED) failure(plan, result, err);
    tm_measures_print(plan, stdout);
    json_array_foreach(placed, i, one) printf("%s: %s\n", json_string_value(json_object_get(one, "node")),
                                              json_string_value(json_object_get(one, "path")));
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
