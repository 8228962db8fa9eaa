// SPDX-License-Identifier: Apache-2.0
// graph: the nodes of a graph file and what flows between them.
#include <stdio.h>
#include <string.h>

#include "lua/cli/session.h"

static const tm_flag flags[] = {
    TM_GRAPH_FLAGS,
    {"--dot", 0, NULL, "for graphviz"},
    {"--mermaid", 0, NULL, "for Markdown pages"},
    {0},
};

static const char *out_name(const tm_link *link)
{
    return link->from->stage->outputs[link->out].name;
}

// What a link is called in a drawing: the output, or what flows.
static const char *link_label(const tm_link *link)
{
    return out_name(link)[0] ? out_name(link) : link->row->type;
}

static void print_text(const tm_graph *g)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const tm_node *node = g->nodes[i];
        printf("%s  %s%s%s:%d\n", node->name, tm_node_called(node), node->inserted ? ", inserted for " : ", ",
               node->file, node->line);
        for (size_t l = 0; l < node->n_links; l++) {
            const tm_link *link = &node->links[l];
            printf("    %s%s<- %s%s%s  (%s)\n", link->port, link->port[0] ? " " : "", link->from->name,
                   out_name(link)[0] ? "." : "", out_name(link), link->row->type);
        }
    }
}

// Text in double quotes, as graphviz reads it.
static void print_dot_text(const char *text, const char *more)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    }
    printf("%s\"", more);
}

static void print_dot(const tm_graph *g)
{
    char stage[160];
    printf("digraph tidemill {\n  rankdir=LR;\n  node [shape=box];\n");
    for (size_t i = 0; i < g->n_nodes; i++) {
        const tm_node *node = g->nodes[i];
        snprintf(stage, sizeof stage, "\\n%s", tm_node_called(node));
        printf("  ");
        print_dot_text(node->name, "");
        printf(" [label=");
        print_dot_text(node->name, stage);
        printf("];\n");
        for (size_t l = 0; l < node->n_links; l++) {
            printf("  ");
            print_dot_text(node->links[l].from->name, "");
            printf(" -> ");
            print_dot_text(node->name, "");
            printf(" [label=");
            print_dot_text(link_label(&node->links[l]), "");
            printf("];\n");
        }
    }
    printf("}\n");
}

// Text between double quotes, as Mermaid reads it: what is special there or in HTML goes as a number.
static void print_mermaid_text(const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || strchr("\"#&;<>\\`|", c)) printf("#%d;", c < ' ' ? ' ' : c);
        else putchar(c);
    }
}

static void print_mermaid(const tm_graph *g)
{
    printf("flowchart LR\n");
    for (size_t i = 0; i < g->n_nodes; i++) {
        printf("  n%zu[\"", i);
        print_mermaid_text(g->nodes[i]->name);
        printf("<br>");
        print_mermaid_text(tm_node_called(g->nodes[i]));
        printf("\"]\n");
    }
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t l = 0; l < g->nodes[i]->n_links; l++) {
            printf("  n%d -->|\"", g->nodes[i]->links[l].from->index);
            print_mermaid_text(link_label(&g->nodes[i]->links[l]));
            printf("\"| n%zu\n", i);
        }
}

static json_t *graph_json(const tm_graph *g)
{
    json_t *nodes = json_array();
    for (size_t i = 0; i < g->n_nodes; i++) {
        const tm_node *node = g->nodes[i];
        json_t *links = json_array();
        for (size_t l = 0; l < node->n_links; l++)
            json_array_append_new(links,
                                  json_pack("{s:s, s:s, s:s, s:s}", "port", node->links[l].port, "from",
                                            node->links[l].from->name, "out", out_name(&node->links[l]),
                                            "type", node->links[l].row->type));
        json_array_append_new(nodes,
                              json_pack("{s:s, s:s, s:s, s:i, s:b, s:O?, s:o}", "name", node->name, "stage",
                                        tm_node_called(node), "file", node->file, "line", node->line, "named",
                                        node->named, "options", node->options, "inputs", links));
    }
    return json_pack("{s:s, s:o}", "graph", g->file, "nodes", nodes);
}

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    int code = tm_session_graph(&session, cli, cli->args[0]);
    if (code == TM_EXIT_OK) {
        if (cli->json) tm_cli_print(cli, graph_json(session.graph));
        else if (tm_cli_flag(cli, "--dot")) print_dot(session.graph);
        else if (tm_cli_flag(cli, "--mermaid")) print_mermaid(session.graph);
        else print_text(session.graph);
    }
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_graph = {
    .name = "graph", .brief = "Show the nodes of a graph and what flows between them.", .usage = "GRAPH",
    .example = "tidemill graph graph.lua --mermaid", .min = 1, .max = 1, .flags = flags, .exec = exec,
};
