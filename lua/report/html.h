// SPDX-License-Identifier: Apache-2.0
// Writing HTML into a buffer, so that what people, documents and models wrote is always text in it.
//
// Markup stands in format strings alone, and every %s of a format is escaped; nothing else brings text in.
#pragma once

#include "engine/base/bytes.h"

// Text between tags or inside a quoted attribute: the five signs of markup become references, bytes that are
// no UTF-8 become U+FFFD, control characters the pictures of themselves (U+2400...).
void tm_html_text(tm_buf *page, tm_view text);

// The same, and white space that nobody would see gets signs: more than two line ends in a row, and all of a
// text that has nothing else; of that one it gives true.
bool tm_html_visible(tm_buf *page, tm_view text);

// As printf, with %s escaped. No width or precision with %s, and no `*`.
void tm_html(tm_buf *page, const char *format, ...) __attribute__((format(printf, 2, 3)));

// A measure as people read it, into `text`, which is returned: 4 significant digits or so.
#define TM_HTML_NUMBER 32
const char *tm_html_value(double value, char text[TM_HTML_NUMBER]);
