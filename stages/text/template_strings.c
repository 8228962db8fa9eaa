// SPDX-License-Identifier: Apache-2.0
// Python's string methods on UTF-8.
#include "stages/text/template_strings.h"

#include <utf8proc.h>

#include "engine/base/utf8.h"

// The code point at `at` (a byte that is no UTF-8 counts as one), and its bytes.
static unsigned point_at(tm_view text, size_t at, uint32_t *point)
{
    const unsigned char *p = (const unsigned char *)text.data;
    unsigned n = tm_utf8_decode(p + at, p + text.size, point);
    if (n) return n;
    *point = 0xfffd;
    return 1;
}

static unsigned point_before(tm_view text, size_t end, uint32_t *point)
{
    size_t at = end - 1;
    while (at && end - at < 4 && ((unsigned char)text.data[at] & 0xc0) == 0x80) at--;
    if (point_at(text, at, point) == end - at) return (unsigned)(end - at);
    *point = 0xfffd;
    return 1;
}

// str.isspace() of a character.
static bool space(uint32_t c)
{
    if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static bool one_of(uint32_t c, const tm_view *chars)
{
    uint32_t other;
    if (!chars) return space(c);
    for (size_t i = 0; i < chars->size;) {
        i += point_at(*chars, i, &other);
        if (other == c) return true;
    }
    return false;
}

tm_view tm_text_strip(tm_view text, const tm_view *chars, bool left, bool right)
{
    uint32_t c;
    for (unsigned n; left && text.size; text.data += n, text.size -= n) {
        n = point_at(text, 0, &c);
        if (!one_of(c, chars)) break;
    }
    for (unsigned n; right && text.size; text.size -= n) {
        n = point_before(text, text.size, &c);
        if (!one_of(c, chars)) break;
    }
    return text;
}

size_t tm_text_find(tm_view text, tm_view part, size_t from)
{
    if (!part.size) return from <= text.size ? from : SIZE_MAX;
    if (from > text.size) return SIZE_MAX;
    const char *hit = memmem(text.data + from, text.size - from, part.data, part.size);
    return hit ? (size_t)(hit - text.data) : SIZE_MAX;
}

bool tm_text_starts(tm_view text, tm_view part)
{
    return text.size >= part.size && tm_view_eq(tm_view_of(text.data, part.size), part);
}

bool tm_text_ends(tm_view text, tm_view part)
{
    return text.size >= part.size &&
           tm_view_eq(tm_view_of(text.data + text.size - part.size, part.size), part);
}

size_t tm_text_at(tm_view text, size_t point)
{
    size_t at = 0;
    for (; at < text.size; at++)
        if (((unsigned char)text.data[at] & 0xc0) != 0x80 && point-- == 0) return at;
    return at;
}

// Letters that Python turns into several, or by what stands beside them.
static bool special(uint32_t c, bool upper)
{
    if (!upper) return c == 0x130 || c == 0x3a3;
    return c == 0xdf || c == 0x149 || c == 0x1f0 || c == 0x390 || c == 0x3b0 || c == 0x587 ||
           (c >= 0x1e96 && c <= 0x1e9a) || (c >= 0x1f50 && c <= 0x1fff) || (c >= 0xfb00 && c <= 0xfb17);
}

tm_status tm_text_recase(tm_view text, tm_text_case to, tm_buf *out, tm_error *err)
{
    bool letter = false; // before
    uint32_t c;
    for (size_t i = 0; i < text.size;) {
        bool first = to == TM_CASE_TITLE ? !letter : to == TM_CASE_CAPITALIZE && i == 0;
        bool upper = to == TM_CASE_UPPER || first;
        i += point_at(text, i, &c);
        if (c >= 0x80 && special(c, upper))
            return tm_fail(err, TM_EUNSUPPORTED, "letter U+%04X in another case is not known here",
                           (unsigned)c);
        uint32_t title = (uint32_t)utf8proc_totitle((utf8proc_int32_t)c);
        uint32_t large = (uint32_t)utf8proc_toupper((utf8proc_int32_t)c);
        uint32_t small = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
        letter = large != c || small != c || title != c;
        tm_buf_point(out, first ? title : upper ? large : small);
    }
    return tm_buf_status(out, err);
}

void tm_text_replace(tm_view text, tm_view old, tm_view new, int64_t count, tm_buf *out)
{
    size_t at = 0;
    for (size_t from = 0; count; count -= count > 0) {
        size_t hit = tm_text_find(text, old, from);
        if (hit == SIZE_MAX) break;
        tm_buf_add(out, text.data + at, hit - at);
        tm_buf_add(out, new.data, new.size);
        at = hit + old.size;
        from = at;
        if (old.size) continue;
        if (hit == text.size) break; // between all characters, and at both ends
        uint32_t c;
        from += point_at(text, hit, &c);
    }
    tm_buf_add(out, text.data + at, text.size - at);
}

// ---- split ----

typedef struct parts {
    tm_tval *items;
    size_t n, capacity;
} parts;

static tm_status add(parts *p, tm_view part, tm_error *err)
{
    if (p->n == p->capacity) {
        size_t capacity = p->capacity ? 2 * p->capacity : 16;
        tm_tval *items = tm_realloc(p->items, capacity * sizeof *items);
        if (!items) return tm_fail(err, TM_ENOMEM, "no memory for parts of a text");
        p->items = items;
        p->capacity = capacity;
    }
    p->items[p->n++] = tm_tv_text(part);
    return TM_OK;
}

static size_t find_back(tm_view text, tm_view part)
{
    for (size_t at = text.size + 1; at-- > part.size;)
        if (memcmp(text.data + at - part.size, part.data, part.size) == 0) return at - part.size;
    return SIZE_MAX;
}

// By a separator; parts from the right come in reverse order.
static tm_status split_at(parts *p, tm_view text, tm_view separator, int64_t count, bool right, tm_error *err)
{
    for (; count; count -= count > 0) {
        size_t hit = right ? find_back(text, separator) : tm_text_find(text, separator, 0);
        if (hit == SIZE_MAX) break;
        size_t behind = hit + separator.size;
        if (right) {
            TM_TRY(add(p, tm_view_of(text.data + behind, text.size - behind), err));
            text.size = hit;
        } else {
            TM_TRY(add(p, tm_view_of(text.data, hit), err));
            text = tm_view_of(text.data + behind, text.size - behind);
        }
    }
    return add(p, text, err);
}

static size_t word_length(tm_view text, bool right)
{
    uint32_t c;
    size_t n = 0;
    while (n < text.size) {
        unsigned step = right ? point_before(text, text.size - n, &c) : point_at(text, n, &c);
        if (space(c)) break;
        n += step;
    }
    return n;
}

static tm_status split_words(parts *p, tm_view text, int64_t count, bool right, tm_error *err)
{
    for (;; count -= count > 0) {
        text = tm_text_strip(text, NULL, !right, right);
        if (!text.size) return TM_OK;
        if (!count) return add(p, text, err);
        size_t n = word_length(text, right), rest = text.size - n;
        TM_TRY(add(p, tm_view_of(text.data + (right ? rest : 0), n), err));
        text = tm_view_of(text.data + (right ? 0 : n), rest);
    }
}

tm_status tm_text_split(tm_tarena *arena, tm_view text, const tm_view *separator, int64_t count, bool right,
                        tm_tval *list, tm_error *err)
{
    parts p = {0};
    if (separator && !separator->size) return tm_fail(err, TM_EFAILED, "split: the separator is empty");
    tm_status status = separator ? split_at(&p, text, *separator, count, right, err)
                                 : split_words(&p, text, count, right, err);
    if (status >= 0) status = tm_tv_list(arena, TM_TV_LIST, p.n, list, err);
    for (size_t i = 0; status >= 0 && i < p.n; i++) list->list->items[i] = p.items[right ? p.n - 1 - i : i];
    tm_free(p.items);
    return status < 0 ? status : tm_tv_seal(list, err);
}
