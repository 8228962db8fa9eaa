// SPDX-License-Identifier: Apache-2.0
// tidemill.lock: what a result was made of and what came out, in a file beside the graph that git tracks.
//
// One file for the graphs of a folder. It is JSON with sorted names and one fact a line, so that a difference
// reads well:
//
//   {"format": "tidemill lock 2",
//    "graphs": {"graph.lua": {
//      "run": "r12", "git": {"commit", "changed"}, "environment": {...},     (lua/lock/environment.h)
//      "files":     {"graph.lua": hash, ...}             the text of the graph file and of what it requires
//      "nodes":     {"base": {"stage", "options", "values", "inputs"}, ...}      (lua/lock/meaning.h)
//      "params":    {"steps": 1600, ...}                 every parameter
//      "set":       {"steps": "1600"}                    those that differ from their defaults, as for --set
//      "inputs":    {"corpus/a.txt": {"bytes", "hash"}}  every file that stages read; relative to the graph
//      "stages":    {"pretrain": 2, ...}                 versions
//      "libraries": {"gumbo": "0.10.1", "numerics": ...} those in the keys of its nodes
//      "keys":      {"base": hash, ...}                  the content key of every node
//      "results":   {"base": hash, "base.metrics": hash, ...}}}}
//
// "nodes" to "libraries" decide what comes out and are compared before anything runs, "results" after.
// "files" is for the record: another text that means the same graph is as good.
#pragma once

#include "engine/plan.h"
#include "lua/past/past.h"

#define TM_LOCK_FORMAT "tidemill lock 2"

// Where the lock of a graph is: `given`, or tidemill.lock beside it; and its name there.
tm_status tm_lock_path(const char *graph, const char *given, char path[TM_PATH_MAX], tm_error *err);
const char *tm_lock_name(const char *graph);

// The whole file; TM_ENOENT if there is none, TM_EINVAL if it is damaged.
tm_status tm_lock_read(const char *path, json_t **lock, tm_error *err);
tm_status tm_lock_write(const char *path, const json_t *lock, tm_error *err);

// The section of a run, after tm_past_results. `memory` (or NULL) knows hashes of files: those inputs that
// are still there get their size. Results that are not in the store any more are refused.
tm_status tm_lock_of_past(const tm_past *past, tm_store *store, tm_file_memory *memory, json_t **section,
                          tm_error *err);

// Differences as [{"what": "input", "name", "pinned", "now"}, ...] in a fixed order: "param", "node" (with
// "field" and "text", see lua/lock/meaning.h), "input", "version", "library". "pinned" or "now" is absent
// where only the other side has it.
json_t *tm_lock_differences(const json_t *section, const tm_graph *graph);
// Graph files whose text is not that of the section, as "what": "graph".
json_t *tm_lock_differences_files(const json_t *section, const char *folder);
// What differs in the environment and may change numbers in their last bits, item by item.
json_t *tm_lock_differences_environment(const json_t *section);
// After a run: results that differ though all that went into them is as pinned, as "what": "result", and with
// "numeric": true those that another kind of processor explains. `same` and `behind` count results that are
// as pinned, and those that were made of different ones.
json_t *tm_lock_differences_results(const json_t *section, const tm_plan *plan, int *same, int *behind);
