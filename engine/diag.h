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
    char owner[64];  // the constructor called at that line ("split"), or ""
    char word[64];   // what the caret points at: an option or text in its braces (see engine/spot.h), or ""
} tm_diag;

typedef struct tm_diags {
    tm_diag items[16];
    size_t n;        // how many happened; items beyond the 16th are only counted
} tm_diags;

// A new diagnostic to fill, never NULL (the 17th and later share a slot).
tm_diag *tm_diag_add(tm_diags *diags, const char *code, const char *file, int line);
#define TM_DIAG(field, ...) snprintf(field, sizeof(field), __VA_ARGS__)

// `folder` is where relative file names start. Colour only if asked for.
void tm_diags_print(const tm_diags *diags, const char *folder, FILE *to, bool colour);
json_t *tm_diags_json(const tm_diags *diags, const char *folder);
