// SPDX-License-Identifier: Apache-2.0
// Finding and describing the stages that a graph file makes.
#include "lua/load/own_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const tm_node *tm_own_stage_find(const tm_graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const tm_node *node = graph->nodes[i];
        if ((node->stage->traits & TM_SCRIPT) && strcmp(tm_node_called(node), name) == 0) return node;
    }
    return NULL;
}

static const char *text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "";
}

void tm_own_declaration_print(const char *name, const json_t *d)
{
    static const char *const fields[] = {"default", "min", "max", "choices"};
    printf("  %-18s tm.%s", name, text_of(d, "kind"));
    for (int i = 0; i < 4; i++) {
        json_t *value = json_object_get(d, fields[i]);
        char *shown = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15))
                            : NULL;
        if (shown) printf(", %s %.60s", fields[i], shown);
        else if (i == 0) printf(", required");
        free(shown);
    }
    printf("\n");
    if (text_of(d, "doc")[0]) printf("  %-18s %s\n", "", text_of(d, "doc"));
}

static void print_script(const tm_node *node)
{
    const json_t *o = node->options;
    const char *form = json_is_object(json_object_get(o, "batch")) ? "batch" : "each";
    const json_t *body = json_object_get(json_object_get(json_object_get(o, form), "$code"), form);
    const char *gives = text_of(o, "gives"), *name;
    json_t *declaration;
    printf("%s (a stage of %s, line %d)\n", tm_node_called(node), text_of(body, "file"),
           (int)json_integer_value(json_object_get(body, "line")));
    if (text_of(o, "doc")[0]) printf("%s\n", text_of(o, "doc"));
    printf("\ntakes %s, gives %s", text_of(o, "takes"), gives[0] ? gives : text_of(o, "takes"));
    if (strcmp(form, "batch") == 0)
        printf("; up to %d records a call", (int)json_integer_value(json_object_get(o, "batch_size")));
    printf("\n");
    if (json_object_size(json_object_get(o, "declared"))) printf("\noptions\n");
    json_object_foreach(json_object_get(o, "declared"), name, declaration)
        tm_own_declaration_print(name, declaration);
}

int tm_own_stage_describe(const tm_cli *cli, const tm_node *node)
{
    const json_t *o = node->options;
    if (cli->json)
        return tm_cli_print(cli, json_pack("{s:s, s:s, s:O, s:O, s:O?}", "name", tm_node_called(node),
                                           "brief",
                                           text_of(o, "doc"), "takes", json_object_get(o, "takes"), "gives",
                                           json_object_get(o, "gives"), "options",
                                           json_object_get(o, "declared")));
    print_script(node);
    return TM_EXIT_OK;
}
