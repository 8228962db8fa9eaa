// SPDX-License-Identifier: Apache-2.0
// Reads the JSON lines of tests/fixtures/text, made by tests/fixtures/make_text.py.
#pragma once

#include <stdio.h>

#include <jansson.h>

// Calls `check` for each line; returns how many there were, 0 when the file cannot be read.
static inline size_t fixture_lines(const char *path, void (*check)(json_t *row))
{
    FILE *file = fopen(path, "r");
    char line[1 << 14];
    size_t n = 0;
    while (file && fgets(line, sizeof line, file)) {
        json_t *row = json_loads(line, JSON_ALLOW_NUL, NULL);
        if (!row) return 0;
        check(row);
        json_decref(row);
        n++;
    }
    if (file) fclose(file);
    return n;
}
