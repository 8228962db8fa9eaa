// SPDX-License-Identifier: Apache-2.0
// Retention: which training states stay. A state is as big as several models, so it is kept beside the newest
// snapshot and where its stage says that longer runs go on from (tm_work_stays); the others are freed as
// training goes on, when the newer one is durable.
#include "engine/run_internal.h"

#include "engine/store_free.h"

#define GRACE_MS 60000  // more than a worker needs from putting a state to naming it

typedef struct free_task {
    tm_task task;
    run *r;
    run_group *group;
    uint64_t attempt;
    tm_free_list list;
    tm_hash *trees, *keep;  // the list's
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
    tm_free(t->trees);
    tm_free(t->keep);
    tm_free(t);
}

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

// States of entries before the n-th are freed but for those that stay; all models stay.
static bool make_list(free_task *t, const run_group *g, const run_log *log, size_t n)
{
    size_t n_kept = g->kept ? tm_log_count(g->kept) : 0;
    t->trees = tm_calloc(log->n + n_kept + 1, sizeof *t->trees);
    t->keep = tm_calloc(2 * log->n + 1, sizeof *t->keep);
    if (!t->trees || !t->keep) return false;
    for (size_t i = 0; i < log->n; i++) {
        tm_hash state;
        t->keep[t->list.n_keep++] = log->entries[i].hash;
        if (!cursor_state(log->cursors[i], &state)) continue;
        if (i + 1 >= n || cursor_stays(log, i)) t->keep[t->list.n_keep++] = state;
        else t->trees[t->list.n_trees++] = state;
    }
    if (n) add_kept(t, g, log->steps[n - 1]);
    t->list.trees = t->trees;
    t->list.keep = t->keep;
    return t->list.n_trees > 0;
}

void retain_states(run *r, run_group *g, size_t n)
{
    const tm_plan_node *p = group_plan(r, g, 0);
    free_task *t = p->node->stage->prefix && !g->freeing ? tm_calloc(1, sizeof *t) : NULL;
    if (!t) return;
    *t = (free_task){.task = {.work = free_states, .done = free_done}, .r = r, .group = g,
                     .attempt = g->attempt};
    t->list.recipe = p->recipe;
    t->list.grace_ms = r->options->grace_ms > 0 ? r->options->grace_ms : GRACE_MS;
    if (make_list(t, g, &r->logs[p->node->index][0], n)) {
        g->freeing = true;
        tm_helper_put(r->helper, &t->task);
        return;
    }
    tm_free(t->trees);
    tm_free(t->keep);
    tm_free(t);
}
