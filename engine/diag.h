// SPDX-License-Identifier: Apache-2.0
// Diagnostics: what a user is told when a graph or an input is wrong.
//
// A diagnostic has a code (TMnnnn), one sentence of what is wrong, the place in the graph file, why with the
// actual values, and how to mend it. Callers collect them in a list (at most five are shown, the first is the
// one that counts) and a command prints the list as text with the source line and a caret, or as JSON.
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "engine/base/bytes.h"

typedef struct tm_diag {
    char code[8];
    char what[512], why[512], fix[512];
    char file[256];  // as the user would write it; "" without a place
    int line;        // from 1; 0 without
    char word[64];   // what the caret points at in that line (first occurrence at or behind `line`), or ""
} tm_diag;

typedef struct tm_diags {
    tm_diag items[16];
    size_t n;        // how many happened; items beyond the 16th are only counted
} tm_diags;

// A new diagnostic to fill, never NULL (the 17th and later share a slot).
tm_diag *tm_diag_add(tm_diags *diags, const char *code, const char *file, int line);
#define TM_DIAG(field, ...) snprintf(field, sizeof(field), __VA_ARGS__)

// Where `word` stands at or behind `line` of the file (searching at most 40 lines on): gives line and column (from
// 1) and the line's text. False if the file or the word is not there; then line text alone is given if possible.
bool tm_diag_locate(const char *path, int line, const char *word, int *out_line, int *column, tm_buf *text);

// `folder` is where relative file names start. Colour only if asked for.
void tm_diags_print(const tm_diags *diags, const char *folder, FILE *to, bool colour);
json_t *tm_diags_json(const tm_diags *diags, const char *folder);
