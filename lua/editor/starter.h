// SPDX-License-Identifier: Apache-2.0
// Starter graphs: what lies in lua/editor/templates/, as part of the program.
//
// A template is a folder: graph.lua (its first line is a sentence about it), other files, and next.txt, which
// is not written but shown: what to do with it.
#pragma once

#include <stddef.h>

typedef struct tm_starter_file {
    const char *starter, *path, *text;
} tm_starter_file;

extern const tm_starter_file tm_starter_files[];  // sorted by starter, then path; the last has no path

const char *tm_starter_text(const char *starter, const char *path);  // NULL if there is none
// The names, each once, NULL behind the last; `capacity` counts that one.
void tm_starter_names(const char **names, size_t capacity);
// The sentence of the first line, without "-- "; `text` has room for 128 bytes.
const char *tm_starter_brief(const char *starter, char text[128]);
