// SPDX-License-Identifier: Apache-2.0
// The files of the starter graphs, which the build takes from lua/editor/templates/.
#include "lua/editor/starter.h"

#include <stdio.h>
#include <string.h>

const tm_starter_file tm_starter_files[] = {
#include "templates.inc"
    {0},
};

const char *tm_starter_text(const char *starter, const char *path)
{
    for (const tm_starter_file *f = tm_starter_files; f->path; f++)
        if (strcmp(f->starter, starter) == 0 && strcmp(f->path, path) == 0) return f->text;
    return NULL;
}

void tm_starter_names(const char **names, size_t capacity)
{
    size_t n = 0;
    for (const tm_starter_file *f = tm_starter_files; f->path; f++)
        if (n + 1 < capacity && (n == 0 || strcmp(names[n - 1], f->starter) != 0)) names[n++] = f->starter;
    names[n] = NULL;
}

const char *tm_starter_brief(const char *starter, char text[128])
{
    const char *graph = tm_starter_text(starter, "graph.lua");
    graph = graph && strncmp(graph, "-- ", 3) == 0 ? graph + 3 : "";
    snprintf(text, 128, "%.*s", (int)strcspn(graph, "\n"), graph);
    return text;
}
