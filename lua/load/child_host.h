// SPDX-License-Identifier: Apache-2.0
// What tidemill.lua is written on: the functions that turn values of a graph file into plain data (JSON
// text).
//
// Objects of the language are userdata without bytes, with one of the metatables in `kinds`; what they hold
// are user values, which a graph file cannot reach. What C knows of them:
//   ref     {node id, port, select (JSON) or nil}      an output of a node
//   text    {JSON}                                     a value, a secret, a bundle of references
//   step    {name, ...}                                a constructor without its input
//   sweep   a table, names to references               walked like a plain one
//   metric, spec, graph                                never data
#pragma once

#include <jansson.h>

#include "stages/script/sandbox.h"

#define TM_CHILD_DEPTH 64         // tables in tables
#define TM_CHILD_TEXT (4u << 20)  // bytes of the JSON of one call

typedef enum {
    TM_KIND_PLAIN,
    TM_KIND_REF,
    TM_KIND_TEXT,
    TM_KIND_STEP,
    TM_KIND_SWEEP,
    TM_KIND_METRIC,
    TM_KIND_SPEC,
    TM_KIND_GRAPH,
    TM_N_KINDS
} tm_kind;

// A text that was evaluated: the graph file, what it requires.
typedef struct tm_child_file {
    char *name;
    tm_view text;
} tm_child_file;

typedef struct tm_child {
    tm_sandbox *box;
    tm_child_file *files;
    size_t n_files;
    json_t *catalogue, *overrides, *maybe;
    json_t *mistakes;      // faults that evaluation went on after, as they are sent
    size_t log_bytes;      // of print, sent so far
    tm_buf scratch;        // JSON in the making; kept here, so that a raised error leaks nothing
    const char *site;      // where the file called into the module: a file, or chunk name with '@', or NULL
    int site_line;
} tm_child;

static inline tm_child *tm_child_of(lua_State *L)
{
    return tm_sandbox_of(L)->user;
}

void tm_child_send(char kind, const char *data, size_t size);
char tm_child_receive(tm_buf *body);  // the kind; the body is NUL-terminated besides

bool tm_child_open_host(tm_child *child);    // makes the host functions and `require`
void tm_child_push_host(tm_child *child);    // the argument of tidemill.lua
void tm_child_set_module(tm_child *child);   // takes what it returned: the module, the function that ends
void tm_child_push_finish(tm_child *child);  // that function
void tm_child_send_result(tm_child *child);  // from the JSON of parameters and of targets on the stack

// Raise at the line of the file that called into the module.
_Noreturn void tm_child_fault(lua_State *L, const char *code, const char *word, const char *hint,
                              const char *format, ...) __attribute__((format(printf, 5, 6)));

// Keep a copy of the text of a file. False without memory.
bool tm_child_keep_file(tm_child *child, const char *name, const char *text, size_t size);

// ---- child_code.c ----

int tm_child_code(lua_State *L);  // code(function, "each" or "batch") -> JSON, see engine/code.h

// ---- child_encode.c ----

extern const char tm_child_kinds;  // its address keys the list of metatables in the registry
extern const char tm_child_names;  // and the table constructor -> name
tm_kind tm_child_kind(lua_State *L, int index);
// args(name, table) -> JSON members of `args`, JSON members beside it, each followed by nothing or led by a
// comma.
int tm_child_args(lua_State *L);
// Append to child->scratch: text as it is; the string at `index` as JSON, `what` names it in faults.
void tm_child_add(lua_State *L, const char *text, size_t size);
void tm_child_add_string(lua_State *L, int index, const char *what);
int tm_child_json(lua_State *L);    // json(value) -> JSON
int tm_child_number(lua_State *L);  // number(x) -> its shortest text: 1e-4, 0.5, 300
