// SPDX-License-Identifier: Apache-2.0
// The engine with toy stages, driven by graph data in JSON: toymill plan|run STORE GRAPH.json [options].
// Prints one JSON object: the plan, or what a run did and the hashes of all outputs.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/run.h"
#include "engine/worker.h"

typedef struct seen {
    json_t *executed, *events;
    bool verbose;
} seen;

static void watch(void *arg, const char *event, const json_t *fields)
{
    seen *s = arg;
    if (strcmp(event, "start") == 0) json_array_extend(s->executed, json_object_get(fields, "nodes"));
    if (s->verbose && strcmp(event, "progress") != 0) json_array_append_new(s->events, json_pack("[s, O]", event, fields));
}

static json_t *outputs(const tm_plan *plan)
{
    json_t *all = json_object();
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = tm_plan_canonical(plan, plan->graph->nodes[i]);
        json_t *ports = json_object();
        for (int port = 0; p->known && port < TM_MAX_PORTS && p->node->stage->outputs[port].name; port++) {
            char hex[TM_HASH_HEX];
            tm_hash_hex(p->outputs[port], hex);
            json_object_set_new(ports, p->node->stage->outputs[port].name, json_string(hex));
        }
        json_object_set_new(all, plan->graph->nodes[i]->name, ports);
    }
    return all;
}

static json_t *run(tm_plan *plan, tm_run_options *options, bool verbose)
{
    seen s = {json_array(), json_array(), verbose};
    tm_run_result result;
    tm_error err = {0};
    options->watch = watch;
    options->arg = &s;
    tm_status status = tm_run_plan(plan, options, &result, &err);
    json_t *out = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "status", tm_status_name(status), "error", err.text, "run",
                            result.run, "executed", s.executed, "outputs", outputs(plan), "plan", tm_plan_json(plan));
    if (verbose) json_object_set(out, "events", s.events);
    json_decref(s.events);
    return out;
}

static int fail(const tm_error *err)
{
    fprintf(stderr, "%s\n", err->text);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], TM_WORKER_ARG) == 0) return tm_worker_main();
    if (argc < 4) return 3;
    tm_plan_options po = {0};
    tm_run_options ro = {0};
    bool verbose = false;
    for (int i = 4; i < argc; i++) {
        const char **field = strcmp(argv[i], "--force") == 0 ? &po.force
                             : strcmp(argv[i], "--from") == 0 ? &po.from
                             : strcmp(argv[i], "--until") == 0 ? &po.until
                             : strcmp(argv[i], "--only") == 0 ? &po.only
                                                              : NULL;
        if (field && i + 1 < argc) *field = argv[++i];
        else if (strcmp(argv[i], "--cores") == 0 && i + 1 < argc) ro.cores = atoi(argv[++i]);
        else if (strcmp(argv[i], "-k") == 0) ro.keep_going = true;
        else if (strcmp(argv[i], "-v") == 0) verbose = true;
        else return 3;
    }
    tm_error err = {0};
    tm_diags diags = {0};
    tm_store *store = NULL;
    tm_graph *graph = NULL;
    tm_plan *plan = NULL;
    json_t *data = json_load_file(argv[3], 0, NULL);
    if (!data) return 2;
    if (tm_store_open(argv[2], TM_STORE_CREATE, &store, &err) < 0) return fail(&err);
    if (tm_graph_build(data, argv[3], &graph, &diags, &err) < 0) {
        tm_diags_print(&diags, NULL, stderr, false);
        return diags.n ? 2 : fail(&err);
    }
    if (tm_plan_make(graph, store, &po, &plan, &err) < 0) return fail(&err);
    json_t *out = strcmp(argv[1], "run") == 0 ? run(plan, &ro, verbose) : tm_plan_json(plan);
    json_dumpf(out, stdout, JSON_SORT_KEYS | JSON_COMPACT);
    printf("\n");
    json_decref(out);
    json_decref(data);
    tm_plan_free(plan);
    tm_graph_free(graph);
    tm_store_close(store);
    return 0;
}
