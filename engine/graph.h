// SPDX-License-Identifier: Apache-2.0
// The graph as written, checked: nodes, their options and the links between them.
//
// It is built from the plain data that evaluating a graph file gives (see docs/graphs.md for the language),
// and does not change afterwards. Checking happens in named passes: stages, options, links, conversions,
// reachability, types. All errors are the user's and go to diagnostics.
#pragma once

#include "engine/diag.h"
#include "engine/stage.h"

typedef enum {
    TM_SELECT_LAST,
    TM_SELECT_LATEST,
    TM_SELECT_BEST,
    TM_SELECT_EACH,
    TM_SELECT_AT
} tm_select_kind;

typedef struct tm_select {
    tm_select_kind kind;
    int64_t every, at, take;  // take: 0 or the number of records
    char metric[64];
} tm_select;

typedef struct tm_node tm_node;

typedef struct tm_link {
    char port[96];       // full name: "", "data", "tasks.text", ".base", ".1"
    const tm_port *row;  // the port of the consumer
    tm_node *from;
    int out;             // index of the output port of `from`
    tm_select select;
} tm_link;

struct tm_node {
    int index;            // in tm_graph.nodes: a topological order
    char name[192];       // unique; what people say on the command line
    bool named;           // in the returned table
    bool store;           // `store = true`
    bool smoke;           // of a smoke run
    bool inserted;        // by the plan, as a conversion
    tm_node *serves;      // inserted conversions: the node that they stand before ...
    char serves_port[96]; // ... and its input
    const tm_stage *stage;
    char called[72];      // how the graph file calls it: "tm.split", or the name of a stage that it makes
    char file[256];       // relative to the graph's folder
    int line;
    json_t *options;      // canonical
    json_t *values;       // port or option name -> checked value
    json_t *at;           // machine facts, or NULL
    json_t *identity;     // of sources, or NULL
    tm_link *links;
    size_t n_links;
    json_t *attrs[TM_MAX_PORTS];  // of output ports
    void *parsed;         // options struct, filled
};

typedef struct tm_target {
    char name[192];
    tm_node *node;
    int out;
} tm_target;

// A smoke graph is that of a trial run: options are those that their rows have for it, sources give few
// records, and its keys are no other graph's.
typedef struct tm_graph {
    char *file;      // path as given
    char *folder;    // absolute
    json_t *params;  // as evaluated
    json_t *files;   // required files and their hashes
    bool smoke;
    tm_node **nodes;
    size_t n_nodes;
    tm_target *targets;
    size_t n_targets;
} tm_graph;

// Build and check. On TM_EGRAPH `diags` says what is wrong. `path` is the graph file; `memory` (may be NULL)
// knows hashes of files that sources name. With "smoke": true in `evaluated` it is a smoke graph,
// with "absent": true one for looking at, whose sources need not be there.
tm_status tm_graph_build(const json_t *evaluated, const char *path, tm_file_memory *memory,
                         tm_graph **graph, tm_diags *diags, tm_error *err);
void tm_graph_free(tm_graph *graph);

tm_node *tm_graph_find(const tm_graph *graph, const char *name);  // exact name, or NULL
int tm_stage_output(const tm_stage *stage, const char *name);     // index, or -1
// Where people want its result (`to` of stages that have a path of that name), or NULL.
const char *tm_node_place(const tm_node *node);
const tm_link *tm_node_link(const tm_node *node, const char *port);
// The name of its constructor without "tm.": "split", or that of a stage that the graph file makes.
const char *tm_node_called(const tm_node *node);
// How a node is told apart in messages: `stage "name"`.
const char *tm_node_label(const tm_node *node, char *text, size_t size);
// Bytes that `at.memory` asks for: a number, or a text such as "6 GiB" or "500MB"; 0 for anything else.
int64_t tm_at_bytes(const json_t *memory);
// The catalogue that the graph child gets: names of stages, ports, options and values.
json_t *tm_catalogue(void);
