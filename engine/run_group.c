// SPDX-License-Identifier: Apache-2.0
// The life of a group: waiting for inputs, opened under a lease, run by workers. run_seal.c is its end.
#include "engine/run_internal.h"

#include <stdlib.h>

#include "engine/base/machine.h"
#include "engine/key.h"

#define LEASE_RETRY_NS 200000000
#define LEASE_REFUSALS 3

static const char *group_name(const run *r, const run_group *g)
{
    return group_node(r, g, g->plan->n - 1)->name;
}

static bool is_map(const run *r, const run_group *g)
{
    return group_node(r, g, 0)->stage->map != NULL;
}

json_t *group_facts(const run *r, const run_group *g)
{
    json_t *nodes = json_array();
    for (int i = 0; i < g->plan->n; i++) json_array_append_new(nodes, json_string(group_node(r, g, i)->name));
    return json_pack("{s:s, s:o}", "node", group_name(r, g), "nodes", nodes);
}

void group_clear(run_group *g)
{
    for (size_t i = 0; i < g->n_items; i++) tm_free(g->items[i].out);
    tm_free(g->items);
    tm_memo_close(g->memo);
    for (int i = 0; i < TM_MAX_PORTS; i++) tm_log_close(g->open_logs[i]);
    tm_log_close(g->kept);
    if (g->has_resume) tm_resume_clear(&g->resume);
    tm_lease_release(g->lease);
    json_decref(g->counts);
    maybe_free(g->maybe);
    tm_free(g->n_read);
    *g = (run_group){.plan = g->plan, .state = g->state, .cached = g->cached, .certain = g->certain,
                       .rolled_back = g->rolled_back, .deaths = g->deaths, .attempt = g->attempt + 1};
}

// Everything but its outcome: the lease last.
void group_release(run *r, run_group *g)
{
    (void)r;
    group_clear(g);
}

// ---- inputs ----

typedef enum { INPUTS_WAIT, INPUTS_STREAM, INPUTS_KNOWN, INPUTS_FAILED } inputs_state;

static inputs_state one_input(run *r, const tm_link *link)
{
    const tm_plan_node *from = tm_plan_canonical(r->plan, link->from);
    const run_group *producer = &r->groups[from->group];
    if (producer->state == GROUP_FAILED || producer->state == GROUP_SKIPPED) return INPUTS_FAILED;
    if (producer->state == GROUP_DONE) return INPUTS_KNOWN;
    if (link_is_whole(link)) return INPUTS_WAIT;
    return log_of(r, link)->n ? INPUTS_STREAM : INPUTS_WAIT;
}

// Only the first node of a group has inputs from outside.
static inputs_state look_at_inputs(run *r, const run_group *g)
{
    inputs_state worst = INPUTS_KNOWN;
    bool failed = false;
    const tm_node *node = group_node(r, g, 0);
    for (size_t l = 0; l < node->n_links; l++) {
        inputs_state s = one_input(r, &node->links[l]);
        if (s == INPUTS_FAILED) failed = true;
        else if (s < worst) worst = s;
    }
    return failed ? INPUTS_FAILED : worst;
}

// ---- from the cache ----

// Others may have read what an attempt gave: then the stored result, which may be another, does not do.
static bool gave_something(const run *r, const run_group *g)
{
    for (int i = 0; i < g->plan->n; i++)
        for (int port = 0; port < TM_MAX_PORTS; port++)
            if (r->logs[group_node(r, g, i)->index][port].n) return true;
    return false;
}

// Whether all nodes of the group have records now that their inputs are known.
static bool found_in_store(run *r, run_group *g)
{
    if (gave_something(r, g)) return false;
    for (int i = 0; i < g->plan->n; i++) {
        tm_plan_node *p = group_plan(r, g, i);
        const tm_record *record;
        if (p->forced || tm_plan_content(r->plan, p, &record, NULL) < 0 || !record) return false;
        tm_plan_adopt(p, record);
    }
    return tm_plan_complete(r->plan, g->plan);
}

static void finish_cached(run *r, run_group *g)
{
    g->state = GROUP_DONE;
    g->cached = true;
    r->result->cached += g->plan->n;
    seal_aliases(r, g);
    run_event(r, "cached", group_facts(r, g));
}

// ---- opening ----

// The group's key without its streamed input: what each node does, and its side inputs by hash.
static tm_status chain_key(const run *r, const run_group *g, tm_hash *key, tm_error *err)
{
    json_t *doc = json_array();
    tm_status status = TM_OK;
    for (int i = 0; i < g->plan->n; i++) {
        const tm_plan_node *p = group_plan(r, g, i);
        char hex[TM_HASH_HEX];
        tm_hash_hex(p->own, hex);
        json_array_append_new(doc, json_string(hex));
        if (r->plan->reuse_same && p->node->stage->traits & TM_NUMERIC)
            json_array_append_new(doc, json_string(tm_machine_cpu()));
        for (size_t l = 0; l < p->node->n_links && status >= 0; l++) {
            tm_hash hash;
            const tm_link *link = &p->node->links[l];
            if (link->row == &p->node->stage->inputs[0]) continue;
            status = tm_plan_link_hash(r->plan, link, &hash, err);
            if (status >= 0) json_array_append_new(doc, tm_key_input(link, "hash", hash));
        }
    }
    *key = tm_key_hash(doc);
    json_decref(doc);
    return status;
}

static int count_outputs(const run *r, const run_group *g)
{
    int n = 0;
    for (int i = 0; i < g->plan->n; i++)
        for (int port = 0; tm_stage_makes(group_node(r, g, i)->stage, port); port++) n++;
    return n;
}

static tm_status open_map(run *r, run_group *g, tm_error *err)
{
    g->n_outputs = count_outputs(r, g);
    tm_plan_node *p = group_plan(r, g, 0);
    if (p->forced) return TM_OK;  // a forced group makes everything anew
    tm_hash key;
    TM_TRY(chain_key(r, g, &key, err));
    return tm_memo_open(r->plan->store, key, (size_t)g->n_outputs, &g->memo, err);
}

static tm_status look_at_entry(void *arg, const tm_link *link, size_t i, tm_entry *entry)
{
    return link_entry(arg, link, i, entry, NULL);
}

static tm_status find_resume(run *r, run_group *g, tm_error *err)
{
    tm_plan_node *p = group_plan(r, g, 0);
    if (p->forced) return tm_log_drop(r->plan->store, p->recipe, err);
    tm_status status = tm_resume_find(r->plan, p, look_at_entry, r, &g->resume, err);
    g->has_resume = status == TM_OK;
    return status == TM_AGAIN ? TM_AGAIN : TM_OK;
}

// The open log of a port holds the entries before the resume point, and no others.
static tm_status open_port(run *r, run_group *g, int port, tm_error *err)
{
    const tm_plan_node *p = group_plan(r, g, 0);
    const tm_entry *entries = g->resume.entries[port];
    tm_log **log = &g->open_logs[port];
    size_t n = g->has_resume ? g->resume.n_entries[port] : 0, same = 0;
    TM_TRY(tm_log_open(r->plan->store, p->recipe, tm_port_file(&p->node->stage->outputs[port]), log, err));
    while (same < n && same < tm_log_count(*log) &&
           tm_hash_eq(tm_log_entry(*log, same).hash, entries[same].hash))
        same++;
    if (tm_log_count(*log) > same) TM_TRY(tm_log_cut(*log, same, err));
    for (size_t i = 0; i < n; i++) {
        json_t *cursor = port == 0 && g->resume.cursors ? g->resume.cursors[i] : NULL;
        int64_t step = cursor ? json_integer_value(json_object_get(cursor, "step")) : -1;
        TM_TRY(log_put(r, g, p->node, port, i, &entries[i], step, cursor, err));
        if (i < same) continue;
        char *text = cursor ? json_dumps(cursor, JSON_COMPACT) : NULL;
        tm_status status = tm_log_append(*log, entries[i], text, err);
        free(text);
        TM_TRY(status);
    }
    r->logs[p->node->index][port].durable = n;
    return TM_OK;
}

// What a trainer made before: the log starts with it.
static tm_status open_trainer(run *r, run_group *g, tm_error *err)
{
    const tm_plan_node *p = group_plan(r, g, 0);
    for (int port = 0; tm_stage_makes(p->node->stage, port); port++)
        TM_TRY(open_port(r, g, port, err));
    return tm_log_open(r->plan->store, p->recipe, "kept", &g->kept, err);
}

// TM_AGAIN: a trainer cannot know yet whether its data begin as they did in an earlier run.
tm_status group_open(run *r, run_group *g, tm_error *err)
{
    bool trainer = group_node(r, g, 0)->stage->prefix != NULL;
    tm_status status = trainer ? find_resume(r, g, err) : TM_OK;
    if (status != TM_OK) return status;
    g->counts = json_object();
    g->start_ns = tm_time_ns();
    for (int i = 0; i < g->plan->n; i++)
        for (int port = 0; port < TM_MAX_PORTS; port++) r->logs[group_node(r, g, i)->index][port].again = 0;
    if (is_map(r, g)) return open_map(r, g, err);
    return trainer ? open_trainer(r, g, err) : TM_OK;
}

// ---- map groups: what was mapped goes to the logs in order ----

static tm_status emit_item(run *r, run_group *g, const map_item *item, tm_error *err)
{
    int k = 0;
    for (int i = 0; i < g->plan->n; i++) {
        const tm_node *node = group_node(r, g, i);
        for (int port = 0; tm_stage_makes(node->stage, port); port++)
            TM_TRY(log_put(r, g, node, port, g->next_emit, &item->out[k++], -1, NULL, err));
    }
    return TM_OK;
}

tm_status group_emit(run *r, run_group *g, tm_error *err)
{
    while (g->next_emit < g->n_items && g->items[g->next_emit].out) {
        const map_item *item = &g->items[g->next_emit];
        TM_TRY(emit_item(r, g, item, err));
        const tm_node *last = group_node(r, g, g->plan->n - 1);
        const tm_entry *main_out = &r->logs[last->index][0].entries[g->next_emit];
        run_event(r, "entry",
                  json_pack("{s:s, s:I, s:I, s:I, s:b}", "node", last->name, "i", (json_int_t)g->next_emit,
                            "rows", (json_int_t)main_out->rows, "bytes", (json_int_t)main_out->bytes,
                            "remembered", item->remembered));
        g->next_emit++;
    }
    return TM_OK;
}

// ---- ends ----

bool group_over(const run_group *g)
{
    return g->state != GROUP_WAITING && g->state != GROUP_ACTIVE && g->state != GROUP_SEALING;
}

bool group_finished(const run_group *g)
{
    return g->input_ended && g->next_emit == g->n_items;
}

void group_fail_at(run *r, run_group *g, const char *node, const tm_error *error)
{
    json_t *facts = group_facts(r, g);
    if (!node) node = group_name(r, g);
    // What has no class of its own is a stage's failure here, not that of a command line.
    const char *code = error->code[0] || error->status != TM_EINVAL ? tm_error_code(error) : "TM0401";
    json_object_set_new(facts, "in", json_string(node));
    json_object_set_new(facts, "code", json_string(code));
    json_object_set_new(facts, "text", json_string(error->text));
    json_object_set_new(facts, "hint", json_string(error->hint));
    json_object_set_new(facts, "why", json_string(error->why));
    run_event(r, "failed", facts);
    if (!r->failed) {
        r->result->error = *error;
        tm_error_class(&r->result->error, code);
        snprintf(r->result->failed_node, sizeof r->result->failed_node, "%s", node);
    }
    r->failed = r->lost_inputs = true;
    r->result->failed += g->plan->n;
    g->state = GROUP_FAILED;
    worker_abandon(r, g);
    durable_mapped(r, g);
    group_release(r, g);
}

void group_fail(run *r, run_group *g, const tm_error *error)
{
    group_fail_at(r, g, NULL, error);
}

void group_worker_done(run *r, run_group *g)
{
    tm_error err = {0};
    tm_status status = TM_OK;
    g->workers--;
    if (g->state != GROUP_ACTIVE || g->workers > 0) return;
    if (is_map(r, g) && !group_finished(g)) {
        if (r->stopping) return;
        status = worker_assign(r, g, 1,
                               &err); // another one died and left entries, after this one was told to end
    } else {
        g->ended = true;
        status = group_check_ends(r, g, &err);
    }
    if (status < 0) group_fail(r, g, &err);
}

// A trainer may end before its data do, and its content key needs all of them.
static void seal_ended(run *r, run_group *g)
{
    tm_error err = {0};
    if (!g->ended || g->state != GROUP_ACTIVE || look_at_inputs(r, g) != INPUTS_KNOWN) return;
    if (group_seal(r, g, &err) < 0) group_fail(r, g, &err);
}

// ---- scheduling ----

static bool try_lease(run *r, run_group *g)
{
    tm_lease_holder holder = {0};
    tm_error err = {0};
    if (tm_time_ns() < g->lease_retry_ns) return false;
    tm_status status = tm_lease_try(r->plan->store, group_plan(r, g, g->plan->n - 1)->recipe, r->result->run,
                                    &g->lease, &holder, &err);
    if (status >= 0) return true;
    if (status == TM_EBUSY && g->lease_refusals++ < LEASE_REFUSALS) {  // maybe somebody only looks at it
        r->lease_soon = true;
        return false;
    }
    g->lease_retry_ns = tm_time_ns() + LEASE_RETRY_NS;
    if (status != TM_EBUSY) group_fail(r, g, &err);
    else if (!g->followed) {
        g->followed = true;
        run_event(r, "following",
                  json_pack("{s:s, s:s, s:I}", "node", group_name(r, g), "run", holder.run, "pid",
                            (json_int_t)holder.pid));
    }
    return false;
}

static void skip(run *r, run_group *g)
{
    g->state = GROUP_SKIPPED;
    r->lost_inputs = true;
    r->result->skipped += g->plan->n;
    run_event(r, "skipped", group_facts(r, g));
    worker_abandon(r, g);
    group_release(r, g);
}

// A group that streams from one that failed will never see the end of its input.
static void skip_orphans(run *r)
{
    while (r->lost_inputs) {
        r->lost_inputs = false;
        for (size_t i = 0; i < r->n_order; i++) {
            run_group *g = r->order[i];
            if (g->state == GROUP_ACTIVE && look_at_inputs(r, g) == INPUTS_FAILED) skip(r, g);
        }
    }
}

static int cores_to_ask(const run *r, const run_group *g)
{
    int free = run_free_cores(r), most = group_cores(r, g);
    if (!(group_node(r, g, 0)->stage->traits & TM_ELASTIC)) return 1;
    return most && most < free ? most : free;
}

// How much of its inputs there is; grows by one more when a producer ends.
static size_t inputs_size(run *r, const run_group *g)
{
    const tm_node *node = group_node(r, g, 0);
    size_t size = 0;
    for (size_t l = 0; l < node->n_links; l++) {
        const tm_plan_node *from = tm_plan_canonical(r->plan, node->links[l].from);
        size += log_of(r, &node->links[l])->n + (r->groups[from->group].state == GROUP_DONE);
    }
    return size + 1;
}

static void start(run *r, run_group *g)
{
    tm_error err = {0};
    if (g->lease && g->looked_at == inputs_size(r, g)) return;
    if (!g->lease && !try_lease(r, g)) return;
    tm_key_refresh(r->plan->store, NULL);
    if (look_at_inputs(r, g) == INPUTS_KNOWN && found_in_store(r, g)) {  // another run made it meanwhile
        tm_lease_release(g->lease);
        g->lease = NULL;
        finish_cached(r, g);
        return;
    }
    g->looked_at = inputs_size(r, g);
    tm_status status = group_open(r, g, &err);
    if (status == TM_AGAIN) return;
    if (status < 0 || worker_assign(r, g, cores_to_ask(r, g), &err) < 0) {
        group_fail(r, g, &err);
        return;
    }
    g->state = GROUP_ACTIVE;
    json_t *facts = group_facts(r, g);
    if (g->has_resume) json_object_set_new(facts, "resume", json_integer((json_int_t)g->resume.step));
    run_event(r, "start", facts);
}

// Streaming groups wait in workers of their own. There is no use in too many of them while somebody works;
// when nobody does, what all wait for may be a group that has not started.
static bool may_start(const run *r)
{
    int assigned = 0, free = run_free_cores(r);
    for (size_t i = 0; i < r->n_workers; i++) assigned += r->workers[i]->group >= 0;
    return free > 0 && (assigned < 4 * r->cores + 12 || free == r->cores);
}

static void consider(run *r, run_group *g)
{
    if (g->state != GROUP_WAITING) return;
    if (g->plan->state == TM_CACHED) {
        finish_cached(r, g);
        return;
    }
    inputs_state inputs = look_at_inputs(r, g);
    if (inputs == INPUTS_FAILED || (r->failed && !r->options->keep_going) || r->stopping) {
        skip(r, g);
        return;
    }
    if (inputs == INPUTS_WAIT) return;
    if (inputs == INPUTS_KNOWN && found_in_store(r, g)) {
        finish_cached(r, g);
        return;
    }
    if (inputs == INPUTS_STREAM && g->plan->state == TM_MAYBE && !g->certain) {
        g->certain = !group_may_be_cached(r, g);
        if (!g->certain) return;
    }
    if (!group_fits(r, g)) return;
    if (may_start(r)) start(r, g);
    else if (run_free_cores(r) == 0) run_ask_for_core(r);
}

// A second worker for a map group that has entries waiting.
static void widen(run *r, run_group *g)
{
    tm_entry entry;
    char label[64];
    if (g->state != GROUP_ACTIVE || !is_map(r, g) || g->input_ended || run_free_cores(r) < 1) return;
    int most = group_cores(r, g);
    if (g->workers >= (most ? most : r->cores) || r->stopping ||
        main_entry(r, g, g->n_items + 1, &entry, label, NULL) != TM_OK)
        return;
    worker_assign(r, g, 1, NULL);
}

// Cores that nobody waits for go to an elastic worker.
static void lend_free_cores(run *r)
{
    int free = run_free_cores(r);
    for (size_t i = 0; i < r->n_workers && free > 0; i++) {
        run_worker *w = r->workers[i];
        if (w->group < 0 || !w->cores || w->asked_cores) continue;
        const run_group *g = &r->groups[w->group];
        if (!(group_node(r, g, 0)->stage->traits & TM_ELASTIC)) continue;
        int most = group_cores(r, g), more = most && most - w->cores < free ? most - w->cores : free;
        if (more < 1) continue;
        worker_lend(r, w, w->cores + more);
        free -= more;
        tm_wire_put(&w->wire, json_pack("{s:s, s:i}", "op", "cores", "n", w->cores), NULL);
    }
}

static void end_overdue(run *r, run_group *g)
{
    double limit = g->state == GROUP_ACTIVE ? group_timeout(r, g) : 0;
    if (!limit || (double)(tm_time_ns() - g->start_ns) * 1e-9 < limit) return;
    tm_error err = {0};
    tm_fail(&err, TM_EFAILED, "it took longer than its timeout of %g s", limit);
    tm_error_class(&err, "TM0403");
    tm_hint(&err, "raise `at = { timeout = %g }`, or look in its log for what it waits for", limit);
    group_fail(r, g, &err);
}

static int deeper_first(const void *a, const void *b)
{
    const run_group *x = *(run_group *const *)a, *y = *(run_group *const *)b;
    if (x->plan->depth != y->plan->depth) return y->plan->depth - x->plan->depth;
    return x->plan < y->plan ? -1 : 1;
}

tm_status groups_order(run *r, tm_error *err)
{
    r->order = tm_calloc(r->plan->n_groups + 1, sizeof(run_group *));
    if (!r->order) return tm_fail(err, TM_ENOMEM, "no memory for a run");
    for (size_t i = 0; i < r->plan->n_groups; i++) r->order[r->n_order++] = &r->groups[i];
    qsort(r->order, r->n_order, sizeof *r->order, deeper_first);
    return TM_OK;
}

static void forget_finished(run *r)
{
    size_t left = 0;
    for (size_t i = 0; i < r->n_order; i++)
        if (!group_over(r->order[i])) r->order[left++] = r->order[i];
    r->n_order = left;
}

void groups_schedule(run *r)
{
    // Producers are deeper than their consumers, so what one seals the next can use at once.
    for (size_t i = 0; i < r->n_order; i++) seal_ended(r, r->order[i]);
    for (size_t i = 0; i < r->n_order; i++) end_overdue(r, r->order[i]);
    for (size_t i = 0; i < r->n_order; i++) consider(r, r->order[i]);
    skip_orphans(r);
    for (size_t i = 0; i < r->n_workers; i++) worker_serve(r, r->workers[i]);
    for (size_t i = 0; i < r->n_order; i++) widen(r, r->order[i]);
    if (!r->stopping) lend_free_cores(r);
    forget_finished(r);
}
