// SPDX-License-Identifier: Apache-2.0
// Differences of own documents.
#include "lua/past/differ.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/code.h"

#define PATH 200

static bool is_hash(const char *text)
{
    return text && strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

static void show(const json_t *value, char text[96])
{
    if (is_hash(json_string_value(value))) {
        snprintf(text, 96, "%.6s", json_string_value(value));
        return;
    }
    const char *kind = json_string_value(json_object_get(value, "$value"));
    if (kind) {
        snprintf(text, 96, "%.80s {..}", kind);
        return;
    }
    size_t flags = JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(15);
    char *dump = value && !json_is_null(value) ? json_dumps(value, flags) : NULL;
    snprintf(text, 96, "%.90s", dump ? dump : "none");
    tm_json_free(dump);
}

static void add(json_t *list, const char *field, const json_t *before, const json_t *after)
{
    char b[96], a[96];
    show(before, b);
    show(after, a);
    json_t *text = json_sprintf("%s %s -> %s", field, b, a);
    json_array_append_new(list, json_pack("{s:s, s:O?, s:O?, s:o}", "field", field, "before", before, "after",
                                          after, "text", text));
}

static void add_code(json_t *list, const char *field, const json_t *before, const json_t *after)
{
    char text[320];
    if (!tm_code_difference(before, after, text, sizeof text)) return;
    json_array_append_new(list, json_pack("{s:s, s:s}", "field", field, "text", text));
}

// ---- files ----

static void sort_files(const json_t *before, const json_t *after, json_t *change)
{
    const char *name;
    json_t *hash;
    json_object_foreach((json_t *)after, name, hash)
    {
        const json_t *old = json_object_get(before, name);
        if (old && json_equal(old, hash)) continue;
        json_array_append_new(json_object_get(change, old ? "changed" : "added"), json_string(name));
    }
    json_object_foreach((json_t *)before, name, hash) if (!json_object_get(after, name))
        json_array_append_new(json_object_get(change, "removed"), json_string(name));
}

// "2 files added (a.txt, b.txt)", behind what is there.
static void say_files(const json_t *change, const char *what, char *text, size_t size)
{
    const json_t *names = json_object_get(change, what);
    size_t n = json_array_size(names), at = strlen(text), i;
    json_t *name;
    if (!n) return;
    at += (size_t)snprintf(text + at, size - at, "%s%zu file%s %s (", at ? ", " : "", n, n == 1 ? "" : "s",
                           what);
    json_array_foreach((json_t *)names, i, name)
    {
        if (i == 3 || at + 60 >= size) break;
        at += (size_t)snprintf(text + at, size - at, "%s%.50s", i ? ", " : "", json_string_value(name));
    }
    snprintf(text + at, size - at, "%s)", i < n ? ", .." : "");
}

static void differ_files(json_t *list, const json_t *before, const json_t *after)
{
    static const char *const kinds[] = {"added", "removed", "changed", NULL};
    char text[600] = "";
    const char *which;
    json_t *unused;
    json_t *change = json_pack("{s:s, s:[], s:[], s:[]}", "field", "files", "added", "removed", "changed");
    json_object_foreach((json_t *)after, which, unused)
        sort_files(json_object_get(before, which), json_object_get(after, which), change);
    json_object_foreach((json_t *)before, which, unused) if (!json_object_get(after, which))
        sort_files(json_object_get(before, which), NULL, change);
    for (int i = 0; kinds[i]; i++) say_files(change, kinds[i], text, sizeof text);
    json_object_set_new(change, "text", json_string(text));
    if (text[0]) json_array_append(list, change);
    json_decref(change);
}

// ---- fields ----

static void differ(json_t *list, const char *path, const json_t *before, const json_t *after);

// The part of a path that people know: options and values are not named, nor is a value at the main input;
// inputs are "input data", "input" alone is the main one.
static void join(char out[PATH], const char *path, const char *name)
{
    bool silent = !path[0] && (strcmp(name, "options") == 0 || strcmp(name, "values") == 0);
    if (strcmp(name, "$value") == 0) // "schedule wsd -> cosine"
        name = path[0] && path[0] != ' ' ? "" : "kind";
    if (!path[0] && strcmp(name, "inputs") == 0) {
        snprintf(out, PATH, "input");
        return;
    }
    if (strcmp(path, "input") == 0) {
        snprintf(out, PATH, "input%s%s", name[0] ? " " : "", name + (name[0] == '.'));
        return;
    }
    bool inner = path[0] && path[0] != ' ' && name[0];
    snprintf(out, PATH, "%s%s%s", path[0] == ' ' ? "" : path, inner ? "." : "", silent ? " " : name);
}

static void differ_objects(json_t *list, const char *path, const json_t *before, const json_t *after)
{
    const char *name;
    json_t *value;
    char inner[PATH];
    json_object_foreach((json_t *)after, name, value)
    {
        join(inner, path, name);
        differ(list, inner[0] ? inner : " ", json_object_get(before, name), value);
    }
    json_object_foreach((json_t *)before, name, value)
    {
        join(inner, path, name);
        if (!json_object_get(after, name)) differ(list, inner[0] ? inner : " ", value, NULL);
    }
}

static void differ(json_t *list, const char *path, const json_t *before, const json_t *after)
{
    bool none = !before || json_is_null(before);
    if (none ? !after || json_is_null(after) : after && json_equal(before, after)) return;
    if (strcmp(path, "files") == 0)
        differ_files(list, before, after);
    else if (tm_code_is(before) && tm_code_is(after))
        add_code(list, path, before, after);
    else if (json_is_object(before) && json_is_object(after))
        differ_objects(list, path, before, after);
    else
        add(list, path[0] == ' ' ? path + 1 : path, before, after);
}

json_t *tm_differ_own(const json_t *before, const json_t *after)
{
    json_t *list = json_array(), *stage = json_object_get(after, "stage");
    const json_t *old = json_object_get(before, "stage");
    if (stage && old && !json_equal(old, stage))
        add(list, "stage", old, stage); // says all
    else
        differ(list, "", before, after);
    return list;
}

json_t *tm_differ_same(const json_t *before, const json_t *after)
{
    json_t *list = json_array();
    static const char *const groups[] = {"options", "values", NULL};
    for (int i = 0; groups[i]; i++) {
        const char *name;
        json_t *value;
        json_object_foreach(json_object_get(after, groups[i]), name, value)
        {
            bool same = json_equal(json_object_get(json_object_get(before, groups[i]), name), value);
            const char *kind = json_string_value(json_object_get(value, "$value"));
            const char *shown = name[0] ? name : kind;
            if (same && shown && !json_is_null(value)) json_array_append_new(list, json_string(shown));
        }
    }
    return list;
}
