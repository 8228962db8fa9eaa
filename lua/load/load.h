// SPDX-License-Identifier: Apache-2.0
// Evaluate a graph file: source text in, plain data out.
//
// The program starts itself as a graph process (child.h), gives it the source, the parameters and the
// catalogue, serves the files that it requires, and takes back JSON. The process is limited to 5 s of CPU, 8
// s of wall time, 192 MiB for its values and no way to reach anything; it is gone when this returns. The same
// bytes and parameters give the same JSON on every machine.
//
//   {"mistakes": [{"code", "text", "hint", "word", "file", "line"}, ...]   faults that evaluation went on
//               after; links to node -1 stand for what they spoilt (tm_graph_build tells them)
//    "params":  [{"name", "kind", "value", "default", "doc", "min", "max", "choices", "line"}, ...],
//    "nodes":   [{"id": 0, "stage": "read", "file": "graph.lua", "line": 12,
//                 "args": {"1": ..., "format": "html"}, "at": {...}, "store": true, "name": "x", "curate":
//                 3}, ...],
//    "targets": [["clean", {"node": 5, "out": "", "select": {...}}], ...],   sorted by name
//    "files":   [{"path": "graph.lua", "hash": "32 digits"}, ...],          the graph file, then what it
//    requires "log":     ["what it printed", ...]}
//
// Values in `args`: plain JSON (an empty table is []), and
//   {"$ref": {"node": 3, "out": "train", "select": {"kind": "each", "every": 500}}}   out "": the main output
//     select, absent for the last: {"kind": "latest"} {"kind": "best", "metric": "valid.loss"}
//     {"kind": "each", "every": 500} {"kind": "at", "at": 300} {"kind": "last", "take": 512}
//   {"$refs": [{"$ref": ...}, ...]}                      a list of nodes; what the steps of a curate removed
//   {"$value": "llama", "file": ..., "line": 9, "args": {...}}
//   {"$secret": "NAME"}
// "curate" is the id of the last node of the tm.curate that a node is a step of.
#pragma once

#include <jansson.h>

#include "engine/diag.h"

typedef struct tm_graph_param {
    const char *name, *text;  // --set NAME=TEXT
    bool maybe;               // no fault if the file does not declare it
} tm_graph_param;

typedef struct tm_graph_source {
    const char *path;              // the graph file
    const char *text;              // what it says, if that is not what the disk has (an editor's); or NULL
    const tm_graph_param *params;
    size_t n_params;
    const char *program;           // what to start with --graph-child; NULL: /proc/self/exe
    void (*print)(void *user, const char *line);  // gets each line that the file prints, as it does; or NULL
    void *user;
} tm_graph_source;

#define TM_MORE_FAULTS 15

// What is wrong with a graph file. Codes are TM01nn (lua/cli/errors.md); the file is relative to the
// graph's folder.
typedef struct tm_lua_fault {
    tm_diag diag;
    tm_diag more[TM_MORE_FAULTS];  // the others, if there are several
    size_t n_more;
    char traceback[2048];  // calls in the file, innermost first, one a line; or ""
    long max_rss_kib;      // what the graph process took at most
} tm_lua_fault;

// On success `*out` is a new reference. TM_EGRAPH: the file is wrong, or does not end; `fault` (never NULL)
// says where, and `err` the same in one line. TM_ENOENT: there is no such file. TM_EIO, TM_ENOMEM: the
// system's fault. `catalogue` is JSON: {"stages": [{"name", "outputs": ["", ...], "step": bool, "metrics":
// bool}, ...], "values": [{"name"}, ...]}; with "metrics", unknown fields of a node are taken for names of
// metrics.
tm_status tm_graph_eval(const tm_graph_source *source, const char *catalogue, json_t **out,
                        tm_lua_fault *fault, tm_error *err);
