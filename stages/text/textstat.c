// SPDX-License-Identifier: Apache-2.0
// Counts characters in wide blocks, words one by one, lines, paragraphs and URLs with memchr and memmem.
#include "stages/text/textstat.h"

#include <utf8proc.h>

#include "engine/base/utf8.h"

// ---- characters ----

enum { IS_SPACE = 1, IS_ALPHA = 2, IS_DIGIT = 4, IS_HASH = 8, IS_BRACKET = 16 }; // of a character

// clang-format off
#define S IS_SPACE
#define D IS_DIGIT
#define H IS_HASH
#define L IS_ALPHA
static const uint8_t ascii[128] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, S, S, S, S, S, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, S, S, S, S,
    S, 0, 0, H, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, D, D, D, D, D, D, D, D, D, D, 0, 0, 0, 0, 0, 0,
    0, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, 0, 0, 0, 0, 0,
    0, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, 0, 0, 0, 0, 0,
};
#undef S
#undef D
#undef H
#undef L
// clang-format on

static bool is_unicode_space(uint32_t c)
{
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

// The property Alphabetic, of which utf8proc knows the categories: letters, letter numbers, vowel signs that
// take space, and the letters in circles and squares.
static bool is_alphabetic(uint32_t c, utf8proc_category_t category)
{
    switch (category) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_MC: return true;
    default:
        return (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
               (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
    }
}

static unsigned class_of(uint32_t c)
{
    if (is_unicode_space(c)) return IS_SPACE;
    if (c == 0x27e8 || c == 0x27e9) return IS_BRACKET;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return is_alphabetic(c, category) ? IS_ALPHA : 0;
}

// ---- pieces ----

static bool reserve_span(tm_spans *spans)
{
    if (spans->count < spans->capacity) return true;
    size_t capacity = spans->capacity ? spans->capacity * 2 : 256;
    tm_span *items = tm_realloc(spans->items, capacity * sizeof *items);
    if (!items) return false;
    spans->items = items;
    spans->capacity = capacity;
    return true;
}

static bool add_span(tm_spans *spans, size_t start, size_t size, size_t n_chars)
{
    if (!reserve_span(spans)) return false;
    spans->items[spans->count++] = (tm_span){(uint32_t)start, (uint32_t)size, (uint32_t)n_chars};
    return true;
}

#define ELLIPSIS "\xe2\x80\xa6"
static const tm_view ellipses[] = {
    {"...", 3},       {"[...]", 5},        {ELLIPSIS, 3},    {"(...)", 5}, {"[" ELLIPSIS "]", 5},
    {"-\xc2\xbb", 3}, {"read more..", 11}, {"read more", 9},
};
#define N_ELLIPSES (sizeof ellipses / sizeof *ellipses)

static bool is_common(tm_view w)
{
    switch (w.size) {
    case 2: return !memcmp(w.data, "be", 2) || !memcmp(w.data, "to", 2) || !memcmp(w.data, "of", 2);
    case 3: return !memcmp(w.data, "the", 3) || !memcmp(w.data, "and", 3);
    case 4: return !memcmp(w.data, "that", 4) || !memcmp(w.data, "have", 4) || !memcmp(w.data, "with", 4);
    default: return false;
    }
}

static bool is_ellipsis(tm_view word)
{
    for (size_t i = 0; i < N_ELLIPSES; i++)
        if (tm_view_eq(word, ellipses[i])) return true;
    return false;
}

// Whether runs of # are more than half of the characters.
static bool is_hashes(tm_view word, uint32_t n_chars)
{
    size_t runs = 0;
    for (size_t i = 0; i < word.size; i++) runs += word.data[i] == '#' && (i == 0 || word.data[i - 1] != '#');
    return 2 * runs > n_chars;
}

static bool add_word(tm_textstat *s, size_t start, size_t end, uint32_t n_chars, unsigned seen)
{
    tm_view word = tm_view_of(s->text.data + start, end - start);
    s->n_word_chars += n_chars;
    if (n_chars > s->longest_word) s->longest_word = n_chars;
    s->n_alpha_words += (seen & IS_ALPHA) != 0;
    s->n_common_words += is_common(word);
    if (seen & IS_HASH)
        s->n_symbol_words += is_hashes(word, n_chars);
    else if (!seen && word.size <= 5)
        s->n_symbol_words += is_ellipsis(word);
    return add_span(&s->words, start, word.size, n_chars);
}

// Sixteen bytes and five counters for each place; comparisons of vectors give 255 for true, which is -1.
typedef uint8_t bytes16 __attribute__((vector_size(16)));

typedef struct counters {
    bytes16 chars, alnum, digits, white, brackets;
} counters;

static void count_16(counters *n, const unsigned char *p)
{
    bytes16 c, low;
    memcpy(&c, p, sizeof c);
    low = c | 32;
    bytes16 digit = (bytes16)(c - '0' < 10), letter = (bytes16)(low - 'a' < 26);
    bytes16 mark = (bytes16)((c == '\n') | (c == '?') | (c == '!') | (c == ',') | (c == '.'));
    n->chars -= (bytes16)((c & 0xc0) != 0x80);
    n->digits -= digit;
    n->alnum -= digit | letter | mark;
    n->white -= (bytes16)((c == ' ') | (c - '\b' < 3) | (c == '\r'));
    n->brackets -= (bytes16)((low == '{') | (low == '}') | ((c & 0xfe) == '('));
}

static uint64_t sum_16(bytes16 counts)
{
    uint64_t sum = 0;
    for (int i = 0; i < 16; i++) sum += counts[i];
    return sum;
}

// The classes of ASCII, counted in bytes: a counter has room for 255 rounds, the padded one among them.
static void count_all(tm_textstat *s)
{
    const unsigned char *p = (const unsigned char *)s->text.data, *end = p + s->text.size;
    while (p < end) {
        counters n = {0};
        size_t padding = 0;
        for (int i = 0; i < 254 && end - p >= 16; i++, p += 16) count_16(&n, p);
        if (end - p < 16) {
            unsigned char last[16] = {0}; // a zero is a character and nothing else
            memcpy(last, p, (size_t)(end - p));
            count_16(&n, last);
            padding = 16 - (size_t)(end - p);
            p = end;
        }
        s->n_chars += sum_16(n.chars) - padding;
        s->n_alnum += sum_16(n.alnum);
        s->n_digits += sum_16(n.digits);
        s->n_white += sum_16(n.white);
        s->n_brackets += sum_16(n.brackets);
    }
}

// The word or white space at p: its end, its characters, and what was seen in it.
static const unsigned char *next_word(const unsigned char *p, const unsigned char *end, uint32_t *n_chars,
                                      unsigned *seen, uint64_t *wide_brackets)
{
    *n_chars = 0;
    *seen = 0;
    for (; p < end; ++*n_chars) {
        unsigned class, size = 1;
        uint32_t c = *p;
        if (c < 0x80)
            class = ascii[c];
        else {
            size = tm_utf8_decode(p, end, &c);
            class = size ? class_of(c) : 0;
            size += !size;
            *wide_brackets += class == IS_BRACKET;
        }
        if (class == IS_SPACE) break;
        *seen |= class;
        p += size;
    }
    return p;
}

static bool scan_words(tm_textstat *s)
{
    const unsigned char *data = (const unsigned char *)s->text.data, *end = data + s->text.size, *p = data;
    count_all(s);
    while (p < end) {
        uint32_t n_chars, c;
        unsigned seen;
        const unsigned char *stop = next_word(p, end, &n_chars, &seen, &s->n_brackets);
        if (stop > p && !add_word(s, (size_t)(p - data), (size_t)(stop - data), n_chars, seen)) return false;
        if (stop < end) stop += *stop < 0x80 ? 1 : tm_utf8_decode(stop, end, &c);
        p = stop;
    }
    return true;
}

// ---- lines ----

// Code points of a piece of the document.
static size_t count_chars(const tm_textstat *s, tm_view text)
{
    size_t n = 0;
    if (s->n_chars == s->text.size) return text.size; // all of it is ASCII
    for (size_t i = 0; i < text.size; i++) n += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return n;
}

static tm_view strip(tm_view text)
{
    const unsigned char *p = (const unsigned char *)text.data, *end = p + text.size;
    uint32_t c;
    while (p < end) {
        unsigned n = tm_utf8_decode(p, end, &c);
        if (!n || !(c < 0x80 ? ascii[c] == IS_SPACE : is_unicode_space(c))) break;
        p += n;
    }
    while (end > p) {
        const unsigned char *q = end - 1;
        while (q > p && (*q & 0xc0) == 0x80) q--;
        unsigned n = tm_utf8_decode(q, end, &c);
        if (!n || !(c < 0x80 ? ascii[c] == IS_SPACE : is_unicode_space(c))) break;
        end = q;
    }
    return tm_view_of(p, (size_t)(end - p));
}

static bool begins_with_bullet(tm_view line)
{
    static const uint32_t bullets[] = {0x2022, 0x2023, 0x2043, 0x204c, 0x204d, 0x2219,
                                       0x25cb, 0x25cf, 0x25d8, 0x25e6, 0x29be, 0x29bf};
    uint32_t c = 0;
    const unsigned char *p = (const unsigned char *)line.data;
    if (*p < 0x80 || !tm_utf8_decode(p, p + line.size, &c)) return false;
    for (size_t i = 0; i < sizeof bullets / sizeof *bullets; i++)
        if (c == bullets[i]) return true;
    return false;
}

static bool ends_with(tm_view text, tm_view end)
{
    return text.size >= end.size && !memcmp(text.data + text.size - end.size, end.data, end.size);
}

// The last bytes of all forms of ellipsis are few.
static bool ends_with_ellipsis(tm_view lower)
{
    if (!memchr(".])e\xa6\xbb", lower.data[lower.size - 1], 6)) return false;
    for (size_t i = 0; i < N_ELLIPSES; i++)
        if (ends_with(lower, ellipses[i])) return true;
    return false;
}

// A line, with its copy in lower case.
static bool add_line(tm_textstat *s, size_t start, size_t size)
{
    tm_view line = strip(tm_view_of(s->text.data + start, size));
    if (!line.size) return true;
    tm_view lower = tm_view_of(s->lower.data + (line.data - s->text.data), line.size);
    s->n_bullet_lines += begins_with_bullet(line);
    s->n_open_lines += !memchr(".?!\"'", line.data[line.size - 1], 5);
    s->n_ellipsis_lines += ends_with_ellipsis(lower);
    return add_span(&s->lines, start, size, count_chars(s, tm_view_of(s->text.data + start, size)));
}

static bool scan_lines(tm_textstat *s)
{
    for (size_t at = 0; at <= s->text.size;) {
        const char *end = at < s->text.size ? memchr(s->text.data + at, '\n', s->text.size - at) : NULL;
        size_t size = end ? (size_t)(end - s->text.data) - at : s->text.size - at;
        if (!add_line(s, at, size)) return false;
        at += size + 1;
    }
    return true;
}

// ---- paragraphs ----

static bool has(tm_view text, const char *what)
{
    return memmem(text.data, text.size, what, strlen(what)) != NULL;
}

// The phrases of the C4 and Curator lists; the longer ones among them that hold a shorter one need no row.
static bool is_policy(tm_view lower)
{
    static const char *const with_cookie[] = {
        "cookie policy",
        "uses cookies",
        "use of cookies",
        "use cookies",
        "privacy & cookies policy",
        "privacy and cookies policy",
        "necessary cookies are absolutely essential for the website to function properly. this category only "
        "includes cookies that ensures basic functionalities and security features of the website. these "
        "cookies "
        "do not store any personal information.",
        "any cookies that may not be particularly necessary for the website to function and is used "
        "specifically "
        "to collect user personal data via analytics, ads, other embedded contents are termed as "
        "non-necessary "
        "cookies. it is mandatory to procure user consent prior to running these cookies on your website.",
        ("if you continue to browse this site without changing your cookie settings, you agree to this use. "
         "acceptread more"),
    };
    if (has(lower, "privacy policy") || has(lower, "privacy overview") || has(lower, "terms of use"))
        return true;
    if (!has(lower, "cookie")) return false;
    for (size_t i = 0; i < sizeof with_cookie / sizeof *with_cookie; i++)
        if (has(lower, with_cookie[i])) return true;
    return false;
}

static bool scan_paragraphs(tm_textstat *s)
{
    tm_view lower = tm_buf_view(&s->lower);
    bool policies = has(lower, "privacy ") || has(lower, "cookie") || has(lower, "terms of use");
    s->has_lorem = has(lower, "lorem ipsum");
    for (size_t at = 0; at <= s->text.size;) {
        const char *end = at < s->text.size ? memmem(s->text.data + at, s->text.size - at, "\n\n", 2) : NULL;
        size_t size = end ? (size_t)(end - s->text.data) - at : s->text.size - at;
        tm_view text = tm_view_of(s->text.data + at, size);
        if (policies) s->n_policy_paragraphs += is_policy(tm_view_of(s->lower.data + at, size));
        if (!add_span(&s->paragraphs, at, size, count_chars(s, text))) return false;
        at += size + 2;
    }
    return true;
}

// ---- URLs ----

static bool is_url_char(unsigned char c)
{
    return (c < 0x80 && (ascii[c] & (IS_ALPHA | IS_DIGIT))) ||
           (c && c < 0x80 && strchr("$-_@.&+/:=?#~!*(),", c));
}

static bool is_hex(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

// Bytes of the URL at the start of `text`, 0 if there is none.
static size_t url_size(tm_view text)
{
    size_t at = text.size > 4 && text.data[4] == 's' ? 5 : 4;
    if (text.size < at + 4 || memcmp(text.data + at, "://", 3)) return 0;
    size_t start = at += 3;
    for (;;) {
        if (at < text.size && is_url_char((unsigned char)text.data[at]))
            at++;
        else if (at + 2 < text.size && text.data[at] == '%' && is_hex((unsigned char)text.data[at + 1]) &&
                 is_hex((unsigned char)text.data[at + 2]))
            at += 3;
        else
            break;
    }
    return at > start ? at : 0;
}

static void scan_urls(tm_textstat *s)
{
    tm_view left = s->text;
    const char *found;
    while (left.size && (found = memmem(left.data, left.size, "http", 4))) {
        left = tm_view_of(found, left.size - (size_t)(found - left.data));
        size_t size = url_size(left);
        s->n_url_chars += size;
        if (size && has(tm_view_of(left.data, size), "porn")) s->has_porn_url = true;
        size += !size;
        left = tm_view_of(left.data + size, left.size - size);
    }
}

// ---- all ----

static void make_lower(tm_textstat *s)
{
    tm_buf_reset(&s->lower);
    if (!tm_buf_reserve(&s->lower, s->text.size)) return;
    for (size_t i = 0; i < s->text.size; i++) {
        unsigned char c = (unsigned char)s->text.data[i];
        s->lower.data[i] = (char)(c + ((c >= 'A') & (c <= 'Z')) * 32);
    }
    s->lower.size = s->text.size;
    s->lower.data[s->lower.size] = 0;
}

tm_status tm_textstat_scan(tm_textstat *stat, tm_view text, tm_error *err)
{
    if (!text.size) text = tm_view_str("");
    tm_spans words = stat->words, lines = stat->lines, paragraphs = stat->paragraphs;
    tm_buf lower = stat->lower;
    words.count = lines.count = paragraphs.count = 0;
    *stat =
        (tm_textstat){.text = text, .words = words, .lines = lines, .paragraphs = paragraphs, .lower = lower};
    if (text.size >= UINT32_MAX)
        return tm_fail(err, TM_EINVAL, "document of %zu bytes, less than 4 GiB are measured", text.size);
    make_lower(stat);
    TM_TRY(tm_buf_status(&stat->lower, err));
    if (!scan_words(stat) || !scan_lines(stat) || !scan_paragraphs(stat))
        return tm_fail(err, TM_ENOMEM, "out of memory for the words of a document of %zu bytes", text.size);
    scan_urls(stat);
    return TM_OK;
}

void tm_textstat_clear(tm_textstat *stat)
{
    tm_free(stat->words.items);
    tm_free(stat->lines.items);
    tm_free(stat->paragraphs.items);
    tm_buf_clear(&stat->lower);
    *stat = (tm_textstat){0};
}
