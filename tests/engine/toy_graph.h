// SPDX-License-Identifier: Apache-2.0
// For tests: a graph of toy stages from a short text, one node a line.
//
//   NAME = STAGE { JSON of the options }  PORT:NODE ...      PORT is "1" for the main input; NODE may have a
//   .PORT return NAME ...
//
// The file that the graph is said to come from is g.lua, and node i stands in line i + 1.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/graph.h"

static tm_error err;
static tm_diags diags;

typedef struct toy_names {
    char names[64][32];
    size_t n;
} toy_names;

static int toy_find(const toy_names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->names[i], name) == 0) return (int)i;
    fail_msg("no node %s before", name);
    return -1;
}

static json_t *toy_ref(const toy_names *names, char *text)
{
    char *dot = strchr(text, '.');
    if (dot) *dot++ = 0;
    return json_pack("{s:i, s:s}", "node", toy_find(names, text), "out", dot ? dot : "");
}

static void toy_line(json_t *nodes, json_t *targets, toy_names *names, char *line)
{
    char *save = NULL, *brace = strchr(line, '{'), *close = strrchr(line, '}');
    if (strncmp(line, "return", 6) == 0) {
        for (char *name = strtok_r(line + 6, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
            char copy[64];
            snprintf(copy, sizeof copy, "%s", name);
            json_array_append_new(targets, json_pack("[s, o]", name, toy_ref(names, copy)));
        }
        return;
    }
    char stage[32];
    assert_non_null(brace);
    assert_int_equal(sscanf(line, "%31s = %31s", names->names[names->n], stage), 2);
    json_t *args = json_loadb(brace, (size_t)(close - brace) + 1, 0, NULL);
    if (!args) fail_msg("no JSON: %s", brace);
    for (char *word = strtok_r(close + 1, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *colon = strchr(word, ':');
        *colon = 0;
        json_object_set_new(args, word, json_pack("{s:o}", "$ref", toy_ref(names, colon + 1)));
    }
    json_t *node = json_pack("{s:i, s:s, s:i, s:s, s:o}", "id", (int)names->n, "stage", stage, "line",
                             (int)names->n + 1, "file", "g.lua", "args", args);
    if (json_is_true(json_object_get(args, "store"))) {
        json_object_set_new(node, "store", json_true());
        json_object_del(args, "store");
    }
    json_array_append_new(nodes, node);
    names->n++;
}

static inline json_t *toy_data(const char *text)
{
    char copy[4096], *save = NULL;
    toy_names names = {.n = 0};
    json_t *nodes = json_array(), *targets = json_array();
    snprintf(copy, sizeof copy, "%s", text);
    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        toy_line(nodes, targets, &names, line);
    return json_pack("{s:o, s:o}", "nodes", nodes, "targets", targets);
}

// The graph, or NULL with `diags` and `err`.
static inline tm_graph *toy_graph(const char *text)
{
    json_t *data = toy_data(text);
    tm_graph *graph = NULL;
    diags = (tm_diags){0};
    tm_graph_build(data, ".", NULL, &graph, &diags, &err);
    json_decref(data);
    return graph;
}
