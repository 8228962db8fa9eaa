// SPDX-License-Identifier: Apache-2.0
// Names of graph files.
#include "lua/past/graph_name.h"

#include <stdlib.h>

const char *tm_graph_path(const json_t *record)
{
    const char *path = json_string_value(json_object_get(record, "path"));
    const char *typed = json_string_value(json_object_get(record, "graph"));
    return path ? path : typed ? typed : "";
}

int tm_graph_apart(const char *path, const char *other)
{
    size_t n = strlen(path), m = strlen(other);
    int same = 0;
    if (strcmp(path, other) == 0) return 0;
    while (n && m && path[n - 1] == other[--m]) same += path[--n] == '/';
    return same;
}

const char *tm_graph_tail(const char *path, int folders)
{
    for (const char *at = path + strlen(path); at > path; at--)
        if (at[-1] == '/' && folders-- == 0) return at;
    return path;
}

bool tm_graph_is(const json_t *record, const char *name)
{
    const char *path = tm_graph_path(record), *typed = json_string_value(json_object_get(record, "graph"));
    size_t n = strlen(path), m = strlen(name);
    if (typed && strcmp(typed, name) == 0) return true;
    if (m && n >= m && strcmp(path + n - m, name) == 0 && (n == m || path[n - m - 1] == '/')) return true;
    char *real = realpath(name, NULL);
    bool same = real && strcmp(real, path) == 0;
    free(real);
    return same;
}
