// SPDX-License-Identifier: Apache-2.0
// Long lines broken between words, to the width of a terminal.
#pragma once

#include <stdio.h>

#include "engine/base/bytes.h"

#define TM_FOLD_NONE (1 << 20)
// The columns that a line may have there; TM_FOLD_NONE where it is no terminal.
size_t tm_fold_room(FILE *file);

// Append a line (without its end) as one or more of at most `width` cells; all but the first are indented.
// Blanks go where it is broken; a word that is longer than a line is broken too. Colours (SGR) take no room.
void tm_fold(tm_buf *out, tm_view line, size_t width, size_t indent);
// Print a line so, to the width of `file`, with its end, and commands in it as they are typed here
// (called.h).
void tm_fold_print(FILE *file, size_t indent, const char *format, ...) __attribute__((format(printf, 3, 4)));
