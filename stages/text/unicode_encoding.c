// SPDX-License-Identifier: Apache-2.0
// Undoes mojibake: writes the text in the single-byte set it may have been read in, mends what was lost on
// the way, and reads it as UTF-8. The first set of a fixed list for which that works is taken.
#include "stages/text/unicode_parts.h"

#include <stdlib.h>

#include "engine/base/utf8.h"

#define MAX_LAYERS 16 // of mojibake upon mojibake
#define MAX_NESTED 8  // of runs inside runs

typedef struct inverse {
    uint32_t point;
    uint8_t byte;
} inverse;

struct tm_encoding {
    inverse high[TM_CHARSET_COUNT][128]; // sorted by point
};

static int by_point(const void *a, const void *b)
{
    uint32_t x = ((const inverse *)a)->point, y = ((const inverse *)b)->point;
    return (x > y) - (x < y);
}

tm_encoding *tm_encoding_new(void)
{
    tm_encoding *e = tm_calloc(1, sizeof *e);
    for (size_t set = 0; e && set < TM_CHARSET_COUNT; set++) {
        for (unsigned i = 0; i < 128; i++)
            e->high[set][i] = (inverse){tm_charset_high[set][i], (uint8_t)(0x80 + i)};
        qsort(e->high[set], 128, sizeof(inverse), by_point);
    }
    return e;
}

void tm_encoding_free(tm_encoding *e)
{
    tm_free(e);
}

// ---- into a single-byte set ----

// The Windows sets: byte 1A stands for a character that was lost, U+FFFD.
static bool is_lossy(tm_charset set)
{
    return set >= TM_CHARSET_CP1252 && set <= TM_CHARSET_CP1257;
}

static int byte_of(const tm_encoding *e, tm_charset set, uint32_t c)
{
    if (c == 0x1a && is_lossy(set)) return -1;
    if (c < 0x80) return (int)c;
    if (c == 0xfffd && is_lossy(set)) return 0x1a;
    inverse key = {.point = c};
    const inverse *found = bsearch(&key, e->high[set], 128, sizeof key, by_point);
    return found ? found->byte : -1;
}

static bool encode(const tm_encoding *e, tm_charset set, const tm_points *text, tm_buf *bytes)
{
    tm_buf_reset(bytes);
    for (size_t i = 0; i < text->size; i++) {
        int byte = byte_of(e, set, text->items[i]);
        if (byte < 0) return false;
        tm_buf_char(bytes, (char)byte);
    }
    return true;
}

// ---- byte A0 that became a space ----

static bool within(unsigned char c, unsigned low, unsigned high)
{
    return c >= low && c <= high;
}

static bool is_continuation(unsigned char c)
{
    return within(c, 0x80, 0xbf);
}

// A continuation byte that with a space beside it hardly occurs in real text: not 85, the ellipsis, nor A0.
static bool is_beside_space(unsigned char c)
{
    return is_continuation(c) && c != 0x85 && c != 0xa0;
}

// Length of a UTF-8 sequence at p in which one byte A0 is a space, 0 when there is none.
static size_t spaced_sequence(const unsigned char *p, size_t left)
{
    if (left >= 2 && memchr("\xc2\xc3\xc5\xce\xd0\xd9", p[0], 6) && p[1] == ' ') return 2;
    if (left >= 3 && (p[0] == 0xe2 || p[0] == 0xe3) && p[1] == ' ' && is_beside_space(p[2])) return 3;
    if (left >= 3 && within(p[0], 0xe0, 0xe3) && is_beside_space(p[1]) && p[2] == ' ') return 3;
    if (left < 4 || p[0] != 0xf0) return 0;
    unsigned spaces = (p[1] == ' ') + (p[2] == ' ') + (p[3] == ' ');
    unsigned others = is_continuation(p[1]) + is_continuation(p[2]) + is_continuation(p[3]);
    return spaces == 1 && others == 2 ? 4 : 0;
}

static bool follows(const unsigned char *p, size_t left, const char *what)
{
    size_t n = strlen(what);
    return left >= n && !memcmp(p, what, n);
}

// "C3 20" that was the French word with its space, not the beginning of a longer (Portuguese) one.
static bool is_grave_word(const unsigned char *p, size_t left)
{
    static const char *const longer[] = {" ", "quele", "quela", "quilo", "s "};
    if (left < 2 || p[0] != 0xc3 || p[1] != ' ') return false;
    for (size_t i = 0; i < 5; i++)
        if (follows(p + 2, left - 2, longer[i])) return false;
    return true;
}

static void restore_a0(tm_buf *bytes, tm_buf *scratch)
{
    tm_buf_reset(scratch);
    const unsigned char *p = (const unsigned char *)bytes->data, *end = p + bytes->size;
    while (p < end) {
        size_t left = (size_t)(end - p), n = spaced_sequence(p, left);
        if (is_grave_word(p, left)) {
            tm_buf_str(scratch, "\xc3\xa0 ");
            p += 2;
            continue;
        }
        for (size_t i = 0; i < (n ? n : 1); i++) tm_buf_char(scratch, (char)(n && p[i] == ' ' ? 0xa0 : p[i]));
        p += n ? n : 1;
    }
    tm_buf kept = *bytes;
    *bytes = *scratch;
    *scratch = kept;
}

// ---- characters that were lost ----

static bool is_lost(unsigned char c)
{
    return c == 0x1a || c == '?';
}

static bool is_lost_or_continuation(unsigned char c)
{
    return c == 0x1a || is_continuation(c);
}

// Length of a UTF-8 sequence (or surrogate pair) at p in which bytes are lost, `?` for at most one; 0: none.
static size_t lossy_sequence(const unsigned char *p, size_t left)
{
    if (left >= 2 && within(p[0], 0xc2, 0xdf) && p[1] == 0x1a) return 2;
    if (left >= 2 && within(p[0], 0xc2, 0xc3) && p[1] == '?') return 2;
    if (left >= 6 && p[0] == 0xed && within(p[1], 0xa0, 0xaf) && p[3] == 0xed && within(p[4], 0xb0, 0xbf)) {
        bool first = is_lost(p[2]), second = is_lost(p[5]);
        if ((first || second) && (first || is_continuation(p[2])) && (second || is_continuation(p[5])))
            return 6;
    }
    if (left >= 3 && within(p[0], 0xe0, 0xef)) {
        if (is_lost(p[1]) && is_lost_or_continuation(p[2])) return 3;
        if (is_lost_or_continuation(p[1]) && is_lost(p[2])) return 3;
    }
    if (left >= 4 && within(p[0], 0xf0, 0xf4)) {
        unsigned good = 0, lost = 0;
        for (int i = 1; i < 4; i++) {
            good += is_lost_or_continuation(p[i]);
            lost += is_lost(p[i]);
        }
        unsigned marks = (p[1] == '?') + (p[2] == '?') + (p[3] == '?');
        if (lost && good + marks == 3 && marks <= 1) return 4;
    }
    return p[0] == 0x1a;
}

static void replace_lossy(tm_buf *bytes, tm_buf *scratch)
{
    tm_buf_reset(scratch);
    const unsigned char *p = (const unsigned char *)bytes->data, *end = p + bytes->size;
    while (p < end) {
        size_t n = lossy_sequence(p, (size_t)(end - p));
        if (n)
            tm_buf_str(scratch, "\xef\xbf\xbd");
        else
            tm_buf_char(scratch, (char)*p);
        p += n ? n : 1;
    }
    tm_buf kept = *bytes;
    *bytes = *scratch;
    *scratch = kept;
}

// ---- as UTF-8 ----

// One character of UTF-8, or of what Java and old databases write: C0 80, and surrogate pairs.
static size_t decode_variant(const unsigned char *p, const unsigned char *end, uint32_t *c)
{
    size_t left = (size_t)(end - p);
    if (left >= 2 && p[0] == 0xc0 && p[1] == 0x80) return *c = 0, 2;
    if (left >= 6 && p[0] == 0xed && within(p[1], 0xa0, 0xaf) && is_continuation(p[2]) && p[3] == 0xed &&
        within(p[4], 0xb0, 0xbf) && is_continuation(p[5])) {
        *c = 0x10000u + ((p[1] & 15u) << 16 | (p[2] & 63u) << 10 | (p[4] & 15u) << 6 | (p[5] & 63u));
        return 6;
    }
    return tm_utf8_decode(p, end, c);
}

static bool decode(const tm_buf *bytes, tm_points *text)
{
    const unsigned char *p = (const unsigned char *)bytes->data, *end = p + bytes->size;
    text->size = 0;
    while (p < end) {
        uint32_t c;
        size_t n = decode_variant(p, end, &c);
        if (!n) return false;
        tm_points_add(text, c);
        p += n;
    }
    return true;
}

// ---- one layer ----

typedef struct layer {
    const tm_encoding *encoding;
    const tm_mojibake *mojibake;
    tm_points *text;
    tm_points scratch;
    tm_buf bytes, other;
    unsigned nested;
} layer;

static void fix_nested(const tm_encoding *e, const tm_mojibake *m, tm_points *text, unsigned nested);

static bool equal(const tm_points *a, const tm_points *b)
{
    return a->size == b->size && !memcmp(a->items, b->items, a->size * sizeof *a->items);
}

// Tries one set; leaves the result in scratch.
static bool decode_from(layer *l, tm_charset set)
{
    if (!encode(l->encoding, set, l->text, &l->bytes)) return false;
    if (set != TM_CHARSET_MACROMAN) restore_a0(&l->bytes, &l->other);
    if (is_lossy(set)) replace_lossy(&l->bytes, &l->other);
    return decode(&l->bytes, &l->scratch);
}

// Fixes the runs that look like UTF-8 each for itself. The run must be shorter than the text, or it would
// come back here for ever.
static bool fix_runs(layer *l)
{
    const tm_points *text = l->text;
    size_t done = 0, at = 0, run = 0;
    l->scratch.size = 0;
    while (tm_mojibake_find_run(l->mojibake, text->items, text->size, &at, &run)) {
        tm_points_append(&l->scratch, text->items + done, at - done);
        tm_points part = {0};
        tm_points_append(&part, text->items + at, run);
        if (run < text->size && tm_mojibake_is_bad(l->mojibake, part.items, part.size))
            fix_nested(l->encoding, l->mojibake, &part, l->nested + 1);
        tm_points_append(&l->scratch, part.items, part.size);
        l->scratch.failed |= part.failed;
        tm_points_clear(&part);
        done = at += run;
    }
    if (!done) return false;
    tm_points_append(&l->scratch, text->items + done, text->size - done);
    return !equal(&l->scratch, text);
}

static bool has_c1(const tm_points *text)
{
    for (size_t i = 0; i < text->size; i++)
        if (text->items[i] >= 0x80 && text->items[i] < 0xa0) return true;
    return false;
}

// Changes the text by one layer; false when there was nothing to undo.
static bool undo_layer(layer *l)
{
    bool ascii = true;
    for (size_t i = 0; i < l->text->size && ascii; i++) ascii = l->text->items[i] < 0x80;
    if (ascii || !tm_mojibake_is_bad(l->mojibake, l->text->items, l->text->size)) return false;
    bool found = false;
    for (int set = 0; set < TM_CHARSET_COUNT && !found; set++) found = decode_from(l, (tm_charset)set);
    if (!found) found = fix_runs(l);
    if (found) {
        bool changed = !equal(&l->scratch, l->text);
        tm_points_swap(l->text, &l->scratch);
        return changed;
    }
    if (!has_c1(l->text)) return false;
    tm_fix_c1_controls(l->text);
    return true;
}

static void fix_nested(const tm_encoding *e, const tm_mojibake *m, tm_points *text, unsigned nested)
{
    layer l = {.encoding = e, .mojibake = m, .text = text, .nested = nested};
    if (nested > MAX_NESTED) return;
    for (int i = 0; i < MAX_LAYERS && !text->failed && undo_layer(&l); i++) {
        text->failed |= l.bytes.failed | l.other.failed | l.scratch.failed;
    }
    text->failed |= l.bytes.failed | l.other.failed | l.scratch.failed;
    tm_points_clear(&l.scratch);
    tm_buf_clear(&l.bytes);
    tm_buf_clear(&l.other);
}

void tm_encoding_fix(const tm_encoding *encoding, const tm_mojibake *mojibake, tm_points *text)
{
    fix_nested(encoding, mojibake, text, 0);
}
