// SPDX-License-Identifier: Apache-2.0
// Option tables: one row per option, from which parsing, checks, defaults, help and keys come.
//
// An option's value lives in a plain struct of the stage at `offset`; the C type follows from the kind:
//   BOOL bool | INT int64_t | NUMBER double | STRING, PATH, CHOICE const char *
//   LIST tm_string_list | VALUE const json_t * (a checked value such as tm.wsd{}, or NULL)
//   TABLE const json_t * (an object of plain data, or NULL) | CODE const json_t * (see engine/code.h)
// Defaults are JSON text ("0.8", "\"html\"", "[\"en\"]"), so that one field serves every kind; NULL means
// that the option is required, "null" that it may be absent (0, NULL or an empty list then).
#pragma once

#include <jansson.h>

#include "engine/base/bytes.h"
#include "engine/base/nearest.h"

typedef enum {
    TM_OPT_BOOL,
    TM_OPT_INT,
    TM_OPT_NUMBER,
    TM_OPT_STRING,
    TM_OPT_PATH,
    TM_OPT_CHOICE,
    TM_OPT_LIST,   // of strings
    TM_OPT_VALUE,  // of the family named in `choices`
    TM_OPT_TABLE,  // of names and plain data
    TM_OPT_CODE,   // a function of the graph file
} tm_opt_kind;

enum {
    TM_OPT_NOKEY = 1, // changes how, not what: not part of the key
    TM_OPT_EXTENDS =
        2, // how far a run goes (steps, schedule) and where it puts snapshots: the stage's prefix callback
           // says how far two agree
};

typedef struct tm_option {
    const char *name;
    tm_opt_kind kind;
    size_t offset;
    const char *def;
    double min, max;      // of numbers; both 0 means no bounds
    const char *choices;  // CHOICE: "a b c"; VALUE: a family of values
    const char *help;     // one sentence
    unsigned flags;
    // What a smoke run takes instead: "..5" at most that, also where nothing was given; "0.2.." at least
    // that; else JSON. NULL: the same.
    const char *smoke;
} tm_option;

typedef struct tm_string_list {
    const char *const *items;
    size_t n;
} tm_string_list;

// What is wrong with one option, for a diagnostic that points at it.
typedef struct tm_option_fault {
    const char *option;  // its name as written (borrowed from the arguments or the table)
    char what[256];
    char why[256];
    char fix[256];
} tm_option_fault;

// Check `args` (an object without positional arguments) against a table that ends with a row without a name,
// and give the canonical object: every option present, defaults filled in, numbers in one form.
// TM_EINVAL fills `fault`.
tm_status tm_options_check(const tm_option *table, const json_t *args, json_t **canonical,
                           tm_option_fault *fault);

// Canonical options as a smoke run takes them.
void tm_options_smoke(const tm_option *table, json_t *canonical);

// Fill a zeroed struct from a canonical object, which must outlive it. Lists are allocated and belong to the
// struct: tm_options_clear frees them.
tm_status tm_options_fill(const tm_option *table, const json_t *canonical, void *into, tm_error *err);
void tm_options_clear(const tm_option *table, void *options);

const char *tm_opt_kind_name(tm_opt_kind kind);
