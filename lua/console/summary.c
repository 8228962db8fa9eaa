// SPDX-License-Identifier: Apache-2.0
// The end of a run, as plain lines.
#include "lua/console/summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/called.h"
#include "engine/store_artifact.h"
#include "engine/store_key.h"
#include "lua/cli/counts.h"
#include "lua/cli/emptied.h"
#include "lua/cli/fold.h"
#include "lua/cli/session.h"
#include "lua/console/console_draw.h"
#include "lua/console/funnel.h"
#include "lua/console/measures.h"
#include "lua/console/winner.h"
#include "lua/past/past.h"

#define INDENT 2 // of what goes on in a further line

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
    tm_called_print(stdout, "try: tidemill chat %s%s%s\n", talker->name, near ? "" : " --store ",
                    near ? "" : store);
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
    tm_buf line = {0};
    size_t n = 0;
    if (!nodes || seconds < 10) {
        free(nodes);
        return;
    }
    for (size_t i = 0; i < past->n_nodes; i++)
        if (!past->nodes[i].same && past->nodes[i].seconds >= seconds / 20) nodes[n++] = &past->nodes[i];
    if (n) qsort(nodes, n, sizeof *nodes, by_seconds);
    for (size_t i = 0; i < n && i < 6; i++)
        tm_buf_fmt(&line, "%s%s %s", i ? ", " : "time: ", nodes[i]->name,
                   tm_duration_text(nodes[i]->seconds, time));
    if (n && tm_buf_status(&line, NULL) >= 0) tm_fold_print(stdout, INDENT, "%s", line.data);
    tm_buf_clear(&line);
    free(nodes);
}

// The bytes of "FILE:LINE" before ": WHY"; 0 if a text begins otherwise.
static int line_at(const char *text)
{
    for (const char *colon = strchr(text, ':'); colon; colon = strchr(colon + 1, ':')) {
        size_t n = strspn(colon + 1, "0123456789");
        if (n && strncmp(colon + 1 + n, ": ", 2) == 0) return (int)(colon + 1 + (ptrdiff_t)n - text);
    }
    return 0;
}

// ", the first at FILE:LINE" of the lines that a node could not use, as its log has it; else "".
static void first_place(tm_store *store, const char *run, const char *node, char text[300])
{
    tm_past past = {0};
    size_t i;
    json_t *event;
    text[0] = 0;
    if (tm_past_read(store, run, &past, NULL) < 0) return;
    json_array_foreach(past.kept, i, event)
    {
        const char *of = json_string_value(json_object_get(event, "node"));
        const char *said = json_string_value(json_object_get(event, "text"));
        int n = of && said && strcmp(of, node) == 0 ? line_at(said) : 0;
        if (n) snprintf(text, 300, ", the first at %.*s", n, said);
        if (n) break;
    }
    tm_past_clear(&past);
}

static void print_fault(const tm_plan *plan, const tm_plan_node *p, const json_t *facts, const char *name,
                        const char *fault, const char *run)
{
    char first[300] = "";
    const char *made = json_string_value(json_object_get(facts, "run"));
    bool before = p->state == TM_CACHED && made && strcmp(made, run) != 0;
    if (strcmp(name, "bad_lines") == 0) first_place(plan->store, before ? made : run, p->node->name, first);
    tm_fold_print(stdout, INDENT, "warning: %s: %s%s (tidemill logs %s%s%s)", p->node->name, fault, first,
                  before ? made : "", before ? ":" : "", p->node->name);
}

// Of results that were there already too: what is wrong with the data is on record.
static void print_faults(const tm_plan *plan, const char *run)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = &plan->nodes[i];
        const tm_record *record = NULL;
        if (p->wanted && p->known && p->same == (int)i) record = tm_key_by_content(plan->store, p->content);
        json_t *facts = record ? json_loads(record->json, 0, NULL) : NULL, *n;
        const char *name, *fault;
        char text[TM_COUNT_TEXT * 2];
        json_object_foreach(json_object_get(facts, "counts"), name,
                            n) if ((fault = tm_count_fault(name, json_integer_value(n), text)))
            print_fault(plan, p, facts, name, fault, run);
        json_decref(facts);
    }
}

static void print_emptied(const tm_plan *plan)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = &plan->nodes[i];
        char text[TM_EMPTIED_TEXT], look[256];
        if (!p->wanted || p->same != (int)i || !tm_emptied_text(plan, p, text)) continue;
        tm_fold_print(stdout, INDENT, "warning: %s: %s (%s)", p->node->name, text,
                      tm_emptied_look(p, "", look));
    }
}

static void print_deaths(const tm_past *past)
{
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_node *node = &past->nodes[i];
        if (node->deaths)
            tm_fold_print(stdout, INDENT,
                          "warning: %s: its worker died %d time%s and was replaced (tidemill logs %s)",
                          node->name, node->deaths, node->deaths == 1 ? "" : "s", node->name);
    }
}

// `past` is empty if the journal could not be read.
static void print_recap(const tm_plan *plan, const tm_run_result *result, const tm_past *past)
{
    print_times(past, result->seconds);
    print_faults(plan, result->run);
    print_emptied(plan);
    print_deaths(past);
}

// All nodes are in one of the counts.
static void print_end(tm_status status, const tm_run_result *result, const tm_past *past)
{
    char took[TM_COUNT_TEXT];
    int stopped = tm_past_count(past, "stopped"), waiting = tm_past_count(past, "waiting");
    printf("%s: %s in %s; %d node%s run, %d cached", result->run, tm_summary_state(status),
           tm_duration_text(result->seconds, took), result->done, result->done == 1 ? "" : "s",
           result->cached);
    if (result->failed) printf(", %d failed", result->failed);
    if (stopped) printf(", %d stopped", stopped);
    if (result->skipped) printf(", %d not run", result->skipped);
    if (waiting) printf(", %d waiting", waiting);
    putchar('\n');
    if (status == TM_ESTOPPED) printf("run it again to go on where it was\n");
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
    tm_past past = {0};
    tm_funnel_print(plan, stdout);
    tm_measures_print(plan, stdout);
    tm_winner_print(plan, stdout);
    json_array_foreach(placed, i, one) print_place(plan, json_string_value(json_object_get(one, "node")),
                                                   json_string_value(json_object_get(one, "path")));
    (void)tm_past_read(plan->store, result->run, &past, NULL);
    print_recap(plan, result, &past);
    if (status == TM_OK && !plan->graph->smoke) print_try(plan);
    print_end(status, result, &past);
    tm_past_clear(&past);
}
