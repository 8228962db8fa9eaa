// SPDX-License-Identifier: Apache-2.0
// Private to the body: its state. body.c opens, calls and ends it, body_link.c makes its functions,
// body_record.c is what `doc` and `emit` do.
#pragma once

#include <time.h>

#include "stages/script/body.h"
#include "stages/script/sandbox.h"

// One emission, as ranges of tm_body.bytes; `own_id`: the body named it.
typedef struct body_emission {
    size_t id, id_size, text, text_size, source, source_size, meta, meta_size;
    bool own_id;
} body_emission;

struct tm_body {
    tm_sandbox *box;
    tm_body_spec spec;
    tm_trail trail;
    timer_t timer;
    bool has_timer;
    const tm_doc *doc;    // the record at hand
    uint64_t stream;      // of its random numbers
    uint64_t n_random;
    json_t *parsed;       // the record's text as JSON, once it was asked for
    unsigned filled;      // fields of `doc` that hold something
    tm_buf bytes;         // of what was emitted for it
    tm_buf reason;
    body_emission *emitted;
    size_t n_emitted, capacity;
    int n_lines;          // printed
};

static inline tm_body *tm_body_of(lua_State *L)
{
    return tm_sandbox_of(L)->user;
}

// Leaves the body's function on the stack. Called under tm_sandbox_call; raises.
void tm_body_link(lua_State *L, tm_body *body);

// Leave `doc`, `emit` on the stack. Raise.
void tm_body_push_doc(lua_State *L);
void tm_body_push_emit(lua_State *L);
// Make `doc` (at `index`) stand for body->doc.
void tm_body_next_doc(lua_State *L, int index, tm_body *body);
// The emissions of a record as rows.
tm_status tm_body_flush(tm_body *body, tm_batch *out, tm_error *err);
