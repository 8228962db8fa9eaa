// SPDX-License-Identifier: Apache-2.0
// Rendering from the inside: what statements, expressions, filters, tests and methods share.
#pragma once

#include "stages/text/template_tree.h"

typedef struct tm_tscope {
    struct tm_tscope *parent;
    tm_tdict names;
} tm_tscope;

typedef enum { TM_TF_ON, TM_TF_BREAK, TM_TF_CONTINUE } tm_tflow;

typedef struct tm_trun {
    tm_tarena arena;
    tm_tscope *scope;
    tm_rendering *rendering;
    tm_buf *out; // what is printed now: the rendering's text, or that of a macro or block
    int64_t steps;
    int depth, line;
    tm_tflow flow;
    tm_error *err;
} tm_trun;

typedef struct tm_tloop {
    const tm_tlist *items;
    size_t at;
} tm_tloop;

// A macro where it was defined.
typedef struct tm_tmacro {
    const tm_tnode *node;
    tm_tscope *scope;
} tm_tmacro;

// ---- calls ----

#define TM_TEMPLATE_DEPTH 1500 // of rendering: macros that call macros
#define TM_TARGS 16

typedef struct tm_targs {
    size_t n, n_named; // in all; with names, the last ones
    tm_tval values[TM_TARGS];
    tm_view names[TM_TARGS];
} tm_targs;

// Arguments put to the parameters of a filter, test, method or function.
typedef struct tm_tbound {
    tm_tval values[6];
    bool given[6];
} tm_tbound;

typedef tm_status tm_tcall(tm_trun *run, const tm_tval *of, const tm_tbound *args, tm_tval *out);

typedef struct tm_trow {
    const char *name;
    const char *parameters; // names in order, between blanks
    tm_tcall *call;
    tm_tkind kind; // of methods: whose
} tm_trow;

// TM_EFAILED names what does not fit.
tm_status tm_template_bind(tm_trun *run, const tm_trow *row, const tm_targs *args, tm_tbound *bound);

int tm_template_filter_find(tm_view name); // -1: unknown
int tm_template_test_find(tm_view name);
const tm_trow *tm_template_filter(int row);
const tm_trow *tm_template_test(int row);                       // gives a bool
const tm_trow *tm_template_method(tm_tkind kind, tm_view name); // or NULL
const tm_trow *tm_template_function(tm_view name);
// "there is no filter NAME here" in `text`.
const char *tm_template_unknown(const char *what, tm_view name, char text[96]);

// ---- values ----

// Fails with the line in front.
tm_status tm_template_fail(tm_trun *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Work done; fails when it is too much.
tm_status tm_template_charge(tm_trun *run, size_t bytes);
// "'x' is undefined", or what else keeps `v` from being used so.
tm_status tm_template_no(tm_trun *run, const tm_tval *v, const char *use);
// a.NAME and a[KEY]; undefined where there is none.
tm_status tm_template_member(tm_trun *run, const tm_tval *of, tm_view name, tm_tval *out);
tm_status tm_template_item(tm_trun *run, const tm_tval *of, const tm_tval *key, tm_tval *out);
// What a loop over `v` goes through, as a list.
tm_status tm_template_items(tm_trun *run, const tm_tval *v, tm_tval *list);
tm_status tm_template_contains(tm_trun *run, const tm_tval *in, const tm_tval *what, bool *found);
// The text of a buffer as a value; clears the buffer, also on failure.
tm_status tm_template_take(tm_trun *run, tm_buf *text, tm_tval *out);
tm_status tm_template_arithmetic(tm_trun *run, tm_top op, const tm_tval *a, const tm_tval *b, tm_tval *out);
tm_status tm_template_slice(tm_trun *run, const tm_tval *of, const tm_tval part[3], tm_tval *out);

tm_status tm_template_value(tm_trun *run, const tm_tnode *node, tm_tval *out); // of an expression
tm_status tm_template_run(tm_trun *run, const tm_tnode *body);                 // statements
tm_status tm_template_macro(tm_trun *run, const tm_tmacro *macro, const tm_targs *args, tm_tval *out);
