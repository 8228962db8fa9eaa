// SPDX-License-Identifier: Apache-2.0
// Stop strings: a text that arrives in pieces ends before the first of some strings.
//
// What may still become a stop string is held back, however the text is cut into pieces. Pieces are whole
// characters (tm_bpe_stream), and so is what is let through.
#pragma once

#include "engine/base/bytes.h"

typedef struct tm_stop {
    const char *const *strings; // borrowed; none of them empty
    size_t n_strings;
    tm_buf held;
    const char *found; // the string that ended the text, or NULL
} tm_stop;             // starts as {.strings, .n_strings}

// Append to `out` what of the text so far cannot be part of a stop string. Once one is found, nothing more.
void tm_stop_put(tm_stop *stop, tm_view piece, tm_buf *out);
// The text is over: what was held back was no stop string.
void tm_stop_end(tm_stop *stop, tm_buf *out);
void tm_stop_clear(tm_stop *stop); // frees
