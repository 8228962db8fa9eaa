// SPDX-License-Identifier: Apache-2.0
// Parts of texts, and their normal forms.
#include "stages/judge/answer_text.h"

#include <ctype.h>

static const char *const parts[] = {"whole", "gsm8k", "last_number", "last_line", NULL};
static const char *const normals[] = {"none", "trim", "words", NULL};

static int find(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

int tm_answer_part_find(const char *name)
{
    return find(parts, name);
}

int tm_normal_find(const char *name)
{
    return find(normals, name);
}

static tm_view trimmed(tm_view v)
{
    while (v.size && isspace((unsigned char)v.data[0])) v = tm_view_of(v.data + 1, v.size - 1);
    while (v.size && isspace((unsigned char)v.data[v.size - 1])) v.size--;
    return v;
}

// ---- numbers ----

static bool digit(tm_view v, size_t i)
{
    return i < v.size && isdigit((unsigned char)v.data[i]);
}

// Where the number at `i` ends: digits, with thousands' commas and one dot inside; `i`: there is none.
static size_t number_end(tm_view v, size_t i)
{
    size_t at = i;
    bool dot = false;
    while (digit(v, at) || (at > i && at < v.size && digit(v, at + 1) &&
                            (v.data[at] == ',' || (v.data[at] == '.' && !dot)))) {
        dot |= v.data[at] == '.';
        at++;
    }
    return at;
}

// The digits from `i` to `end` in one way, behind a sign.
static void add_number(tm_view v, size_t i, size_t end, bool negative, tm_buf *out)
{
    size_t start = out->size;
    bool dot = false;
    while (i + 1 < end && v.data[i] == '0' && v.data[i + 1] != '.') i++;
    for (; i < end; i++) {
        if (v.data[i] == ',') continue;
        dot |= v.data[i] == '.';
        tm_buf_char(out, v.data[i]);
    }
    while (dot && out->size > start && out->data[out->size - 1] == '0') out->size--;
    if (dot && out->size > start && out->data[out->size - 1] == '.') out->size--;
    bool zero = out->size == start + 1 && out->data[start] == '0';
    if (!negative || zero || out->failed) return;
    tm_buf_char(out, ' ');
    if (out->failed) return;
    memmove(out->data + start + 1, out->data + start, out->size - start - 1);
    out->data[start] = '-';
}

// The first number in a text, or the last.
static bool add_one_number(tm_view v, bool last, tm_buf *out)
{
    size_t found = v.size, found_end = 0;
    for (size_t i = 0; i < v.size;) {
        size_t end = number_end(v, i);
        if (end > i) {
            found = i;
            found_end = end;
            if (!last) break;
        }
        i = end > i ? end : i + 1;
    }
    if (found == v.size) return false;
    size_t sign = found;
    if (sign && v.data[sign - 1] == '$') sign--;
    // A minus between two words or numbers ("3-4") is none.
    bool negative =
        sign && v.data[sign - 1] == '-' && (sign == 1 || !isalnum((unsigned char)v.data[sign - 2]));
    add_number(v, found, found_end, negative, out);
    return true;
}

// ---- parts ----

static bool behind_hashes(tm_view text, tm_view *part)
{
    for (size_t i = text.size; i >= 4; i--)
        if (memcmp(text.data + i - 4, "####", 4) == 0) {
            *part = tm_view_of(text.data + i, text.size - i);
            const char *line = memchr(part->data, '\n', part->size);
            if (line) part->size = (size_t)(line - part->data);
            return true;
        }
    return false;
}

static tm_view last_line(tm_view text)
{
    text = trimmed(text);
    for (size_t i = text.size; i > 0; i--)
        if (text.data[i - 1] == '\n') return tm_view_of(text.data + i, text.size - i);
    return text;
}

// ---- normal forms ----

static bool article(const char *word, size_t n)
{
    return (n == 1 && word[0] == 'a') || (n == 2 && memcmp(word, "an", 2) == 0) ||
           (n == 3 && memcmp(word, "the", 3) == 0);
}

static void add_words(tm_view v, tm_buf *out)
{
    size_t start = out->size;
    for (size_t i = 0; i < v.size;) {
        size_t word = out->size;
        if (word > start) tm_buf_char(out, ' ');
        size_t letters = out->size;
        for (; i < v.size && !isspace((unsigned char)v.data[i]); i++)
            if (!ispunct((unsigned char)v.data[i])) tm_buf_char(out, (char)tolower((unsigned char)v.data[i]));
        size_t n = out->size - letters;
        if (out->failed) return;
        if (!n || article(out->data + letters, n)) out->size = word;
        while (i < v.size && isspace((unsigned char)v.data[i])) i++;
    }
}

static void normalise(tm_view v, tm_normal normal, tm_buf *out)
{
    if (normal == TM_NORMAL_WORDS) {
        add_words(v, out);
        return;
    }
    if (normal == TM_NORMAL_TRIM) v = trimmed(v);
    tm_buf_add(out, v.data, v.size);
}

bool tm_answer_text(tm_view text, tm_answer_part part, tm_normal normal, tm_buf *out)
{
    tm_view rest = text;
    switch (part) {
    case TM_ANSWER_GSM8K: return behind_hashes(text, &rest) && add_one_number(rest, false, out);
    case TM_ANSWER_LAST_NUMBER: return add_one_number(text, true, out);
    case TM_ANSWER_LAST_LINE: rest = last_line(text); break;
    case TM_ANSWER_WHOLE: break;
    }
    normalise(rest, normal, out);
    return true;
}
