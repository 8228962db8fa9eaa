// SPDX-License-Identifier: Apache-2.0
// Text as cells of a terminal: how wide it is, cut to fit, and harmless whatever it holds.
//
// Texts of documents and names of files come from anywhere. Control characters, broken UTF-8 and code points
// that nobody has assigned become "?"; white space becomes one blank; characters that are not seen but steer
// (directions, joiners) go. So an escape sequence in a text shows as text.
#pragma once

#include "engine/base/bytes.h"

// Cells that the text takes once it is made harmless.
size_t tm_cells_width(tm_view text, bool utf8);

// Append at most `width` cells; what does not fit ends with an ellipsis. Without `utf8` everything that is
// not ASCII becomes "?". Gives the cells appended.
size_t tm_cells_put(tm_buf *out, tm_view text, size_t width, bool utf8);

// As much of the text as fits in a line of `width` cells, broken between words where it can be: gives the
// cells, and moves `text` behind what was put.
size_t tm_cells_wrap(tm_buf *out, tm_view *text, size_t width, bool utf8);

// All of it, harmless, with the blanks in it; line ends become blanks.
void tm_cells_clean(tm_buf *out, tm_view text, bool utf8);
