// SPDX-License-Identifier: Apache-2.0
// Line by line: most lines hold nothing to repair and are copied.
#include "stages/text/unicode.h"

#include "engine/base/utf8.h"
#include "stages/text/unicode_parts.h"

#define SEGMENT 1000000 // code points; a longer line is repaired in pieces
#define ROUNDS 16       // of all repairs over one line, until nothing changes

const tm_unicode_options tm_unicode_defaults = {
    .unescape_html = TM_UNESCAPE_AUTO,
    .fix_encoding = true,
    .fix_c1_controls = true,
    .fix_surrogates = true,
    .remove_terminal_escapes = true,
    .remove_control_chars = true,
};

struct tm_unicode {
    tm_unicode_options options;
    tm_mojibake *mojibake;
    tm_encoding *encoding;
    tm_points text, before;
};

tm_unicode *tm_unicode_new(const tm_unicode_options *options)
{
    tm_unicode *u = tm_calloc(1, sizeof *u);
    if (!u) return NULL;
    u->options = options ? *options : tm_unicode_defaults;
    u->mojibake = tm_mojibake_new();
    u->encoding = tm_encoding_new();
    if (u->mojibake && u->encoding) return u;
    tm_unicode_free(u);
    return NULL;
}

void tm_unicode_free(tm_unicode *u)
{
    if (!u) return;
    tm_mojibake_free(u->mojibake);
    tm_encoding_free(u->encoding);
    tm_points_clear(&u->text);
    tm_points_clear(&u->before);
    tm_free(u);
}

// ---- reading ----

// Whether a piece holds only characters that no repair looks at: printable ASCII, tab, line end, form feed.
static bool is_plain(const tm_unicode *u, tm_view piece)
{
    bool entities = u->options.unescape_html != TM_UNESCAPE_NEVER;
    for (size_t i = 0; i < piece.size; i++) {
        unsigned char c = (unsigned char)piece.data[i];
        if (c >= 0x7f || (c < 0x20 && c != '\n' && c != '\t')) return false;
        if (c == '&' && entities) return false;
    }
    return true;
}

// A surrogate in UTF-8 is read as itself; any other wrong byte as U+FFFD.
static size_t read_point(const unsigned char *p, const unsigned char *end, uint32_t *c)
{
    size_t n = tm_utf8_decode(p, end, c);
    if (n) return n;
    bool surrogate = end - p >= 3 && p[0] == 0xed && p[1] >= 0xa0 && p[1] <= 0xbf && (p[2] & 0xc0) == 0x80;
    *c = surrogate ? 0xd000u | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu) : 0xfffd;
    return surrogate ? 3 : 1;
}

static void read_points(tm_points *text, tm_view piece)
{
    const unsigned char *p = (const unsigned char *)piece.data, *end = p + piece.size;
    text->size = 0;
    while (p < end) {
        uint32_t c;
        p += read_point(p, end, &c);
        tm_points_add(text, c);
    }
}

static void write_points(const tm_points *text, tm_buf *out)
{
    for (size_t i = 0; i < text->size; i++) {
        uint32_t c = text->items[i];
        tm_buf_point(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    }
}

// ---- repair ----

static void repair_once(tm_unicode *u, const tm_unicode_options *o)
{
    tm_points *text = &u->text;
    if (o->unescape_html != TM_UNESCAPE_NEVER) tm_fix_entities(text);
    if (o->fix_encoding) tm_encoding_fix(u->encoding, u->mojibake, text);
    if (o->fix_c1_controls) tm_fix_c1_controls(text);
    if (o->fix_latin_ligatures) tm_fix_ligatures(text);
    if (o->fix_character_width) tm_fix_width(text);
    if (o->uncurl_quotes) tm_fix_quotes(text);
    if (o->fix_line_breaks) tm_fix_line_breaks(text);
    if (o->fix_surrogates) tm_fix_surrogates(text);
    if (o->remove_terminal_escapes) tm_fix_terminal_escapes(text);
    if (o->remove_control_chars) tm_fix_control_chars(text);
    tm_fix_normal_form(text, o->normalization);
}

static bool is_stable(const tm_unicode *u)
{
    return u->text.size == u->before.size &&
           (!u->text.size || !memcmp(u->text.items, u->before.items, u->text.size * sizeof *u->text.items));
}

static void repair_piece(tm_unicode *u, const tm_unicode_options *o, tm_view piece, tm_buf *out)
{
    if (is_plain(u, piece)) {
        tm_buf_add(out, piece.data, piece.size);
        return;
    }
    read_points(&u->text, piece);
    for (int round = 0; round < ROUNDS && !u->text.failed && !u->before.failed; round++) {
        u->before.size = 0;
        tm_points_append(&u->before, u->text.items, u->text.size);
        repair_once(u, o);
        if (is_stable(u)) break;
    }
    write_points(&u->text, out);
}

// The next piece of the text: a line with its end, or as much of it as a piece may hold.
static tm_view next_piece(tm_view left)
{
    const char *end = memchr(left.data, '\n', left.size);
    tm_view piece = tm_view_of(left.data, end ? (size_t)(end - left.data) + 1 : left.size);
    if (piece.size <= SEGMENT) return piece;
    const unsigned char *start = (const unsigned char *)piece.data, *p = start, *stop = start + piece.size;
    uint32_t c;
    for (size_t n = 0; n < SEGMENT && p < stop; n++) p += read_point(p, stop, &c);
    return tm_view_of(piece.data, (size_t)(p - start));
}

tm_status tm_unicode_fix(tm_unicode *u, tm_view text, tm_buf *out, bool *changed, tm_error *err)
{
    tm_unicode_options options = u->options;
    size_t start = out->size;
    u->text.failed = u->before.failed = false;
    for (tm_view left = text; left.size;) {
        tm_view piece = next_piece(left);
        if (options.unescape_html == TM_UNESCAPE_AUTO && memchr(piece.data, '<', piece.size))
            options.unescape_html = TM_UNESCAPE_NEVER;
        repair_piece(u, &options, piece, out);
        left = tm_view_of(left.data + piece.size, left.size - piece.size);
    }
    if (u->text.failed || u->before.failed)
        return tm_fail(err, TM_ENOMEM, "out of memory to repair %zu bytes of text", text.size);
    TM_TRY(tm_buf_status(out, err));
    size_t size = out->size - start;
    if (changed) *changed = size != text.size || (size && memcmp(out->data + start, text.data, size));
    return TM_OK;
}
