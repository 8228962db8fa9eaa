// SPDX-License-Identifier: Apache-2.0
// Reading what a plan is going to read.
#include "lua/damage.h"

#include "engine/store_artifact.h"
#include "engine/store_tree.h"

// What is damaged is counted (whoever finds it sets it aside), what is missing is for the plan.
static tm_status count(tm_status status, size_t *found)
{
    *found += status == TM_ECORRUPT;
    return status == TM_ECORRUPT || status == TM_ENOENT ? TM_OK : status;
}

static tm_status look_at_tree(tm_store *store, tm_hash hash, size_t *found, tm_error *err)
{
    tm_tree tree = {0};
    tm_status status = tm_tree_get(store, hash, &tree, err);
    if (status < 0) return count(status, found);
    for (size_t i = 0; i < tree.count && status >= 0; i++)
        status = count(tm_store_check(store, tree.files[i].hash, err), found);
    tm_tree_clear(&tree);
    return status;
}

static tm_status look_at_log(tm_store *store, tm_hash artifact, size_t *found, tm_error *err)
{
    tm_artifact log = {0};
    tm_status status = tm_artifact_get(store, artifact, &log, err);
    if (status < 0) return count(status, found);
    for (size_t i = 0; i < log.count && status >= 0; i++) {
        tm_hash entry = log.entries[i].hash;
        status = log.trees ? look_at_tree(store, entry, found, err)
                           : count(tm_store_check(store, entry, err), found);
    }
    tm_artifact_clear(&log);
    return status;
}

static bool works(const tm_plan *plan, const tm_plan_node *p)
{
    return p->group >= 0 && plan->groups[p->group].state != TM_CACHED;
}

tm_status tm_damage_ahead(const tm_plan *plan, size_t *found, tm_error *err)
{
    *found = 0;
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = &plan->nodes[i];
        if (!p->wanted || p->same != (int)i) continue;
        if (p->known && tm_node_place(p->node)) TM_TRY(look_at_log(plan->store, p->outputs[0], found, err));
        for (size_t l = 0; works(plan, p) && l < p->node->n_links; l++) {
            const tm_link *link = &p->node->links[l];
            const tm_plan_node *from = tm_plan_canonical(plan, link->from);
            if (from->known) TM_TRY(look_at_log(plan->store, from->outputs[link->out], found, err));
        }
    }
    return TM_OK;
}
