// SPDX-License-Identifier: Apache-2.0
// What the two scanners share: the rules of the kinds, and the classes of characters as a rule sees them.
//
// A scanner gets its rule as a constant, so that the compiler makes one loop a kind.
#pragma once

#include "stages/text/pretokenize.h"
#include "stages/text/pretokenize_classes.h"

typedef struct rule {
    bool gpt2;          // GPT-2's alternatives
    bool digits_apart;  // numbers are cut out before the pattern sees the text
    bool marks;         // combining marks are letters
    unsigned n_digits;  // Llama 3's alternatives, with numbers up to this long
} rule;

#define GPT2_PATTERN "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define LETTERS_PATTERN(letters, digits, others)                                                             \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?" letters "+|\\p{N}" digits "| ?" others             \
    "+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

// kind, name, pattern, fields of its rule
#define TM_PRETOKENIZER_KINDS(X)                                                                             \
    X(WHOLE, "whole", NULL, .gpt2 = false)                                                                   \
    X(GPT2, "gpt2", GPT2_PATTERN, .gpt2 = true)                                                              \
    X(LLAMA3, "llama3", LETTERS_PATTERN("\\p{L}", "{1,3}", "[^\\s\\p{L}\\p{N}]"), .n_digits = 3)             \
    X(QWEN2, "qwen2", LETTERS_PATTERN("\\p{L}", "", "[^\\s\\p{L}\\p{N}]"), .n_digits = 1)                    \
    X(QWEN35, "qwen3.5", LETTERS_PATTERN("[\\p{L}\\p{M}]", "", "[^\\s\\p{L}\\p{M}\\p{N}]"), .n_digits = 1,   \
      .marks = true)                                                                                         \
    X(SMOLLM2, "smollm2", NULL, .gpt2 = true, .digits_apart = true)

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

static inline bool is_newline(uint8_t c)
{
    return c == '\n' || c == '\r';
}

// Length of 's 't 're 've 'm 'll 'd at the apostrophe `p`, or 0. In any case, "long s" is an s as well.
static inline size_t contraction(bytes p, bytes end, bool any_case)
{
    size_t left = (size_t)(end - p);
    unsigned fold = any_case ? 0x20 : 0;
    unsigned a = left > 1 ? p[1] | fold : 0, b = left > 2 ? p[2] | fold : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
    if (any_case && left > 2 && p[1] == 0xc5 && p[2] == 0xbf) return 3;
    return 0;
}

// Many pieces at once, 64 bytes at a time: as tm_pretokenize, for a capacity of 64 at least, and every kind
// but WHOLE.
size_t tm_pretokenize_blocks(tm_pretokenizer kind, tm_view text, size_t *at, size_t *ends, size_t capacity);
