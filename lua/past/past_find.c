// SPDX-License-Identifier: Apache-2.0
// Runs by the nodes they have.
#include "lua/past/past_find.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/nearest.h"
#include "lua/past/differ.h"
#include "lua/past/past.h"
#include "lua/past/run_record.h"

#define MAX_SEARCHED 100 // runs whose nodes an unknown name is compared with

// The nodes of a run, or of the latest ones.
static json_t *nodes_of(tm_store *store, const char *run)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    json_t *nodes = json_object();
    if (!run) (void)tm_run_list(store, &numbers, &n, NULL);
    for (size_t i = run ? 1 : n; i-- > 0 && (run || n - i <= MAX_SEARCHED);) {
        char name[32];
        snprintf(name, sizeof name, "r%llu", run ? 0 : (unsigned long long)numbers[i]);
        json_t *record = tm_run_record(store, run ? run : name);
        json_object_update_missing(nodes, json_object_get(record, "nodes"));
        json_decref(record);
    }
    tm_free(numbers);
    return nodes;
}

tm_status tm_past_unknown_node(tm_store *store, const char *run, const char *node, tm_error *err)
{
    json_t *nodes = nodes_of(store, run);
    const char *near = tm_nearest_key(nodes, node), *dot = strrchr(node, '.');
    char word[192];
    if (dot) snprintf(word, sizeof word, "%.*s", (int)(dot - node), node); // a port behind it
    const char *port = dot && (isalpha((unsigned char)dot[1]) || dot[1] == '_') ? dot : "";
    if (near) port = "";
    if (!near && dot) near = tm_nearest_key(nodes, word);
    tm_fail_as(err, TM_ENOENT, "TM0506", "%s%s has %s \"%s\"", run ? "run " : "no run", run ? run : "",
               run ? "no node" : "a node", node);
    if (near)
        tm_hint(err, "did you mean \"%s%s\"?", near, port);
    else
        tm_hint(err, "`tidemill status%s%s` lists the nodes of %s", run ? " " : "", run ? run : "",
                run ? "it" : "the latest");
    json_decref(nodes);
    return TM_ENOENT;
}

static bool is_smoke(const tm_past *past)
{
    return json_is_true(json_object_get(past->record, "smoke"));
}

tm_status tm_past_only_smoke(const char *run, const char *text, tm_error *err)
{
    tm_fail(err, TM_ENOENT, "only a smoke run has \"%s\" so far", text);
    tm_hint(err, "run the graph, or look at that of the smoke run: %s:%s", run, text);
    return TM_ENOENT;
}

// Like and before another run, or (NULL) the latest one that is a smoke run, or is none.
static tm_status search(tm_store *store, const char *node, const tm_past *like, bool smoke, tm_past *past,
                        tm_error *err)
{
    uint64_t *numbers = NULL, below = like ? strtoull(like->run + 1, NULL, 10) : UINT64_MAX;
    size_t n = 0;
    bool found = false;
    *past = (tm_past){0};
    TM_TRY(tm_run_list(store, &numbers, &n, err));
    while (n-- > 0 && !found) {
        char run[32];
        snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[n]);
        if (numbers[n] >= below || tm_past_read(store, run, past, NULL) < 0) continue;
        bool of_graph = !like || json_equal(json_object_get(past->record, "path"),
                                            json_object_get(like->record, "path"));
        found = of_graph && is_smoke(past) == smoke && tm_past_find(past, node);
        if (!found) tm_past_clear(past);
    }
    tm_free(numbers);
    return found ? TM_OK : TM_ENOENT;
}

tm_status tm_past_find_before(tm_store *store, const tm_past *like, const char *node, tm_past *past,
                              tm_error *err)
{
    return search(store, node, like, is_smoke(like), past, err);
}

// How much of a node's work is another than in an earlier run: its options, and how its inputs are made.
static size_t distance(const tm_past *now, const tm_past_node *node, const tm_past *before)
{
    const tm_past_node *old = tm_past_find(before, node->name);
    if (!old || strcmp(old->stage, node->stage) != 0) return SIZE_MAX;
    json_t *own = tm_differ_own(json_object_get(old->plan, "own"), json_object_get(node->plan, "own"));
    size_t n = 0, options = json_array_size(own);
    json_decref(own);
    for (size_t i = 0; i < now->n_nodes; i++) {
        const tm_past_node *twin = tm_past_find(before, now->nodes[i].name);
        const json_t *mine = json_object_get(now->nodes[i].plan, "own");
        n += !twin || !json_equal(json_object_get(twin->plan, "own"), mine);
    }
    return 1000 * options + n;
}

tm_status tm_past_find_like(tm_store *store, const tm_past *now, const tm_past_node *node, tm_past *past,
                            tm_error *err)
{
    uint64_t *numbers = NULL, below = strtoull(now->run + 1, NULL, 10);
    size_t n = 0, least = SIZE_MAX, looked = 0;
    char best[32] = "", run[32];
    *past = (tm_past){0};
    TM_TRY(tm_run_list(store, &numbers, &n, err));
    while (n-- > 0 && looked < MAX_SEARCHED) {
        snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[n]);
        if (numbers[n] >= below || tm_past_read(store, run, past, NULL) < 0) continue;
        looked++;
        size_t far = is_smoke(past) == is_smoke(now) ? distance(now, node, past) : SIZE_MAX;
        if (far < least) snprintf(best, sizeof best, "%s", run);
        if (far < least) least = far;
        tm_past_clear(past);
    }
    tm_free(numbers);
    return best[0] ? tm_past_read(store, best, past, err) : TM_ENOENT;
}

static tm_status find_in(tm_store *store, const char *name, const char *text, tm_past *past,
                         const tm_past_node **node, tm_error *err)
{
    TM_TRY(tm_past_read(store, name, past, err));
    *node = tm_past_find(past, text);
    return *node ? TM_OK : tm_past_unknown_node(store, past->run, text, err);
}

tm_status tm_past_find_node(tm_store *store, const char *text, const char *run, tm_past *past,
                            const tm_past_node **node, tm_error *err)
{
    char name[64];
    const char *colon = strchr(text, ':');
    *past = (tm_past){0};
    if (run) return find_in(store, run, text, past, node, err);
    snprintf(name, sizeof name, "%.*s", colon ? (int)(colon - text) : 0, text);
    if (colon) return find_in(store, name, colon + 1, past, node, err);
    tm_status status = search(store, text, NULL, false, past, err);
    if (status == TM_ENOENT && search(store, text, NULL, true, past, NULL) >= 0)
        return tm_past_only_smoke(past->run, text, err);
    if (status == TM_ENOENT) {
        TM_TRY(tm_past_read(store, NULL, past, err));
        return tm_past_unknown_node(store, NULL, text, err);
    }
    if (status >= 0) *node = tm_past_find(past, text);
    return status;
}
