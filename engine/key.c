// SPDX-License-Identifier: Apache-2.0
// Canonical documents of a node's work.
#include "engine/key.h"

#include <stdlib.h>
#include <string.h>

#include "engine/code.h"

// Raised when an op changes the numbers it gives: part of the key of every numeric stage.
#define TM_NUMERICS "f32 tiles 1"

static const tm_option *option_row(const tm_stage *stage, const char *name)
{
    for (const tm_option *o = stage->options; o && o->name; o++)
        if (strcmp(o->name, name) == 0) return o;
    return NULL;
}

static json_t *key_options(const tm_node *node, unsigned without)
{
    json_t *kept = json_object();
    const char *name;
    json_t *value;
    json_object_foreach(node->options, name, value)
    {
        const tm_option *o = option_row(node->stage, name);
        if (o && (o->flags & without)) continue;
        if (tm_code_is(value)) json_object_set_new(kept, name, tm_code_for_document(value));
        else json_object_set(kept, name, value);
    }
    return kept;
}

static json_t *own_doc(const tm_node *node, unsigned without)
{
    json_t *doc = json_pack("{s:s, s:i, s:o}", "stage", node->stage->name, "version", node->stage->version,
                            "options", key_options(node, without));
    if (!doc) return NULL;
    if (json_object_size(node->values)) json_object_set(doc, "values", node->values);
    if (node->identity) json_object_set(doc, "files", node->identity);
    if (node->stage->libraries) json_object_set_new(doc, "libraries", json_string(node->stage->libraries));
    if (node->smoke) json_object_set_new(doc, "smoke", json_true());
    if (node->stage->traits & TM_NUMERIC) json_object_set_new(doc, "numerics", json_string(TM_NUMERICS));
    return doc;
}

json_t *tm_key_own_doc(const tm_node *node)
{
    return own_doc(node, TM_OPT_NOKEY);
}

json_t *tm_key_family_doc(const tm_node *node)
{
    json_t *doc = own_doc(node, TM_OPT_NOKEY | TM_OPT_EXTENDS);
    if (doc) json_object_set_new(doc, "family", json_true());
    return doc;
}

tm_hash tm_key_own(const json_t *doc)
{
    json_t *copy = json_deep_copy(doc), *value;
    const char *name;
    json_object_foreach(json_object_get(copy, "options"), name, value) tm_code_strip(value);
    tm_hash hash = tm_key_hash(copy);
    json_decref(copy);
    return hash;
}

tm_hash tm_key_hash(const json_t *doc)
{
    char *text = json_dumps(doc, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    tm_hash hash = text ? tm_hash_of(text, strlen(text)) : (tm_hash){{0}};
    free(text);
    return hash;
}

static json_t *select_doc(const tm_select *select)
{
    switch (select->kind) {
    case TM_SELECT_LAST:
    case TM_SELECT_LATEST: return NULL;
    case TM_SELECT_BEST: return json_pack("{s:s}", "best", select->metric);
    case TM_SELECT_EACH: return json_pack("{s:I}", "each", (json_int_t)select->every);
    case TM_SELECT_AT: return json_pack("{s:I}", "at", (json_int_t)select->at);
    }
    return NULL;
}

json_t *tm_key_input(const tm_link *link, const char *field, tm_hash hash)
{
    char hex[TM_HASH_HEX];
    tm_hash_hex(hash, hex);
    json_t *input = json_pack("{s:s, s:s}", "out", link->from->stage->outputs[link->out].name, field, hex);
    json_t *select = select_doc(&link->select);
    if (select) json_object_set_new(input, "select", select);
    return input;
}

tm_hash tm_key_with_inputs(tm_hash own, const json_t *inputs)
{
    char hex[TM_HASH_HEX];
    tm_hash_hex(own, hex);
    json_t *doc = json_pack("{s:s, s:O}", "own", hex, "inputs", inputs);
    tm_hash hash = tm_key_hash(doc);
    json_decref(doc);
    return hash;
}

static void show(const json_t *value, char *text, size_t size)
{
    size_t flags = JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS |
                   JSON_REAL_PRECISION(15); // 0.8 as it was written
    char *dump = value ? json_dumps(value, flags) : NULL;
    const char *shown = dump ? dump : "none";
    if (json_is_string(value) && strlen(shown) == 34) snprintf(text, size, "%.4s", shown + 1);  // a hash
    else snprintf(text, size, "%.60s", shown);
    free(dump);
}

// The options of a stage in Lua stand in its option `options`: once is enough.
static void join(const char *path, const char *name, char *text, size_t size)
{
    if (strcmp(path, name) == 0) snprintf(text, size, "%s", path);
    else snprintf(text, size, "%s%s%s", path, path[0] ? " " : "", name);
}

static bool differ(const char *path, const json_t *before, const json_t *after, char *text, size_t size)
{
    if (before && after && json_equal(before, after)) return false;
    if (tm_code_is(before) && tm_code_is(after)) return tm_code_difference(before, after, text, size);
    if (json_is_object(before) && json_is_object(after)) {
        const char *name;
        json_t *value;
        char inner[256];
        json_object_foreach((json_t *)after, name, value)
        {
            join(path, name, inner, sizeof inner);
            if (differ(inner, json_object_get(before, name), value, text, size)) return true;
        }
        json_object_foreach((json_t *)before, name, value)
        {
            join(path, name, inner, sizeof inner);
            if (!json_object_get(after, name) && differ(inner, value, NULL, text, size)) return true;
        }
    }
    char b[80], a[80];
    show(before, b, sizeof b);
    show(after, a, sizeof a);
    snprintf(text, size, "%s %s -> %s", path, b, a);
    return true;
}

bool tm_key_difference(const json_t *before, const json_t *after, char *text, size_t size)
{
    return differ("", before, after, text, size);
}
