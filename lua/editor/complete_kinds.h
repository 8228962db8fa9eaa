// SPDX-License-Identifier: Apache-2.0
// The kinds of words that rows of commands and flags name (GRAPH, NODE, any|same), and what may stand for
// each. Inner part of lua/editor/complete.h.
#pragma once

#include "lua/editor/complete.h"

enum { TM_LINE_ARGS = 64 };

// A command line up to its last word.
typedef struct tm_line {
    const tm_command *command;
    const char *args[TM_LINE_ARGS]; // positional, without the last word
    int n_args;
    const char *word;               // the last
    const char *store, *graph;      // as far as the line names them
    const tm_flag *flag;            // whose value the last word is
    tm_completion *out;
} tm_line;

// Offer a word if the last one begins it; `before` and `after` stand around `name` in the same word.
void tm_line_offer(tm_line *line, const char *before, const char *name, const char *after, const char *about);
// Offer what an alternative of a usage or of a flag's argument stands for: a word itself, or a kind.
void tm_line_offer_kind(tm_line *line, const char *kind);
