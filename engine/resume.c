// SPDX-License-Identifier: Apache-2.0
// Finding the point from which a trainer can go on.
#include "engine/resume.h"

#include <stdlib.h>

#include "engine/base/machine.h"
#include "engine/key.h"
#include "engine/store_artifact.h"
#include "engine/store_log.h"
#include "engine/store_tree.h"

tm_status tm_resume_prefix(const tm_graph *graph, const tm_node *node, int64_t step, const json_t *cursor,
                           tm_hash *hash, tm_error *err)
{
    tm_check check = {.options = node->parsed, .values = node->options, .folder = graph->folder,
                      .side = json_object_get(cursor, "side")};
    for (size_t i = 0; i < node->n_links; i++) {
        size_t port = (size_t)(node->links[i].row - node->stage->inputs);
        if (port < TM_MAX_PORTS) check.inputs[port] = node->links[i].from->attrs[node->links[i].out];
    }
    json_t *doc = json_object();
    tm_status status = node->stage->prefix(&check, step, doc, err);
    if (status == TM_OK) *hash = tm_key_hash(doc);
    json_decref(doc);
    return status;
}

static bool parse_hex(const json_t *json, const char *field, tm_hash *hash)
{
    const char *hex = json_string_value(json_object_get(json, field));
    return hex && strlen(hex) == 32 && tm_hash_parse(hex, hash);
}

static tm_status read_cursor(const tm_plan *plan, const tm_plan_node *p, tm_resume_point *point,
                             const char *text, tm_hash model)
{
    json_t *cursor = json_loads(text, 0, NULL);
    json_decref(point->cursor);
    point->cursor = cursor;
    point->model = model;
    point->step = json_integer_value(json_object_get(cursor, "step"));
    if (!cursor || !parse_hex(cursor, "state", &point->state)) return TM_DONE;
    const char *cpu = json_string_value(json_object_get(cursor, "cpu"));
    if (p->before && point->step >= p->before) {
        snprintf(point->why_not, sizeof point->why_not, "the bytes of step %lld are gone",
                 (long long)p->before);
        return TM_DONE;
    }
    bool numeric = p->node->stage->traits & TM_NUMERIC;
    if (plan->reuse_same && numeric && (!cpu || strcmp(cpu, tm_machine_cpu()) != 0)) {
        snprintf(point->why_not, sizeof point->why_not, "it was made on %.16s, this is %s (--reuse=same)",
                 cpu ? cpu : "another processor", tm_machine_cpu());
        return TM_DONE;
    }
    if (!tm_tree_complete(plan->store, point->state) || !tm_tree_complete(plan->store, model)) return TM_DONE;
    return TM_OK;
}

// How many entries an output port had at a cursor.
static size_t entries_at(const json_t *cursor, int port)
{
    return (size_t)json_integer_value(json_array_get(json_object_get(cursor, "entries"), (size_t)port));
}

static tm_status keep_entries(tm_resume_point *point, int port, const tm_entry *entries, size_t n)
{
    point->entries[port] = tm_calloc(n + 1, sizeof *entries);
    if (!point->entries[port]) return TM_ENOMEM;
    memcpy(point->entries[port], entries, n * sizeof *entries);
    point->n_entries[port] = n;
    return TM_OK;
}

// ---- an interrupted run of the same recipe ----

static tm_status log_entries(const tm_plan *plan, const tm_plan_node *p, int port, size_t limit,
                             tm_resume_point *point)
{
    tm_log *log = NULL;
    tm_status status = tm_log_open(plan->store, p->recipe, tm_port_file(&p->node->stage->outputs[port]), &log,
                                   NULL);
    if (status < 0) return status;
    size_t n = tm_log_count(log) < limit ? tm_log_count(log) : limit;
    tm_entry *entries = tm_calloc(n + 1, sizeof *entries);
    for (size_t i = 0; entries && i < n; i++) entries[i] = tm_log_entry(log, i);
    status = entries ? keep_entries(point, port, entries, n) : TM_ENOMEM;
    if (port == 0 && status >= 0) {
        point->cursors = tm_calloc(n + 1, sizeof *point->cursors);
        for (size_t i = 0; point->cursors && i < n; i++)
            point->cursors[i] = json_loads(tm_log_cursor(log, i), 0, NULL);
    }
    tm_free(entries);
    tm_log_close(log);
    return status;
}

static tm_status kept_point(const tm_plan *plan, const tm_plan_node *p, tm_resume_point *point)
{
    tm_log *log = NULL;
    if (tm_log_open(plan->store, p->recipe, "kept", &log, NULL) < 0) return TM_DONE;
    size_t n = tm_log_count(log);
    tm_status status = TM_DONE;
    if (n) status = read_cursor(plan, p, point, tm_log_cursor(log, n - 1), tm_log_entry(log, n - 1).hash);
    tm_log_close(log);
    return status;
}

static tm_status interrupted(const tm_plan *plan, const tm_plan_node *p, tm_resume_point *point)
{
    tm_resume_point kept = {0}, logged = {0};
    bool have_kept = kept_point(plan, p, &kept) == TM_OK;
    tm_log *log = NULL;
    if (tm_log_open(plan->store, p->recipe, tm_port_file(&p->node->stage->outputs[0]), &log, NULL) < 0)
        log = NULL;
    size_t n = log ? tm_log_count(log) : 0, use = 0;
    for (size_t i = n; i-- > 0 && !use;)  // the newest that still has its training state
        if (read_cursor(plan, p, &logged, tm_log_cursor(log, i), tm_log_entry(log, i).hash) == TM_OK)
            use = i + 1;
    tm_log_close(log);
    if (have_kept && (!use || kept.step > logged.step)) {
        json_decref(logged.cursor);
        *point = kept;
    } else {
        json_decref(kept.cursor);
        *point = logged;
        if (!use) {
            json_decref(point->cursor);
            point->cursor = NULL;
            return TM_DONE;
        }
    }
    for (int port = 0; tm_stage_makes(p->node->stage, port); port++) {
        size_t had = entries_at(point->cursor, port);
        if (log_entries(plan, p, port, had, point) < 0 || point->n_entries[port] < had) return TM_DONE;
    }
    return TM_OK;
}

int64_t tm_resume_stopped(const tm_plan *plan, const tm_plan_node *node, tm_hash recipe)
{
    tm_plan_node then = *node;
    tm_resume_point point = {0};
    then.recipe = recipe;
    int64_t step = interrupted(plan, &then, &point) == TM_OK ? point.step : -1;
    tm_resume_clear(&point);
    return step;
}

// ---- the beginning of a finished run of the same family ----

typedef struct finder {
    const tm_plan *plan;
    const tm_plan_node *p;
    tm_resume_look look;
    void *arg;
    tm_resume_point *point;
} finder;

// Entry `i` of an input as it is now, whether its producer has ended or not.
static tm_status entry_now(const finder *f, const tm_link *link, const tm_artifact *sealed, size_t i,
                           tm_entry *entry)
{
    if (!sealed) return f->look(f->arg, link, i, entry);
    if (i >= sealed->count) return TM_DONE;
    *entry = sealed->entries[i];
    return TM_OK;
}

// Whether the first `n` entries of an input are those of the artifact `then`: TM_OK, TM_DONE or TM_AGAIN.
static tm_status same_entries(const finder *f, const tm_link *link, const tm_hash *now, tm_hash then,
                              size_t n)
{
    tm_artifact a = {0}, b = {0};
    tm_status status = tm_artifact_get(f->plan->store, then, &b, NULL) < 0 || b.count < n ? TM_DONE : TM_OK;
    if (status == TM_OK && now && tm_artifact_get(f->plan->store, *now, &a, NULL) < 0) status = TM_DONE;
    for (size_t k = 0; status == TM_OK && k < n; k++) {
        tm_entry entry;
        status = entry_now(f, link, now ? &a : NULL, k, &entry);
        if (status < 0 || (status == TM_OK && !tm_hash_eq(entry.hash, b.entries[k].hash))) status = TM_DONE;
    }
    tm_artifact_clear(&a);
    tm_artifact_clear(&b);
    return status;
}

// What was read of one input up to the cursor must be what there is to read now.
static tm_status same_input(const finder *f, const tm_link *link, const json_t *cursor, const json_t *inputs)
{
    tm_hash now, then;
    bool known = tm_plan_canonical(f->plan, link->from)->known;
    if (!parse_hex(json_object_get(inputs, link->port), "hash", &then)) return TM_DONE;
    if (known && tm_plan_link_hash(f->plan, link, &now, NULL) < 0) return TM_DONE;
    if (known && tm_hash_eq(now, then)) return TM_OK;
    if (!known && !f->look) return TM_DONE;
    const json_t *taken = json_object_get(json_object_get(cursor, "taken"), link->port);
    if (!json_is_integer(taken)) return known ? TM_DONE : TM_AGAIN;  // it was read to its end
    return same_entries(f, link, known ? &now : NULL, then, (size_t)json_integer_value(taken));
}

static tm_status same_beginning(const finder *f, const json_t *cursor, const json_t *inputs)
{
    tm_status worst = TM_OK;
    for (size_t i = 0; i < f->p->node->n_links && worst != TM_DONE; i++) {
        const tm_link *link = &f->p->node->links[i];
        tm_status status = same_input(f, link, cursor, inputs);
        if (status > worst) worst = status;
        if (status == TM_DONE)
            snprintf(f->point->why_not, sizeof f->point->why_not, "the data it had read changed (%.60s)",
                     link->port);
    }
    return worst;
}

// Whether one snapshot of a finished run can be continued.
static tm_status try_snapshot(const finder *f, const json_t *cursor, const json_t *inputs, tm_hash model)
{
    tm_resume_point *point = f->point;
    tm_hash then, now;
    tm_error why = {0};
    char *text = cursor ? json_dumps(cursor, JSON_COMPACT) : NULL;
    tm_status status = text ? read_cursor(f->plan, f->p, point, text, model) : TM_DONE;
    free(text);
    if (status != TM_OK) return TM_DONE;
    status = tm_resume_prefix(f->plan->graph, f->p->node, point->step, cursor, &now, &why);
    // Without a prefix the stage had said that nothing goes on from that step.
    bool had_prefix = parse_hex(cursor, "prefix", &then);
    if (status != TM_OK) snprintf(point->why_not, sizeof point->why_not, "%.150s", why.text);
    else if (!had_prefix)
        snprintf(point->why_not, sizeof point->why_not,
                 "the shorter run had left the common part by step %lld", (long long)point->step);
    else if (tm_hash_eq(now, then)) return same_beginning(f, cursor, inputs);
    else snprintf(point->why_not, sizeof point->why_not, "what matters up to step %lld differs%s%.80s",
                  (long long)point->step, why.text[0] ? ": " : "", why.text);
    return TM_DONE;
}

static tm_status keep_cursors(tm_resume_point *point, const json_t *cursors, size_t n)
{
    point->cursors = tm_calloc(n + 1, sizeof *point->cursors);
    for (size_t k = 0; point->cursors && k < n; k++)
        point->cursors[k] = json_incref(json_array_get(cursors, k));
    return point->cursors ? TM_OK : TM_ENOMEM;
}

// The entries of a finished run's ports that come before the point: what they had at the snapshot before it.
static tm_status keep_ports(const finder *f, const tm_record *record, const json_t *before)
{
    for (size_t i = 0; i < record->n_ports; i++) {
        tm_artifact log = {0};
        int port = tm_stage_output(f->p->node->stage, record->ports[i].name);
        tm_status status = port < 0 ? TM_OK
                                    : tm_artifact_get(f->plan->store, record->ports[i].artifact, &log, NULL);
        size_t n = port < 0 ? 0 : entries_at(before, port);
        if (status >= 0 && port >= 0)
            status = log.count < n ? TM_DONE : keep_entries(f->point, port, log.entries, n);
        tm_artifact_clear(&log);
        if (status != TM_OK) return TM_DONE;
    }
    return TM_OK;
}

static tm_status try_record(const finder *f, const tm_record *record)
{
    json_t *doc = json_loads(record->json, 0, NULL);
    const json_t *cursors = json_object_get(doc, "cursors"), *inputs = json_object_get(doc, "inputs");
    tm_artifact log = {0};
    tm_status found = TM_DONE;
    if (record->n_ports && tm_artifact_get(f->plan->store, record->ports[0].artifact, &log, NULL) >= 0)
        for (size_t i = log.count; i-- > 0 && found == TM_DONE;) {
            found = try_snapshot(f, json_array_get(cursors, i), inputs, log.entries[i].hash);
            if (found == TM_OK) found = keep_ports(f, record, i ? json_array_get(cursors, i - 1) : NULL);
            if (found == TM_OK &&
                tm_plan_reads_hollow(f->plan, f->p, f->point->entries[0], f->point->n_entries[0])) {
                snprintf(f->point->why_not, sizeof f->point->why_not,
                         "snapshots that are read now were not kept then");
                found = TM_DONE;
            }
            if (found == TM_OK && keep_cursors(f->point, cursors, i) < 0) found = TM_DONE;
            f->point->again = found == TM_OK;
        }
    tm_artifact_clear(&log);
    json_decref(doc);
    return found;
}

tm_status tm_resume_find(const tm_plan *plan, const tm_plan_node *p, tm_resume_look look, void *arg,
                         tm_resume_point *point, tm_error *err)
{
    finder f = {plan, p, look, arg, point};
    char why_not[sizeof point->why_not] = "";
    *point = (tm_resume_point){0};
    (void)err;
    if (interrupted(plan, p, point) == TM_OK) return TM_OK;
    const tm_record *r = tm_hash_none(p->family) ? NULL : tm_key_by_own(plan->store, p->family);
    for (; r; r = tm_key_before(plan->store, r)) {
        tm_resume_clear(point);
        tm_status status = try_record(&f, r);
        if (status == TM_AGAIN) tm_resume_clear(point);
        if (status != TM_DONE) return status;
        if (point->why_not[0]) memcpy(why_not, point->why_not, sizeof why_not);
    }
    tm_resume_clear(point);
    memcpy(point->why_not, why_not, sizeof why_not);
    return TM_DONE;
}

void tm_resume_clear(tm_resume_point *point)
{
    for (size_t i = 0; point->cursors && i < point->n_entries[0]; i++) json_decref(point->cursors[i]);
    tm_free(point->cursors);
    for (int i = 0; i < TM_MAX_PORTS; i++) tm_free(point->entries[i]);
    json_decref(point->cursor);
    *point = (tm_resume_point){0};
}
