// SPDX-License-Identifier: Apache-2.0
// Sealing: the artifacts of a group that has ended, then its key records, then the news. What waits for the
// disk or for others' locks is done by the helper's thread, with a handle of the store of its own; the group
// is in the state GROUP_SEALING meanwhile and nothing else touches it or its logs.
#include "engine/run_internal.h"

#include <stdlib.h>

#include "engine/base/machine.h"
#include "engine/key.h"
#include "engine/store_artifact.h"
#include "engine/store_hollow.h"

// An artifact to be put; `entries` are the log's.
typedef struct seal_port {
    const char *kind;
    bool trees;
    const tm_entry *entries;
    size_t n;
} seal_port;

typedef struct seal_node {
    const tm_stage *stage;
    tm_record record;   // by content
    tm_hash family;     // a second record of a trainer: where longer runs look
    tm_key_port ports[TM_MAX_PORTS];
    bool stored[TM_MAX_PORTS];
    char *json;
    tm_bind_outcome outcome;
} seal_node;

typedef struct seal {
    tm_task task;
    run *r;
    run_group *g;
    seal_port ports[TM_MAX_GROUP * TM_MAX_PORTS];
    size_t n_ports;
    tm_hash *rest;  // entries that a worker made visible but, dying, did not make durable
    size_t n_rest;
    seal_node nodes[TM_MAX_GROUP];
    tm_unsynced memo;
    bool memo_unsynced;
} seal;

static void seal_free(seal *s)
{
    for (int i = 0; i < TM_MAX_GROUP; i++) free(s->nodes[i].json);
    if (s->memo_unsynced && s->memo.fd >= 0) tm_sys.close(s->memo.fd);
    tm_free(s->rest);
    tm_free(s);
}

static void seal_failed(seal *s, const tm_error *err)
{
    run *r = s->r;
    run_group *g = s->g;
    seal_free(s);
    group_fail(r, g, err);
}

// ---- 1, the helper: objects ----

static tm_status put_objects(tm_task *task, tm_error *err)
{
    seal *s = (seal *)task;
    TM_TRY(tm_store_claim(s->r->binder, s->rest, s->n_rest, err));
    for (size_t i = 0; i < s->n_ports; i++) {
        const seal_port *p = &s->ports[i];
        tm_hash hash;
        TM_TRY(tm_artifact_put(s->r->binder, p->kind, p->trees, p->entries, p->n, &hash, err));
    }
    return tm_store_sync(s->r->binder, err);
}

// ---- 2, the loop: records ----

static json_t *hollow_ports(const run *r, const tm_plan_node *p)
{
    json_t *hollow = json_array();
    for (int port = 0; tm_stage_makes(p->node->stage, port); port++)
        if (!tm_plan_stores(r->plan, p, port))
            json_array_append_new(hollow, json_string(p->node->stage->outputs[port].name));
    return hollow;
}

static json_t *record_json(run *r, run_group *g, tm_plan_node *p, json_t *inputs)
{
    json_t *cursors = json_array(), *refs = json_array();
    const run_log *log = &r->logs[p->node->index][0];
    for (size_t k = 0; p->node->stage->prefix && k < log->n; k++) {
        json_t *cursor = log->cursors[k] ? json_copy(log->cursors[k]) : json_null();
        json_t *state = json_object_get(cursor, "state");
        json_object_del(cursor, "refs");
        if (state && cursor_stays(log, k)) json_array_append(refs, state);
        else json_object_del(cursor, "state");
        json_array_append_new(cursors, cursor);
    }
    json_t *counts = json_object_get(g->counts, p->node->name);
    const char *cpu = p->node->stage->traits & TM_NUMERIC ? tm_machine_cpu() : NULL;
    return json_pack("{s:O, s:O, s:o, s:o, s:o, s:o*, s:O*, s:s*, s:s, s:s, s:f}", "doc", p->own_doc,
                     "inputs", inputs, "cursors", cursors, "refs", refs, "hollow", hollow_ports(r, p), "kept",
                     kept_models(r, p), "counts", counts,
                     "cpu", cpu, "node", p->node->name, "run",
                     r->result->run, "seconds", (double)(tm_time_ns() - g->start_ns) * 1e-9);
}

static tm_status make_record(seal *s, int i, tm_error *err)
{
    tm_plan_node *p = group_plan(s->r, s->g, i);
    seal_node *n = &s->nodes[i];
    const tm_record *unused;
    json_t *inputs;
    TM_TRY(tm_plan_content(s->r->plan, p, &unused, err));
    TM_TRY(tm_plan_inputs(s->r->plan, p, &inputs, err));
    json_t *json = record_json(s->r, s->g, p, inputs);
    json_decref(inputs);
    n->json = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(json);
    if (!n->json) return tm_fail(err, TM_ENOMEM, "no memory for a record");
    n->stage = p->node->stage;
    n->family = p->node->stage->prefix ? p->family : (tm_hash){{0}};
    n->record = (tm_record){.own = p->own, .recipe = p->recipe, .content = p->content, .ports = n->ports,
                            .json = n->json, .epoch = s->g->lease ? tm_lease_epoch(s->g->lease) : 0};
    for (int port = 0; tm_stage_makes(n->stage, port); port++) {
        tm_key_port *to = &n->ports[n->record.n_ports++];
        snprintf(to->name, sizeof to->name, "%s", n->stage->outputs[port].name);
        to->artifact = p->outputs[port];
        n->stored[port] = tm_plan_stores(s->r->plan, p, port);
    }
    return TM_OK;
}

// ---- 3, the helper: bind ----

// The same artifacts, but others of their bytes are kept now.
static bool kept_changed(const tm_record *old, const tm_record *new)
{
    if (!strstr(old->json, "\"kept\"") && !strstr(new->json, "\"kept\"")) return false;
    for (size_t i = 0; i < new->n_ports; i++)
        if (i >= old->n_ports || !tm_hash_eq(old->ports[i].artifact, new->ports[i].artifact)) return false;
    json_t *a = json_loads(old->json, 0, NULL), *b = json_loads(new->json, 0, NULL);
    bool changed = !json_equal(json_object_get(a, "kept"), json_object_get(b, "kept"));
    json_decref(a);
    json_decref(b);
    return changed;
}

static tm_status bind_as(seal *s, const seal_node *n, const tm_record *record, tm_bind_outcome *outcome,
                         tm_error *err)
{
    tm_store *store = s->r->binder;
    const tm_record *old = tm_key_by_content(store, record->content);
    char cpu[16];
    bool gone = old && s->r->plan->reuse_same && tm_record_elsewhere(n->stage, old, cpu);
    for (size_t i = 0; old && i < old->n_ports; i++) {
        int port = tm_stage_output(n->stage, old->ports[i].name);
        if (port >= 0 && n->stored[port]) gone |= !tm_hollow_complete(store, old, i);
    }
    if (old) gone |= kept_changed(old, record);
    return tm_key_bind(store, record, old && gone, outcome, err);
}

static tm_status bind_node(seal *s, seal_node *n, tm_error *err)
{
    TM_TRY(bind_as(s, n, &n->record, &n->outcome, err));
    if (tm_hash_none(n->family)) return TM_OK;
    tm_hash both[2] = {n->family, n->record.content};
    tm_record second = n->record;
    tm_bind_outcome unused;
    second.own = n->family;
    second.content = tm_hash_of(both, sizeof both);
    return bind_as(s, n, &second, &unused, err);
}

static tm_status bind_records(tm_task *task, tm_error *err)
{
    seal *s = (seal *)task;
    TM_TRY(tm_key_refresh(s->r->binder, err));
    for (int i = 0; i < s->g->plan->n; i++) TM_TRY(bind_node(s, &s->nodes[i], err));
    if (s->memo_unsynced) TM_TRY(tm_unsynced_sync(&s->memo, err));
    TM_TRY(tm_store_sync(s->r->binder, err));
    return s->nodes[0].stage->prefix ? tm_log_drop(s->r->binder, s->nodes[0].record.recipe, err) : TM_OK;
}

// ---- 4, the loop: the news ----

static json_t *sealed_facts(run *r, const run_group *g)
{
    json_t *facts = group_facts(r, g);
    const run_log *log = &r->logs[group_node(r, g, g->plan->n - 1)->index][0];
    uint64_t rows = 0, bytes = 0;
    for (size_t i = 0; i < log->n; i++) {
        rows += log->entries[i].rows;
        bytes += log->entries[i].bytes;
    }
    json_object_set_new(facts, "seconds", json_real((double)(tm_time_ns() - g->start_ns) * 1e-9));
    json_object_set_new(facts, "entries", json_integer((json_int_t)log->n));
    json_object_set_new(facts, "rows", json_integer((json_int_t)rows));
    json_object_set_new(facts, "bytes", json_integer((json_int_t)bytes));
    json_object_set(facts, "counts", g->counts);
    json_object_set_new(facts, "cores", json_integer(g->most_cores));
    if (g->memory) json_object_set_new(facts, "memory", json_integer(g->memory));
    return facts;
}

static void announce(seal *s)
{
    run *r = s->r;
    run_group *g = s->g;
    tm_key_refresh(r->plan->store, NULL);
    for (int i = 0; i < g->plan->n; i++) {
        tm_plan_node *p = group_plan(r, g, i);
        p->known = true;
        if (s->nodes[i].outcome == TM_BIND_DIFFERENT)
            run_event(r, "nondeterministic",
                      json_pack("{s:s, s:s}", "node", p->node->name, "stage", tm_node_called(p->node)));
    }
    seal_free(s);
    run_event(r, "sealed", sealed_facts(r, g));
    g->freeing = false;
    retain(r, g, r->logs[group_node(r, g, 0)->index][0].n);
    g->state = GROUP_DONE;
    r->result->done += g->plan->n;
    group_release(r, g);
}

static void bound(tm_task *task, tm_status status, const tm_error *err)
{
    if (status < 0) seal_failed((seal *)task, err);
    else announce((seal *)task);
}

static void objects_durable(tm_task *task, tm_status status, const tm_error *err)
{
    seal *s = (seal *)task;
    tm_error error = {0};
    if (status < 0) {
        seal_failed(s, err);
        return;
    }
    for (int i = 0; i < s->g->plan->n && status >= 0; i++) status = make_record(s, i, &error);
    if (status >= 0 && s->g->memo) {
        status = tm_memo_unsynced(s->g->memo, &s->memo, &error);
        s->memo_unsynced = status == TM_OK;
    }
    if (status < 0) {
        seal_failed(s, &error);
        return;
    }
    s->task = (tm_task){.work = bind_records, .done = bound};
    tm_helper_put(s->r->helper, &s->task);
}

static bool is_durable(const run *r, const run_group *g, const run_log *log, size_t i)
{
    return group_node(r, g, 0)->stage->map ? g->items[i].durable : i < log->durable;
}

static tm_status note_rest(seal *s, const run_log *log, tm_error *err)
{
    for (size_t i = 0; i < log->n; i++) {
        if (is_durable(s->r, s->g, log, i)) continue;
        tm_hash *grown = tm_realloc(s->rest, (s->n_rest + 1) * sizeof *grown);
        if (!grown) return tm_fail(err, TM_ENOMEM, "no memory to seal a group");
        s->rest = grown;
        s->rest[s->n_rest++] = log->entries[i].hash;
    }
    return TM_OK;
}

static tm_status note_ports(seal *s, tm_error *err)
{
    for (int i = 0; i < s->g->plan->n; i++) {
        tm_plan_node *p = group_plan(s->r, s->g, i);
        for (int port = 0; tm_stage_makes(p->node->stage, port); port++) {
            run_log *log = &s->r->logs[p->node->index][port];
            const tm_type *type = tm_type_find(p->node->stage->outputs[port].type);
            s->ports[s->n_ports++] = (seal_port){type->name, type->tree, log->entries, log->n};
            p->outputs[port] = tm_artifact_hash(type->name, type->tree, log->entries, log->n);
            if (tm_plan_stores(s->r->plan, p, port)) TM_TRY(note_rest(s, log, err));
            log->ended = true;
            log->durable = log->n;
        }
    }
    return TM_OK;
}

// Consumers may read to the end at once; they are sealed after this group.
tm_status group_seal(run *r, run_group *g, tm_error *err)
{
    seal *s = tm_calloc(1, sizeof *s);
    if (!s) return tm_fail(err, TM_ENOMEM, "no memory to seal a group");
    *s = (seal){.task = {.work = put_objects, .done = objects_durable}, .r = r, .g = g};
    tm_status status = note_ports(s, err);
    if (status < 0) {
        seal_free(s);
        return status;
    }
    g->state = GROUP_SEALING;
    tm_helper_put(r->helper, &s->task);
    return TM_OK;
}

// ---- other ways to the same result ----

typedef struct alias_task {
    tm_task task;
    run *r;
    tm_hash recipe, content;
} alias_task;

static tm_status bind_alias(tm_task *task, tm_error *err)
{
    alias_task *t = (alias_task *)task;
    tm_bind_outcome outcome;
    TM_TRY(tm_key_refresh(t->r->binder, err));
    const tm_record *old = tm_key_by_content(t->r->binder, t->content);
    if (!old || old->n_ports > TM_MAX_PORTS) return TM_OK;
    tm_key_port ports[TM_MAX_PORTS];  // binding may forget `old`
    char *json = tm_strdup(old->json);
    if (!json) return tm_fail(err, TM_ENOMEM, "no memory for a record");
    memcpy(ports, old->ports, old->n_ports * sizeof *ports);
    tm_record alias = {.own = old->own, .recipe = t->recipe, .content = t->content, .epoch = old->epoch,
                       .ports = ports, .n_ports = old->n_ports, .json = json};
    tm_status status = tm_key_bind(t->r->binder, &alias, false, &outcome, err);
    tm_free(json);
    return status;
}

static void alias_done(tm_task *task, tm_status status, const tm_error *err)
{
    (void)status;  // the result is there under its own recipe in any case
    (void)err;
    tm_free(task);
}

void seal_aliases(run *r, const run_group *g)
{
    for (int i = 0; i < g->plan->n; i++) {
        const tm_plan_node *p = group_plan(r, g, i);
        if (tm_hash_none(p->content) || tm_key_by_recipe(r->plan->store, p->recipe)) continue;
        alias_task *t = tm_calloc(1, sizeof *t);
        if (!t) return;
        *t = (alias_task){.task = {.work = bind_alias, .done = alias_done}, .r = r, .recipe = p->recipe,
                          .content = p->content};
        tm_helper_put(r->helper, &t->task);
    }
}
