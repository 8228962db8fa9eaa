// SPDX-License-Identifier: Apache-2.0
// Pre-tokenizers: cut text into the pieces that byte-level BPE merges within.
//
// Each kind is a hand-written scanner with exactly the result that the pattern has in Oniguruma (leftmost,
// ordered alternation, backtracking; Unicode 16 classes), without recursion and in linear time. Every byte of
// a text belongs to one piece, and where a piece ends depends only on the text from its first byte on.
// A byte that is not part of valid UTF-8 counts as one character that is no letter, number or white space.
#pragma once

#include "engine/base/bytes.h"

typedef enum {
    TM_PRETOKENIZE_WHOLE,    // no cutting: a text is one piece
    TM_PRETOKENIZE_GPT2,     // GPT-2: contractions, ` ?` and a run of letters, numbers or others
    TM_PRETOKENIZE_LLAMA3,   // Llama 3: contractions in any case, newlines apart, numbers by three digits
    TM_PRETOKENIZE_QWEN2,    // Qwen 2 and 3: as Llama 3, every digit alone
    TM_PRETOKENIZE_QWEN35,   // Qwen 3.5: as Qwen 2, combining marks count as letters
    TM_PRETOKENIZE_SMOLLM2,  // SmolLM2: every digit alone (Unicode 17 numbers), then GPT-2 between them
} tm_pretokenizer;

#define TM_PRETOKENIZERS 6

// A short name ("gpt2", "llama3", ...), as options spell it; false (or NULL) if there is none.
const char *tm_pretokenizer_name(tm_pretokenizer kind);
bool tm_pretokenizer_find(tm_view name, tm_pretokenizer *kind);

// The pattern of a Split pre-tokenizer (GPT-2's is the built-in one of ByteLevel); NULL for WHOLE and
// SMOLLM2, which have none of their own. The way back knows these exact strings and no other.
const char *tm_pretokenizer_pattern(tm_pretokenizer kind);
bool tm_pretokenizer_of_pattern(tm_view pattern, tm_pretokenizer *kind);

// Where the piece that begins at `at` (< text.size) ends.
size_t tm_pretokenize_next(tm_pretokenizer kind, tm_view text, size_t at);

// The ends of up to `capacity` pieces from `*at` on; moves `*at` behind the last and returns how many (0 at
// the end of the text).
size_t tm_pretokenize(tm_pretokenizer kind, tm_view text, size_t *at, size_t *ends, size_t capacity);
