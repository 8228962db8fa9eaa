// SPDX-License-Identifier: Apache-2.0
// The codes of errors, each with what it means: the sections of lua/cli/errors.md, part of the program.
//
// A section begins with "# TMnnnn what it means in one line". Blocks behind "Wrong:" and "Right:" are
// examples, which tests/commands/errors_page.py runs; it also makes docs/errors from the sections.
#pragma once

#include "engine/base/bytes.h"

typedef struct tm_explained {
    char code[8];
    tm_view title, text; // one line; what comes below it
} tm_explained;

// The i-th code, in order; false behind the last.
bool tm_explained_at(size_t i, tm_explained *found);
bool tm_explained_find(const char *code, tm_explained *found);
