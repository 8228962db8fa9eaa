// SPDX-License-Identifier: Apache-2.0
// What a graph file takes and has.
#include "lua/load/own_graph.h"

#include <stdio.h>
#include <stdlib.h>

#include "lua/cli/session.h"
#include "lua/load/own_stage.h"

// ---- the whole ----

static const char *text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "";
}

static void print_graph(const tm_graph *g)
{
    size_t i;
    json_t *param;
    printf("%s (a graph)\n", g->file);
    if (json_array_size(g->params)) printf("\nparameters (--set NAME=VALUE)\n");
    json_array_foreach(g->params, i, param) tm_own_declaration_print(text_of(param, "name"), param);
    printf("\nnodes\n");
    for (i = 0; i < g->n_nodes; i++) {
        const tm_node *node = g->nodes[i];
        if (!node->inserted)
            printf("  %-18s %s (%s:%d)\n", node->name, node->called, node->file, node->line);
    }
}

static json_t *inputs_json(const tm_node *node)
{
    json_t *inputs = json_object(), *value;
    const char *port;
    for (size_t i = 0; i < node->n_links; i++) {
        const tm_link *link = &node->links[i];
        const char *out = link->from->stage->outputs[link->out].name;
        json_object_set_new(inputs, link->port,
                            json_sprintf("%s%s%s", link->from->name, out[0] ? "." : "", out));
    }
    json_object_foreach(node->values, port, value) json_object_set(inputs, port, value);
    return inputs;
}

static json_t *node_json(const tm_node *node)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:o, s:O}", "name", node->name, "stage", tm_node_called(node),
                     "brief", node->stage->brief, "file", node->file, "line", node->line, "inputs",
                     inputs_json(node), "options", node->options);
}

static int tell_graph(const tm_cli *cli, const tm_graph *g)
{
    if (!cli->json) {
        print_graph(g);
        return TM_EXIT_OK;
    }
    json_t *nodes = json_array();
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i]->inserted) json_array_append_new(nodes, node_json(g->nodes[i]));
    return tm_cli_print(
        cli, json_pack("{s:s, s:O?, s:o}", "graph", g->file, "parameters", g->params, "nodes", nodes));
}

// ---- one node ----

static bool is_default(const tm_option *o, const json_t *value)
{
    json_t *def = o->def ? json_loads(o->def, JSON_DECODE_ANY, NULL) : NULL;
    bool number = json_is_number(def) && json_is_number(value);
    bool same = def && (number ? json_number_value(def) == json_number_value(value) : json_equal(def, value));
    json_decref(def);
    return same;
}

// tm.llama { layers = 4 }: a value without what it has by default.
static void add_value(tm_buf *text, const json_t *value)
{
    const char *name = text_of(value, "$value"), *key;
    const tm_value *row = tm_value_find(name);
    json_t *inner;
    if (!row) {
        char *shown = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        tm_buf_str(text, shown ? shown : "?");
        free(shown);
        return;
    }
    tm_buf_fmt(text, "tm.%s {", name);
    size_t n = 0;
    json_object_foreach((json_t *)value, key, inner)
    {
        const tm_option *o = row->options;
        while (o && o->name && strcmp(o->name, key) != 0) o++;
        bool same = !o || !o->name || is_default(o, inner);
        if (!same) tm_buf_fmt(text, "%s %s = ", n++ ? "," : "", key);
        if (!same) add_value(text, inner);
    }
    tm_buf_str(text, n ? " }" : "}");
}

static void print_value(const char *name, const json_t *value, const char *note)
{
    tm_buf text = {0};
    if (json_is_null(value)) tm_buf_str(&text, "not given");
    else add_value(&text, value);
    printf("  %-18s %s%s\n", name, text.failed ? "?" : text.data, note);
    tm_buf_clear(&text);
}

static int tell_node(const tm_cli *cli, const tm_node *node)
{
    const char *port;
    json_t *inputs = inputs_json(node), *from;
    if (cli->json) {
        json_decref(inputs);
        return tm_cli_print(cli, node_json(node));
    }
    printf("%s (%s, %s:%d)\n%s\n", node->name, node->called, node->file, node->line, node->stage->brief);
    if (json_object_size(inputs)) printf("\ninputs\n");
    json_object_foreach(inputs, port, from)
    {
        const char *name = port[0] ? port : "(main)";
        if (json_is_string(from)) printf("  %-18s %s\n", name, json_string_value(from));
        else print_value(name, from, "");
    }
    const tm_option *o = node->stage->options;
    if (o && o->name) printf("\noptions\n");
    for (; o && o->name; o++) {
        const json_t *value = json_object_get(node->options, o->name);
        if (o->kind != TM_OPT_CODE)
            print_value(o->name, value, is_default(o, value) && !json_is_null(value) ? " (default)" : "");
    }
    json_decref(inputs);
    return TM_EXIT_OK;
}

// A node by any form of its address: base, r1:base, base@best, base:at(300), docs.train, tm.pretrain "base".
static const tm_node *find_node(const tm_graph *g, const char *word)
{
    char name[192];
    const tm_node *node = tm_graph_find(g, word);
    const char *colon = strchr(word, ':');
    bool run = colon && word[0] == 'r' && strspn(word + 1, "0123456789") == (size_t)(colon - word - 1);
    if (run && colon > word + 1) word = colon + 1;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "@:"), word);
    while (!node && name[0]) {
        node = tm_graph_find(g, name);
        char *dot = strrchr(name, '.');
        if (dot) *dot = 0;
        else break;
    }
    return node;
}

static int no_node(const tm_cli *cli, const tm_graph *g, const char *word)
{
    tm_error err = {0};
    const char **names = calloc(2 * g->n_nodes + 1, sizeof *names);
    size_t n = 0;
    for (size_t i = 0; names && i < g->n_nodes; i++) {
        if (!g->nodes[i]->inserted) names[n++] = g->nodes[i]->name;
        if (g->nodes[i]->stage->traits & TM_SCRIPT) names[n++] = tm_node_called(g->nodes[i]);
    }
    const char *near = names ? tm_nearest(word, names) : NULL;
    tm_fail_as(&err, TM_ENOENT, "TM0007", "%s has no node and makes no stage \"%s\"", cli->args[0], word);
    if (near) tm_hint(&err, "did you mean \"%s\"?", near);
    else tm_hint(&err, "`tidemill describe %s` lists them", cli->args[0]);
    free(names);
    return tm_cli_fail(cli, &err);
}

int tm_own_graph_describe(const tm_cli *cli)
{
    tm_session session = {.absent = true};
    const char *word = cli->n_args > 1 ? cli->args[1] : NULL;
    int code = tm_session_graph(&session, cli, cli->args[0]);
    if (code == TM_EXIT_OK && !word) {
        code = tell_graph(cli, session.graph);
    } else if (code == TM_EXIT_OK) {
        const tm_node *own = tm_own_stage_find(session.graph, word), *node = find_node(session.graph, word);
        code = own    ? tm_own_stage_describe(cli, own)
               : node ? tell_node(cli, node)
                      : no_node(cli, session.graph, word);
    }
    tm_session_close(&session);
    return code;
}
