// SPDX-License-Identifier: Apache-2.0
// Where a long text is cut into pieces.
#pragma once

#include "engine/base/bytes.h"

// The next piece of `text` from *at on, which moves behind it: at most `size` bytes (4 and more), without
// blanks and line ends around it. A piece ends at the last end of a paragraph that fits, else of a line, of a
// sentence, of a word, each only if the piece then has a quarter of `size`; else between two characters.
// False: nothing is left.
bool tm_piece_next(tm_view text, size_t size, size_t *at, tm_view *piece);
