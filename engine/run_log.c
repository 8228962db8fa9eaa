// SPDX-License-Identifier: Apache-2.0
// Logs while a run goes on, and what a link gives of them.
#include "engine/run_internal.h"

#include "engine/select.h"

tm_status log_add(run_log *log, const tm_entry *entry, int64_t step, json_t *cursor, tm_error *err)
{
    if (log->n == log->capacity) {
        size_t capacity = log->capacity ? 2 * log->capacity : 16;
        tm_entry *entries = tm_realloc(log->entries, capacity * sizeof *entries);
        if (entries) log->entries = entries;
        int64_t *steps = tm_realloc(log->steps, capacity * sizeof *steps);
        if (steps) log->steps = steps;
        json_t **cursors = tm_realloc(log->cursors, capacity * sizeof *cursors);
        if (cursors) log->cursors = cursors;
        if (!entries || !steps || !cursors)
            return tm_fail(err, TM_ENOMEM, "no memory for a log of %zu", capacity);
        log->capacity = capacity;
    }
    log->entries[log->n] = *entry;
    log->steps[log->n] = step;
    log->cursors[log->n++] = json_incref(cursor);
    return TM_OK;
}

void log_cut(run_log *log, size_t n)
{
    while (log->n > n) json_decref(log->cursors[--log->n]);
    if (log->durable > n) log->durable = n;
    if (log->again > n) log->again = n;
}

void log_clear(run_log *log)
{
    log_cut(log, 0);
    tm_free(log->entries);
    tm_free(log->steps);
    tm_free(log->cursors);
    *log = (run_log){0};
}

const tm_node *group_node(const run *r, const run_group *g, int i)
{
    return r->plan->nodes[g->plan->nodes[i]].node;
}

tm_plan_node *group_plan(const run *r, const run_group *g, int i)
{
    return &r->plan->nodes[g->plan->nodes[i]];
}

run_log *log_of(run *r, const tm_link *link)
{
    return &r->logs[tm_plan_canonical(r->plan, link->from)->node->index][link->out];
}

bool link_is_whole(const tm_link *link)
{
    bool tree = tm_type_find(link->row->type)->tree;
    return (link->row->flags & TM_PORT_WHOLE) || (tree && link->select.kind != TM_SELECT_EACH);
}

// Entries of a sealed artifact that this run did not make.
static tm_status load(run *r, const tm_plan_node *from, int port, run_log *log, tm_error *err)
{
    tm_artifact artifact = {0};
    TM_TRY(tm_artifact_get(r->plan->store, from->outputs[port], &artifact, err));
    tm_status status = TM_OK;
    for (size_t i = 0; status >= 0 && i < artifact.count; i++) {
        int64_t step = artifact.trees ? tm_snapshot_step(r->plan->store, artifact.entries[i].hash) : -1;
        status = log_add(log, &artifact.entries[i], step, NULL, err);
    }
    log->ended = true;
    log->durable = log->n;
    tm_artifact_clear(&artifact);
    return status;
}

static tm_status settle(run *r, const tm_link *link, run_log **log, tm_error *err)
{
    const tm_plan_node *from = tm_plan_canonical(r->plan, link->from);
    *log = log_of(r, link);
    if ((*log)->ended || !from->known) return TM_OK;
    // Its hashes can be known although it runs (bytes gone): then it streams like any other.
    if (r->groups[from->group].state != GROUP_DONE) return TM_OK;
    return load(r, from, link->out, *log, err);
}

static tm_status selected(run *r, const tm_link *link, run_log *log, tm_entry *entry, tm_error *err)
{
    const tm_plan_node *from = tm_plan_canonical(r->plan, link->from);
    if (!log->ended || !from->known) return TM_AGAIN;
    tm_artifact artifact = {.entries = log->entries, .count = log->n, .trees = true};
    int metrics = tm_stage_output(from->node->stage, "metrics");
    size_t index;
    TM_TRY(tm_select_entry(r->plan->store, &link->select, &artifact,
                           metrics >= 0 ? from->outputs[metrics] : (tm_hash){{0}}, &index, err));
    *entry = log->entries[index];
    return TM_OK;
}

static tm_status each(const run_log *log, const tm_select *select, size_t i, tm_entry *entry)
{
    for (size_t k = 0; k < log->n; k++) {
        if (!tm_select_each(select, log->steps[k]) || i-- > 0) continue;
        *entry = log->entries[k];
        return TM_OK;
    }
    return log->ended ? TM_DONE : TM_AGAIN;
}

tm_status link_entry(run *r, const tm_link *link, size_t i, tm_entry *entry, tm_error *err)
{
    run_log *log;
    TM_TRY(settle(r, link, &log, err));
    if (link->select.kind == TM_SELECT_EACH) return each(log, &link->select, i, entry);
    if (tm_type_find(link->row->type)->tree) return i ? TM_DONE : selected(r, link, log, entry, err);
    if (i < log->n) {
        *entry = log->entries[i];
        return TM_OK;
    }
    return log->ended ? TM_DONE : TM_AGAIN;
}

tm_status main_entry(run *r, const run_group *g, size_t i, tm_entry *entry, char label[64], tm_error *err)
{
    const tm_node *node = group_node(r, g, 0);
    for (size_t l = 0; l < node->n_links; l++) {
        const tm_link *link = &node->links[l];
        if (link->row != &node->stage->inputs[0]) continue;
        for (;;) {
            tm_status status = link_entry(r, link, i, entry, err);
            if (status == TM_OK) snprintf(label, 64, "%s", link->port[0] == '.' ? link->port + 1 : "");
            if (status != TM_DONE) return status;
            break;
        }
        // Count what this link gave, and go on with the next one.
        size_t n = 0;
        while (n < i && link_entry(r, link, n, entry, NULL) == TM_OK) n++;
        i -= n;
    }
    return TM_DONE;
}
