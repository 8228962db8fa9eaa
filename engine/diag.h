// SPDX-License-Identifier: Apache-2.0
// Diagnostics: what a user is told when a graph, an input, a run or a command line is wrong.
//
// A diagnostic has a code (TMnnnn, a page of docs/errors each), one sentence of what is wrong, the place in
// the graph file, why with the actual values, what of a failed run is kept, how to mend it, and where to look
// further. Callers collect them in a list (at most five are shown, the first is the one that counts) and a
// command prints the list as text with the source line and a caret, or as JSON:
//
//   {"code": "TM0106", "severity": "error", "what": ..., "file": "graph.lua", "line": 11, "column": 41,
//    "end_line": 11, "end_column": 45, "why": "", "kept": "", "fix": "did you mean .train?",
//    "look": "tidemill explain TM0106"}
//
// All are always there. Lines and columns count from 1, columns in characters, end_column is behind the last;
// without a place they are 0 and "file" is "".
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "engine/base/bytes.h"

typedef struct tm_diag {
    char code[8];
    char what[512], why[512], kept[512], fix[512], look[256];
    char file[256];  // as the user would write it; "" without a place
    int line;        // from 1; 0 without
    char owner[64];  // the constructor called at that line ("split"), or ""
    char word[64];   // what the caret points at: an option or text in its braces (see engine/spot.h), or ""
    size_t repeats;  // the same ones that the list had no room for
} tm_diag;

typedef struct tm_diags {
    tm_diag items[16];
    size_t n;        // how many happened; items beyond the 16th are only counted
    const char *buffer; // the graph file's text where it is not what the disk has (an editor's), or NULL
    const char *buffer_file;
} tm_diags;

// A new diagnostic to fill, never NULL (the 17th and later share a slot).
tm_diag *tm_diag_add(tm_diags *diags, const char *code, const char *file, int line);
#define TM_DIAG(field, ...) snprintf(field, sizeof(field), __VA_ARGS__)
// An error as a diagnostic: code, what, why, fix.
void tm_diag_error(tm_diag *diag, const tm_error *err);

// `folder` is where relative file names start. Colour only if asked for.
void tm_diags_print(const tm_diags *diags, const char *folder, FILE *to, bool colour);
json_t *tm_diags_json(const tm_diags *diags, const char *folder);
