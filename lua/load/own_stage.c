// SPDX-License-Identifier: Apache-2.0
// Finding and describing the stages that a graph file makes.
#include "lua/load/own_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/cli/session.h"

static const tm_node *find_script(const tm_graph *graph, const char *name, const char *names[64])
{
    size_t n = 0;
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const tm_node *node = graph->nodes[i];
        if (!(node->stage->traits & TM_SCRIPT)) continue;
        if (strcmp(tm_node_called(node), name) == 0) return node;
        if (n < 63) names[n++] = tm_node_called(node);
    }
    names[n] = NULL;
    return NULL;
}

static const char *text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "";
}

static void print_declaration(const char *name, const json_t *d)
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
        print_declaration(name, declaration);
}

int tm_own_stage_describe(tm_cli *cli)
{
    tm_session session = {0};
    const char *names[64];
    int code = tm_session_graph(&session, cli, cli->args[0]);
    const tm_node *node = code == TM_EXIT_OK ? find_script(session.graph, cli->args[1], names) : NULL;
    if (node && cli->json) {
        const json_t *o = node->options;
        code = tm_cli_print(cli, json_pack("{s:s, s:s, s:O, s:O, s:O?}", "name", tm_node_called(node),
                                           "brief", text_of(o, "doc"), "takes", json_object_get(o, "takes"),
                                           "gives", json_object_get(o, "gives"), "options",
                                           json_object_get(o, "declared")));
    } else if (node) {
        print_script(node);
    } else if (code == TM_EXIT_OK) {
        tm_error err = {0};
        const char *near = tm_nearest(cli->args[1], names);
        tm_fail_as(&err, TM_ENOENT, "TM0007", "%s makes no stage \"%s\"", cli->args[0], cli->args[1]);
        if (near) tm_hint(&err, "did you mean \"%s\"?", near);
        code = tm_cli_fail(cli, &err);
    }
    tm_session_close(&session);
    return code;
}
