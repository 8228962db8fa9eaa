// SPDX-License-Identifier: Apache-2.0
// Scanners for the known pre-tokenizer patterns.
//
// `classify` is the only place that knows characters; everything above it works on classes. A scanner gets
// its rule as a constant, so that the compiler makes one loop a kind.
#include "stages/text/pretokenize.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "stages/text/pretokenize_classes.h"

#define GPT2_PATTERN "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define LETTERS_PATTERN(letters, digits, others)                                                             \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?" letters "+|\\p{N}" digits "| ?" others             \
    "+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

typedef struct rule {
    bool gpt2;          // GPT-2's alternatives
    bool digits_apart;  // numbers are cut out before the pattern sees the text
    bool marks;         // combining marks are letters
    unsigned n_digits;  // Llama 3's alternatives, with numbers up to this long
} rule;

// kind, name, pattern, rule
#define KINDS(X)                                                                                             \
    X(WHOLE, "whole", NULL, .gpt2 = false)                                                                   \
    X(GPT2, "gpt2", GPT2_PATTERN, .gpt2 = true)                                                              \
    X(LLAMA3, "llama3", LETTERS_PATTERN("\\p{L}", "{1,3}", "[^\\s\\p{L}\\p{N}]"), .n_digits = 3)             \
    X(QWEN2, "qwen2", LETTERS_PATTERN("\\p{L}", "", "[^\\s\\p{L}\\p{N}]"), .n_digits = 1)                    \
    X(QWEN35, "qwen3.5", LETTERS_PATTERN("[\\p{L}\\p{M}]", "", "[^\\s\\p{L}\\p{M}\\p{N}]"), .n_digits = 1,   \
      .marks = true)                                                                                         \
    X(SMOLLM2, "smollm2", NULL, .gpt2 = true, .digits_apart = true)

static const struct {
    const char *name, *pattern;
} kinds[] = {
#define ROW(kind, name, pattern, ...) [TM_PRETOKENIZE_##kind] = {name, pattern},
    KINDS(ROW)
#undef ROW
};
_Static_assert(sizeof kinds / sizeof *kinds == TM_PRETOKENIZERS, "one row a kind");

#define O TM_CHAR_OTHER
#define L TM_CHAR_LETTER
#define N TM_CHAR_NUMBER
#define S TM_CHAR_SPACE
static const uint8_t ascii[128] = {
    O, O, O, O, O, O, O, O, O, S, S, S, S, S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
    S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, N, N, N, N, N, N, N, N, N, N, O, O, O, O, O, O,
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O,
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O,
};
#undef O
#undef L
#undef N
#undef S

typedef const uint8_t *bytes;

// Not inlined: characters beyond ASCII are the slow path.
static __attribute__((noinline)) unsigned classify_wide(bytes p, bytes end, bytes *next)
{
    uint32_t code;
    *next = p + tm_char_decode(p, end, &code);
    return code == UINT32_MAX ? TM_CHAR_OTHER : tm_char_class_of(code);
}

// One of OTHER, LETTER, NUMBER, SPACE, as the rule sees the character.
static inline unsigned classify(rule r, bytes p, bytes end, bytes *next)
{
    if (*p < 128) return *next = p + 1, ascii[*p];
    unsigned class = classify_wide(p, end, next);
    if (class == TM_CHAR_MARK) return r.marks ? TM_CHAR_LETTER : TM_CHAR_OTHER;
    if (class == TM_CHAR_NUMERIC) return r.digits_apart ? TM_CHAR_NUMBER : TM_CHAR_OTHER;
    return class;
}

// Behind the ASCII letters at `p`.
static inline bytes skip_ascii_letters(bytes p, bytes end)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        __m128i x = _mm_or_si128(_mm_loadu_si128((const __m128i *)p), _mm_set1_epi8(0x20));
        __m128i t = _mm_sub_epi8(x, _mm_set1_epi8('a'));
        int letters = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(t, _mm_set1_epi8(25)), t));
        if (letters != 0xffff) return p + __builtin_ctz(~(unsigned)letters);
        p += 16;
    }
#endif
    while (p < end && (unsigned)(*p | 0x20) - 'a' < 26) p++;
    return p;
}

// Behind the run of one class at `p`.
static inline bytes skip_run(rule r, unsigned class, bytes p, bytes end)
{
    while (p < end) {
        if (class == TM_CHAR_LETTER) {
            p = skip_ascii_letters(p, end);
            if (p == end || *p < 128) return p;
        }
        bytes next;
        if (classify(r, p, end, &next) != class) return p;
        p = next;
    }
    return p;
}

static inline bool is_newline(uint8_t c)
{
    return c == '\n' || c == '\r';
}

// Length of 's 't 're 've 'm 'll 'd at the apostrophe `p`, or 0. In any case, "long s" is an s as well.
static size_t contraction(bytes p, bytes end, bool any_case)
{
    size_t left = (size_t)(end - p);
    unsigned fold = any_case ? 0x20 : 0;
    unsigned a = left > 1 ? p[1] | fold : 0, b = left > 2 ? p[2] | fold : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
    if (any_case && left > 2 && p[1] == 0xc5 && p[2] == 0xbf) return 3;
    return 0;
}

// White space at `p`, whose first character ends at `next`: the last one goes to the piece behind the run, if
// there is one, unless it is the only one.
static inline bytes space_piece(rule r, bytes p, bytes next, bytes end)
{
    bytes last = p, at = next;
    while (at < end) {
        unsigned class = classify(r, at, end, &next);
        if (class == TM_CHAR_NUMBER && r.digits_apart) return at;
        if (class != TM_CHAR_SPACE) return last > p ? last : at;
        last = at;
        at = next;
    }
    return end;
}

static inline bytes next_gpt2(rule r, bytes p, bytes end)
{
    bytes next, after;
    if (*p == '\'') {
        size_t n = contraction(p, end, false);
        if (n) return p + n;
    }
    unsigned class = classify(r, p, end, &next);
    if (*p == ' ' && next < end) {
        unsigned second = classify(r, next, end, &after);
        if (second != TM_CHAR_SPACE && !(second == TM_CHAR_NUMBER && r.digits_apart))
            return skip_run(r, second, after, end);
    }
    if (class == TM_CHAR_SPACE) return space_piece(r, p, next, end);
    if (class == TM_CHAR_NUMBER && r.digits_apart) return next;
    return skip_run(r, class, next, end);
}

// A run of white space with a newline in it ends behind its last newline.
static inline bytes space_piece_lines(rule r, bytes p, bytes next, bytes end)
{
    bytes first = next, at = next, newline = is_newline(*p) ? next : NULL;
    while (at < end && classify(r, at, end, &next) == TM_CHAR_SPACE) {
        if (is_newline(*at)) newline = next;
        at = next;
    }
    return newline ? newline : space_piece(r, p, first, end);
}

static inline bytes next_llama(rule r, bytes p, bytes end)
{
    bytes next, after = NULL;
    if (*p == '\'') {
        size_t n = contraction(p, end, true);
        if (n) return p + n;
    }
    unsigned class = classify(r, p, end, &next);
    if (class == TM_CHAR_LETTER) return skip_run(r, TM_CHAR_LETTER, next, end);
    if (class == TM_CHAR_NUMBER) {
        for (unsigned i = 1; i < r.n_digits && next < end; i++) {
            if (classify(r, next, end, &after) != TM_CHAR_NUMBER) break;
            next = after;
        }
        return next;
    }
    unsigned second = next < end ? classify(r, next, end, &after) : (unsigned)TM_CHAR_SPACE;
    if (second == TM_CHAR_LETTER && !is_newline(*p)) return skip_run(r, TM_CHAR_LETTER, after, end);
    if (class == TM_CHAR_OTHER || (*p == ' ' && second == TM_CHAR_OTHER)) {
        next = skip_run(r, TM_CHAR_OTHER, next, end);
        while (next < end && is_newline(*next)) next++;
        return next;
    }
    return space_piece_lines(r, p, next, end);
}

static inline bytes next_piece(rule r, bytes p, bytes end)
{
    return r.gpt2 ? next_gpt2(r, p, end) : r.n_digits ? next_llama(r, p, end) : end;
}

static inline size_t scan(rule r, tm_view text, size_t *at, size_t *ends, size_t capacity)
{
    bytes begin = (bytes)text.data, end = begin + text.size, p = begin + *at;
    size_t n = 0;
    for (; n < capacity && p < end; n++) {
        p = next_piece(r, p, end);
        ends[n] = (size_t)(p - begin);
    }
    *at = (size_t)(p - begin);
    return n;
}

size_t tm_pretokenize(tm_pretokenizer kind, tm_view text, size_t *at, size_t *ends, size_t capacity)
{
    switch (kind) {
#define CASE(kind, name, pattern, ...)                                                                       \
    case TM_PRETOKENIZE_##kind: return scan((rule){__VA_ARGS__}, text, at, ends, capacity);
        KINDS(CASE)
#undef CASE
    }
    return 0;
}

size_t tm_pretokenize_next(tm_pretokenizer kind, tm_view text, size_t at)
{
    size_t end = at;
    tm_pretokenize(kind, text, &at, &end, 1);
    return end;
}

const char *tm_pretokenizer_name(tm_pretokenizer kind)
{
    return (unsigned)kind < TM_PRETOKENIZERS ? kinds[kind].name : NULL;
}

const char *tm_pretokenizer_pattern(tm_pretokenizer kind)
{
    return (unsigned)kind < TM_PRETOKENIZERS ? kinds[kind].pattern : NULL;
}

bool tm_pretokenizer_find(tm_view name, tm_pretokenizer *kind)
{
    for (unsigned i = 0; i < TM_PRETOKENIZERS; i++) {
        if (!tm_view_eq(name, tm_view_str(kinds[i].name))) continue;
        *kind = (tm_pretokenizer)i;
        return true;
    }
    return false;
}

bool tm_pretokenizer_of_pattern(tm_view pattern, tm_pretokenizer *kind)
{
    for (unsigned i = 0; i < TM_PRETOKENIZERS; i++) {
        if (!kinds[i].pattern || !tm_view_eq(pattern, tm_view_str(kinds[i].pattern))) continue;
        *kind = (tm_pretokenizer)i;
        return true;
    }
    return false;
}
