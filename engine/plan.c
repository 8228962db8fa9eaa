// SPDX-License-Identifier: Apache-2.0
// The plan, in passes: keys, sameness, groups, states from the store, bytes that are needed, order.
#include "engine/plan.h"

#include <stdlib.h>

#include "engine/key.h"
#include "engine/select.h"

#define SAY(field, ...) snprintf(field, sizeof(field), __VA_ARGS__)

const tm_plan_node *tm_plan_canonical(const tm_plan *plan, const tm_node *node)
{
    return &plan->nodes[plan->nodes[node->index].same];
}

// ---- keys ----

static tm_status make_keys(tm_plan *plan, tm_plan_node *p, tm_error *err)
{
    p->own_doc = tm_key_own_doc(p->node);
    p->inputs_doc = json_object();
    if (!p->own_doc || !p->inputs_doc) return tm_fail(err, TM_ENOMEM, "no memory for keys");
    for (size_t i = 0; i < p->node->n_links; i++) {
        const tm_link *link = &p->node->links[i];
        json_t *input = tm_key_input(link, "recipe", tm_plan_canonical(plan, link->from)->recipe);
        json_object_set_new(p->inputs_doc, link->port, input);
    }
    p->own = tm_key_hash(p->own_doc);
    p->recipe = tm_key_with_inputs(p->own, p->inputs_doc);
    if (p->node->stage->prefix) {
        json_t *family = tm_key_family_doc(p->node);
        p->family = tm_key_hash(family);
        json_decref(family);
    }
    return TM_OK;
}

static tm_status make_all_keys(tm_plan *plan, tm_error *err)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        tm_plan_node *p = &plan->nodes[i];
        p->node = plan->graph->nodes[i];
        p->same = (int)i;
        TM_TRY(make_keys(plan, p, err));
        for (size_t j = 0; j < i; j++)
            if (tm_hash_eq(plan->nodes[j].recipe, p->recipe)) {
                p->same = plan->nodes[j].same;
                break;
            }
    }
    return TM_OK;
}

// ---- what is wanted ----

static void want(tm_plan *plan, const tm_node *node)
{
    tm_plan_node *p = &plan->nodes[plan->nodes[node->index].same];
    if (p->wanted) return;
    p->wanted = true;
    for (size_t i = 0; i < p->node->n_links; i++) want(plan, p->node->links[i].from);
}

static tm_status named(const tm_plan *plan, const char *name, const tm_node **node, tm_error *err)
{
    *node = tm_graph_find(plan->graph, name);
    if (*node) return TM_OK;
    const char **names = tm_calloc(plan->graph->n_nodes + 1, sizeof *names);
    for (size_t i = 0; names && i < plan->graph->n_nodes; i++) names[i] = plan->graph->nodes[i]->name;
    const char *near = names ? tm_nearest(name, names) : NULL;
    tm_fail(err, TM_EINVAL, "the graph has no node \"%s\"", name);
    if (near) tm_hint(err, "did you mean \"%s\"?", near);
    else tm_hint(err, "`tidemill graph` lists the nodes");
    tm_free(names);
    return TM_EINVAL;
}

static tm_status choose(tm_plan *plan, const tm_plan_options *o, tm_error *err)
{
    const tm_node *node;
    if (o->only || o->until) {
        TM_TRY(named(plan, o->only ? o->only : o->until, &node, err));
        want(plan, node);
        return TM_OK;
    }
    for (const char *const *t = o->targets; t && *t; t++) {
        TM_TRY(named(plan, *t, &node, err));
        want(plan, node);
    }
    if (o->targets && o->targets[0]) return TM_OK;
    for (size_t i = 0; i < plan->graph->n_targets; i++) want(plan, plan->graph->targets[i].node);
    return TM_OK;
}

// ---- groups ----

static bool fusible(const tm_plan_node *p)
{
    return p->node->stage->map && !(p->node->stage->traits & (TM_HOSTILE | TM_SOURCE)) && !p->node->store;
}

static int count_ports(const tm_stage *stage)
{
    int n = 0;
    while (n < TM_MAX_PORTS && stage->outputs[n].name) n++;
    return n;
}

// How many wanted nodes read the main output of node `i`, and the last one that does by its main input.
static int readers(const tm_plan *plan, int i, int *reader)
{
    int n = 0;
    for (size_t k = 0; k < plan->graph->n_nodes; k++) {
        const tm_plan_node *p = &plan->nodes[k];
        if (p->same != (int)k || !p->wanted) continue;
        for (size_t l = 0; l < p->node->n_links; l++) {
            const tm_link *link = &p->node->links[l];
            if (tm_plan_canonical(plan, link->from) != &plan->nodes[i] || link->out != 0) continue;
            n++;
            *reader = link->port[0] ? -1 : (int)k;
        }
    }
    return n;
}

static bool may_follow(const tm_plan *plan, const tm_group *group, int next)
{
    const tm_plan_node *last = &plan->nodes[group->nodes[group->n - 1]], *p = &plan->nodes[next];
    int ports = count_ports(p->node->stage);
    for (int i = 0; i < group->n; i++) ports += count_ports(plan->nodes[group->nodes[i]].node->stage);
    if (group->n == TM_MAX_GROUP || ports > 16 || last->node->named || !fusible(last) || !fusible(p)) return false;
    // A side input made from this very group would make it wait for itself.
    for (size_t l = 0; l < p->node->n_links; l++)
        if (p->node->links[l].port[0]) return false;
    return p->node->n_links == 1 && p->node->links[0].select.kind == TM_SELECT_LAST;
}

static tm_status make_groups(tm_plan *plan, tm_error *err)
{
    size_t n = plan->graph->n_nodes;
    plan->groups = tm_calloc(n + 1, sizeof *plan->groups);
    if (!plan->groups) return tm_fail(err, TM_ENOMEM, "no memory for groups");
    for (size_t i = 0; i < n; i++) plan->nodes[i].group = -1;
    for (size_t i = 0; i < n; i++) {
        if (!plan->nodes[i].wanted || plan->nodes[i].same != (int)i || plan->nodes[i].group >= 0) continue;
        tm_group *group = &plan->groups[plan->n_groups];
        group->nodes[group->n++] = (int)i;
        plan->nodes[i].group = (int)plan->n_groups;
        int next = -1;
        while (readers(plan, group->nodes[group->n - 1], &next) == 1 && next >= 0 && may_follow(plan, group, next)) {
            group->nodes[group->n++] = next;
            plan->nodes[next].group = (int)plan->n_groups;
        }
        plan->n_groups++;
    }
    return TM_OK;
}

bool tm_plan_stores(const tm_plan *plan, const tm_plan_node *p, int port)
{
    const tm_group *group = &plan->groups[p->group];
    return port != 0 || &plan->nodes[group->nodes[group->n - 1]] == p;
}

bool tm_plan_complete(const tm_plan *plan, const tm_group *group)
{
    for (int i = 0; i < group->n; i++) {
        const tm_plan_node *p = &plan->nodes[group->nodes[i]];
        for (int port = 0; p->node->stage->outputs[port].name && port < TM_MAX_PORTS; port++)
            if (tm_plan_stores(plan, p, port) && !tm_artifact_complete(plan->store, p->outputs[port])) return false;
    }
    return true;
}

// ---- contents ----

tm_status tm_plan_link_hash(const tm_plan *plan, const tm_link *link, tm_hash *hash, tm_error *err)
{
    const tm_plan_node *from = tm_plan_canonical(plan, link->from);
    const tm_type *type = tm_type_find(link->row->type);
    *hash = from->outputs[link->out];
    if (!type->tree || link->select.kind == TM_SELECT_EACH) return TM_OK;
    tm_artifact log = {0};
    TM_TRY(tm_artifact_get(plan->store, *hash, &log, err));
    int metrics = tm_stage_output(from->node->stage, "metrics");
    size_t index;
    tm_status status = tm_select_entry(plan->store, &link->select, &log,
                                       metrics >= 0 ? from->outputs[metrics] : (tm_hash){{0}}, &index, err);
    if (status >= 0) *hash = log.entries[index].hash;
    tm_artifact_clear(&log);
    return status;
}

tm_status tm_plan_inputs(const tm_plan *plan, const tm_plan_node *p, json_t **inputs, tm_error *err)
{
    *inputs = json_object();
    for (size_t i = 0; i < p->node->n_links; i++) {
        tm_hash hash;
        tm_status status = tm_plan_link_hash(plan, &p->node->links[i], &hash, err);
        if (status < 0) {
            json_decref(*inputs);
            *inputs = NULL;
            return status;
        }
        json_object_set_new(*inputs, p->node->links[i].port, tm_key_input(&p->node->links[i], "hash", hash));
    }
    return TM_OK;
}

tm_status tm_plan_content(tm_plan *plan, tm_plan_node *p, const tm_record **record, tm_error *err)
{
    json_t *inputs;
    *record = NULL;
    TM_TRY(tm_plan_inputs(plan, p, &inputs, err));
    p->content = tm_key_with_inputs(p->own, inputs);
    json_decref(inputs);
    *record = tm_key_by_content(plan->store, p->content);
    return TM_OK;
}

void tm_plan_adopt(tm_plan_node *p, const tm_record *record)
{
    for (size_t i = 0; i < record->n_ports; i++) {
        int port = tm_stage_output(p->node->stage, record->ports[i].name);
        if (port >= 0) p->outputs[port] = record->ports[i].artifact;
    }
    p->known = true;
}

static bool inputs_known(const tm_plan *plan, const tm_plan_node *p)
{
    for (size_t i = 0; i < p->node->n_links; i++)
        if (!tm_plan_canonical(plan, p->node->links[i].from)->known) return false;
    return true;
}

// Whether a record of the same own key could still come true: its known inputs are as they are now.
static bool record_possible(const tm_plan *plan, const tm_plan_node *p, const tm_record *record)
{
    json_t *doc = json_loads(record->json, 0, NULL);
    const json_t *inputs = json_object_get(doc, "inputs");
    bool possible = inputs != NULL;
    for (size_t i = 0; possible && i < p->node->n_links; i++) {
        const tm_link *link = &p->node->links[i];
        tm_hash hash;
        if (!tm_plan_canonical(plan, link->from)->known) continue;
        if (tm_plan_link_hash(plan, link, &hash, NULL) < 0) continue;
        json_t *now = tm_key_input(link, "hash", hash);
        possible = json_equal(now, json_object_get(inputs, link->port));
        json_decref(now);
    }
    json_decref(doc);
    return possible;
}

static bool any_possible(const tm_plan *plan, const tm_plan_node *p)
{
    for (const tm_record *r = tm_key_by_own(plan->store, p->own); r; r = tm_key_before(plan->store, r))
        if (record_possible(plan, p, r)) return true;
    return false;
}

// Another node that will run may be given equal inputs, and then this one finds its result.
static bool twin_runs(const tm_plan *plan, const tm_plan_node *p)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *q = &plan->nodes[i];
        if (q != p && q->wanted && q->same == (int)i && !q->known && tm_hash_eq(q->own, p->own)) return true;
    }
    return false;
}

// ---- reasons ----

static const json_t *earlier(const tm_plan_options *o, const tm_plan_node *p, const char *field)
{
    return json_object_get(json_object_get(json_object_get(o->before, "nodes"), p->node->name), field);
}

static void reason_of_inputs(const tm_plan *plan, tm_plan_node *p)
{
    for (size_t i = 0; i < p->node->n_links; i++) {
        const tm_plan_node *from = tm_plan_canonical(plan, p->node->links[i].from);
        if (from->known) continue;
        SAY(p->reason, "%s%s is made anew by %.100s", p->node->links[i].port, p->node->links[i].port[0] ? ":" : "input",
            from->node->name);
        return;
    }
    SAY(p->reason, "no result with these inputs");
}

static void reason_to_run(const tm_plan *plan, const tm_plan_options *o, tm_plan_node *p)
{
    char text[256];
    const json_t *before = earlier(o, p, "own");
    if (!before) SAY(p->reason, "not run before");
    else if (tm_key_difference(before, p->own_doc, text, sizeof text)) SAY(p->reason, "%s", text);
    else reason_of_inputs(plan, p);
}

// ---- states ----

static void set_state(tm_plan_node *p, tm_state state, const char *kind)
{
    p->state = state;
    p->kind = kind;
    if (state == TM_RUN) p->known = false;
}

static tm_status decide_node(tm_plan *plan, const tm_plan_options *o, tm_plan_node *p, tm_error *err)
{
    const tm_record *record = NULL;
    if (!inputs_known(plan, p)) {
        bool maybe = any_possible(plan, p) || twin_runs(plan, p);
        reason_to_run(plan, o, p);
        set_state(p, maybe ? TM_MAYBE : TM_RUN, maybe ? "maybe" : "run");
        if (maybe) {
            reason_of_inputs(plan, p);
            size_t n = strlen(p->reason);
            snprintf(p->reason + n, sizeof p->reason - n, "; only if its bytes change");
        }
        return TM_OK;
    }
    tm_error why = {0};
    if (tm_plan_content(plan, p, &record, &why) < 0) {
        // The record of an input is there but its list of entries is not: as if it were unknown.
        set_state(p, TM_RUN, "run");
        SAY(p->reason, "%.200s", why.text);
        return TM_OK;
    }
    if (record) {
        tm_plan_adopt(p, record);
        set_state(p, TM_CACHED, "cached");
        return TM_OK;
    }
    bool maybe = twin_runs(plan, p);
    set_state(p, maybe ? TM_MAYBE : TM_RUN, maybe ? "maybe" : "run");
    reason_to_run(plan, o, p);
    (void)err;
    return TM_OK;
}

// One state for a whole group: a certain member makes all of them run.
static void settle_group(tm_plan *plan, tm_group *group)
{
    group->state = TM_CACHED;
    for (int i = 0; i < group->n; i++) {
        tm_state s = plan->nodes[group->nodes[i]].state;
        if (s == TM_RUN || (s == TM_MAYBE && group->state == TM_CACHED)) group->state = s;
    }
    if (group->state == TM_CACHED) return;
    for (int i = 0; i < group->n; i++) {
        tm_plan_node *p = &plan->nodes[group->nodes[i]];
        if (p->state == group->state) continue;
        set_state(p, group->state, group->state == TM_RUN ? "recompute (fused)" : "maybe");
        SAY(p->reason, "a stage fused with it %s", group->state == TM_RUN ? "runs" : "may run");
        if (group->state == TM_RUN) continue;
    }
}

static bool follows(const tm_plan *plan, const tm_plan_node *p, const tm_node *from)
{
    if (p->node == from) return true;
    for (size_t i = 0; i < p->node->n_links; i++)
        if (follows(plan, tm_plan_canonical(plan, p->node->links[i].from), from)) return true;
    return false;
}

static void force(tm_plan *plan, const tm_plan_options *o, const tm_node *forced, const tm_node *from)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        tm_plan_node *p = &plan->nodes[i];
        bool now = (forced && p == tm_plan_canonical(plan, forced)) ||
                   (from && follows(plan, p, tm_plan_canonical(plan, from)->node));
        if (!now || !p->wanted) continue;
        set_state(p, TM_RUN, "run");
        p->forced = true;
        SAY(p->reason, "forced");
    }
    (void)o;
}

static tm_status decide(tm_plan *plan, const tm_plan_options *o, tm_error *err)
{
    const tm_node *forced = NULL, *from = NULL;
    if (o->force) TM_TRY(named(plan, o->force, &forced, err));
    if (o->from) TM_TRY(named(plan, o->from, &from, err));
    for (size_t g = 0; g < plan->n_groups; g++) {
        tm_group *group = &plan->groups[g];
        for (int i = 0; i < group->n; i++) TM_TRY(decide_node(plan, o, &plan->nodes[group->nodes[i]], err));
        for (int i = 0; i < group->n; i++) {
            const tm_node *node = plan->nodes[group->nodes[i]].node;
            if (forced || from) force(plan, o, forced && tm_plan_canonical(plan, forced)->node == node ? forced : NULL,
                                      from && follows(plan, &plan->nodes[group->nodes[i]], tm_plan_canonical(plan, from)->node) ? from : NULL);
        }
        settle_group(plan, group);
    }
    return TM_OK;
}

// Bytes that a group which (maybe) runs reads must be there; a producer that lost them runs again. Backwards, so
// that producers of producers are seen.
static bool need_bytes(tm_plan *plan)
{
    bool changed = false;
    for (size_t g = plan->n_groups; g-- > 0;) {
        const tm_group *group = &plan->groups[g];
        if (group->state == TM_CACHED) continue;
        for (int i = 0; i < group->n; i++) {
            const tm_node *node = plan->nodes[group->nodes[i]].node;
            for (size_t l = 0; l < node->n_links; l++) {
                tm_plan_node *from = &plan->nodes[plan->nodes[node->links[l].from->index].same];
                tm_group *producer = &plan->groups[from->group];
                if (producer == group || producer->state != TM_CACHED || tm_plan_complete(plan, producer)) continue;
                producer->state = TM_RUN;
                changed = true;
                for (int k = 0; k < producer->n; k++) {
                    tm_plan_node *p = &plan->nodes[producer->nodes[k]];
                    p->state = TM_RUN;  // its hashes stay known: consumers keep their content keys
                    p->kind = "recompute (bytes gone)";
                    SAY(p->reason, "%.100s needs its bytes, and they are no longer stored", node->name);
                }
            }
        }
    }
    return changed;
}

static void note_resume(tm_plan *plan);

static void measure_depth(tm_plan *plan)
{
    for (size_t g = plan->n_groups; g-- > 0;) {
        tm_group *group = &plan->groups[g];
        if (!group->depth) group->depth = 1;
        for (int i = 0; i < group->n; i++) {
            const tm_node *node = plan->nodes[group->nodes[i]].node;
            for (size_t l = 0; l < node->n_links; l++) {
                tm_group *producer = &plan->groups[tm_plan_canonical(plan, node->links[l].from)->group];
                if (producer != group && producer->depth < group->depth + 1) producer->depth = group->depth + 1;
            }
        }
    }
}

static tm_status check_only(const tm_plan *plan, const tm_plan_options *o, tm_error *err)
{
    if (!o->only) return TM_OK;
    const tm_node *only;
    TM_TRY(named(plan, o->only, &only, err));
    int group = tm_plan_canonical(plan, only)->group;
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = &plan->nodes[i];
        if (!p->wanted || p->same != (int)i || p->group == group || p->state == TM_CACHED) continue;
        tm_fail(err, TM_EINVAL, "--only %s: its input %s is not there (%s: %s)", o->only, p->node->name, p->kind, p->reason);
        tm_hint(err, "use --until %s to make what it needs as well", o->only);
        return TM_EINVAL;
    }
    return TM_OK;
}

static tm_status make(tm_plan *plan, const tm_plan_options *o, tm_error *err)
{
    TM_TRY(make_all_keys(plan, err));
    TM_TRY(choose(plan, o, err));
    TM_TRY(make_groups(plan, err));
    TM_TRY(tm_key_refresh(plan->store, err));
    TM_TRY(decide(plan, o, err));
    while (need_bytes(plan)) continue;
    note_resume(plan);
    measure_depth(plan);
    return check_only(plan, o, err);
}

tm_status tm_plan_make(const tm_graph *graph, tm_store *store, const tm_plan_options *options, tm_plan **out,
                       tm_error *err)
{
    tm_plan *plan = tm_calloc(1, sizeof *plan);
    if (!plan) return tm_fail(err, TM_ENOMEM, "no memory for a plan");
    plan->graph = graph;
    plan->store = store;
    plan->nodes = tm_calloc(graph->n_nodes + 1, sizeof *plan->nodes);
    tm_status status = plan->nodes ? make(plan, options, err) : tm_fail(err, TM_ENOMEM, "no memory for a plan");
    if (status < 0) {
        tm_plan_free(plan);
        return status;
    }
    *out = plan;
    return TM_OK;
}

void tm_plan_free(tm_plan *plan)
{
    if (!plan) return;
    for (size_t i = 0; plan->nodes && i < plan->graph->n_nodes; i++) {
        json_decref(plan->nodes[i].own_doc);
        json_decref(plan->nodes[i].inputs_doc);
    }
    tm_free(plan->nodes);
    tm_free(plan->groups);
    tm_free(plan);
}

json_t *tm_plan_json(const tm_plan *plan)
{
    json_t *nodes = json_object();
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = &plan->nodes[i];
        const tm_plan_node *c = &plan->nodes[p->same];
        if (!c->wanted) continue;
        char own[TM_HASH_HEX], recipe[TM_HASH_HEX];
        tm_hash_hex(c->own, own);
        tm_hash_hex(c->recipe, recipe);
        json_t *node = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:O, s:O, s:i}", "stage", p->node->stage->name, "state",
                                 c->kind ? c->kind : "cached", "reason", c->reason, "recipe", recipe, "file",
                                 p->node->file, "line", p->node->line, "own", c->own_doc, "inputs", c->inputs_doc,
                                 "group", c->group);
        if (p != c) json_object_set_new(node, "same", json_string(c->node->name));
        json_object_set_new(nodes, p->node->name, node);
    }
    return json_pack("{s:s, s:o, s:O?}", "graph", plan->graph->file, "nodes", nodes, "params", plan->graph->params);
}

// ---- trainers that can go on from an earlier point ----

#include "engine/resume.h"

static void note_resume(tm_plan *plan)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        tm_plan_node *p = &plan->nodes[i];
        if (!p->wanted || p->same != (int)i || p->state != TM_RUN || !p->node->stage->prefix) continue;
        if (!inputs_known(plan, p)) continue;
        tm_resume_point point = {0};
        if (p->forced || tm_resume_find(plan, p, NULL, NULL, &point, NULL) != TM_OK) {
            if (point.why_not[0]) {
                size_t n = strlen(p->reason);
                snprintf(p->reason + n, sizeof p->reason - n, "; cannot go on from an earlier run: %.120s", point.why_not);
            }
            continue;
        }
        SAY(p->kind_text, "resume from %lld", (long long)point.step);
        p->kind = p->kind_text;
        tm_resume_clear(&point);
    }
}
