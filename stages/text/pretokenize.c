// SPDX-License-Identifier: Apache-2.0
// The scanner that goes piece by piece: the readable form of the rules, for single pieces and short texts.
// (pretokenize_blocks.c does the same for long ones.)
#include "stages/text/pretokenize.h"

#include "stages/text/pretokenize_rule.h"

static const struct {
    const char *name, *pattern;
} kinds[] = {
#define ROW(kind, name, pattern, ...) [TM_PRETOKENIZE_##kind] = {name, pattern},
    TM_PRETOKENIZER_KINDS(ROW)
#undef ROW
};
_Static_assert(sizeof kinds / sizeof *kinds == TM_PRETOKENIZERS, "one row a kind");

// Behind the run of one class at `p`.
static inline bytes skip_run(rule r, unsigned class, bytes p, bytes end)
{
    while (p < end) {
        bytes next;
        if (classify(r, p, end, &next) != class) return p;
        p = next;
    }
    return p;
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
    if (kind != TM_PRETOKENIZE_WHOLE && capacity >= 64 && text.size - *at >= 64)
        return tm_pretokenize_blocks(kind, text, at, ends, capacity);
    switch (kind) {
#define CASE(kind, name, pattern, ...)                                                                       \
    case TM_PRETOKENIZE_##kind: return scan((rule){__VA_ARGS__}, text, at, ends, capacity);
        TM_PRETOKENIZER_KINDS(CASE)
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
