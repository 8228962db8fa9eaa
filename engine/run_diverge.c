// SPDX-License-Identifier: Apache-2.0
// Entries that a group gives again after a restart, and what happens when they are others than before: the
// log is cut, and consumers that had read further begin anew.
#include "engine/run_internal.h"

#include <stdlib.h>

#include "engine/store_artifact.h"

static bool has_read(run *r, const run_group *g, size_t link, const run_log *log, size_t i)
{
    const tm_node *node = group_node(r, g, 0);
    if (log_of(r, &node->links[link]) != log) return false;
    if (node->stage->map && node->n_links == 1) return g->n_items > i;
    if (node->stage->map) return true;  // several links: which item came from where is not kept
    return g->n_read && g->n_read[link] > i;
}

// What it gave so far stays visible, to be compared with what it gives now.
static void restart(run *r, run_group *g)
{
    const tm_plan_node *p = group_plan(r, g, 0);
    run_event(r, "restart", json_pack("{s:s}", "node", group_node(r, g, g->plan->n - 1)->name));
    worker_abandon(r, g);
    group_release(r, g);
    // Snapshots made of entries that are gone are no point to go on from.
    if (p->node->stage->prefix) tm_log_drop(r->plan->store, p->recipe, NULL);
    g->rolled_back = true;
    g->state = GROUP_WAITING;
}

static tm_status diverge(run *r, run_group *g, const tm_node *node, int port, size_t i, tm_error *err)
{
    run_log *log = &r->logs[node->index][port];
    run_event(
        r, g->rolled_back ? "changed" : "nondeterministic",
        json_pack("{s:s, s:s, s:I}", "node", node->name, "stage", tm_node_called(node), "entry",
                  (json_int_t)i));
    log_cut(log, i);
    if (g->open_logs[port]) TM_TRY(tm_log_cut(g->open_logs[port], i, err));
    for (size_t k = 0; k < r->n_order; k++) {
        run_group *c = r->order[k];
        bool past = false;
        for (size_t l = 0; c->state == GROUP_ACTIVE && l < group_node(r, c, 0)->n_links; l++)
            past |= has_read(r, c, l, log, i);
        if (past) restart(r, c);
    }
    return TM_OK;
}

tm_status log_put(run *r, run_group *g, const tm_node *node, int port, size_t i, const tm_entry *entry,
                  int64_t step, json_t *cursor, tm_error *err)
{
    run_log *log = &r->logs[node->index][port];
    if (i < log->n && !tm_hash_eq(log->entries[i].hash, entry->hash))
        TM_TRY(diverge(r, g, node, port, i, err));
    log->again = i + 1;
    if (i < log->n) {
        json_decref(log->cursors[i]);
        log->cursors[i] = json_incref(cursor);
        return TM_OK;
    }
    if (i > log->n) return tm_fail(err, TM_EFORMAT, "entry %zu came when %zu was due", i, log->n);
    return log_add(log, entry, step, cursor, err);
}

tm_status group_check_ends(run *r, run_group *g, tm_error *err)
{
    for (int i = 0; i < g->plan->n; i++) {
        const tm_node *node = group_node(r, g, i);
        for (int port = 0; tm_stage_makes(node->stage, port); port++) {
            const run_log *log = &r->logs[node->index][port];
            if (log->again < log->n) TM_TRY(diverge(r, g, node, port, log->again, err));
        }
    }
    return TM_OK;
}
