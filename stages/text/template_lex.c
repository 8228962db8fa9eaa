// SPDX-License-Identifier: Apache-2.0
// Words of a template, and the white space that tags take with them (jinja2/lexer.py's rules, with
// trim_blocks and lstrip_blocks).
//
//   {%-  takes all white space before it          -%}  all behind it
//   {%   takes blanks back to the start of a line  %}  one line end behind it
//   {%+  takes nothing                             +%}  nothing
// {# #} works as {% %} does; {{ }} takes white space only with a minus.
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "engine/base/utf8.h"
#include "stages/text/template_strings.h"
#include "stages/text/template_tree.h"

typedef struct lexer {
    tm_view source;
    size_t at;
    int line;
    bool fresh; // what was read last ended with a line end (or nothing was)
    tm_tarena *arena;
    tm_twords *words;
    tm_error *err;
} lexer;

static tm_status put(lexer *l, tm_tword_kind kind, tm_view text)
{
    tm_twords *w = l->words;
    if (w->n == w->capacity) {
        size_t capacity = w->capacity ? 2 * w->capacity : 256;
        tm_tword *items = tm_realloc(w->items, capacity * sizeof *items);
        if (!items) return tm_fail(l->err, TM_ENOMEM, "no memory for a template");
        w->items = items;
        w->capacity = capacity;
    }
    w->items[w->n++] = (tm_tword){.kind = kind, .line = l->line, .text = text};
    return TM_OK;
}

static char peek(const lexer *l, size_t ahead)
{
    return l->at + ahead < l->source.size ? l->source.data[l->at + ahead] : 0;
}

static bool blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

static void advance(lexer *l, size_t n)
{
    for (size_t i = 0; i < n; i++) l->line += l->source.data[l->at + i] == '\n';
    l->at += n;
    if (n) l->fresh = l->source.data[l->at - 1] == '\n';
}

static void skip_blanks(lexer *l)
{
    tm_view rest = tm_view_of(l->source.data + l->at, l->source.size - l->at);
    advance(l, rest.size - tm_text_strip(rest, NULL, true, false).size);
}

// ---- text between tags ----

// Where the next tag begins, or the end.
static size_t find_tag(const lexer *l)
{
    size_t at = l->at;
    for (; at + 1 < l->source.size; at++) {
        char next = l->source.data[at + 1];
        if (l->source.data[at] == '{' && (next == '%' || next == '{' || next == '#')) return at;
    }
    return l->source.size;
}

// What is left of `text` in front of a tag that is no {{.
static tm_view strip_line(const lexer *l, tm_view text)
{
    size_t start = text.size;
    while (start && text.data[start - 1] != '\n') start--;
    if (start == 0 && !l->fresh) return text;
    if (!tm_text_strip(tm_view_of(text.data + start, text.size - start), NULL, true, true).size)
        text.size = start;
    return text;
}

static tm_status put_data(lexer *l, size_t end, bool tag)
{
    tm_view text = tm_view_of(l->source.data + l->at, end - l->at);
    char sign = tag && end + 2 < l->source.size ? l->source.data[end + 2] : 0;
    if (sign == '-')
        text = tm_text_strip(text, NULL, false, true);
    else if (tag && sign != '+' && l->source.data[end + 1] != '{')
        text = strip_line(l, text);
    if (text.size) TM_TRY(put(l, TM_TW_DATA, text));
    advance(l, end - l->at);
    return TM_OK;
}

// Behind the sign, if any, and `close`: the white space that the end of a tag takes.
static void close_tag(lexer *l, bool print)
{
    char sign = peek(l, 0);
    bool signs = sign == '-' || (sign == '+' && !print);
    advance(l, signs ? 3 : 2);
    if (sign == '-')
        skip_blanks(l);
    else if (!print && sign != '+' && peek(l, 0) == '\n')
        advance(l, 1);
}

static bool closes(const lexer *l, char first)
{
    char sign = peek(l, 0);
    size_t at = sign == '-' || (sign == '+' && first != '}') ? 1 : 0;
    return peek(l, at) == first && peek(l, at + 1) == '}';
}

static tm_status skip_comment(lexer *l)
{
    int line = l->line;
    for (advance(l, 2); l->at < l->source.size && !closes(l, '#');) advance(l, 1);
    if (l->at >= l->source.size) return tm_fail(l->err, TM_EFORMAT, "line %d: a comment does not end", line);
    close_tag(l, false);
    return TM_OK;
}

// Length of "{% NAME %}" at `at` with any signs, or 0.
static size_t plain_tag(const lexer *l, size_t at, const char *name, size_t *sign)
{
    const char *s = l->source.data, *end = s + l->source.size, *p = s + at + 2;
    if (end - p < 2 || s[at] != '{' || s[at + 1] != '%') return 0;
    if (*p == '-' || *p == '+') p++;
    while (p < end && blank(*p)) p++;
    size_t n = strlen(name);
    if ((size_t)(end - p) < n + 2 || memcmp(p, name, n) != 0) return 0;
    for (p += n; p < end && blank(*p);) p++;
    *sign = (size_t)(p - s);
    if (p < end && (*p == '-' || *p == '+')) p++;
    return end - p >= 2 && p[0] == '%' && p[1] == '}' ? (size_t)(p + 2 - s) - at : 0;
}

// {% raw %} ... {% endraw %}: the text between is printed.
static tm_status raw(lexer *l, size_t sign)
{
    advance(l, sign - l->at);
    char minus = peek(l, 0);
    advance(l, minus == '-' || minus == '+' ? 3 : 2);
    if (minus == '-') skip_blanks(l);
    for (size_t end = l->at; end < l->source.size; end++) {
        if (l->source.data[end] != '{' || !plain_tag(l, end, "endraw", &sign)) continue;
        TM_TRY(put_data(l, end, true));
        advance(l, sign - l->at);
        close_tag(l, false);
        return TM_OK;
    }
    return tm_fail(l->err, TM_EFORMAT, "line %d: {%% raw %%} does not end", l->line);
}

// ---- words in tags ----

static bool name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static int hex_digits(const char *at, const char *end, int n)
{
    int value = 0;
    if (end - at < n) return -1;
    for (int i = 0; i < n; i++) {
        if (!isxdigit((unsigned char)at[i])) return -1;
        value = value * 16 + (isdigit((unsigned char)at[i]) ? at[i] - '0' : (at[i] | 32) - 'a' + 10);
    }
    return value;
}

// One escape behind the backslash at p; Python keeps those that it does not know.
static const char *unescape(const char *p, const char *end, tm_buf *out)
{
    static const char known[] = "n\nt\tr\rb\bf\fv\va\a\\\\''\"\"";
    const char *at = *p ? strchr(known, *p) : NULL;
    int n = *p == 'x' ? 2 : *p == 'u' ? 4 : *p == 'U' ? 8 : 0, value;
    if (*p >= '0' && *p <= '7') {
        for (value = 0, n = 0; n < 3 && p < end && *p >= '0' && *p <= '7'; n++)
            value = value * 8 + *p++ - '0';
        tm_buf_point(out, (uint32_t)value);
        return p;
    }
    if (n) {
        value = hex_digits(p + 1, end, n);
        if (value < 0 || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return NULL;
        tm_buf_point(out, (uint32_t)value);
        return p + 1 + n;
    }
    if (*p == '\n') return p + 1;
    if (at && (at - known) % 2 == 0)
        tm_buf_char(out, at[1]);
    else
        tm_buf_char(out, '\\');
    return at && (at - known) % 2 == 0 ? p + 1 : p;
}

static tm_status lex_string(lexer *l)
{
    const char *p = l->source.data + l->at + 1, *end = l->source.data + l->source.size;
    char quote = p[-1];
    tm_buf text = {0};
    while (p && p < end && *p != quote) {
        if (*p != '\\')
            tm_buf_char(&text, *p++);
        else
            p = p + 1 < end ? unescape(p + 1, end, &text) : end;
    }
    tm_tval value = {0};
    tm_status status = tm_buf_status(&text, l->err);
    if (status >= 0 && !p)
        status = tm_fail(l->err, TM_EFORMAT, "line %d: a text has a wrong escape", l->line);
    if (status >= 0 && p >= end)
        status = tm_fail(l->err, TM_EFORMAT, "line %d: a text does not end", l->line);
    if (status >= 0) status = tm_tv_copy_text(l->arena, tm_buf_view(&text), &value, l->err);
    tm_buf_clear(&text);
    if (status >= 0) status = put(l, TM_TW_STRING, value.text);
    if (status >= 0) advance(l, (size_t)(p + 1 - l->source.data) - l->at);
    return status;
}

static tm_status lex_number(lexer *l)
{
    char digits[64];
    size_t n = 0, skip = 0;
    bool real = false;
    for (char c; n < sizeof digits - 1 && (c = peek(l, skip)); skip++) {
        bool point = c == '.' && !real && isdigit((unsigned char)peek(l, skip + 1));
        bool power = (c | 32) == 'e' &&
                     (isdigit((unsigned char)peek(l, skip + 1)) ||
                      (strchr("+-", peek(l, skip + 1)) && isdigit((unsigned char)peek(l, skip + 2))));
        bool sign = (c == '+' || c == '-') && n && (digits[n - 1] | 32) == 'e';
        real |= point || power;
        if (c == '_') continue;
        if (!isdigit((unsigned char)c) && !point && !power && !sign) break;
        digits[n++] = c;
    }
    digits[n] = 0;
    if (name_char(peek(l, skip)))
        return tm_fail(l->err, TM_EUNSUPPORTED, "line %d: a number of this form is not known", l->line);
    TM_TRY(put(l, real ? TM_TW_FLOAT : TM_TW_INT, tm_view_of(l->source.data + l->at, skip)));
    tm_tword *word = &l->words->items[l->words->n - 1];
    errno = 0;
    if (real)
        word->value = (tm_tval){.kind = TM_TV_FLOAT, .number = strtod(digits, NULL)};
    else
        word->value = tm_tv_int(strtoll(digits, NULL, 10));
    advance(l, skip);
    return errno ? tm_fail(l->err, TM_EUNSUPPORTED, "line %d: %s is too large", l->line, digits) : TM_OK;
}

static tm_status lex_operator(lexer *l)
{
    static const char *const operators[] = {"//", "**", "==", "!=", "<=", ">="};
    char text[3] = {peek(l, 0), peek(l, 1), 0};
    size_t n = 1;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strcmp(operators[i], text) == 0) n = 2;
    if (n == 1 && (!text[0] || !strchr("+-/*%~[](){}<>=.:|,;", text[0])))
        return tm_fail(l->err, TM_EFORMAT, "line %d: unexpected character 0x%02x", l->line,
                       (unsigned char)text[0]);
    TM_TRY(put(l, TM_TW_OPERATOR, tm_view_of(l->source.data + l->at, n)));
    advance(l, n);
    return TM_OK;
}

static tm_status lex_word(lexer *l, int *open)
{
    char c = peek(l, 0);
    if (isdigit((unsigned char)c)) return lex_number(l);
    if (c == '"' || c == '\'') return lex_string(l);
    if (name_char(c)) {
        size_t n = 1;
        while (name_char(peek(l, n))) n++;
        TM_TRY(put(l, TM_TW_NAME, tm_view_of(l->source.data + l->at, n)));
        advance(l, n);
        return TM_OK;
    }
    *open += (c == '(' || c == '[' || c == '{') - (c == ')' || c == ']' || c == '}');
    return lex_operator(l);
}

static tm_status lex_tag(lexer *l)
{
    bool print = peek(l, 1) == '{';
    char first = print ? '}' : '%', sign = peek(l, 2);
    int open = 0, line = l->line;
    TM_TRY(put(l, print ? TM_TW_PRINT : TM_TW_BLOCK, (tm_view){0}));
    advance(l, sign == '-' || sign == '+' ? 3 : 2);
    for (;;) {
        while (l->at < l->source.size && blank(peek(l, 0))) advance(l, 1);
        if (l->at >= l->source.size) return tm_fail(l->err, TM_EFORMAT, "line %d: a tag does not end", line);
        if (open <= 0 && closes(l, first)) break;
        TM_TRY(lex_word(l, &open));
    }
    TM_TRY(put(l, print ? TM_TW_PRINT_END : TM_TW_BLOCK_END, (tm_view){0}));
    close_tag(l, print);
    return TM_OK;
}

tm_status tm_template_lex(tm_view source, tm_tarena *arena, tm_twords *words, tm_error *err)
{
    lexer l = {.source = source, .line = 1, .fresh = true, .arena = arena, .words = words, .err = err};
    while (l.at < source.size) {
        size_t end = find_tag(&l), sign;
        TM_TRY(put_data(&l, end, end < source.size));
        if (end == source.size) break;
        if (peek(&l, 1) == '#')
            TM_TRY(skip_comment(&l));
        else if (plain_tag(&l, l.at, "raw", &sign))
            TM_TRY(raw(&l, sign));
        else
            TM_TRY(lex_tag(&l));
    }
    return put(&l, TM_TW_END, (tm_view){0});
}
