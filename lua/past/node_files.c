// SPDX-License-Identifier: Apache-2.0
// Laying out the inputs of a node.
#include "lua/past/node_files.h"
#include "lua/past/rerun.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/json.h"
#include "engine/select.h"
#include "engine/store_key.h"
#include "engine/store_tree.h"
#include "lua/past/past.h"
#include "lua/past/recorded_stage.h"
#include "lua/place.h"

// ---- what an input is ----

typedef struct input {
    const char *port;         // as in the plan
    const tm_past_node *from; // who gives it
    const char *out;
    const json_t *select;
    const tm_type *type;
    tm_hash artifact, metrics;
    bool there;
} input;

static const tm_past_node *by_recipe(const tm_past *past, const char *recipe)
{
    for (size_t i = 0; recipe && i < past->n_nodes; i++) {
        const char *its = json_string_value(json_object_get(past->nodes[i].plan, "recipe"));
        if (its && strcmp(its, recipe) == 0) return &past->nodes[i];
    }
    return NULL;
}

static const tm_type *type_of(const tm_past_node *node, const char *out)
{
    const tm_stage *stage = tm_recorded_stage(node->plan);
    int port = stage ? tm_stage_output(stage, out) : -1;
    return port >= 0 ? tm_type_find(stage->outputs[port].type) : NULL;
}

static void find_artifact(tm_store *store, const char *hex, input *in)
{
    tm_hash recipe;
    const tm_record *record = hex && tm_hash_parse(hex, &recipe) ? tm_key_by_recipe(store, recipe) : NULL;
    for (size_t i = 0; record && i < record->n_ports; i++) {
        if (strcmp(record->ports[i].name, "metrics") == 0) in->metrics = record->ports[i].artifact;
        if (strcmp(record->ports[i].name, in->out) != 0) continue;
        in->artifact = record->ports[i].artifact;
        in->there = tm_artifact_complete(store, in->artifact);
    }
}

static input look_at(tm_store *store, const tm_past *past, const char *port, const json_t *link)
{
    const char *recipe = json_string_value(json_object_get(link, "recipe"));
    const char *out = json_string_value(json_object_get(link, "out"));
    input in = {.port = port,
                .from = by_recipe(past, recipe),
                .out = out ? out : "",
                .select = json_object_get(link, "select")};
    if (in.from) in.type = type_of(in.from, in.out);
    find_artifact(store, recipe, &in);
    return in;
}

// What flows between nodes of one group has no bytes: the nearest main input above it that has some.
static input look_further(tm_store *store, const tm_past *past, input in)
{
    for (int steps = 0; steps < 1000 && in.from && !in.there && in.type && !in.type->tree; steps++) {
        const json_t *link = json_object_get(json_object_get(in.from->plan, "inputs"), "");
        if (!link) break;
        in = look_at(store, past, in.port, link);
    }
    return in;
}

// ---- files ----

static tm_status write_text(const char *folder, const char *name, const char *text, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_path(path, err, "%s/%s", folder, name));
    return tm_file_write(path, text, strlen(text), false, err);
}

static tm_select select_of(const json_t *select)
{
    tm_select s = {0};
    const char *best = json_string_value(json_object_get(select, "best"));
    const json_t *at = json_object_get(select, "at");
    if (best) {
        s.kind = TM_SELECT_BEST;
        snprintf(s.metric, sizeof s.metric, "%s", best);
    } else if (at) {
        s.kind = TM_SELECT_AT;
        s.at = json_integer_value(at);
    }
    return s;
}

static tm_status place_tree(tm_store *store, const input *in, const tm_artifact *log, const char *path,
                            tm_error *err)
{
    tm_select select = select_of(in->select);
    size_t index;
    TM_TRY(tm_select_entry(store, &select, log, in->metrics, &index, err));
    return tm_tree_place(store, log->entries[index].hash, path, 0, err);
}

// A file name for a port: "tasks.text" is good, "" is the input.
static void name_of(const input *in, char name[96])
{
    const char *port = in->port + (in->port[0] == '.');
    snprintf(name, 80, "%s", port[0] ? port : "input");
    for (char *c = name; *c; c++)
        if (*c == '/') *c = '_';
    if (!in->type->tree) strcat(name, ".jsonl");
}

static tm_status place(tm_store *store, const input *in, const char *folder, json_t *into, tm_error *err)
{
    char name[96], path[TM_PATH_MAX];
    tm_artifact log = {0};
    name_of(in, name);
    TM_TRY(tm_path(path, err, "%s/%s", folder, name));
    TM_TRY(tm_artifact_get(store, in->artifact, &log, err));
    tm_place_logs logs = {in->type, tm_place_shape(in->from->plan, in->out), &in->artifact, 1};
    tm_status status = in->type->tree ? place_tree(store, in, &log, path, err)
                                      : tm_place_lines(store, &logs, path, false, err);
    json_object_set_new(into, "path", json_string(name));
    if (!in->type->tree) json_object_set_new(into, "rows", json_integer((json_int_t)log.rows));
    json_object_set_new(into, "bytes", json_integer((json_int_t)log.bytes));
    tm_artifact_clear(&log);
    return status;
}

static tm_status lay_input(tm_store *store, const tm_past *past, const char *port, const json_t *link,
                           const char *folder, json_t *inputs, tm_error *err)
{
    input own = look_at(store, past, port, link), in = look_further(store, past, own);
    if (!in.there) in = own;
    char from[300] = "elsewhere";
    if (in.from) snprintf(from, sizeof from, "%s%s%s", in.from->name, in.out[0] ? "." : "", in.out);
    json_t *into =
        json_pack("{s:s, s:s, s:s*}", "port", port, "from", from, "type", in.type ? in.type->name : NULL);
    json_array_append_new(inputs, into);
    if (in.there && in.type) {
        if (in.from != own.from)
            json_object_set_new(into, "note",
                                json_sprintf("%s is made of it in the same worker", own.from->name));
        return place(store, &in, folder, into, err);
    }
    const char *state = in.from ? tm_past_work(past, in.from)->state : "";
    bool made = strcmp(state, "done") == 0 || strcmp(state, "cached") == 0;
    json_object_set_new(
        into, "note",
        json_string(made ? "its bytes are not in the store any more" : "it was not made to its end"));
    return TM_OK;
}

// ---- the command that runs it again ----

// ---- all of it ----

static tm_status write_node(const tm_past_node *node, const char *folder, tm_error *err)
{
    const json_t *own = json_object_get(node->plan, "own");
    char *text = json_dumps(own ? own : node->plan, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    if (!text) return tm_fail(err, TM_ENOMEM, "no memory for the options of %s", node->name);
    tm_status status = write_text(folder, "node.json", text, err);
    tm_json_free(text);
    return status;
}

static tm_status write_error(const tm_past_node *node, const char *folder, json_t *layout, tm_error *err)
{
    const char *text = json_string_value(json_object_get(node->failure, "text"));
    const char *why = json_string_value(json_object_get(node->failure, "why")); // a program's last words
    if (!text) return TM_OK;
    json_object_set_new(layout, "error", json_string(text));
    tm_buf lines = {0};
    tm_buf_fmt(&lines, "%s\n", text);
    if (why && why[0]) tm_buf_fmt(&lines, "%s\n", why);
    tm_status status = tm_buf_status(&lines, err);
    if (status >= 0) status = write_text(folder, "error.txt", lines.data, err);
    tm_buf_clear(&lines);
    return status;
}

static tm_status write_rerun(tm_store *store, const tm_past *past, const tm_past_node *node,
                             const char *folder, json_t *layout, tm_error *err)
{
    tm_buf command = {0}, script = {0};
    tm_rerun_add(&command, past, node, tm_store_folder(store));
    tm_buf_fmt(&script, "#!/bin/sh\nexec %s \"$@\"\n", command.data ? command.data : "");
    tm_status status = tm_buf_status(&command, err);
    if (status >= 0) status = tm_buf_status(&script, err);
    if (status >= 0) status = write_text(folder, "rerun.sh", script.data, err);
    if (status >= 0) json_object_set_new(layout, "rerun", json_string(command.data));
    tm_buf_clear(&command);
    tm_buf_clear(&script);
    return status;
}

tm_status tm_node_files_lay(tm_store *store, const tm_past *past, const tm_past_node *node,
                            const char *folder, json_t **layout, tm_error *err)
{
    const char *port;
    json_t *link, *inputs = json_array();
    const tm_past_node *work = tm_past_work(past, node);
    json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:o}", "node", node->name, "run", past->run, "state",
                            work->state, "folder", folder, "inputs", inputs);
    tm_status status = tm_key_refresh(store, err);
    json_object_foreach(json_object_get(node->plan, "inputs"), port, link) if (status >= 0) status =
        lay_input(store, past, port, link, folder, inputs, err);
    if (status >= 0) status = write_node(node, folder, err);
    if (status >= 0) status = write_error(work, folder, out, err);
    if (status >= 0) status = write_rerun(store, past, node, folder, out, err);
    if (status < 0)
        json_decref(out);
    else
        *layout = out;
    return status;
}
