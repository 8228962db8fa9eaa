// SPDX-License-Identifier: Apache-2.0
// A parsed template: its words, and the tree of them that is rendered.
#pragma once

#include "stages/text/template.h"
#include "stages/text/template_value.h"

// ---- words ----

typedef enum {
    TM_TW_END,
    TM_TW_DATA,      // text between tags, ready to print
    TM_TW_PRINT,     // {{
    TM_TW_PRINT_END, // }}
    TM_TW_BLOCK,     // {%
    TM_TW_BLOCK_END, // %}
    TM_TW_NAME,
    TM_TW_STRING, // decoded
    TM_TW_INT,
    TM_TW_FLOAT,
    TM_TW_OPERATOR,
} tm_tword_kind;

typedef struct tm_tword {
    tm_tword_kind kind;
    int line;
    tm_view text;
    tm_tval value; // INT, FLOAT
} tm_tword;

typedef struct tm_twords {
    tm_tword *items;
    size_t n, capacity;
} tm_twords;

// Words of `source` (which must stay), with the white space that tags take already gone. Free the items.
tm_status tm_template_lex(tm_view source, tm_tarena *arena, tm_twords *words, tm_error *err);

// ---- the tree ----

typedef enum {
    // statements
    TM_TN_DATA,       // text
    TM_TN_PRINT,      // a
    TM_TN_IF,         // a; then b, else c
    TM_TN_FOR,        // targets a, in b, if c (or NULL); body d, else e
    TM_TN_SET,        // targets a, value b
    TM_TN_SET_BLOCK,  // target a, body b
    TM_TN_MACRO,      // text; parameters a (names, defaults in their a), body b
    TM_TN_GENERATION, // body a
    TM_TN_BREAK,
    TM_TN_CONTINUE,
    // expressions
    TM_TN_CONST,   // value
    TM_TN_NAME,    // text
    TM_TN_LIST,    // items a
    TM_TN_TUPLE,   // items a
    TM_TN_DICT,    // keys and values in turn, a
    TM_TN_AND,     // a, b
    TM_TN_OR,      // a, b
    TM_TN_NOT,     // a
    TM_TN_NEGATE,  // a
    TM_TN_CHOOSE,  // b if a else c (or NULL)
    TM_TN_COMPARE, // a; comparisons b: each has op and its right side in a
    TM_TN_BINARY,  // a op b
    TM_TN_JOIN,    // parts a: a ~ b ~ c
    TM_TN_MEMBER,  // a.text
    TM_TN_ITEM,    // a[b]
    TM_TN_SLICE,   // a[b:c:d]
    TM_TN_CALL,    // a(b): positional ones first, then TM_TN_KEYWORD
    TM_TN_KEYWORD, // text = a
    TM_TN_FILTER,  // a | text(b); `row` of its table
    TM_TN_TEST,    // a is text b; `row` of its table
} tm_tnode_kind;

typedef enum {
    TM_TO_ADD,
    TM_TO_SUBTRACT,
    TM_TO_MULTIPLY,
    TM_TO_DIVIDE,
    TM_TO_FLOOR,
    TM_TO_MODULO,
    TM_TO_POWER,
    TM_TO_EQUAL,
    TM_TO_UNEQUAL,
    TM_TO_LESS,
    TM_TO_AT_MOST,
    TM_TO_MORE,
    TM_TO_AT_LEAST,
    TM_TO_IN,
    TM_TO_NOT_IN,
} tm_top;

typedef struct tm_tnode tm_tnode;

struct tm_tnode {
    tm_tnode_kind kind;
    tm_top op;
    int line, row;
    tm_view text;
    tm_tval value;
    tm_tnode *a, *b, *c, *d, *e, *next; // next: in a list of nodes
};

struct tm_template {
    tm_tarena arena;
    tm_tnode *body;
    bool marks;
};

// `arena` owns the tree. The words are not needed afterwards.
tm_status tm_template_tree(const tm_twords *words, tm_tarena *arena, tm_tnode **body, bool *marks,
                           tm_error *err);
