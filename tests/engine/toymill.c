// SPDX-License-Identifier: Apache-2.0
// The engine with toy stages, driven by graph data in JSON. Prints one JSON object.
//
//   toymill plan|run STORE GRAPH.json [options]  the plan, or what a run did and the hashes of all outputs
//   toymill entries STORE HASH                   hashes of the entries of an artifact
//   toymill check STORE -                        gc without grace (keeping all records), then verify
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/journal.h"
#include "engine/run.h"
#include "engine/store_artifact.h"
#include "engine/store_gc.h"
#include "engine/worker.h"

typedef struct seen {
    json_t *executed, *events;
    bool verbose;
} seen;

static void watch(void *arg, const char *event, const json_t *fields)
{
    seen *s = arg;
    if (strcmp(event, "start") == 0) json_array_extend(s->executed, json_object_get(fields, "nodes"));
    if (s->verbose && strcmp(event, "progress") != 0)
        json_array_append_new(s->events, json_pack("[s, O]", event, fields));
}

static json_t *outputs(const tm_plan *plan)
{
    json_t *all = json_object();
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = tm_plan_canonical(plan, plan->graph->nodes[i]);
        json_t *ports = json_object();
        for (int port = 0; p->known && tm_stage_makes(p->node->stage, port); port++) {
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
    json_t *out = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "status", tm_status_name(status), "error",
                            err.text, "run", result.run, "executed", s.executed, "outputs", outputs(plan),
                            "plan", tm_plan_json(plan));
    if (verbose) json_object_set(out, "events", s.events);
    json_decref(s.events);
    return out;
}

static bool read_options(int argc, char **argv, tm_plan_options *po, tm_run_options *ro, bool *verbose)
{
    for (int i = 4; i < argc; i++) {
        const char **field = strcmp(argv[i], "--force") == 0   ? &po->force
                             : strcmp(argv[i], "--from") == 0  ? &po->from
                             : strcmp(argv[i], "--until") == 0 ? &po->until
                             : strcmp(argv[i], "--only") == 0  ? &po->only
                                                               : NULL;
        if (field && i + 1 < argc) *field = argv[++i];
        else if (strcmp(argv[i], "--cores") == 0 && i + 1 < argc) ro->cores = atoi(argv[++i]);
        else if (strcmp(argv[i], "--grace") == 0 && i + 1 < argc) ro->grace_ms = atoi(argv[++i]);
        else if (strcmp(argv[i], "--reuse-same") == 0) po->reuse_same = true;
        else if (strcmp(argv[i], "-k") == 0) ro->keep_going = true;
        else if (strcmp(argv[i], "-v") == 0) *verbose = true;
        else return false;
    }
    return true;
}

// The plan of the latest run, as its journal has it; NULL if there was none.
static json_t *last_plan(tm_store *store)
{
    tm_journal_reader *reader;
    json_t *record, *found = NULL;
    if (tm_journal_reader_open(store, NULL, &reader, NULL) < 0) return NULL;
    while (!found && tm_journal_reader_next(reader, &record, NULL) == TM_OK) {
        const char *event = json_string_value(json_object_get(record, "event"));
        if (event && strcmp(event, "run") == 0) found = json_incref(record);
        json_decref(record);
    }
    tm_journal_reader_close(reader);
    return found;
}

static tm_status check_store(tm_store *store, json_t **out, tm_error *err)
{
    tm_gc_policy policy = {.keep_ms = INT64_MAX / 2};
    tm_gc_report gc;
    tm_verify_report verify;
    TM_TRY(tm_store_gc(store, &policy, false, NULL, NULL, &gc, err));
    TM_TRY(tm_store_verify(store, NULL, NULL, &verify, err));
    *out = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "removed", (json_int_t)gc.objects_removed, "tmp",
                     (json_int_t)gc.tmp_removed, "objects", (json_int_t)verify.objects, "corrupt",
                     (json_int_t)verify.corrupt, "incomplete", (json_int_t)verify.incomplete, "bad_bytes",
                     (json_int_t)verify.bad_bytes);
    return TM_OK;
}

static tm_status list_entries(tm_store *store, const char *name, json_t **out, tm_error *err)
{
    tm_hash hash;
    tm_artifact artifact = {0};
    if (!tm_hash_parse(name, &hash)) return tm_fail(err, TM_EINVAL, "%s is no hash", name);
    TM_TRY(tm_artifact_get(store, hash, &artifact, err));
    *out = json_array();
    for (size_t i = 0; i < artifact.count; i++) {
        char hex[TM_HASH_HEX];
        tm_hash_hex(artifact.entries[i].hash, hex);
        json_array_append_new(*out, json_string(hex));
    }
    tm_artifact_clear(&artifact);
    return TM_OK;
}

static tm_status plan_or_run(tm_store *store, bool runs, const char *path, tm_plan_options *po,
                             tm_run_options *ro, bool verbose, json_t **out, tm_error *err)
{
    tm_diags diags = {0};
    tm_graph *graph = NULL;
    tm_plan *plan = NULL;
    json_t *data = json_load_file(path, 0, NULL), *before = last_plan(store);
    tm_status status = data ? tm_graph_build(data, path, NULL, &graph, &diags, err)
                            : tm_fail(err, TM_EINVAL, "no JSON: %s", path);
    tm_diags_print(&diags, NULL, stderr, false);
    po->before = before;
    if (status >= 0) status = tm_plan_make(graph, store, po, &plan, err);
    if (status >= 0) *out = runs ? run(plan, ro, verbose) : tm_plan_json(plan);
    json_decref(data);
    json_decref(before);
    tm_plan_free(plan);
    tm_graph_free(graph);
    return status;
}

// A disk that stands still under the scheduler: no sync ends while there is a file TOYMILL_HOLD; one
// that waits makes the file TOYMILL_HOLD.held.
static int held_sync(int fd)
{
    char held[1200];
    const char *hold = getenv("TOYMILL_HOLD");
    snprintf(held, sizeof held, "%s.held", hold);
    while (access(hold, F_OK) == 0) {
        FILE *f = fopen(held, "w");
        if (f) fclose(f);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return tm_io_real().fdatasync(fd);
}

int main(int argc, char **argv)
{
    tm_plan_options po = {0};
    tm_run_options ro = {0};
    bool verbose = false;
    tm_error err = {0};
    tm_store *store = NULL;
    json_t *out = NULL;
    if (argc == 2 && strcmp(argv[1], TM_WORKER_ARG) == 0) return tm_worker_main();
    if (argc < 4 || !read_options(argc, argv, &po, &ro, &verbose)) return 3;
    if (getenv("TOYMILL_HOLD")) tm_sys.fsync = tm_sys.fdatasync = held_sync;
    tm_status status = tm_store_open(argv[2], TM_STORE_CREATE, &store, &err);
    if (status >= 0 && strcmp(argv[1], "check") == 0) status = check_store(store, &out, &err);
    else if (status >= 0 && strcmp(argv[1], "entries") == 0)
        status = list_entries(store, argv[3], &out, &err);
    else if (status >= 0)
        status = plan_or_run(store, strcmp(argv[1], "run") == 0, argv[3], &po, &ro, verbose, &out, &err);
    if (out) {
        json_dumpf(out, stdout, JSON_SORT_KEYS | JSON_COMPACT);
        printf("\n");
    }
    json_decref(out);
    tm_store_close(store);
    if (status >= 0) return 0;
    fprintf(stderr, "%s: %s\n%s\n", tm_status_name(status), err.text, err.hint);
    return 2;
}
