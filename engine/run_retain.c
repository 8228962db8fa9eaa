// SPDX-License-Identifier: Apache-2.0
// Retention: what stays of a training. A state is as big as several models, so it is kept beside the newest
// snapshot and where its stage says that longer runs go on from (tm_work_stays). Of the models all stay, or
// those that the option `keep` names, that a selector of the graph picks, and that somebody has yet to read;
// of the others the entry is hollow. All is freed as training goes on, when the newer one is durable.
#include "engine/run_internal.h"

#include "engine/select.h"
#include "engine/store_free.h"

#define GRACE_MS 60000  // more than a worker needs from putting a state to naming it

typedef struct free_task {
    tm_task task;
    run *r;
    run_group *group;
    uint64_t attempt;
    tm_free_list list;
    tm_hash *trees, *hollow, *keep;  // the list's
} free_task;

bool cursor_state(const json_t *cursor, tm_hash *state)
{
    const char *hex = json_string_value(json_object_get(cursor, "state"));
    return hex && tm_hash_parse(hex, state);
}

bool cursor_stays(const run_log *log, size_t i)
{
    return i + 1 >= log->n || json_is_true(json_object_get(log->cursors[i], "stays"));
}

static void free_task_free(free_task *t)
{
    tm_free(t->trees);
    tm_free(t->hollow);
    tm_free(t->keep);
    tm_free(t);
}

static tm_status free_states(tm_task *task, tm_error *err)
{
    free_task *t = (free_task *)task;
    return tm_store_free(t->r->binder, &t->list, err);
}

// What is gone is not asked for again; what is too young is, after the next snapshot.
static void forget_freed(run *r, run_group *g)
{
    const tm_node *node = group_node(r, g, 0);
    const run_log *log = &r->logs[node->index][0];
    json_t *steps = json_array();
    for (size_t i = 0; i < log->n; i++) {
        tm_hash state;
        if (!cursor_state(log->cursors[i], &state) || tm_store_has(r->plan->store, state)) continue;
        json_object_del(log->cursors[i], "state");
        json_array_append_new(steps, json_integer((json_int_t)log->steps[i]));
    }
    if (json_array_size(steps))
        run_event(r, "freed", json_pack("{s:s, s:O}", "node", node->name, "steps", steps));
    json_decref(steps);
}

static void free_done(tm_task *task, tm_status status, const tm_error *err)
{
    free_task *t = (free_task *)task;
    (void)status;  // a gc is at work, or a file could not be read: another time
    (void)err;
    if (t->group->attempt == t->attempt) {
        t->group->freeing = false;
        forget_freed(t->r, t->group);
    }
    free_task_free(t);
}

// ---- which models stay ----

// What was measured at a snapshot; train.loss stands in for the default where nothing is held out.
static bool measure(const run_log *log, size_t i, const char *metric, double *value)
{
    const json_t *all = json_object_get(log->cursors[i], "metrics");
    const json_t *found = json_object_get(all, metric);
    if (!found && strcmp(metric, "valid.loss") == 0) found = json_object_get(all, "train.loss");
    *value = json_number_value(found);
    return found != NULL;
}

// Whether an entry is among the n best, of equal ones the earliest.
static bool among_best(const run_log *log, size_t i, const char *metric, json_int_t n)
{
    double mine, other;
    json_int_t better = 0;
    if (n <= 0 || !measure(log, i, metric, &mine)) return false;
    for (size_t k = 0; k < log->n; k++) {
        if (k == i || !measure(log, k, metric, &other)) continue;
        better += tm_select_better(metric, other, mine) || (other == mine && k < i);
    }
    return better < n;
}

static bool has_taken(const run_group *c, tm_hash entry)
{
    if (c->state == GROUP_DONE) return true;  // one that failed reads it another time
    for (size_t k = 0; k < c->n_items; k++)
        if (c->items[k].out && tm_hash_eq(c->items[k].in.hash, entry)) return true;
    return false;
}

// A selector of the graph keeps what it picks, also for later runs; `each` until it was taken.
static bool link_keeps(const run_group *c, const tm_link *link, const run_log *log, size_t i)
{
    switch (link->select.kind) {
    case TM_SELECT_AT: return log->steps[i] == link->select.at;
    case TM_SELECT_BEST: return among_best(log, i, link->select.metric, 1);
    case TM_SELECT_EACH:
        return tm_select_each(&link->select, log->steps[i]) && !has_taken(c, log->entries[i].hash);
    case TM_SELECT_LAST:
    case TM_SELECT_LATEST: return i + 1 >= log->n;
    }
    return true;
}

static bool links_keep(const run *r, const tm_plan_node *p, const run_log *log, size_t i, bool each)
{
    for (size_t k = 0; k < r->plan->graph->n_nodes; k++) {
        const tm_plan_node *by = &r->plan->nodes[k];
        for (size_t l = 0; by->wanted && by->same == (int)k && l < by->node->n_links; l++) {
            const tm_link *link = &by->node->links[l];
            if (tm_plan_canonical(r->plan, link->from) != p || link->out != 0) continue;
            if (link->select.kind == TM_SELECT_EACH && !each) continue;
            if (link_keeps(&r->groups[by->group], link, log, i)) return true;
        }
    }
    return false;
}

// With `each` also what a reader has yet to take.
static bool model_stays(const run *r, const tm_plan_node *p, const run_log *log, size_t i, bool each)
{
    const json_t *keep = json_object_get(p->node->options, "keep");
    if (!json_is_object(keep) || cursor_stays(log, i)) return true;
    const char *by = json_string_value(json_object_get(keep, "by"));
    return (json_int_t)(log->n - i) <= json_integer_value(json_object_get(keep, "last")) ||
           among_best(log, i, by ? by : "valid.loss", json_integer_value(json_object_get(keep, "best"))) ||
           links_keep(r, p, log, i, each);
}

json_t *kept_models(const run *r, const tm_plan_node *p)
{
    const run_log *log = &r->logs[p->node->index][0];
    if (!p->node->stage->prefix || !json_is_object(json_object_get(p->node->options, "keep"))) return NULL;
    json_t *kept = json_array();
    for (size_t i = 0; i < log->n; i++) {
        char hex[TM_HASH_HEX];
        if (!model_stays(r, p, log, i, false)) continue;
        tm_hash_hex(log->entries[i].hash, hex);
        json_array_append_new(kept, json_string(hex));
    }
    return json_pack("{s:o}", p->node->stage->outputs[0].name, kept);
}

// ---- what goes ----

// Points that Ctrl-C saved before the newest durable snapshot.
static void add_kept(free_task *t, const run_group *g, int64_t newest)
{
    for (size_t i = 0; g->kept && i < tm_log_count(g->kept); i++) {
        json_t *cursor = json_loads(tm_log_cursor(g->kept, i), 0, NULL);
        if (cursor && json_integer_value(json_object_get(cursor, "step")) < newest)
            t->trees[t->list.n_trees++] = tm_log_entry(g->kept, i).hash;
        json_decref(cursor);
    }
}

// Of entries before the n-th, which are durable.
static bool make_list(free_task *t, const run *r, const run_group *g, size_t n)
{
    const tm_plan_node *p = group_plan(r, g, 0);
    const run_log *log = &r->logs[p->node->index][0];
    size_t n_kept = g->kept ? tm_log_count(g->kept) : 0;
    t->trees = tm_calloc(log->n + n_kept + 1, sizeof *t->trees);
    t->hollow = tm_calloc(log->n + 1, sizeof *t->hollow);
    t->keep = tm_calloc(2 * log->n + 1, sizeof *t->keep);
    if (!t->trees || !t->keep || !t->hollow) return false;
    for (size_t i = 0; i < log->n; i++) {
        tm_hash state;
        if (i + 1 >= n || model_stays(r, p, log, i, true))
            t->keep[t->list.n_keep++] = log->entries[i].hash;
        else t->hollow[t->list.n_hollow++] = log->entries[i].hash;
        if (!cursor_state(log->cursors[i], &state)) continue;
        if (i + 1 >= n || cursor_stays(log, i)) t->keep[t->list.n_keep++] = state;
        else t->trees[t->list.n_trees++] = state;
    }
    if (n) add_kept(t, g, log->steps[n - 1]);
    t->list.trees = t->trees;
    t->list.hollow = t->hollow;
    t->list.keep = t->keep;
    return t->list.n_trees + t->list.n_hollow > 0;
}

void retain(run *r, run_group *g, size_t n)
{
    const tm_plan_node *p = group_plan(r, g, 0);
    free_task *t = p->node->stage->prefix && !g->freeing ? tm_calloc(1, sizeof *t) : NULL;
    if (!t) return;
    *t = (free_task){.task = {.work = free_states, .done = free_done}, .r = r, .group = g,
                     .attempt = g->attempt};
    t->list.recipe = p->recipe;
    t->list.grace_ms = r->options->grace_ms > 0 ? r->options->grace_ms : GRACE_MS;
    g->freeing = make_list(t, r, g, n);
    if (g->freeing) tm_helper_put(r->helper, &t->task);
    else free_task_free(t);
}

void retain_at_end(run *r)
{
    for (size_t i = 0; i < r->plan->n_groups; i++) {
        run_group *g = &r->groups[i];
        if (g->state == GROUP_DONE && !g->cached) retain(r, g, r->logs[group_node(r, g, 0)->index][0].n);
    }
}
