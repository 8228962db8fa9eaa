// SPDX-License-Identifier: Apache-2.0
#include "stages/text/pieces.h"

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Does something end between the bytes i - 1 and i of the text? 0 < i < size.
static bool paragraph_ends(tm_view text, size_t i)
{
    if (text.data[i] != '\n') return false;
    while (i > 0 && blank(text.data[i - 1]) && text.data[i - 1] != '\n') i--;
    return i > 0 && text.data[i - 1] == '\n';
}

static bool line_ends(tm_view text, size_t i)
{
    return text.data[i] == '\n';
}

static bool sentence_ends(tm_view text, size_t i)
{
    char last = text.data[i - 1];
    return blank(text.data[i]) && (last == '.' || last == '!' || last == '?');
}

static bool word_ends(tm_view text, size_t i)
{
    return blank(text.data[i]);
}

static bool character_ends(tm_view text, size_t i)
{
    return ((unsigned char)text.data[i] & 0xc0) != 0x80;
}

// Behind the piece that begins at `from`, of which more than `size` bytes are left.
static size_t piece_end(tm_view text, size_t from, size_t size)
{
    static bool (*const ends[])(tm_view, size_t) = {paragraph_ends, line_ends, sentence_ends, word_ends,
                                                    character_ends};
    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++)
        for (size_t i = from + size; i > from + size / 4; i--)
            if (ends[k](text, i)) return i;
    return from + size; // not UTF-8
}

bool tm_piece_next(tm_view text, size_t size, size_t *at, tm_view *piece)
{
    size_t from = *at;
    while (from < text.size && blank(text.data[from])) from++;
    if (from == text.size) return false;
    size_t to = text.size - from <= size ? text.size : piece_end(text, from, size);
    *at = to;
    while (blank(text.data[to - 1])) to--;
    *piece = (tm_view){text.data + from, to - from};
    return true;
}
