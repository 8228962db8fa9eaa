// SPDX-License-Identifier: Apache-2.0
// Groups that may be cached: they wait while what their inputs give is what an earlier result was made of,
// and start at the first entry that differs from all of those.
#include "engine/run_internal.h"

#include <stdlib.h>

#include "engine/key.h"
#include "engine/store_artifact.h"

// More earlier results than these are not compared: then the group waits for the ends of its inputs.
#define MAX_RESULTS 64

// What an earlier result read from one link.
typedef struct past_link {
    tm_artifact log;
    bool compare;  // entry by entry; else the link is no stream, or its list of entries is gone
    size_t same;   // entries found equal so far
} past_link;

struct run_maybe {
    past_link *links;  // n_results x n_links
    bool *dead;        // per result
    size_t n_results, n_links;
    bool more;
};

void maybe_free(run_maybe *m)
{
    if (!m) return;
    for (size_t i = 0; m->links && i < m->n_results * m->n_links; i++) tm_artifact_clear(&m->links[i].log);
    tm_free(m->links);
    tm_free(m->dead);
    tm_free(m);
}

// Whether the nodes behind the first one have results for what it gave then.
static bool rest_cached(const run *r, const run_group *g, const tm_record *record)
{
    for (int i = 1; record && i < g->plan->n; i++) {
        const tm_plan_node *p = group_plan(r, g, i);
        const tm_link *link = &p->node->links[0];
        const char *port = link->from->stage->outputs[link->out].name;
        size_t k = 0;
        while (k < record->n_ports && strcmp(record->ports[k].name, port) != 0) k++;
        if (k == record->n_ports) return false;
        json_t *inputs = json_pack("{s:o}", link->port,
                                   tm_key_input(link, "hash", record->ports[k].artifact));
        record = inputs ? tm_key_by_content(r->plan->store, tm_key_with_inputs(p->own, inputs)) : NULL;
        json_decref(inputs);
    }
    return record != NULL;
}

// False when the link is known by now and was another one then.
static bool load_link(const run *r, const tm_link *link, const json_t *input, past_link *past)
{
    tm_hash hash;
    if (tm_plan_canonical(r->plan, link->from)->known) {
        if (tm_plan_link_hash(r->plan, link, &hash, NULL) < 0) return true;
        json_t *now = tm_key_input(link, "hash", hash);
        bool same = json_equal(now, input);
        json_decref(now);
        return same;
    }
    const char *hex = json_string_value(json_object_get(input, "hash"));
    if (link_is_whole(link) || !hex || !tm_hash_parse(hex, &hash)) return true;
    past->compare = tm_artifact_get(r->plan->store, hash, &past->log, NULL) >= 0;
    return true;
}

static void load_result(run *r, run_group *g, const tm_record *record)
{
    run_maybe *m = g->maybe;
    const tm_node *node = group_node(r, g, 0);
    json_t *doc = json_loads(record->json, 0, NULL);
    const json_t *inputs = json_object_get(doc, "inputs");
    size_t n = m->n_results++;
    m->dead[n] = !inputs || !rest_cached(r, g, record);
    for (size_t l = 0; !m->dead[n] && l < node->n_links; l++) {
        const tm_link *link = &node->links[l];
        m->dead[n] = !load_link(r, link, json_object_get(inputs, link->port), &m->links[n * m->n_links + l]);
    }
    json_decref(doc);
}

static bool load(run *r, run_group *g)
{
    run_maybe *m = g->maybe = tm_calloc(1, sizeof *m);
    if (!m) return false;
    m->n_links = group_node(r, g, 0)->n_links;
    m->links = tm_calloc(MAX_RESULTS * m->n_links + 1, sizeof *m->links);
    m->dead = tm_calloc(MAX_RESULTS, sizeof *m->dead);
    if (!m->links || !m->dead) return false;
    const tm_record *record = tm_key_by_own(r->plan->store, group_plan(r, g, 0)->own);
    for (; record && m->n_results < MAX_RESULTS; record = tm_key_before(r->plan->store, record))
        load_result(r, g, record);
    m->more = record != NULL;
    return true;
}

static bool still_same(past_link *past, const run_log *log)
{
    for (; past->same < log->n; past->same++)
        if (past->same >= past->log.count ||
            !tm_hash_eq(past->log.entries[past->same].hash, log->entries[past->same].hash))
            return false;
    return true;
}

bool group_may_be_cached(run *r, run_group *g)
{
    if (!g->maybe && !load(r, g)) return true;
    run_maybe *m = g->maybe;
    const tm_node *node = group_node(r, g, 0);
    bool possible = m->more || !m->dead;
    for (size_t i = 0; i < m->n_results; i++) {
        for (size_t l = 0; !m->dead[i] && l < m->n_links; l++) {
            past_link *past = &m->links[i * m->n_links + l];
            if (past->compare && !still_same(past, log_of(r, &node->links[l]))) m->dead[i] = true;
        }
        possible |= !m->dead[i];
    }
    return possible;
}
