// SPDX-License-Identifier: Apache-2.0
// Reading Lua by the token.
#include "stages/script/tokens.h"

#include <ctype.h>

static char at(const tm_tokens *t, size_t i)
{
    return i < t->text.size ? t->text.data[i] : 0;
}

void tm_tokens_init(tm_tokens *t, tm_view text)
{
    *t = (tm_tokens){.text = text, .next_line = 1};
    if (text.size >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) t->next = 3;
    if (at(t, t->next) != '#') return;
    while (t->next < text.size && at(t, t->next) != '\n') t->next++;
}

// The level of a long bracket that opens at i (`[[` 0, `[=[` 1), or -1.
static int long_bracket(const tm_tokens *t, size_t i)
{
    int level = 0;
    if (at(t, i) != '[') return -1;
    while (at(t, i + 1 + (size_t)level) == '=') level++;
    return at(t, i + 1 + (size_t)level) == '[' ? level : -1;
}

static size_t skip_long(tm_tokens *t, size_t i, int level)
{
    for (i += (size_t)level + 2; i < t->text.size; i++) {
        if (at(t, i) == '\n') t->next_line++;
        if (at(t, i) != ']') continue;
        int n = 0;
        while (at(t, i + 1 + (size_t)n) == '=') n++;
        if (n == level && at(t, i + 1 + (size_t)n) == ']') return i + (size_t)n + 2;
    }
    return i;
}

static size_t skip_string(tm_tokens *t, size_t i)
{
    char quote = at(t, i);
    for (i++; i < t->text.size && at(t, i) != quote; i++) {
        if (at(t, i) == '\\') i++;
        if (at(t, i) == '\n') t->next_line++;
    }
    return i < t->text.size ? i + 1 : i;
}

static size_t skip_number(const tm_tokens *t, size_t i)
{
    bool hex = at(t, i) == '0' && (at(t, i + 1) | 32) == 'x';
    for (char before = 0; isalnum((unsigned char)at(t, i)) || at(t, i) == '.' ||
                          ((at(t, i) == '+' || at(t, i) == '-') && (before | 32) == (hex ? 'p' : 'e'));
         i++)
        before = at(t, i);
    return i;
}

static size_t skip_symbol(const tm_tokens *t, size_t i)
{
    static const char *const long_ones[] = {"...", "..", "::", "==", "~=", "<=", ">=", "//", "<<", ">>"};
    for (size_t k = 0; k < sizeof long_ones / sizeof *long_ones; k++) {
        size_t n = strlen(long_ones[k]);
        if (t->text.size - i >= n && memcmp(t->text.data + i, long_ones[k], n) == 0) return i + n;
    }
    return i + 1;
}

static size_t skip_blank(tm_tokens *t, size_t i)
{
    for (;; i++) {
        char c = at(t, i);
        if (i < t->text.size && c == '-' && at(t, i + 1) == '-') {
            int level = long_bracket(t, i + 2);
            if (level >= 0) i = skip_long(t, i + 2, level);
            else
                while (i < t->text.size && at(t, i) != '\n') i++;
            i--;
        } else if (c == '\n') t->next_line++;
        else if (i >= t->text.size || !isspace((unsigned char)c)) return i;
    }
}

bool tm_tokens_next(tm_tokens *t)
{
    size_t i = skip_blank(t, t->next), from = i;
    if (i >= t->text.size) return false;
    t->line = t->next_line;
    unsigned char c = (unsigned char)at(t, i);
    int level = long_bracket(t, i);
    if (isalpha(c) || c == '_') {
        while (isalnum((unsigned char)at(t, i)) || at(t, i) == '_') i++;
    } else if (isdigit(c) || (c == '.' && isdigit((unsigned char)at(t, i + 1)))) i = skip_number(t, i);
    else if (c == '"' || c == '\'') i = skip_string(t, i);
    else if (level >= 0) i = skip_long(t, i, level);
    else i = skip_symbol(t, i);
    if (i > t->text.size) i = t->text.size;
    t->at = from;
    t->token = tm_view_of(t->text.data + from, i - from);
    t->next = i;
    t->end_line = t->next_line;
    return true;
}
