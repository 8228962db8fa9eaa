// SPDX-License-Identifier: Apache-2.0
// What the files that build a graph share: graph.c (nodes, names, conversions, order), graph_args.c
// (arguments to options and links), graph_types.c (what every link and stage must agree on). Private to
// engine/graph*.c.
#pragma once

#include "engine/base/hash_map.h"
#include "engine/graph.h"

typedef struct builder {
    tm_graph *graph;
    tm_diags *diags;
    tm_file_memory *memory;
    tm_node **by_id; // nodes as the child numbered them
    size_t n_by_id;
    size_t capacity;   // of graph->nodes
    bool absent;       // files that are not there are no fault
    tm_hash_map names; // hash of a name -> the last number that was put behind it
} builder;

// A diagnostic at the call of a node's constructor; `word`: the option or text in its braces, or NULL. For a
// conversion it is the call that it was put in for. The same at the call of a value's constructor.
tm_diag *graph_fault(builder *b, const tm_node *node, const char *code, const char *word);
tm_diag *graph_value_fault(builder *b, const json_t *given, const char *code, const char *word);

// "main input" or "input NAME"; returns `text`.
const char *graph_input_label(const char *port, char *text, size_t size);
// How to get what an input takes: the stages that give its type, the values of its family.
void graph_how_to_give(const tm_port *row, char *fix, size_t size);
tm_hash graph_name_hash(const char *name);

// Link port `port` of a node to what `ref` says, or tell why that cannot be.
tm_status graph_connect(builder *b, tm_node *node, const char *port, const tm_port *row, const json_t *ref,
                        tm_error *err);

// One argument of a constructor to its option or its port; the options of a node to its struct; inputs that
// are missing.
tm_status graph_bind_arg(builder *b, tm_node *node, const char *key, json_t *arg, json_t *options,
                         tm_error *err);
tm_status graph_parse_options(tm_node *node, tm_error *err);
void graph_option_fault(builder *b, tm_node *node, const json_t *value, const json_t *args,
                        const tm_option_fault *fault);
void graph_check_inputs(builder *b, tm_node *node, const json_t *args);

// Whether an argument stands for a mistake of the graph file, which is told already: a link to node -1.
bool graph_is_wrong(const json_t *arg);

// "tm.dpo, input data: " before what is wrong with a conversion that stands there, else ""; returns `text`.
const char *graph_served(const tm_node *node, char *text, size_t size);

// The types of all links, before conversions are put in: of a graph that is wrong already.
void graph_check_links(builder *b);
// Types and attributes at every link, then every stage's own check; two results in one place.
void graph_check_types(builder *b);
tm_status graph_check_places(builder *b, tm_error *err);
