// SPDX-License-Identifier: Apache-2.0
// What the store has of a run's results.
#include <stdio.h>

#include "engine/store_key.h"
#include "engine/type.h"
#include "lua/past/kept_metrics.h"
#include "lua/past/past.h"
#include "lua/past/past_series.h"
#include "lua/past/recorded_stage.h"

const tm_past_port *tm_past_port_of(const tm_past_node *node, const char *port)
{
    for (size_t i = 0; i < node->n_ports; i++)
        if (strcmp(node->ports[i].name, port) == 0) return &node->ports[i];
    return NULL;
}

bool tm_past_gives_records(const tm_past_node *node)
{
    const tm_stage *stage = tm_recorded_stage(node->plan);
    const tm_type *type = stage ? tm_type_find(stage->outputs[0].type) : NULL;
    return type && !type->tree && strcmp(type->name, "metrics") != 0;
}

static tm_status add_metrics(tm_past_node *node, const tm_batch *batch, tm_error *err)
{
    for (size_t row = 0; row < tm_batch_rows(batch); row++) {
        tm_metric m = tm_metrics_get(batch, row);
        tm_past_point point = {
            .step = m.step, .time = -1, .count = m.count, .value = m.value, .error = m.error};
        char name[sizeof node->series->name];
        snprintf(name, sizeof name, "%.*s", (int)m.name.size, m.name.data);
        TM_TRY(tm_past_add(node, name, &point, err));
    }
    return TM_OK;
}

// Bytes that are gone or damaged leave what the journal noted.
static tm_status read_metrics(tm_past_node *node, tm_store *store, const tm_artifact *log, tm_error *err)
{
    const tm_type *type = tm_type_find("metrics");
    tm_status status = TM_OK;
    for (size_t i = 0; i < log->count && status >= 0; i++) {
        tm_blob blob = {0};
        tm_batch *batch = NULL;
        if (tm_store_get(store, log->entries[i].hash, &blob, NULL) >= 0 &&
            tm_batch_decode(tm_view_of(blob.data, blob.size), type->cols, type->n_cols, &batch, NULL) >= 0)
            status = add_metrics(node, batch, err);
        tm_batch_unref(batch);
        tm_blob_clear(&blob);
    }
    return status;
}

static tm_status read_port(tm_past_node *node, tm_past_port *port, tm_store *store, tm_error *err)
{
    tm_artifact log = {0};
    tm_status status = TM_OK;
    if (tm_artifact_get(store, port->artifact, &log, NULL) < 0) return TM_OK;
    port->there = true;
    port->entries = (int64_t)log.count;
    port->rows = (int64_t)log.rows;
    port->bytes = (int64_t)log.bytes;
    if (strcmp(log.kind, "metrics") == 0) status = read_metrics(node, store, &log, err);
    tm_artifact_clear(&log);
    return status;
}

// Ports whose bytes only flowed through are "hollow" in the record.
static void mark_hollow(tm_past_node *node, const tm_record *record)
{
    size_t i;
    json_t *name, *facts = json_loads(record->json, 0, NULL);
    for (size_t k = 0; k < node->n_ports; k++) node->ports[k].stored = true;
    json_array_foreach(json_object_get(facts, "hollow"), i, name)
        for (size_t k = 0; k < node->n_ports; k++)
            if (strcmp(node->ports[k].name, json_string_value(name)) == 0) node->ports[k].stored = false;
    json_decref(facts);
}

static tm_status read_node(tm_past_node *node, tm_store *store, tm_error *err)
{
    tm_hash recipe;
    const char *hex = json_string_value(json_object_get(node->plan, "recipe"));
    const tm_record *record = hex && tm_hash_parse(hex, &recipe) ? tm_key_by_recipe(store, recipe) : NULL;
    if (!record || node->ports) return TM_OK;
    node->ports = tm_calloc(record->n_ports + 1, sizeof *node->ports);
    if (!node->ports) return tm_fail(err, TM_ENOMEM, "no memory for the results of %s", node->name);
    for (size_t i = 0; i < record->n_ports; i++) {
        tm_past_port *port = &node->ports[node->n_ports++];
        *port = (tm_past_port){.artifact = record->ports[i].artifact};
        snprintf(port->name, sizeof port->name, "%s", record->ports[i].name);
        TM_TRY(read_port(node, port, store, err));
    }
    mark_hollow(node, record);
    if (!node->n_ports || !node->ports[0].there || node->rows >= 0) return TM_OK;
    node->entries = node->ports[0].entries;
    node->rows = node->ports[0].rows;
    node->bytes = node->ports[0].bytes;
    return TM_OK;
}

tm_status tm_past_results(tm_past *past, tm_store *store, tm_error *err)
{
    TM_TRY(tm_key_refresh(store, err));
    TM_TRY(tm_kept_metrics_read(past, store, err)); // first: what the store has takes their place
    for (size_t i = 0; i < past->n_nodes; i++) {
        tm_past_node *node = &past->nodes[i];
        bool made = strcmp(node->state, "done") == 0 || strcmp(node->state, "cached") == 0 ||
                    (node->same && tm_past_work(past, node) != node);
        if (made) TM_TRY(read_node(node, store, err));
    }
    return TM_OK;
}
