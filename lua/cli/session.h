// SPDX-License-Identifier: Apache-2.0
// What most commands begin with: evaluating and checking a graph file, finding the store, making the plan.
#pragma once

#include "engine/base/file_memory.h"
#include "engine/journal.h"
#include "engine/plan.h"
#include "lua/cli/cli.h"
#include "lua/past/run_record.h"

// Flags shared by commands that take a graph.
#define TM_GRAPH_FLAGS                                                                          \
    {"--set", 's', "NAME=VALUE", "set a parameter of the graph (may be given several times)"}
#define TM_CHOICE_FLAGS                                                                     \
    {"--only", 0, "NODE", "this node alone; its inputs must be there"},                    \
    {"--until", 0, "NODE", "this node and what it needs"},                                 \
    {"--from", 0, "NODE", "run this node and everything behind it again"},                 \
    {"--force", 'f', "NODE", "run this node again whatever is recorded"},                  \
    {"--reuse", 0, "any|same", "same: numeric results of another kind of processor are made again"}

#define TM_LOCK_FLAGS                                                                       \
    {"--locked", 0, NULL, "refuse unless all that decides results is as tidemill.lock has it"}, \
    {"--lock", 0, "FILE", "the same with another lock than tidemill.lock beside the graph"}

#define TM_SMOKE_FLAG                                                                             \
    {"--smoke", 0, NULL, "200 records and 5 steps through the whole graph; apart from real results"}

typedef struct tm_session {
    const char *text; // what the graph file says, if that is not what the disk has (borrowed); or NULL
    tm_graph *graph;
    tm_store *store;
    tm_plan *plan;
    json_t *before;  // the "run" record of this graph's last run, with nodes it did not have from those
                     // before it (each says as "run" of which it is); or NULL
    char home[TM_PATH_MAX];  // folder of the store, which need not be there yet
    json_t *locked;  // with --locked: what the lock says of this graph
    const char *lock;  // and what that lock is called (borrowed)
    bool absent;     // files that the graph reads need not be there: it is looked at, not planned
    json_t *set;     // parameters (name -> text) besides those of --set, if the graph has them; or NULL
    tm_file_memory *memory;  // of the files that the graph names: written down when the session is closed
} tm_session;

// Each prints what is wrong and gives an exit status other than 0 then; tm_session_close frees whatever is
// there.
int tm_session_graph(tm_session *session, const tm_cli *cli, const char *path);
// After the graph, or without one. `flags`: TM_STORE_CREATE, TM_STORE_MAYBE, or 0.
int tm_session_store(tm_session *session, const tm_cli *cli, unsigned flags);
int tm_session_plan(tm_session *session, const tm_cli *cli, const char *const *targets);
// The nearest .tidemill upward from a folder; else at the root of the git work tree around it; else right
// there.
void tm_session_find_store(const char *start, char path[TM_PATH_MAX]);
void tm_session_close(tm_session *session);

// The whole of a command that needs a store alone: opens it, works, says what failed; the exit status.
int tm_session_in_store(const tm_cli *cli, tm_status (*work)(const tm_cli *, tm_store *, tm_error *));
