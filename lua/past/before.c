// SPDX-License-Identifier: Apache-2.0
// Records before and after a node.
#include "lua/past/before.h"

#include <stdio.h>

#include "engine/base/json.h"
#include "engine/store_key.h"
#include "lua/cli/edit.h"
#include "lua/cli/pick.h"

enum { CONTEXT = 60 }; // bytes shown of a long stretch, on each side

// ---- the input ----

static const char *node_with(const json_t *nodes, const char *recipe)
{
    const char *name;
    json_t *node;
    json_object_foreach((json_t *)nodes, name, node)
    {
        const char *its = json_string_value(json_object_get(node, "recipe"));
        if (its && strcmp(its, recipe) == 0) return name;
    }
    return NULL;
}

// The artifact at a port of what a recipe made, if all its bytes are there.
static bool there(tm_store *store, const char *hex, const char *port, tm_artifact *log)
{
    tm_hash recipe;
    const tm_record *record = tm_hash_parse(hex, &recipe) ? tm_key_by_recipe(store, recipe) : NULL;
    for (size_t i = 0; record && i < record->n_ports; i++) {
        if (strcmp(record->ports[i].name, port) != 0) continue;
        tm_hash artifact = record->ports[i].artifact;
        return tm_artifact_complete(store, artifact) && tm_artifact_get(store, artifact, log, NULL) >= 0;
    }
    return false;
}

static tm_status find_input(tm_store *store, const tm_address *a, tm_artifact *log, char from[300],
                            tm_error *err)
{
    // The name of a curate chain stands for all of it: its input is that of its first step.
    const json_t *nodes = json_object_get(a->record, "nodes"), *node = json_object_get(nodes, a->node);
    for (int steps = 0; node && steps < 1000; steps++) {
        const json_t *input = json_object_get(json_object_get(node, "inputs"), "");
        const char *recipe = json_string_value(json_object_get(input, "recipe"));
        const char *out = json_string_value(json_object_get(input, "out"));
        const char *name = recipe ? node_with(nodes, recipe) : NULL;
        if (!name || !out) break;
        snprintf(from, 300, "%s:%s%s%s", a->run, name, out[0] ? "." : "", out);
        bool inside = strncmp(name, a->node, strlen(a->node)) == 0 && name[strlen(a->node)] == '/';
        if (!inside && there(store, recipe, out, log)) {
            if (strcmp(log->kind, "documents") == 0) return TM_OK;
            tm_artifact_clear(log);
            break;
        }
        node = json_object_get(nodes, name);
    }
    return tm_fail(err, TM_EINVAL, "%s has no documents as main input to compare with", a->node);
}

// ---- the records of it ----

typedef struct lookup {
    json_t *wanted; // id -> list of records
} lookup;

// Of several that one record became, "ID#n", the input has "ID".
static void want(json_t *wanted, const char *id, json_t *record)
{
    json_t *list = json_object_get(wanted, id);
    if (!list) json_object_set_new(wanted, id, list = json_array());
    json_array_append(list, record);
}

json_t *tm_before_edits(const char *before, const char *after)
{
    static const char *const kinds[] = {"same", "out", "in"};
    tm_edit *edits;
    size_t n;
    json_t *all = json_array();
    if (tm_edit_texts(tm_view_str(before), tm_view_str(after), true, &edits, &n, NULL) < 0) return all;
    for (size_t i = 0; i < n;) {
        size_t k = i;
        tm_buf text = {0};
        for (; k < n && edits[k].kind == edits[i].kind; k++)
            tm_buf_add(&text, edits[k].piece.data, edits[k].piece.size);
        json_array_append_new(
            all, json_pack("[s, s%]", kinds[edits[i].kind], text.data ? text.data : "", text.size));
        tm_buf_clear(&text);
        i = k;
    }
    tm_free(edits);
    return all;
}

static tm_status take(void *arg, const tm_batch *batch, size_t row, tm_error *err)
{
    lookup *l = arg;
    tm_doc doc = tm_docs_get(batch, row);
    json_t *id = tm_json_from_text(doc.id), *record;
    json_t *text = tm_json_from_text(doc.text);
    size_t i;
    (void)err;
    json_array_foreach(id ? json_object_get(l->wanted, json_string_value(id)) : NULL, i, record)
    {
        const char *after = json_string_value(json_object_get(record, "text"));
        if (!text || !after) continue;
        json_object_set(record, "before", text);
        json_object_set_new(record, "edits", tm_before_edits(json_string_value(text), after));
    }
    json_decref(id);
    json_decref(text);
    return TM_OK;
}

tm_status tm_before_add(tm_store *store, const tm_address *address, json_t *records, char from[300],
                        tm_error *err)
{
    tm_artifact log = {0};
    size_t i;
    json_t *record;
    TM_TRY(find_input(store, address, &log, from, err));
    lookup l = {.wanted = json_object()};
    json_array_foreach(records, i, record)
    {
        char id[200];
        snprintf(id, sizeof id, "%s", json_string_value(json_object_get(record, "id")));
        json_object_set_new(record, "before", json_null());
        want(l.wanted, id, record);
        char *part = strchr(id, '#');
        if (part) *part = 0;
        if (part) want(l.wanted, id, record);
    }
    tm_pick all = {.left = INT64_MAX};
    tm_status status = tm_pick_rows(store, tm_type_find("documents"), &log, &all, take, &l, err);
    json_decref(l.wanted);
    tm_artifact_clear(&log);
    return status;
}

// ---- for people ----

static size_t character(const char *text, size_t at) // not inside one
{
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80) at--;
    return at;
}

static void print_part(const char *text, size_t head, size_t tail, bool full)
{
    size_t n = strlen(text);
    if (full || n <= head + tail + 20) {
        fputs(text, stdout);
        return;
    }
    fwrite(text, 1, character(text, head), stdout);
    fputs(" .. ", stdout);
    fputs(text + character(text, n - tail), stdout);
}

void tm_before_print(const json_t *edits, bool full)
{
    size_t i, n = json_array_size(edits);
    json_t *edit;
    json_array_foreach((json_t *)edits, i, edit)
    {
        const char *kind = json_string_value(json_array_get(edit, 0));
        const char *text = json_string_value(json_array_get(edit, 1));
        bool same = kind[0] == 's', out = kind[0] == 'o';
        size_t head = same ? (i ? CONTEXT : 0) : 2 * CONTEXT, tail = same && i + 1 == n ? 0 : CONTEXT;
        fputs(same ? "" : out ? "[-" : "{+", stdout);
        print_part(text, head, tail, full);
        fputs(same ? "" : out ? "-]" : "+}", stdout);
    }
    putchar('\n');
}
