// SPDX-License-Identifier: Apache-2.0
// Where in a graph file a fault points: the line of a call is known, the words in it are looked for.
//
// A fault names the constructor that was called (`owner`, "split" for tm.split) and what is wrong in it
// (`word`: an option, an input, a file). Tried in turn: `word =` directly inside the braces of a call of
// `owner`, `word` anywhere inside them, the name `owner` itself, and without an owner the first `word`.
#pragma once

#include "engine/base/bytes.h"

typedef struct tm_spot {
    int line, column;  // from 1; the line it was called on and its first letter if nothing else is found
    size_t length;     // bytes under the caret
    tm_buf text;       // that line
} tm_spot;

// Looks at `line` and up to 40 lines behind it. False if there is no such line: the spot is then empty.
// `owner` and `word` may be "". Clear spot->text in any case.
bool tm_spot_find(const char *path, int line, const char *owner, const char *word, tm_spot *spot);
// The same in the text of a file.
bool tm_spot_in(const char *file, int line, const char *owner, const char *word, tm_spot *spot);
