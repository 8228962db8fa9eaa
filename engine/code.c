// SPDX-License-Identifier: Apache-2.0
// Functions as data: what counts of them, and how two differ.
#include "engine/code.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 3  // tokens of a difference

bool tm_code_is(const json_t *value)
{
    return json_object_get(value, "$code") != NULL;
}

json_t *tm_code_for_document(const json_t *code)
{
    json_t *copy = json_deep_copy(code), *function;
    const char *name;
    json_object_foreach(json_object_get(copy, "$code"), name, function)
    {
        json_object_del(function, "text");
        json_object_del(function, "line");
    }
    return copy;
}

void tm_code_strip(json_t *code)
{
    json_t *function;
    const char *name;
    json_object_foreach(json_object_get(code, "$code"), name, function)
    {
        json_object_del(function, "file");
        json_object_del(function, "lines");
    }
}

static void show_value(const json_t *value, char *text, size_t size)
{
    const json_t *inner = json_object_get(value, "float");
    const char *name = json_string_value(json_object_get(value, "function"));
    if (!name) name = json_string_value(json_object_get(value, "library"));
    size_t flags = JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15);
    char *dump = value && !name ? json_dumps(inner ? inner : value, flags) : NULL;
    snprintf(text, size, "%.60s", name ? name : dump ? dump : "nothing");
    free(dump);
}

static bool uses_differ(const char *function, const json_t *before, const json_t *after, char *text,
                        size_t size)
{
    const char *name;
    const json_t *value;
    char old[80], new[80];
    json_object_foreach((json_t *)after, name, value)
    {
        const json_t *was = json_object_get(before, name);
        if (was && json_equal(was, value)) continue;
        show_value(was, old, sizeof old);
        show_value(value, new, sizeof new);
        snprintf(text, size, "%s uses %s: %s -> %s", function, name, old, new);
        return true;
    }
    return false;
}

static void show_tokens(const json_t *tokens, size_t from, char *text, size_t size)
{
    size_t at = 0;
    text[0] = 0;
    for (size_t i = from; i < from + SHOWN && i < json_array_size(tokens) && at + 1 < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%.24s", i > from ? " " : "",
                               json_string_value(json_array_get(tokens, i)));
    if (!text[0]) snprintf(text, size, "the end");
}

static void tokens_differ(const char *function, const json_t *before, const json_t *after, char *text,
                          size_t size)
{
    const json_t *was = json_object_get(before, "tokens"), *is = json_object_get(after, "tokens");
    const json_t *lines = json_object_get(after, "lines");
    const char *file = json_string_value(json_object_get(after, "file"));
    size_t n = json_array_size(is), i = 0;
    char old[100], new[100], place[300] = "";
    while (i < n && json_equal(json_array_get(was, i), json_array_get(is, i))) i++;
    if (n && json_array_size(lines) == n)
        snprintf(place, sizeof place, ", line %d of %.200s",
                 (int)json_integer_value(json_array_get(lines, i < n ? i : n - 1)), file ? file : "?");
    show_tokens(was, i, old, sizeof old);
    show_tokens(is, i, new, sizeof new);
    snprintf(text, size, "%s changed%s: %s -> %s", function, place, old, new);
}

bool tm_code_difference(const json_t *before, const json_t *after, char *text, size_t size)
{
    const json_t *was = json_object_get(before, "$code"), *is = json_object_get(after, "$code"), *function;
    const char *name;
    json_object_foreach((json_t *)is, name, function)
    {
        const json_t *old = json_object_get(was, name);
        if (!old) continue;  // who uses it says so
        if (!json_equal(json_object_get(old, "tokens"), json_object_get(function, "tokens"))) {
            tokens_differ(name, old, function, text, size);
            return true;
        }
    }
    json_object_foreach((json_t *)is, name, function)
        if (uses_differ(name, json_object_get(json_object_get(was, name), "uses"),
                        json_object_get(function, "uses"), text, size))
            return true;
    return false;
}
