// SPDX-License-Identifier: Apache-2.0
// Private to the body: its state. body.c opens, calls and ends it, body_link.c makes its functions,
// body_names.c looks whether it has what they name, body_record.c is what `doc` and `emit` do.
#pragma once

#include <time.h>

#include "stages/script/body.h"
#include "stages/script/sandbox.h"

// What `doc` holds: the record of the call that it stands for, and which of its fields hold something.
typedef struct body_doc {
    size_t i;
    unsigned filled;
} body_doc;

// What became of a record of the call.
typedef struct body_record {
    bool used;        // something emitted comes from it
    size_t nameless;  // emissions that go by its id
    size_t numbered;  // of these, those that are rows
} body_record;

// One emission, as ranges of tm_body.bytes; `own_id`: the body named it.
typedef struct body_emission {
    size_t from;  // the first record that it comes from
    size_t id, id_size, text, text_size, source, source_size, meta, meta_size;
    bool own_id;
} body_emission;

struct tm_body {
    tm_sandbox *box;
    tm_body_spec spec;
    tm_trail trail;
    timer_t timer;
    bool has_timer;
    const tm_doc *docs;   // the records of the call
    size_t n_docs, docs_capacity;
    body_record *records; // one each
    uint64_t stream;      // of its random numbers
    uint64_t n_random;
    json_t *parsed;       // a record's text as JSON, when it was asked for
    tm_buf bytes;         // of what was emitted
    body_emission *emitted;
    size_t n_emitted, capacity;
    int n_lines;          // printed
};

static inline tm_body *tm_body_of(lua_State *L)
{
    return tm_sandbox_of(L)->user;
}

// The interpreter of a body, and what it has that a graph file has not, or lacks. Raises.
tm_sandbox *tm_body_sandbox(size_t memory, bool batch, tm_trail *trail);
void tm_body_open_library(lua_State *L);

// Leaves the body's function on the stack. Called under tm_sandbox_call; raises.
void tm_body_link(lua_State *L, tm_body *body);

// Leave `doc` or the list of all of them, `emit` on the stack, for the records of the call. Raise.
void tm_body_push_docs(lua_State *L);
void tm_body_push_emit(lua_State *L);
// Where in the call the record at `index` is, if it is one.
bool tm_body_is_doc(lua_State *L, int index, size_t *i);
// Leaves `doc` of a record that was pushed before on the stack.
void tm_body_find_doc(lua_State *L, size_t i);
// The emissions of a call as rows.
tm_status tm_body_flush(tm_body *body, tm_batch *out, tm_error *err);
