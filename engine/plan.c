// SPDX-License-Identifier: Apache-2.0
// The plan, in passes: keys, sameness, groups, states from the store, bytes that are needed, order.
#include "engine/plan.h"

#include <stdlib.h>

#include "engine/base/hash_map.h"
#include "engine/base/machine.h"
#include "engine/key.h"
#include "engine/select.h"
#include "engine/store_tree.h"

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
    p->own = tm_key_own(p->own_doc);
    p->recipe = tm_key_with_inputs(p->own, p->inputs_doc);
    if (p->node->stage->prefix) {
        json_t *family = tm_key_family_doc(p->node);
        p->family = tm_key_own(family);
        json_decref(family);
    }
    return TM_OK;
}

// The first node with this hash, or `i` itself, which is noted then.
static tm_status first_with(tm_hash_map *seen, tm_hash hash, int i, int *first, tm_error *err)
{
    uint64_t index;
    *first = i;
    if (tm_hash_map_get(seen, hash, &index)) *first = (int)index;
    else if (!tm_hash_map_put(seen, hash, (uint64_t)i)) return tm_fail(err, TM_ENOMEM, "no memory for keys");
    return TM_OK;
}

static tm_status make_all_keys(tm_plan *plan, tm_error *err)
{
    tm_hash_map recipes = {0}, owns = {0};
    tm_status status = TM_OK;
    for (size_t i = 0; i < plan->graph->n_nodes && status >= 0; i++) {
        tm_plan_node *p = &plan->nodes[i];
        p->node = plan->graph->nodes[i];
        status = make_keys(plan, p, err);
        if (status >= 0) status = first_with(&recipes, p->recipe, (int)i, &p->same, err);
        if (status >= 0) status = first_with(&owns, p->own, (int)i, &p->twin, err);
    }
    tm_hash_map_clear(&recipes);
    tm_hash_map_clear(&owns);
    return status;
}

// ---- what is wanted ----

static void want(tm_plan *plan, const tm_node *node)
{
    tm_plan_node *p = &plan->nodes[plan->nodes[node->index].same];
    p->wanted = p->chosen = true;
}

// Nodes are in topological order.
static void want_inputs(tm_plan *plan)
{
    for (size_t i = plan->graph->n_nodes; i-- > 0;) {
        const tm_plan_node *p = &plan->nodes[i];
        for (size_t l = 0; p->wanted && l < p->node->n_links; l++)
            plan->nodes[plan->nodes[p->node->links[l].from->index].same].wanted = true;
    }
}

static tm_status named(const tm_plan *plan, const char *name, const tm_node **node, tm_error *err)
{
    *node = tm_graph_find(plan->graph, name);
    if (*node) return TM_OK;
    const char **names = tm_calloc(plan->graph->n_nodes + 1, sizeof *names);
    for (size_t i = 0; names && i < plan->graph->n_nodes; i++) names[i] = plan->graph->nodes[i]->name;
    const char *near = names ? tm_nearest(name, names) : NULL;
    tm_fail_as(err, TM_EINVAL, "TM0506", "the graph has no node \"%s\"", name);
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
    return p->node->stage->map && !(p->node->stage->traits & (TM_HOSTILE | TM_SOURCE | TM_PROGRAM)) &&
           !p->node->store;
}

static int count_ports(const tm_stage *stage)
{
    int n = 0;
    while (tm_stage_makes(stage, n)) n++;
    return n;
}

// For every node how many wanted ones read its main output, and the one that does by its own main input.
static void count_readers(const tm_plan *plan, int *readers, int *reader)
{
    for (size_t k = 0; k < plan->graph->n_nodes; k++) {
        const tm_plan_node *p = &plan->nodes[k];
        if (p->same != (int)k || !p->wanted) continue;
        for (size_t l = 0; l < p->node->n_links; l++) {
            const tm_link *link = &p->node->links[l];
            int from = plan->nodes[link->from->index].same;
            if (link->out != 0) continue;
            readers[from]++;
            reader[from] = link->port[0] ? -1 : (int)k;
        }
    }
}

static bool may_follow(const tm_plan *plan, const tm_group *group, int next)
{
    const tm_plan_node *last = &plan->nodes[group->nodes[group->n - 1]], *p = &plan->nodes[next];
    int ports = count_ports(p->node->stage);
    for (int i = 0; i < group->n; i++) ports += count_ports(plan->nodes[group->nodes[i]].node->stage);
    if (group->n == TM_MAX_GROUP || ports > 16 || last->node->named || !fusible(last) || !fusible(p))
        return false;
    // A side input made from this very group would make it wait for itself.
    for (size_t l = 0; l < p->node->n_links; l++)
        if (p->node->links[l].port[0]) return false;
    return p->node->n_links == 1 && p->node->links[0].select.kind == TM_SELECT_LAST;
}

static void grow_group(tm_plan *plan, int first, const int *readers, const int *reader)
{
    tm_group *group = &plan->groups[plan->n_groups];
    for (int next = first; next >= 0;) {
        group->nodes[group->n++] = next;
        plan->nodes[next].group = (int)plan->n_groups;
        int last = next;
        next = readers[last] == 1 && reader[last] >= 0 && may_follow(plan, group, reader[last]) ? reader[last]
                                                                                                : -1;
    }
    plan->n_groups++;
}

static tm_status make_groups(tm_plan *plan, tm_error *err)
{
    size_t n = plan->graph->n_nodes;
    int *readers = tm_calloc(2 * n + 1, sizeof *readers);
    plan->groups = tm_calloc(n + 1, sizeof *plan->groups);
    if (plan->groups && readers) count_readers(plan, readers, readers + n);
    for (size_t i = 0; i < n; i++) plan->nodes[i].group = -1;
    for (size_t i = 0; plan->groups && readers && i < n; i++)
        if (plan->nodes[i].wanted && plan->nodes[i].same == (int)i && plan->nodes[i].group < 0)
            grow_group(plan, (int)i, readers, readers + n);
    bool made = plan->groups && readers;
    tm_free(readers);
    return made ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for groups");
}

bool tm_plan_stores(const tm_plan *plan, const tm_plan_node *p, int port)
{
    const tm_group *group = &plan->groups[p->group];
    return port != 0 || &plan->nodes[group->nodes[group->n - 1]] == p;
}

// Whether the bytes of one entry of a tree port are needed by a link.
static bool link_needs(const tm_plan *plan, const tm_link *link, const tm_artifact *log, tm_hash metrics,
                       size_t i, int64_t step)
{
    size_t index;
    if (link->select.kind == TM_SELECT_EACH) return tm_select_each(&link->select, step);
    tm_status status = tm_select_entry(plan->store, &link->select, log, metrics, &index, NULL);
    return status < 0 || index == i;
}

static bool entry_needed(const tm_plan *plan, const tm_plan_node *p, int port, const tm_artifact *log,
                         size_t i, int64_t step)
{
    int metrics = tm_stage_output(p->node->stage, "metrics");
    tm_hash measured = metrics >= 0 ? p->outputs[metrics] : (tm_hash){{0}};
    if (p->chosen && i + 1 == log->count) return true;
    for (size_t k = 0; k < plan->graph->n_nodes; k++) {
        const tm_plan_node *by = &plan->nodes[k];
        if (!by->wanted || by->same != (int)k || by->group < 0) continue;
        if (plan->groups[by->group].state == TM_CACHED) continue;
        for (size_t l = 0; l < by->node->n_links; l++) {
            const tm_link *link = &by->node->links[l];
            if (tm_plan_canonical(plan, link->from) == p && link->out == port &&
                link_needs(plan, link, log, measured, i, step))
                return true;
        }
    }
    return false;
}

// Of a log of snapshots; *gone is the step of the first that is needed and hollow.
static bool trees_complete(const tm_plan *plan, const tm_plan_node *p, int port, int64_t *gone)
{
    tm_artifact log = {0};
    bool complete = true;
    if (tm_artifact_get(plan->store, p->outputs[port], &log, NULL) < 0) return false;
    for (size_t i = 0; i < log.count && complete; i++) {
        if (tm_tree_complete(plan->store, log.entries[i].hash)) continue;
        int64_t step = tm_snapshot_step(plan->store, log.entries[i].hash);
        complete = !entry_needed(plan, p, port, &log, i, step);
        if (!complete) *gone = step;
    }
    tm_artifact_clear(&log);
    return complete;
}

static bool node_complete(const tm_plan *plan, const tm_plan_node *p, int64_t *gone)
{
    for (int port = 0; tm_stage_makes(p->node->stage, port); port++) {
        bool trees = tm_type_find(p->node->stage->outputs[port].type)->tree;
        if (!tm_plan_stores(plan, p, port)) continue;
        if (trees && !trees_complete(plan, p, port, gone)) return false;
        if (!trees && !tm_artifact_complete(plan->store, p->outputs[port])) return false;
    }
    return true;
}

static bool reads_anew(const tm_plan *plan, const tm_plan_node *by, const tm_link *link, int64_t step)
{
    if (link->select.kind == TM_SELECT_AT) return link->select.at == step;
    // Who was run with these options has read the snapshots of then, and what it made of them is remembered.
    return link->select.kind == TM_SELECT_EACH && tm_select_each(&link->select, step) &&
           !tm_key_by_own(plan->store, by->own);
}

bool tm_plan_reads_hollow(const tm_plan *plan, const tm_plan_node *p, const tm_entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (tm_tree_complete(plan->store, entries[i].hash)) continue;
        int64_t step = tm_snapshot_step(plan->store, entries[i].hash);
        for (size_t k = 0; k < plan->graph->n_nodes; k++) {
            const tm_plan_node *by = &plan->nodes[k];
            for (size_t l = 0; by->wanted && l < by->node->n_links; l++) {
                const tm_link *link = &by->node->links[l];
                if (tm_plan_canonical(plan, link->from) == p && link->out == 0 &&
                    reads_anew(plan, by, link, step))
                    return true;
            }
        }
    }
    return false;
}

bool tm_plan_complete(const tm_plan *plan, const tm_group *group)
{
    int64_t gone;
    for (int i = 0; i < group->n; i++)
        if (!node_complete(plan, &plan->nodes[group->nodes[i]], &gone)) return false;
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
    char cpu[16];
    if (*record && plan->reuse_same && tm_record_elsewhere(p->node->stage, *record, cpu)) *record = NULL;
    return TM_OK;
}

bool tm_record_elsewhere(const tm_stage *stage, const tm_record *record, char cpu[16])
{
    json_t *doc = stage->traits & TM_NUMERIC ? json_loads(record->json, 0, NULL) : NULL;
    const char *made = json_string_value(json_object_get(doc, "cpu"));
    snprintf(cpu, 16, "%s", made ? made : "unknown");
    json_decref(doc);
    return stage->traits & TM_NUMERIC && strcmp(cpu, tm_machine_cpu()) != 0;
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
    char cpu[16];
    if (plan->reuse_same && tm_record_elsewhere(p->node->stage, record, cpu)) return false;
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

// Records are many after a while, and looking at each costs; beyond these it is taken as possible.
#define MAX_LOOKED_AT 64

static bool any_possible(const tm_plan *plan, const tm_plan_node *p)
{
    const tm_record *r = tm_key_by_own(plan->store, p->own);
    for (int i = 0; r && i < MAX_LOOKED_AT; i++, r = tm_key_before(plan->store, r))
        if (record_possible(plan, p, r)) return true;
    return r != NULL;
}

static bool may_bind(const tm_plan_node *p, size_t i)
{
    return p->wanted && p->same == (int)i && !p->known;
}

// How many nodes of each own key may yet get a record: kept at the first one.
static void count_unknown(tm_plan *plan)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++)
        if (may_bind(&plan->nodes[i], i)) plan->nodes[plan->nodes[i].twin].n_unknown++;
}

// Another node that will run may be given equal inputs, and then this one finds its result.
static bool twin_runs(const tm_plan *plan, const tm_plan_node *p)
{
    return plan->nodes[p->twin].n_unknown > (p->known ? 0 : 1);
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
        SAY(p->reason, "%s%s is made anew by %.100s", p->node->links[i].port,
            p->node->links[i].port[0] ? ":" : "input", from->node->name);
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

static void set_state(tm_plan *plan, tm_plan_node *p, tm_state state, const char *kind)
{
    p->state = state;
    p->kind = kind;
    if (state != TM_RUN || !p->known) return;
    p->known = false;
    plan->nodes[p->twin].n_unknown++;
}

static void add_reason(tm_plan_node *p, const char *text)
{
    size_t n = strlen(p->reason);
    snprintf(p->reason + n, sizeof p->reason - n, "; %s", text);
}

static void decide_to_run(tm_plan *plan, const tm_plan_options *o, tm_plan_node *p, bool possible)
{
    bool twin = twin_runs(plan, p);
    set_state(plan, p, possible || twin ? TM_MAYBE : TM_RUN, possible || twin ? "maybe" : "run");
    if (possible) reason_of_inputs(plan, p);
    else reason_to_run(plan, o, p);
    if (possible) add_reason(p, "only if its bytes change");
    else if (twin) add_reason(p, "maybe another node does this work first");
}

// What is to be known of a result that is reused.
static void reason_of_reuse(tm_plan_node *p, const tm_record *record)
{
    char cpu[16];
    json_t *doc = strstr(record->json, "\"accepted\"") ? json_loads(record->json, 0, NULL) : NULL;
    const char *what = json_string_value(json_object_get(json_object_get(doc, "accepted"), "what"));
    if (what) SAY(p->reason, "accepted: %.200s", what);
    json_decref(doc);
    if (!tm_record_elsewhere(p->node->stage, record, cpu) || strcmp(cpu, "unknown") == 0) return;
    if (what) add_reason(p, "made on another kind of processor");
    else SAY(p->reason, "made on another kind of processor: %s, this one is %s", cpu, tm_machine_cpu());
}

// With --reuse=same: there is a result, but of another kind of processor.
static void reason_not_same(const tm_plan *plan, tm_plan_node *p)
{
    char cpu[16];
    const tm_record *record = plan->reuse_same ? tm_key_by_content(plan->store, p->content) : NULL;
    if (record && tm_record_elsewhere(p->node->stage, record, cpu))
        SAY(p->reason, "--reuse=same: its result was made on %s, this is %s", cpu, tm_machine_cpu());
}

static tm_status decide_node(tm_plan *plan, const tm_plan_options *o, tm_plan_node *p, tm_error *err)
{
    const tm_record *record = NULL;
    tm_error why = {0};
    (void)err;
    if (!inputs_known(plan, p)) {
        decide_to_run(plan, o, p, any_possible(plan, p));
    } else if (tm_plan_content(plan, p, &record, &why) < 0) {
        // The record of an input is there but its list of entries is not: as if it were unknown.
        set_state(plan, p, TM_RUN, "run");
        SAY(p->reason, "%.200s", why.text);
    } else if (record) {
        tm_plan_adopt(p, record);
        plan->nodes[p->twin].n_unknown--;
        set_state(plan, p, TM_CACHED, "cached");
        reason_of_reuse(p, record);
    } else {
        decide_to_run(plan, o, p, false);
        reason_not_same(plan, p);
    }
    return TM_OK;
}

// One state for a whole group: a certain member makes all of them run. What was known of the others stays so.
static void settle_group(tm_plan *plan, tm_group *group)
{
    group->state = TM_CACHED;
    for (int i = 0; i < group->n; i++) {
        tm_state s = plan->nodes[group->nodes[i]].state;
        if (s == TM_RUN || (s == TM_MAYBE && group->state == TM_CACHED)) group->state = s;
    }
    for (int i = 0; i < group->n; i++) {
        tm_plan_node *p = &plan->nodes[group->nodes[i]];
        if (p->state == group->state) continue;
        p->state = group->state;
        p->kind = group->state == TM_RUN ? "recompute (fused)" : "maybe";
        SAY(p->reason, "a stage fused with it %s", group->state == TM_RUN ? "runs" : "may run");
    }
}

// What --force and --from name, and for --from all that depends on it.
static tm_status mark_forced(tm_plan *plan, const tm_plan_options *o, tm_error *err)
{
    const tm_node *node;
    if (o->force) {
        TM_TRY(named(plan, o->force, &node, err));
        plan->nodes[plan->nodes[node->index].same].forced = true;
    }
    if (!o->from) return TM_OK;
    TM_TRY(named(plan, o->from, &node, err));
    size_t first = (size_t)plan->nodes[node->index].same;
    bool *below = tm_calloc(plan->graph->n_nodes + 1, sizeof *below);
    if (!below) return tm_fail(err, TM_ENOMEM, "no memory for a plan");
    below[first] = true;
    for (size_t i = first; i < plan->graph->n_nodes; i++) {
        const tm_node *at = plan->graph->nodes[i];
        for (size_t l = 0; l < at->n_links; l++)
            below[i] |= below[plan->nodes[at->links[l].from->index].same];
        if (below[i] && plan->nodes[i].same == (int)i) plan->nodes[i].forced = true;
    }
    tm_free(below);
    return TM_OK;
}

static tm_status decide(tm_plan *plan, const tm_plan_options *o, tm_error *err)
{
    TM_TRY(mark_forced(plan, o, err));
    count_unknown(plan);
    for (size_t g = 0; g < plan->n_groups; g++) {
        tm_group *group = &plan->groups[g];
        for (int i = 0; i < group->n; i++) {
            tm_plan_node *p = &plan->nodes[group->nodes[i]];
            TM_TRY(decide_node(plan, o, p, err));
            if (!p->forced) continue;
            set_state(plan, p, TM_RUN, "run");
            SAY(p->reason, "forced");
        }
        settle_group(plan, group);
    }
    return TM_OK;
}

// Its hashes stay known: consumers keep their content keys.
static void make_again(tm_plan *plan, tm_group *group, const char *who)
{
    group->state = TM_RUN;
    for (int k = 0; k < group->n; k++) {
        tm_plan_node *p = &plan->nodes[group->nodes[k]];
        int64_t gone = 0;
        if (!node_complete(plan, p, &gone) && gone > 0) p->before = gone;
        p->state = TM_RUN;
        p->kind = "recompute (bytes gone)";
        SAY(p->reason, "%.100s bytes, and they are no longer stored", who);
    }
}

// Whether somebody needs the bytes of a group, and who: the user, or a group which (maybe) runs.
static bool needed(const tm_plan *plan, const tm_group *group, const tm_node *const *reader, char *who,
                   size_t size)
{
    for (int i = 0; i < group->n; i++) {
        const tm_node *by = reader[group->nodes[i]];
        if (by) snprintf(who, size, "%.80s needs its", by->name);
        else if (plan->nodes[group->nodes[i]].chosen) snprintf(who, size, "it was asked for its");
        else continue;
        return true;
    }
    return false;
}

// Producers that lost bytes which somebody needs run again. Backwards, so that producers of producers are
// seen.
static tm_status need_bytes(tm_plan *plan, tm_error *err)
{
    const tm_node **reader = tm_calloc(plan->graph->n_nodes + 1, sizeof *reader);
    if (!reader) return tm_fail(err, TM_ENOMEM, "no memory for a plan");
    for (size_t g = plan->n_groups; g-- > 0;) {
        tm_group *group = &plan->groups[g];
        char who[120];
        if (group->state == TM_CACHED && needed(plan, group, reader, who, sizeof who) &&
            !tm_plan_complete(plan, group))
            make_again(plan, group, who);
        if (group->state == TM_CACHED) continue;
        const tm_node *node = plan->nodes[group->nodes[0]].node;
        for (size_t l = 0; l < node->n_links; l++)
            reader[plan->nodes[node->links[l].from->index].same] = node;
    }
    tm_free(reader);
    return TM_OK;
}

static void note_resume(tm_plan *plan, const tm_plan_options *o);

static void measure_depth(tm_plan *plan)
{
    for (size_t g = plan->n_groups; g-- > 0;) {
        tm_group *group = &plan->groups[g];
        if (!group->depth) group->depth = 1;
        for (int i = 0; i < group->n; i++) {
            const tm_node *node = plan->nodes[group->nodes[i]].node;
            for (size_t l = 0; l < node->n_links; l++) {
                tm_group *producer = &plan->groups[tm_plan_canonical(plan, node->links[l].from)->group];
                if (producer != group && producer->depth < group->depth + 1)
                    producer->depth = group->depth + 1;
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
        tm_fail_as(err, TM_EINVAL, "TM0509", "--only %s: its input %s is not there (%s: %s)", o->only,
                   p->node->name, p->kind, p->reason);
        tm_hint(err, "use --until %s to make what it needs as well", o->only);
        return TM_EINVAL;
    }
    return TM_OK;
}

static tm_status make(tm_plan *plan, const tm_plan_options *o, tm_error *err)
{
    TM_TRY(make_all_keys(plan, err));
    TM_TRY(choose(plan, o, err));
    want_inputs(plan);
    TM_TRY(make_groups(plan, err));
    TM_TRY(tm_key_refresh(plan->store, err));
    TM_TRY(decide(plan, o, err));
    TM_TRY(need_bytes(plan, err));
    note_resume(plan, o);
    measure_depth(plan);
    return check_only(plan, o, err);
}

static tm_status new_plan(const tm_graph *graph, tm_plan **out, tm_error *err)
{
    tm_plan *plan = *out = tm_calloc(1, sizeof *plan);
    if (!plan) return tm_fail(err, TM_ENOMEM, "no memory for a plan");
    plan->graph = graph;
    plan->nodes = tm_calloc(graph->n_nodes + 1, sizeof *plan->nodes);
    if (plan->nodes) return TM_OK;
    tm_plan_free(plan);
    return tm_fail(err, TM_ENOMEM, "no memory for a plan");
}

tm_status tm_plan_make(const tm_graph *graph, tm_store *store, const tm_plan_options *options, tm_plan **out,
                       tm_error *err)
{
    tm_plan *plan;
    TM_TRY(new_plan(graph, &plan, err));
    plan->store = store;
    plan->reuse_same = options->reuse_same;
    tm_status status = make(plan, options, err);
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

size_t tm_plan_count(const tm_plan *plan)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->graph->n_nodes; i++)
        n += plan->nodes[i].wanted && plan->nodes[i].same == (int)i;
    return n;
}

tm_status tm_plan_count_all(const tm_graph *graph, size_t *n, tm_error *err)
{
    tm_plan *plan;
    TM_TRY(new_plan(graph, &plan, err));
    tm_status status = make_all_keys(plan, err);
    *n = 0;
    for (size_t i = 0; i < graph->n_nodes; i++) *n += plan->nodes[i].same == (int)i;
    tm_plan_free(plan);
    return status;
}

// Attributes of the outputs by name; without those that have none.
static json_t *attributes_json(const tm_node *node)
{
    json_t *all = json_object();
    for (int i = 0; i < TM_MAX_PORTS && node->stage->outputs[i].type; i++)
        if (json_object_size(node->attrs[i]))
            json_object_set(all, node->stage->outputs[i].name, node->attrs[i]);
    return all;
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
        json_t *node = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:O, s:O, s:i}", "stage",
                                 tm_node_called(p->node), "state", c->kind ? c->kind : "cached", "reason",
                                 c->reason, "recipe", recipe, "file", p->node->file, "line", p->node->line,
                                 "own", c->own_doc, "inputs", c->inputs_doc, "group", c->group);
        if (p != c) json_object_set_new(node, "same", json_string(c->node->name));
        json_t *attributes = attributes_json(p->node);
        if (json_object_size(attributes)) json_object_set(node, "attributes", attributes);
        json_decref(attributes);
        json_object_set_new(nodes, p->node->name, node);
    }
    return json_pack("{s:s, s:o, s:O?}", "graph", plan->graph->file, "nodes", nodes, "params",
                     plan->graph->params);
}

// ---- trainers that can go on from an earlier point ----

#include "engine/resume.h"

// "in r1 at step 121", of the run before if that was of this recipe.
static void say_stopped(const tm_plan_options *o, const tm_plan_node *p, tm_hash recipe, int64_t step,
                        char text[80])
{
    tm_hash then;
    const char *hex = json_string_value(earlier(o, p, "recipe"));
    const char *run = json_string_value(earlier(o, p, "run"));
    bool of_run = hex && run && tm_hash_parse(hex, &then) && tm_hash_eq(then, recipe);
    snprintf(text, 80, "%s%.20s%sat step %lld", of_run ? "in " : "", of_run ? run : "", of_run ? " " : "",
             (long long)step);
}

// What a stopped run trained is for the same options alone.
static void note_stopped(tm_plan *plan, const tm_plan_options *o, tm_plan_node *p)
{
    tm_hash recipe;
    char text[80];
    const char *hex = json_string_value(earlier(o, p, "recipe"));
    const char *stage = json_string_value(earlier(o, p, "stage"));
    if (!stage || strcmp(stage, p->node->stage->name) != 0) return;
    if (!hex || !tm_hash_parse(hex, &recipe) || tm_hash_eq(recipe, p->recipe)) return;
    int64_t step = tm_resume_stopped(plan, p, recipe);
    if (step < 0) return;
    say_stopped(o, p, recipe, step, text);
    size_t n = strlen(p->reason);
    snprintf(p->reason + n, sizeof p->reason - n,
             "; cannot go on from what was stopped %s: only the same options and inputs do", text);
}

static void note_resume(tm_plan *plan, const tm_plan_options *o)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        tm_plan_node *p = &plan->nodes[i];
        if (!p->wanted || p->same != (int)i || p->state != TM_RUN || !p->node->stage->prefix) continue;
        if (!inputs_known(plan, p)) continue;
        tm_resume_point point = {0};
        if (p->forced || tm_resume_find(plan, p, NULL, NULL, &point, NULL) != TM_OK) {
            if (point.why_not[0]) {
                size_t n = strlen(p->reason);
                snprintf(p->reason + n, sizeof p->reason - n, "; cannot go on from an earlier run: %.120s",
                         point.why_not);
            } else if (!p->forced) note_stopped(plan, o, p);
            continue;
        }
        SAY(p->kind_text, "resume from %lld", (long long)point.step);
        p->kind = p->kind_text;
        if (!point.again) {
            char text[80];
            say_stopped(o, p, p->recipe, point.step, text);
            SAY(p->reason, "stopped %s", text);
        }
        tm_resume_clear(&point);
    }
}
