// SPDX-License-Identifier: Apache-2.0
// Widths by utf8proc.
#include "lua/cli/cells.h"

#include <utf8proc.h>

#include "engine/base/utf8.h"

#define MARKS 2  // combining characters on one cell; further ones go

// What stands for the next character of a text.
typedef struct cell {
    char bytes[5];
    unsigned n_bytes;
    size_t width;
    bool blank;
} cell;

typedef struct reader {
    const unsigned char *at, *end;
    bool utf8;
    bool exact;  // blanks in a row stay as many
    unsigned marks;
} reader;

static reader reader_of(tm_view text, bool utf8)
{
    const unsigned char *at = (const unsigned char *)text.data;
    return (reader){.at = at, .end = at + text.size, .utf8 = utf8};
}

static cell ascii(char c)
{
    return (cell){.bytes = {c}, .n_bytes = 1, .width = 1, .blank = c == ' '};
}

static cell of_point(reader *r, uint32_t point)
{
    const utf8proc_property_t *property = utf8proc_get_property((utf8proc_int32_t)point);
    int category = property->category, width = utf8proc_charwidth((utf8proc_int32_t)point);
    if (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CN ||
        category == UTF8PROC_CATEGORY_CS)
        return ascii('?');
    if (category == UTF8PROC_CATEGORY_CF) return (cell){0};
    bool mark = category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME || width == 0;
    if (mark && (!r->utf8 || r->marks++ >= MARKS)) return (cell){0};
    if (!r->utf8) return ascii('?');
    cell c = {.width = mark ? 0 : (size_t)width};
    c.n_bytes = tm_utf8_encode(point, c.bytes);
    return c;
}

static bool is_blank(uint32_t point)
{
    return point == ' ' || (point >= '\t' && point <= '\r') || point == 0x85 || point == 0xa0 ||
           point == 0x1680 || (point >= 0x2000 && point <= 0x200a) || point == 0x2028 || point == 0x2029 ||
           point == 0x202f || point == 0x205f || point == 0x3000;
}

static void skip_blanks(reader *r)
{
    uint32_t point;
    unsigned n;
    while (r->at < r->end && (n = tm_utf8_decode(r->at, r->end, &point)) > 0 && is_blank(point)) r->at += n;
}

// The next visible thing; false at the end. Blanks in a row are one.
static bool next(reader *r, cell *c)
{
    while (r->at < r->end) {
        uint32_t point;
        unsigned n = tm_utf8_decode(r->at, r->end, &point);
        r->at += n ? n : 1;
        if (!n) {
            *c = ascii('?');
        } else if (is_blank(point)) {
            if (!r->exact) skip_blanks(r);
            *c = ascii(' ');
        } else {
            *c = point >= 0x20 && point < 0x7f ? ascii((char)point) : of_point(r, point);
        }
        if (c->width) r->marks = 0;
        if (c->n_bytes) return true;
    }
    return false;
}

size_t tm_cells_width(tm_view text, bool utf8)
{
    reader r = reader_of(text, utf8);
    size_t width = 0;
    for (cell c; next(&r, &c);) width += c.width;
    return width;
}

size_t tm_cells_put(tm_buf *out, tm_view text, size_t width, bool utf8)
{
    const char *more = utf8 ? "\xe2\x80\xa6" : "..";
    size_t dots = utf8 ? 1 : 2, used = 0;
    bool fits = tm_cells_width(text, utf8) <= width;
    size_t room = fits ? width : width > dots ? width - dots : 0;
    reader r = reader_of(text, utf8);
    for (cell c; next(&r, &c) && used + c.width <= room; used += c.width)
        tm_buf_add(out, c.bytes, c.n_bytes);
    if (fits || width < dots) return used;
    tm_buf_str(out, more);
    return used + dots;
}

size_t tm_cells_wrap(tm_buf *out, tm_view *text, size_t width, bool utf8)
{
    reader r = reader_of(*text, utf8);
    size_t used = 0, start = out->size, word_size = 0, word_used = 0;
    const unsigned char *word_at = NULL, *before = r.at;
    cell c = {0};
    bool more = next(&r, &c);
    for (; more && used + c.width <= width; before = r.at, more = next(&r, &c)) {
        if (c.blank) {
            word_at = r.at;
            word_size = out->size - start;
            word_used = used;
        }
        if (c.blank && !used) continue;
        tm_buf_add(out, c.bytes, c.n_bytes);
        used += c.width;
    }
    bool inside = more && !c.blank && word_at && word_used > width / 2 && !out->failed;
    if (inside) {
        out->size = start + word_size;
        out->data[out->size] = 0;
        used = word_used;
        before = word_at;
    }
    const unsigned char *end = (const unsigned char *)text->data + text->size;
    while (before < end && *before == ' ') before++;
    *text = tm_view_of(before, (size_t)(end - before));
    return used;
}

void tm_cells_clean(tm_buf *out, tm_view text, bool utf8)
{
    reader r = reader_of(text, utf8);
    r.exact = true;
    for (cell c; next(&r, &c);) tm_buf_add(out, c.bytes, c.n_bytes);
}
