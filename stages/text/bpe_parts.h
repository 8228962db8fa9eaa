// SPDX-License-Identifier: Apache-2.0
// What the files of the byte-level BPE tokenizer share; nobody else includes this.
#pragma once

#include "stages/text/bpe.h"
#include "stages/text/bpe_strings.h"

typedef struct tm_bpe_token {
    tm_view text, bytes;  // {NULL, 0}: the id is not used
    bool special;
    bool spelled;  // the text is within the byte alphabet
    bool whole;    // a piece of these bytes is this token and nothing else
} tm_bpe_token;

typedef struct tm_bpe_rule {
    uint64_t pair;  // left << 32 | right; UINT64_MAX: empty
    uint32_t rank, id;
} tm_bpe_rule;

// Contents to look for, sorted as bytes, so that a search narrows a range byte by byte.
typedef struct tm_bpe_needles {
    struct tm_bpe_needle {
        tm_view key;  // content, or its normal form
        const tm_bpe_added *added;
    } * items;
    size_t n;
    bool first[256];  // bytes that a key begins with
    int only;         // the one byte that all begin with, or -1
} tm_bpe_needles;

struct tm_bpe {
    tm_bpe_spec spec;  // arrays owned, views into `texts`
    tm_strings texts;  // of the vocabulary, in its order; then of the added tokens that it lacks
    uint32_t *ids;     // of the texts
    tm_strings keys;   // what to look for in a text: contents of added tokens, normalized if they ask for it
    tm_buf bytes;      // of all tokens, in the order of their ids; 16 more can be read behind the last
    uint32_t *begins;  // by id, where a token's bytes begin in `bytes`; begins[size] is their end
    tm_bpe_token *tokens;  // by id
    size_t size;
    size_t longest;         // bytes of the longest token that is `whole`
    uint32_t of_byte[256];  // or TM_BPE_NONE
    tm_bpe_rule *rules;     // open addressing
    unsigned rule_shift;    // slot = hash >> shift
    size_t rule_mask;
    tm_bpe_needles raw, normal;  // added tokens to find before and after normalization
};

// The text of one byte in the byte alphabet; returns its size, 1 or 2.
size_t tm_bpe_spell_byte(unsigned byte, char utf8[2]);

// The rule that joins a pair, or one with rank TM_BPE_NONE.
static inline tm_bpe_rule tm_bpe_rule_of(const tm_bpe *bpe, uint32_t left, uint32_t right)
{
    uint64_t pair = (uint64_t)left << 32 | right;
    for (size_t i = pair * 0x9e3779b97f4a7c15u >> bpe->rule_shift;; i = (i + 1) & bpe->rule_mask)
        if (bpe->rules[i].pair == pair || bpe->rules[i].rank == TM_BPE_NONE) return bpe->rules[i];
}

// Merge the ids of one piece in place; returns how many are left. Up to TM_BPE_SHORT of them.
#define TM_BPE_SHORT 64
#define TM_BPE_RULES_MAX (1 << 24)
size_t tm_bpe_merge_short(const tm_bpe *bpe, uint32_t *ids, size_t n);

// The same for any length, with memory that grows as needed; 0 without memory (for n > 0, below 2^32).
typedef struct tm_bpe_heap {    // starts as {0}
    struct tm_bpe_site *sites;  // one a symbol
    uint64_t *joins;            // rank << 32 | site, a binary heap
    size_t n, capacity;         // joins; symbols there is room for
} tm_bpe_heap;
size_t tm_bpe_merge_long(const tm_bpe *bpe, tm_bpe_heap *heap, uint32_t *ids, size_t n);
void tm_bpe_heap_clear(tm_bpe_heap *heap);

// The added tokens of a text in order, as Hugging Face's added vocabulary finds them. Starts as
// {set, text, plain}; false at the end. A hit covers [begin, end) of the text and follows `gap`, the text
// since the hit before; after the last hit `gap` is the rest. `begin` can lie before the end of the last hit.
typedef struct tm_bpe_search {
    const tm_bpe_needles *needles;
    tm_view text;
    bool plain;
    size_t at;    // where to look next
    size_t done;  // the end of the last hit
    tm_view gap;
    uint32_t id;
} tm_bpe_search;
bool tm_bpe_search_next(tm_bpe_search *search);

// Sort the added tokens that are (not) `normalized` into a set; their keys are in bpe->keys. TM_ENOMEM.
tm_status tm_bpe_needles_fill(tm_bpe_needles *needles, const tm_bpe *bpe, bool normalized, tm_error *err);
