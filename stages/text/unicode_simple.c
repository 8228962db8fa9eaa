// SPDX-License-Identifier: Apache-2.0
// Repairs that look at one character, or at a short sequence, at a time. Results never grow beyond the text
// they replace, except for ligatures and normal forms, which write a new array.
#include "stages/text/unicode_parts.h"

#include <stdlib.h>

#include <utf8proc.h>

#include "engine/base/utf8.h"
#include "stages/text/unicode_entities.h"

// ---- arrays of code points ----

static bool reserve(tm_points *points, size_t more)
{
    if (points->failed) return false;
    if (points->size + more <= points->capacity) return true;
    size_t capacity = points->capacity ? points->capacity : 256;
    while (capacity < points->size + more) capacity *= 2;
    uint32_t *items = tm_realloc(points->items, capacity * sizeof *items);
    points->failed = !items;
    if (!items) return false;
    points->items = items;
    points->capacity = capacity;
    return true;
}

void tm_points_add(tm_points *points, uint32_t point)
{
    if (reserve(points, 1)) points->items[points->size++] = point;
}

void tm_points_append(tm_points *points, const uint32_t *items, size_t size)
{
    if (!size || !reserve(points, size)) return;
    memcpy(points->items + points->size, items, size * sizeof *items);
    points->size += size;
}

void tm_points_clear(tm_points *points)
{
    tm_free(points->items);
    *points = (tm_points){0};
}

// Puts a written array in the place of the text, unless memory ran out.
static void replace(tm_points *text, tm_points *with)
{
    with->failed |= text->failed;
    if (with->failed)
        text->failed = true;
    else
        tm_points_swap(text, with);
    tm_points_clear(with);
}

// ---- entities ----

#define NAME_BYTES 24 // longer names are left alone

// Names in capitals that HTML does not have mean the capitals of what the small names mean ("&EACUTE;"),
// unless HTML reads their beginning without a semicolon.
static unsigned capital_entity(const char *name, size_t size, uint32_t out[3])
{
    static const char *const legacy[] = {"AMP", "COPY", "ETH", "GT", "LT", "QUOT", "REG", "THORN"};
    static const struct {
        const char *name;
        uint32_t points[3];
    } special[] = {
        {"FFILIG", {'F', 'F', 'I'}}, {"FFLIG", {'F', 'F'}}, {"FFLLIG", {'F', 'F', 'L'}},
        {"FILIG", {'F', 'I'}},       {"FLLIG", {'F', 'L'}}, {"NAPOS", {0x2bc, 'N'}},
        {"SZLIG", {'S', 'S'}},
    };
    char small[NAME_BYTES + 1] = "";
    for (size_t i = 0; i < size; i++) {
        if (name[i] >= 'a' && name[i] <= 'z') return 0;
        small[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    }
    for (size_t i = 0; i < sizeof legacy / sizeof *legacy; i++)
        if (size >= strlen(legacy[i]) && !memcmp(name, legacy[i], strlen(legacy[i]))) return 0;
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        if (strlen(special[i].name) != size || memcmp(name, special[i].name, size)) continue;
        memcpy(out, special[i].points, sizeof special[i].points);
        return special[i].points[2] ? 3 : 2;
    }
    unsigned n = tm_entity_find(small, size, out);
    for (unsigned i = 0; i < n; i++) out[i] = (uint32_t)utf8proc_toupper((utf8proc_int32_t)out[i]);
    return n;
}

// The reference at text[at], an ampersand: its length and the code points it stands for; 0 when it is none.
static size_t reference(const tm_points *text, size_t at, uint32_t out[3], unsigned *n)
{
    char name[NAME_BYTES + 2];
    size_t i = at + 1, size = 0;
    bool number = i < text->size && text->items[i] == '#';
    for (i += number; i < text->size && size <= NAME_BYTES; i++) {
        uint32_t c = text->items[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z' && c < 0x80);
        if (!plain) break;
        name[size++] = (char)c;
    }
    if (!size || size > NAME_BYTES || i == text->size || text->items[i] != ';') return 0;
    name[size] = 0;
    *n = 0;
    if (number) {
        if (!tm_entity_number(name, size, out) || out[0] == ';') return 0;
        *n = out[0] != 0;
        return i + 1 - at;
    }
    *n = tm_entity_find(name, size, out);
    if (!*n) *n = capital_entity(name, size, out);
    return *n ? i + 1 - at : 0;
}

void tm_fix_entities(tm_points *text)
{
    size_t to = 0, size;
    for (size_t at = 0; at < text->size; at += size) {
        uint32_t points[3];
        unsigned n = 0;
        size = text->items[at] == '&' ? reference(text, at, points, &n) : 0;
        if (!size) text->items[to++] = text->items[at];
        for (unsigned i = 0; size && i < n; i++) text->items[to++] = points[i];
        size += !size;
    }
    text->size = to;
}

// ---- one character for another ----

void tm_fix_c1_controls(tm_points *text)
{
    for (size_t i = 0; i < text->size; i++) {
        uint32_t c = text->items[i];
        if (c >= 0x80 && c < 0xa0) text->items[i] = tm_charset_high[TM_CHARSET_CP1252][c - 0x80];
    }
}

void tm_fix_quotes(tm_points *text)
{
    for (size_t i = 0; i < text->size; i++) {
        uint32_t c = text->items[i];
        if (c == 0x2bc || (c >= 0x2018 && c <= 0x201b)) text->items[i] = '\'';
        if (c >= 0x201c && c <= 0x201f) text->items[i] = '"';
    }
}

void tm_fix_line_breaks(tm_points *text)
{
    size_t to = 0;
    for (size_t i = 0; i < text->size; i++) {
        uint32_t c = text->items[i];
        if (c == '\r' && i + 1 < text->size && text->items[i + 1] == '\n') continue;
        text->items[to++] = c == '\r' || c == 0x2028 || c == 0x2029 || c == 0x85 ? '\n' : c;
    }
    text->size = to;
}

void tm_fix_surrogates(tm_points *text)
{
    size_t to = 0;
    for (size_t i = 0; i < text->size; i++) {
        uint32_t c = text->items[i], next = i + 1 < text->size ? text->items[i + 1] : 0;
        bool surrogate = c >= 0xd800 && c < 0xe000;
        if (surrogate && c < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
            text->items[to++] = 0x10000 + ((c - 0xd800) << 10) + (next - 0xdc00);
            i++;
        } else {
            text->items[to++] = surrogate ? 0xfffd : c;
        }
    }
    text->size = to;
}

// ---- removal ----

// Length of the escape sequence at text[at]: ESC [ digits and semicolons, a letter. 0 when there is none.
static size_t escape_size(const tm_points *text, size_t at)
{
    size_t i = at + 1;
    if (text->items[at] != 0x1b || i == text->size || text->items[i] != '[') return 0;
    for (i++; i < text->size; i++) {
        uint32_t c = text->items[i];
        if (c < 0x80 && (c | 32) >= 'a' && (c | 32) <= 'z') return i + 1 - at;
        if ((c < '0' || c > '9') && c != ';') return 0;
    }
    return 0;
}

void tm_fix_terminal_escapes(tm_points *text)
{
    size_t to = 0, at = 0;
    while (at < text->size) {
        size_t size = escape_size(text, at);
        if (!size) text->items[to++] = text->items[at];
        at += size ? size : 1;
    }
    text->size = to;
}

static bool is_control(uint32_t c)
{
    return c < 0x09 || c == 0x0b || (c >= 0x0e && c < 0x20) || c == 0x7f || (c >= 0x206a && c <= 0x206f) ||
           c == 0xfeff || (c >= 0xfff9 && c <= 0xfffc);
}

void tm_fix_control_chars(tm_points *text)
{
    size_t to = 0;
    for (size_t i = 0; i < text->size; i++)
        if (!is_control(text->items[i])) text->items[to++] = text->items[i];
    text->size = to;
}

// ---- longer replacements ----

static unsigned ligature(uint32_t c, const char **with)
{
    static const struct {
        uint32_t point;
        const char *with;
    } ligatures[] = {
        {0x132, "IJ"},         {0x133, "ij"},        {0x149, "\xca\xbcn"}, {0x1c4, "D\xc5\xbd"},
        {0x1c5, "D\xc5\xbe"},  {0x1c6, "d\xc5\xbe"}, {0x1c7, "LJ"},        {0x1c8, "Lj"},
        {0x1c9, "lj"},         {0x1ca, "NJ"},        {0x1cb, "Nj"},        {0x1cc, "nj"},
        {0x1f1, "DZ"},         {0x1f2, "Dz"},        {0x1f3, "dz"},        {0xfb00, "ff"},
        {0xfb01, "fi"},        {0xfb02, "fl"},       {0xfb03, "ffi"},      {0xfb04, "ffl"},
        {0xfb05, "\xc5\xbft"}, {0xfb06, "st"},
    };
    for (size_t i = 0; i < sizeof ligatures / sizeof *ligatures; i++) {
        if (ligatures[i].point != c) continue;
        *with = ligatures[i].with;
        return (unsigned)strlen(*with);
    }
    return 0;
}

static void add_utf8(tm_points *points, const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + size;
    uint32_t c;
    for (unsigned n; p < end && (n = tm_utf8_decode(p, end, &c)); p += n) tm_points_add(points, c);
}

void tm_fix_ligatures(tm_points *text)
{
    tm_points out = {0};
    for (size_t i = 0; i < text->size; i++) {
        const char *with = NULL;
        uint32_t c = text->items[i];
        unsigned n = c >= 0x132 && (c < 0x200 || c >= 0xfb00) ? ligature(c, &with) : 0;
        if (n)
            add_utf8(&out, with, n);
        else
            tm_points_add(&out, c);
    }
    replace(text, &out);
}

// Appends `size` code points in a compatibility or canonical composition.
static void add_normal(tm_points *out, const uint32_t *items, size_t size, bool compatibility)
{
    utf8proc_option_t options = UTF8PROC_COMPOSE | UTF8PROC_STABLE | (compatibility ? UTF8PROC_COMPAT : 0);
    tm_buf utf8 = {0};
    for (size_t i = 0; i < size; i++)
        tm_buf_point(&utf8, items[i] >= 0xd800 && items[i] < 0xe000 ? 0xfffd : items[i]);
    utf8proc_uint8_t *normal = NULL;
    utf8proc_ssize_t n = -1;
    if (!utf8.failed)
        n = utf8proc_map((const utf8proc_uint8_t *)utf8.data, (utf8proc_ssize_t)utf8.size, &normal, options);
    if (n < 0)
        out->failed = true;
    else
        add_utf8(out, (const char *)normal, (size_t)n);
    free(normal);
    tm_buf_clear(&utf8);
}

void tm_fix_width(tm_points *text)
{
    tm_points out = {0};
    for (size_t i = 0; i < text->size; i++) {
        uint32_t c = text->items[i];
        if (c == 0x3000)
            tm_points_add(&out, ' ');
        else if (c >= 0xff01 && c < 0xfff0)
            add_normal(&out, &c, 1, true);
        else
            tm_points_add(&out, c);
    }
    replace(text, &out);
}

void tm_fix_normal_form(tm_points *text, tm_normal_form form)
{
    tm_points out = {0};
    if (form == TM_NORMAL_NONE || !text->size) return;
    add_normal(&out, text->items, text->size, form == TM_NORMAL_NFKC);
    replace(text, &out);
}
