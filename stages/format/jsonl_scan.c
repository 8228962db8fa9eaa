// SPDX-License-Identifier: Apache-2.0
// A strict JSON scanner that builds nothing: it finds the members of one object. Nesting is a stack of
// brackets, so hostile depth costs no C stack.
#include "stages/format/jsonl.h"

#include "engine/base/utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define MAX_DEPTH 128

typedef struct scanner {
    const char *start, *p, *end;
    const char *why;
} scanner;

static bool fail(scanner *s, const char *why)
{
    s->why = why;
    return false;
}

static void skip_white(scanner *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) s->p++;
}

// ---- strings ----

// The first quote, backslash or control character at or after p.
static const char *string_stop(const char *p, const char *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1f);
    while (end - p >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)p);
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes);
        __m128i hit =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, slash)), low);
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask) return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) p++;
    return p;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The four digits at p, or -1.
static int32_t hex4(const char *p, const char *end)
{
    int32_t value = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(p[i]);
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

// At the u of an escape: the code point it stands for, s->p moved after it; -1 when it is wrong.
static int32_t unicode_escape(scanner *s)
{
    int32_t high = hex4(s->p + 1, s->end);
    if (high < 0) return fail(s, "wrong \\u escape"), -1;
    s->p += 5;
    if (high < 0xd800 || high > 0xdfff) return high;
    int32_t low = high < 0xdc00 && s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u'
                      ? hex4(s->p + 2, s->end)
                      : -1;
    if (low < 0xdc00 || low > 0xdfff) return fail(s, "lone surrogate escape"), -1;
    s->p += 6;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static bool scan_escape(scanner *s)
{
    if (++s->p == s->end) return fail(s, "string is not closed");
    if (*s->p == 'u') return unicode_escape(s) >= 0;
    if (!memchr("\"\\/bfnrt", *s->p, 8)) return fail(s, "unknown escape");
    s->p++;
    return true;
}

static bool scan_string(scanner *s)
{
    s->p++;
    for (;;) {
        s->p = string_stop(s->p, s->end);
        if (s->p == s->end) return fail(s, "string is not closed");
        if (*s->p == '"') break;
        if (*s->p != '\\') return fail(s, "control character in a string");
        if (!scan_escape(s)) return false;
    }
    s->p++;
    return true;
}

// ---- numbers and words ----

static bool is_digit(const scanner *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static bool scan_digits(scanner *s)
{
    if (!is_digit(s)) return fail(s, "wrong number");
    while (is_digit(s)) s->p++;
    return true;
}

static bool scan_number(scanner *s)
{
    if (*s->p == '-') s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!scan_digits(s))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!scan_digits(s)) return false;
    }
    if (s->p < s->end && (*s->p | 32) == 'e') {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-')) s->p++;
        if (!scan_digits(s)) return false;
    }
    return true;
}

static bool scan_word(scanner *s)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(s->end - s->p) < n || memcmp(s->p, words[i], n)) continue;
        s->p += n;
        return true;
    }
    return fail(s, "no JSON value");
}

// ---- values ----

static bool scan_scalar(scanner *s)
{
    if (s->p == s->end) return fail(s, "value is missing");
    if (*s->p == '"') return scan_string(s);
    if (*s->p == '-' || (*s->p >= '0' && *s->p <= '9')) return scan_number(s);
    return scan_word(s);
}

static bool scan_key(scanner *s)
{
    skip_white(s);
    if (s->p == s->end || *s->p != '"') return fail(s, "key is missing");
    if (!scan_string(s)) return false;
    skip_white(s);
    if (s->p == s->end || *s->p != ':') return fail(s, "colon is missing");
    s->p++;
    return true;
}

// After a value inside `open`: a comma, after which a value is due, or brackets that close.
static bool scan_after(scanner *s, const char *open, size_t *depth, bool *more)
{
    *more = false;
    while (*depth) {
        char close = open[*depth - 1] == '{' ? '}' : ']';
        skip_white(s);
        if (s->p == s->end) return fail(s, "bracket is not closed");
        if (*s->p == ',') {
            s->p++;
            *more = true;
            return close == ']' || scan_key(s);
        }
        if (*s->p != close) return fail(s, "comma or closing bracket is missing");
        s->p++;
        --*depth;
    }
    return true;
}

// One value of any depth; `outer` brackets are open around it.
static bool scan_value(scanner *s, size_t outer)
{
    char open[MAX_DEPTH];
    size_t depth = 0;
    bool more = true;
    while (more) {
        skip_white(s);
        char c = s->p < s->end ? *s->p : 0;
        if (c == '{' || c == '[') {
            if (depth + outer >= MAX_DEPTH) return fail(s, "nested too deeply");
            open[depth++] = c;
            s->p++;
            skip_white(s);
            bool empty = s->p < s->end && *s->p == (c == '{' ? '}' : ']');
            if (!empty && c == '{' && !scan_key(s)) return false;
            if (!empty) continue;
        } else if (!scan_scalar(s)) {
            return false;
        }
        if (!scan_after(s, open, &depth, &more)) return false;
    }
    return true;
}

// ---- the object ----

static bool scan_member(scanner *s, tm_json_member *member, void *self)
{
    skip_white(s);
    const char *key = s->p + 1;
    if (s->p == s->end || *s->p != '"') return fail(s, "key is missing");
    if (!scan_string(s)) return false;
    tm_view name = tm_view_of(key, (size_t)(s->p - 1 - key));
    skip_white(s);
    if (s->p == s->end || *s->p != ':') return fail(s, "colon is missing");
    s->p++;
    skip_white(s);
    const char *value = s->p;
    if (!scan_value(s, 1)) return false;
    const char *why = member(self, name, tm_view_of(value, (size_t)(s->p - value)));
    return why ? fail(s, why) : true;
}

static bool scan_object(scanner *s, tm_json_member *member, void *self)
{
    skip_white(s);
    if (s->p == s->end || *s->p != '{') return fail(s, "no JSON object");
    s->p++;
    skip_white(s);
    if (s->p < s->end && *s->p == '}')
        s->p++;
    else {
        for (;;) {
            if (!scan_member(s, member, self)) return false;
            skip_white(s);
            if (s->p == s->end) return fail(s, "bracket is not closed");
            char c = *s->p;
            if (c != ',' && c != '}') return fail(s, "comma or closing bracket is missing");
            s->p++;
            if (c == '}') break;
        }
    }
    skip_white(s);
    return s->p == s->end || fail(s, "something follows the object");
}

bool tm_json_object(tm_view text, tm_json_member *member, void *self, tm_json_error *error)
{
    if (!text.size) text = tm_view_str("");
    scanner s = {.start = text.data, .p = text.data, .end = text.data + text.size};
    size_t valid = tm_utf8_valid(text);
    if (valid < text.size) {
        *error = (tm_json_error){"not UTF-8", valid};
        return false;
    }
    if (scan_object(&s, member, self)) return true;
    *error = (tm_json_error){s.why, (size_t)(s.p - s.start)};
    return false;
}

// ---- decoding ----

static void add_escape(scanner *s, tm_buf *out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    s->p++;
    if (*s->p == 'u') {
        tm_buf_point(out, (uint32_t)unicode_escape(s));
        return;
    }
    tm_buf_char(out, values[strchr(names, *s->p) - names]);
    s->p++;
}

tm_view tm_json_string(tm_view value, tm_buf *out)
{
    tm_view inside = tm_view_of(value.data + 1, value.size - 2);
    if (!memchr(inside.data, '\\', inside.size)) return inside;
    scanner s = {.p = inside.data, .end = inside.data + inside.size};
    size_t start = out->size;
    while (s.p < s.end) {
        const char *slash = memchr(s.p, '\\', (size_t)(s.end - s.p));
        tm_buf_add(out, s.p, (size_t)((slash ? slash : s.end) - s.p));
        s.p = slash ? slash : s.end;
        if (slash) add_escape(&s, out);
    }
    return tm_view_of(out->data + start, out->size - start);
}

bool tm_json_key_is(tm_view key, const char *name)
{
    size_t n = strlen(name);
    if (!memchr(key.data, '\\', key.size)) return key.size == n && !memcmp(key.data, name, n);
    if (key.size > 6 * n) return false;
    tm_buf decoded = {0};
    tm_view value = tm_json_string(tm_view_of(key.data - 1, key.size + 2), &decoded);
    bool is = !decoded.failed && value.size == n && !memcmp(value.data, name, n);
    tm_buf_clear(&decoded);
    return is;
}
