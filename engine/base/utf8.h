// SPDX-License-Identifier: Apache-2.0
// UTF-8 by the code point. Decoding is strict (Unicode 15, table 3-7): no overlong forms, no surrogates.
#pragma once

#include "engine/base/bytes.h"

// Decodes one code point at `p` (p < end). Returns its bytes, or 0 when there is no valid sequence.
static inline unsigned tm_utf8_decode(const unsigned char *p, const unsigned char *end, uint32_t *point)
{
    unsigned char a = p[0];
    if (a < 0x80) return *point = a, 1;
    if (a < 0xc2 || a > 0xf4) return 0;
    unsigned n = a < 0xe0 ? 2 : a < 0xf0 ? 3 : 4;
    if ((size_t)(end - p) < n) return 0;
    uint32_t value = a & (0x7fu >> n);
    for (unsigned i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (p[i] & 0x3fu);
    }
    if (n == 3 && (value < 0x800 || (value >= 0xd800 && value < 0xe000))) return 0;
    if (n == 4 && (value < 0x10000 || value > 0x10ffff)) return 0;
    *point = value;
    return n;
}

// Writes a code point (surrogates too, if asked) and returns its bytes.
static inline unsigned tm_utf8_encode(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    unsigned n = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (unsigned i = n; i-- > 1; point >>= 6) out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)((0xf00 >> n) | point);
    return n;
}

static inline void tm_buf_point(tm_buf *buf, uint32_t point)
{
    char bytes[4];
    tm_buf_add(buf, bytes, tm_utf8_encode(point, bytes));
}

// Bytes of the valid text at the start of `text`: all of it when it is UTF-8.
size_t tm_utf8_valid(tm_view text);

// Appends `text` with every maximal invalid part replaced by U+FFFD; returns how many there were.
size_t tm_utf8_clean(tm_view text, tm_buf *out);

// In place: every byte that is no part of a valid character becomes '?'.
void tm_utf8_mend(char *text);

// Cells of a terminal that a code point takes: 2 of East Asian wide ones and most emoji, 0 of combining marks
// and of what is not shown, else 1.
int tm_utf8_cells(uint32_t point);
