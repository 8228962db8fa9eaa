// SPDX-License-Identifier: Apache-2.0
// The plan: for every node its keys and what will happen to it, with the reason; and the groups that store.
//
// States, decided in topological order against the store:
//
//   cached   a record of its content key is there (and the bytes that somebody needs)
//   run      it will certainly be executed; kinds: resume, recompute (fused), recompute (bytes gone)
//   maybe    an input is made anew, and whether its bytes change is not known yet
//
// What a run then executes always lies between `run` and `run + maybe`.
//
// A group is a chain of record-wise nodes executed as one, or any other node alone. Groups end at forks,
// barriers, named nodes, `store = true`, and stages that parse hostile bytes. Only the last node's main
// output and side outputs of the inner ones are stored; the others are known by hash.
#pragma once

#include "engine/graph.h"
#include "engine/store_key.h"

typedef enum { TM_CACHED, TM_RUN, TM_MAYBE } tm_state;

typedef struct tm_plan_node {
    tm_node *node;
    int same;         // index of the first node with the same recipe (itself, mostly)
    int twin;         // index of the first node with the same own key
    int n_unknown;    // at the first twin: how many of them have no known result
    int group;
    json_t *own_doc;
    json_t *inputs_doc;   // by recipe
    tm_hash own, recipe, family;
    tm_hash content;      // none while an input is unknown
    tm_state state;
    const char *kind;     // "cached", "run", "maybe", "resume from 300", "recompute (fused)", ...
    char kind_text[48];
    char reason[320];
    bool known;           // outputs are known by hash
    tm_hash outputs[TM_MAX_PORTS];
    bool chosen;          // named by the command line, or a target
    bool wanted;          // chosen, or needed by one that is
    bool forced;          // runs whatever is recorded
    int64_t before;       // a trainer whose bytes are gone goes on from an earlier step than this; 0: any
} tm_plan_node;

#define TM_MAX_GROUP 7

typedef struct tm_group {
    int nodes[TM_MAX_GROUP];
    int n;
    tm_state state;
    int depth;  // longest way to an end, in groups: the critical path goes first
} tm_group;

typedef struct tm_plan_options {
    const char *const *targets;  // names; NULL: everything that the graph returns
    const char *only;            // a name, or NULL
    const char *from;
    const char *until;
    const char *force;
    bool reuse_same;             // numeric results of another kind of processor are made again
    const json_t *before;        // plan of the last run of this graph (tm_plan_json), or NULL; a node may say
                                 // as "run" which one it is of
} tm_plan_options;

typedef struct tm_plan {
    const tm_graph *graph;
    tm_store *store;
    tm_plan_node *nodes;  // parallel to graph->nodes
    tm_group *groups;     // in topological order
    size_t n_groups;
    bool reuse_same;
} tm_plan;

tm_status tm_plan_make(const tm_graph *graph, tm_store *store, const tm_plan_options *options, tm_plan **plan,
                       tm_error *err);
void tm_plan_free(tm_plan *plan);

// The canonical node behind a node (they may be the same work), and the inputs' content as far as known.
const tm_plan_node *tm_plan_canonical(const tm_plan *plan, const tm_node *node);

// The hash that stands for a link in a content key: the artifact, or the snapshot selected in it. TM_ENOENT
// when the selection picks nothing.
tm_status tm_plan_link_hash(const tm_plan *plan, const tm_link *link, tm_hash *hash, tm_error *err);

// Content key of a node whose inputs are all known, and its record (NULL: none). Used by plan and scheduler
// alike.
tm_status tm_plan_content(tm_plan *plan, tm_plan_node *node, const tm_record **record, tm_error *err);
// Whether a numeric result was made on another kind of processor than this one, and on which. Such results
// are within the tolerance of each other, not equal to the last bit.
bool tm_record_elsewhere(const tm_stage *stage, const tm_record *record, char cpu[16]);
// The inputs of a node by hash, as they stand in its content document and record.
tm_status tm_plan_inputs(const tm_plan *plan, const tm_plan_node *node, json_t **inputs, tm_error *err);
// Take the outputs of a record as this node's.
void tm_plan_adopt(tm_plan_node *node, const tm_record *record);
// Whether the stored bytes of this group's outputs are there: of data all, of snapshots those that somebody
// in this plan who is not cached selects, and of what was asked for the last one.
bool tm_plan_complete(const tm_plan *plan, const tm_group *group);
// Whether somebody in this plan reads one of the first n snapshots of a trainer, whose bytes are gone, and
// has not read it before: then nothing can go on behind it.
bool tm_plan_reads_hollow(const tm_plan *plan, const tm_plan_node *node, const tm_entry *entries, size_t n);
// Whether the main output of a node is stored (last of its group).
bool tm_plan_stores(const tm_plan *plan, const tm_plan_node *node, int port);

// How many nodes there are to bring up to date: those wanted, of nodes that are the same work one. What
// people are told as the number of nodes, everywhere.
size_t tm_plan_count(const tm_plan *plan);
// Of a graph that is not planned: all of its nodes.
tm_status tm_plan_count_all(const tm_graph *graph, size_t *n, tm_error *err);

// For the journal, for `why`, and for the next plan: name -> documents, keys, state, reason, and what is
// known of the outputs ("attributes": port -> attributes).
json_t *tm_plan_json(const tm_plan *plan);
