// SPDX-License-Identifier: Apache-2.0
// The body of a stage written in Lua: a function of a graph file (engine/code.h), called once per record, or
// once per batch of records.
//
// A body lives for one chunk. Its interpreter is made afresh for each, so that what it gives is a function of
// the chunk alone, whatever it did before. It is the closed Lua of graph files (sandbox.h) without `require`
// and coroutines, with `math.random`, which is a function of (seed, id of the call's first record, how often
// it was called). It is bound by CPU time and bytes. What surrounds it must be confined: see
// engine/confine.h.
#pragma once

#include <jansson.h>

#include "engine/type.h"

#define TM_BODY_MEMORY (320u << 20)  // bytes; told about from 256 MiB on

// What a record is for the body: fields `text`, or `messages` (and maybe `tools`), or `prompt`, `chosen` and
// `rejected`. The text column of the last two is canonical JSON: see stages/text/shape.h.
typedef enum { TM_BODY_TEXT, TM_BODY_CHAT, TM_BODY_PREFERENCE } tm_body_shape;

// "documents", "chat", "preference"; -1 for anything else.
int tm_body_shape_find(const char *name);

typedef struct tm_body_spec {
    const char *name;         // of the stage, for messages
    const json_t *code;       // {"$code": {"each": ...}}, or "batch"
    bool batch;               // called as batch(docs, o, emit), not each(doc, o, emit)
    const json_t *options;    // what `o` holds, or NULL
    tm_body_shape takes, gives;
    uint64_t seed;
    double seconds;           // of CPU, for all calls together
    size_t memory;            // bytes: of the interpreter, and of what is emitted (of one call a quarter)
    void (*log)(void *user, const char *line);  // what it prints; the traceback of an error
    void *user;
} tm_body_spec;

typedef struct tm_body tm_body;

// The spec is borrowed, and everything in it. TM_EFAILED: the code is none.
tm_status tm_body_open(const tm_body_spec *spec, tm_body **body, tm_error *err);
void tm_body_close(tm_body *body);  // NULL is ignored

// Call it with `n` records (one, unless spec.batch); what it emits is appended to `out` (a batch of
// documents). TM_EFAILED: it raised, or reached a bound; the error names file, line and record.
tm_status tm_body_call(tm_body *body, const tm_doc *docs, size_t n, tm_batch *out, tm_error *err);

// Whether nothing was emitted for the i-th record of the last call. `*reason` is what the body returned for
// that, borrowed till the next call, or NULL.
bool tm_body_left_out(tm_body *body, size_t i, const char **reason);

// Compile a function of a code under the names of what it uses, none of which it may assign to; pushes it,
// without them. False with the sandbox's fault set. Also for who makes codes: sandbox.h's `lua_State` is `L`.
struct tm_sandbox;
struct tm_fault;
bool tm_body_compile(struct tm_sandbox *box, const json_t *function);

// Whether a body has all that the functions of a code name and neither bind nor use. False with what, where
// and how in `fault`, of the first such name.
bool tm_body_check_names(const json_t *code, bool batch, struct tm_fault *fault);
