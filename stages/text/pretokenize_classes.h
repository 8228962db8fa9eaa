// SPDX-License-Identifier: Apache-2.0
// Classes of characters as the patterns of pre-tokenizers know them: \p{L} \p{N} \s \p{M} of Unicode 16.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef enum {
    TM_CHAR_OTHER,
    TM_CHAR_LETTER,
    TM_CHAR_NUMBER,
    TM_CHAR_SPACE,
    TM_CHAR_MARK,
    TM_CHAR_NUMERIC,  // a number since Unicode 17: the Digits pre-tokenizer knows it, \p{N} does not
} tm_char_class;

#define TM_CHAR_BLOCKS 7173
extern const uint8_t tm_char_blocks[TM_CHAR_BLOCKS];
extern const uint64_t tm_char_words[];

static inline tm_char_class tm_char_class_of(uint32_t code)
{
    size_t block = code >> 7 < TM_CHAR_BLOCKS ? code >> 7 : TM_CHAR_BLOCKS - 1;
    return (tm_char_class)(tm_char_words[tm_char_blocks[block] * 8u + (code >> 4 & 7)] >> (code & 15) * 4 &
                           15);
}

// Length of the character at `s` and its code; 1 and UINT32_MAX where the bytes before `end` are no valid
// UTF-8 (overlong forms, surrogates and codes above 0x10FFFF are not).
static inline size_t tm_char_decode(const uint8_t *s, const uint8_t *end, uint32_t *code)
{
    size_t left = (size_t)(end - s);
    uint32_t a = s[0], b = left > 1 ? s[1] : 0, c = left > 2 ? s[2] : 0, d = left > 3 ? s[3] : 0;
    if (a < 0x80) return *code = a, 1;
    if (a >= 0xc2 && a < 0xe0 && (b & 0xc0) == 0x80) return *code = (a & 31) << 6 | (b & 63), 2;
    if ((a & 0xf0) == 0xe0 && (b & 0xc0) == 0x80 && (c & 0xc0) == 0x80) {
        uint32_t code3 = (a & 15) << 12 | (b & 63) << 6 | (c & 63);
        if (code3 >= 0x800 && (code3 < 0xd800 || code3 >= 0xe000)) return *code = code3, 3;
    }
    if (a >= 0xf0 && a < 0xf5 && (b & 0xc0) == 0x80 && (c & 0xc0) == 0x80 && (d & 0xc0) == 0x80) {
        uint32_t code4 = (a & 7) << 18 | (b & 63) << 12 | (c & 63) << 6 | (d & 63);
        if (code4 >= 0x10000 && code4 < 0x110000) return *code = code4, 4;
    }
    return *code = UINT32_MAX, 1;
}
