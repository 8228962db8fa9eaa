// SPDX-License-Identifier: Apache-2.0
// The end of a run, as plain lines.
#include "lua/console/summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/store_artifact.h"
#include "lua/cli/counts.h"
#include "lua/cli/session.h"
#include "lua/console/console_draw.h"
#include "lua/console/funnel.h"
#include "lua/console/measures.h"
#include "lua/console/winner.h"
#include "lua/past/past.h"

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

// A line to go on with: talk to the last model that was taught to answer and is not a smaller copy.
static void print_try(const tm_plan *plan)
{
    const tm_node *talker = NULL;
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_node *node = plan->nodes[i].node;
        bool model = strcmp(node->stage->outputs[0].type, "model") == 0 && node->named;
        bool export = strcmp(node->stage->family, "export") == 0;
        if (plan->nodes[i].wanted && model && !export && json_object_get(node->attrs[0], "answers"))
            talker = node;
    }
    if (!talker) return;
    char here[TM_PATH_MAX], found[TM_PATH_MAX] = "";
    if (getcwd(here, sizeof here)) tm_session_find_store(here, found);
    const char *store = tm_store_folder(plan->store);
    bool near = strcmp(found, store) == 0;  // a command started here finds it by itself
    printf("try: tidemill chat %s%s%s\n", talker->name, near ? "" : " --store ", near ? "" : store);
}

// ---- what the journal tells ----

static int by_seconds(const void *a, const void *b)
{
    const tm_past_node *x = *(const tm_past_node *const *)a, *y = *(const tm_past_node *const *)b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

// Of a long run, the nodes that took a twentieth of it or more, the longest first.
static void print_times(const tm_past *past, double seconds)
{
    const tm_past_node **nodes = calloc(past->n_nodes + 1, sizeof *nodes);
    char time[TM_COUNT_TEXT];
    size_t n = 0;
    if (!nodes || seconds < 10) {
        free(nodes);
        return;
    }
    for (size_t i = 0; i < past->n_nodes; i++)
        if (!past->nodes[i].same && past->nodes[i].seconds >= seconds / 20) nodes[n++] = &past->nodes[i];
    if (n) qsort(nodes, n, sizeof *nodes, by_seconds);
    for (size_t i = 0; i < n && i < 6; i++)
        printf("%s%s %s", i ? ", " : "time: ", nodes[i]->name, tm_duration_text(nodes[i]->seconds, time));
    if (n) putchar('\n');
    free(nodes);
}

static void print_warnings(const tm_past *past)
{
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_node *node = &past->nodes[i];
        const char *name, *fault;
        char text[TM_COUNT_TEXT * 2];
        json_t *n;
        json_object_foreach((json_t *)node->counts, name, n)
            if ((fault = tm_count_fault(name, json_integer_value(n), text)))
                printf("warning: %s: %s (tidemill logs %s)\n", node->name, fault, node->name);
        if (node->deaths)
            printf("warning: %s: its worker died %d time%s and was replaced (tidemill logs %s)\n", node->name,
                   node->deaths, node->deaths == 1 ? "" : "s", node->name);
    }
}

static void print_recap(const tm_plan *plan, const tm_run_result *result)
{
    tm_past past;
    if (tm_past_read(plan->store, result->run, &past, NULL) < 0) return;
    print_times(&past, result->seconds);
    print_warnings(&past);
    tm_past_clear(&past);
}

const char *tm_summary_state(tm_status status)
{
    return status >= 0 ? "done" : status == TM_ESTOPPED ? "stopped" : "failed";
}

void tm_summary_print(const tm_plan *plan, tm_status status, const tm_run_result *result,
                      const json_t *placed)
{
    size_t i;
    json_t *one;
    char took[TM_COUNT_TEXT];
    tm_funnel_print(plan, stdout);
    tm_measures_print(plan, stdout);
    tm_winner_print(plan, stdout);
    json_array_foreach(placed, i, one) print_place(plan, json_string_value(json_object_get(one, "node")),
                                                   json_string_value(json_object_get(one, "path")));
    print_recap(plan, result);
    if (status == TM_OK && !plan->graph->smoke) print_try(plan);
    printf("%s: %s in %s; %d node%s run, %d cached", result->run,
           tm_summary_state(status),
           tm_duration_text(result->seconds, took), result->done, result->done == 1 ? "" : "s",
           result->cached);
    if (result->failed) printf(", %d failed", result->failed);
    if (result->skipped) printf(", %d not run", result->skipped);
    putchar('\n');
    if (status == TM_ESTOPPED) printf("run it again to go on where it was\n");
}
