// SPDX-License-Identifier: Apache-2.0
// Values of templates: Python's, as far as templates see them. Immutable but for namespaces; their memory is
// an arena that goes as a whole.
#pragma once

#include <jansson.h>

#include "engine/base/bytes.h"

// ---- memory ----

typedef struct tm_tarena {
    struct tm_tblock *blocks;
    size_t total, limit;
    bool full; // the limit was met
} tm_tarena;

void *tm_tarena_get(tm_tarena *arena, size_t size); // aligned, not cleared; NULL beyond the limit
void tm_tarena_clear(tm_tarena *arena);

// ---- values ----

#define TM_TV_WEIGHT (64 << 20)
#define TM_TV_DEPTH 300

typedef enum {
    TM_TV_UNDEFINED,
    TM_TV_NONE,
    TM_TV_BOOL,
    TM_TV_INT,
    TM_TV_FLOAT,
    TM_TV_STRING,
    TM_TV_LIST,
    TM_TV_TUPLE,
    TM_TV_DICT,
    TM_TV_NAMESPACE,
    TM_TV_LOOP,
    TM_TV_MACRO,
    TM_TV_FUNCTION,
} tm_tkind;

typedef struct tm_tval tm_tval;

// `weight` is about how many bytes it prints as, shared parts counted every time, and `depth` how deep it
// nests: both are bounded, so that whatever walks a value ends soon.
typedef struct tm_tlist {
    size_t n, weight;
    unsigned depth;
    tm_tval *items;
} tm_tlist;

typedef struct tm_tdict {
    size_t n, capacity, weight;
    unsigned depth;
    tm_tval *keys, *values;
} tm_tdict;

struct tm_tval {
    tm_tkind kind;
    bool markup;           // STRING: `safe` made it; what + adds to it is escaped
    union {
        bool truth;
        int64_t integer;
        double number;
        tm_view text;      // STRING; UNDEFINED: what was looked for
        tm_tlist *list;    // LIST, TUPLE
        tm_tdict *dict;    // DICT, NAMESPACE
        const void *thing; // LOOP, MACRO, FUNCTION: the evaluator's
    };
};

static inline tm_tval tm_tv_bool(bool truth)
{
    return (tm_tval){.kind = TM_TV_BOOL, .truth = truth};
}
static inline tm_tval tm_tv_int(int64_t integer)
{
    return (tm_tval){.kind = TM_TV_INT, .integer = integer};
}
static inline tm_tval tm_tv_text(tm_view text)
{
    return (tm_tval){.kind = TM_TV_STRING, .text = text};
}
static inline tm_tval tm_tv_undefined(tm_view name)
{
    return (tm_tval){.kind = TM_TV_UNDEFINED, .text = name};
}
static inline bool tm_tv_sequence(const tm_tval *v)
{
    return v->kind == TM_TV_LIST || v->kind == TM_TV_TUPLE;
}

// TM_ENOMEM beyond the arena's limit, with the words of a bound.
tm_status tm_tv_no_room(tm_error *err);
tm_status tm_tv_list(tm_tarena *arena, tm_tkind kind, size_t n, tm_tval *list,
                     tm_error *err); // n unset items
tm_status tm_tv_dict(tm_tarena *arena, tm_tkind kind, tm_tval *dict, tm_error *err);
// To be called when a list or dict is filled. TM_EFAILED if it is too heavy or too deep.
tm_status tm_tv_seal(tm_tval *v, tm_error *err);
size_t tm_tv_weight(const tm_tval *v);
tm_status tm_tv_copy_text(tm_tarena *arena, tm_view text, tm_tval *out, tm_error *err);
tm_status tm_tv_json(tm_tarena *arena, const json_t *json, tm_tval *out, tm_error *err);
// The place of `key`, or NULL; set adds or replaces.
tm_tval *tm_tv_find(const tm_tdict *dict, const tm_tval *key);
tm_tval *tm_tv_find_text(const tm_tdict *dict, tm_view key);
tm_status tm_tv_set(tm_tarena *arena, tm_tdict *dict, const tm_tval *key, const tm_tval *value,
                    tm_error *err);

// ---- what Python would say ----

const char *tm_tv_type(const tm_tval *v); // "str"
bool tm_tv_truth(const tm_tval *v);
bool tm_tv_equal(const tm_tval *a, const tm_tval *b);
// -1, 0 or 1; TM_EFAILED for values without an order.
tm_status tm_tv_compare(const tm_tval *a, const tm_tval *b, int *order, tm_error *err);
size_t tm_tv_points(tm_view text); // code points
tm_status tm_tv_length(const tm_tval *v, int64_t *n, tm_error *err);
// str(v) and repr(v).
void tm_tv_str(const tm_tval *v, tm_buf *out);
void tm_tv_repr(const tm_tval *v, tm_buf *out);

typedef struct tm_tjson {
    bool ascii, sort;
    int indent;        // -1: on one line
    tm_view item, key; // separators
} tm_tjson;

// json.dumps(v) with these; TM_EFAILED for what JSON has no form for.
tm_status tm_tv_dump(const tm_tval *v, const tm_tjson *how, tm_buf *out, tm_error *err);
