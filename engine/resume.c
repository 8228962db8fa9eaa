// SPDX-License-Identifier: Apache-2.0
// Finding the point from which a trainer can go on.
#include "engine/resume.h"

#include <stdlib.h>

#include "engine/key.h"
#include "engine/store_artifact.h"
#include "engine/store_log.h"

tm_status tm_resume_prefix(const tm_graph *graph, const tm_node *node, int64_t step, tm_hash *hash, tm_error *err)
{
    tm_check check = {.options = node->parsed, .values = node->options, .folder = graph->folder};
    for (size_t i = 0; i < node->n_links; i++) {
        size_t port = (size_t)(node->links[i].row - node->stage->inputs);
        check.inputs[port] = node->links[i].from->attrs[node->links[i].out];
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

static tm_status read_cursor(const tm_plan *plan, tm_resume_point *point, const char *text, tm_hash model)
{
    json_t *cursor = json_loads(text, 0, NULL);
    json_decref(point->cursor);
    point->cursor = cursor;
    point->model = model;
    point->step = json_integer_value(json_object_get(cursor, "step"));
    if (!cursor || !parse_hex(cursor, "state", &point->state)) return TM_DONE;
    if (!tm_store_has(plan->store, point->state) || !tm_store_has(plan->store, model)) return TM_DONE;
    return TM_OK;
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

static tm_status log_entries(const tm_plan *plan, const tm_plan_node *p, int port, size_t limit, tm_resume_point *point)
{
    tm_log *log = NULL;
    tm_status status = tm_log_open(plan->store, p->recipe, tm_port_file(&p->node->stage->outputs[port]), &log, NULL);
    if (status < 0) return status;
    size_t n = tm_log_count(log) < limit ? tm_log_count(log) : limit;
    tm_entry *entries = tm_calloc(n + 1, sizeof *entries);
    for (size_t i = 0; entries && i < n; i++) entries[i] = tm_log_entry(log, i);
    status = entries ? keep_entries(point, port, entries, n) : TM_ENOMEM;
    if (port == 0 && status >= 0) {
        point->cursors = tm_calloc(n + 1, sizeof *point->cursors);
        for (size_t i = 0; point->cursors && i < n; i++) point->cursors[i] = json_loads(tm_log_cursor(log, i), 0, NULL);
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
    if (n) status = read_cursor(plan, point, tm_log_cursor(log, n - 1), tm_log_entry(log, n - 1).hash);
    tm_log_close(log);
    return status;
}

static tm_status interrupted(const tm_plan *plan, const tm_plan_node *p, tm_resume_point *point)
{
    tm_resume_point kept = {0}, logged = {0};
    bool have_kept = kept_point(plan, p, &kept) == TM_OK;
    tm_log *log = NULL;
    if (tm_log_open(plan->store, p->recipe, tm_port_file(&p->node->stage->outputs[0]), &log, NULL) < 0) log = NULL;
    size_t n = log ? tm_log_count(log) : 0, use = 0;
    for (size_t i = n; i-- > 0 && !use;)  // the newest that still has its training state
        if (read_cursor(plan, &logged, tm_log_cursor(log, i), tm_log_entry(log, i).hash) == TM_OK) use = i + 1;
    tm_log_close(log);
    if (have_kept && (!use || kept.step > logged.step)) {
        json_decref(logged.cursor);
        *point = kept;
        use = (size_t)json_integer_value(json_object_get(kept.cursor, "entries"));
    } else {
        json_decref(kept.cursor);
        *point = logged;
        if (!use) {
            json_decref(point->cursor);
            point->cursor = NULL;
            return TM_DONE;
        }
    }
    for (int port = 0; port < TM_MAX_PORTS && p->node->stage->outputs[port].name; port++)
        if (log_entries(plan, p, port, use, point) < 0) return TM_DONE;
    return TM_OK;
}

// ---- the beginning of a finished run of the same family ----

static bool same_beginning(const tm_plan *plan, const tm_plan_node *p, const json_t *cursor, const json_t *inputs,
                           tm_resume_point *point)
{
    for (size_t i = 0; i < p->node->n_links; i++) {
        const tm_link *link = &p->node->links[i];
        tm_hash now, then;
        const json_t *input = json_object_get(inputs, link->port);
        if (tm_plan_link_hash(plan, link, &now, NULL) < 0 || !parse_hex(input, "hash", &then)) return false;
        if (tm_hash_eq(now, then)) continue;
        const json_t *taken = json_object_get(json_object_get(cursor, "taken"), link->port);
        size_t n = (size_t)json_integer_value(taken);
        tm_artifact a = {0}, b = {0};
        bool equal = json_is_integer(taken) && tm_artifact_get(plan->store, now, &a, NULL) >= 0 &&
                     tm_artifact_get(plan->store, then, &b, NULL) >= 0 && a.count >= n && b.count >= n;
        for (size_t k = 0; equal && k < n; k++) equal = tm_hash_eq(a.entries[k].hash, b.entries[k].hash);
        tm_artifact_clear(&a);
        tm_artifact_clear(&b);
        if (!equal) {
            snprintf(point->why_not, sizeof point->why_not, "the data it had read changed (%.60s)", link->port);
            return false;
        }
    }
    return true;
}

static tm_status try_record(const tm_plan *plan, const tm_plan_node *p, const tm_record *record, tm_resume_point *point)
{
    json_t *doc = json_loads(record->json, 0, NULL);
    const json_t *cursors = json_object_get(doc, "cursors"), *inputs = json_object_get(doc, "inputs");
    tm_artifact log = {0};
    tm_status found = TM_DONE;
    if (record->n_ports && tm_artifact_get(plan->store, record->ports[0].artifact, &log, NULL) >= 0) {
        for (size_t i = log.count; i-- > 0 && found != TM_OK;) {
            const json_t *cursor = json_array_get(cursors, i);
            tm_hash then, now;
            char *text = cursor ? json_dumps(cursor, JSON_COMPACT) : NULL;
            if (text && read_cursor(plan, point, text, log.entries[i].hash) == TM_OK && parse_hex(cursor, "prefix", &then)) {
                tm_error why = {0};
                tm_status status = tm_resume_prefix(plan->graph, p->node, point->step, &now, &why);
                if (status != TM_OK) snprintf(point->why_not, sizeof point->why_not, "%.150s", why.text);
                else if (!tm_hash_eq(now, then))
                    snprintf(point->why_not, sizeof point->why_not, "what matters up to step %lld differs: %.80s",
                             (long long)point->step, why.text);
                else if (same_beginning(plan, p, cursor, inputs, point) &&
                         keep_entries(point, 0, log.entries, i + 1) == TM_OK) {
                    found = TM_OK;
                    point->cursors = tm_calloc(i + 2, sizeof *point->cursors);
                    for (size_t k = 0; point->cursors && k <= i; k++)
                        point->cursors[k] = json_incref(json_array_get(cursors, k));
                }
            }
            free(text);
        }
    }
    size_t n = point->n_entries[0];
    tm_artifact_clear(&log);
    for (size_t port = 1; found == TM_OK && port < record->n_ports; port++) {
        tm_artifact side = {0};
        int index = tm_stage_output(p->node->stage, record->ports[port].name);
        if (index <= 0 || tm_artifact_get(plan->store, record->ports[port].artifact, &side, NULL) < 0 || side.count < n ||
            keep_entries(point, index, side.entries, n) < 0)
            found = TM_DONE;
        tm_artifact_clear(&side);
    }
    json_decref(doc);
    return found;
}

tm_status tm_resume_find(const tm_plan *plan, const tm_plan_node *p, tm_resume_point *point, tm_error *err)
{
    *point = (tm_resume_point){0};
    if (interrupted(plan, p, point) == TM_OK) return TM_OK;
    char why_not[sizeof point->why_not] = "";
    const tm_record *r = tm_hash_none(p->family) ? NULL : tm_key_by_own(plan->store, p->family);
    for (; r; r = tm_key_before(plan->store, r)) {
        tm_resume_clear(point);
        if (try_record(plan, p, r, point) == TM_OK) return TM_OK;
        if (point->why_not[0]) memcpy(why_not, point->why_not, sizeof why_not);
    }
    tm_resume_clear(point);
    memcpy(point->why_not, why_not, sizeof why_not);
    (void)err;
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
