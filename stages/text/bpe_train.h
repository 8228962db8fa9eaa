// SPDX-License-Identifier: Apache-2.0
// Training of byte-level BPE: count the pieces of a stream of texts, then merge the most frequent pair again
// and again (Sennrich, Haddow & Birch 2016).
//
// The result is that of Hugging Face's BpeTrainer, entry for entry and merge for merge: special tokens first,
// then the 256 bytes in the order of their characters, then one entry a merge; of equally frequent pairs the
// one with the smaller ids goes first; a pair stops the training when it is rarer than `min_frequency`.
// It depends on the texts alone: not on their order, nor on how they are spread over counters. (Unlike
// BpeTrainer's, counts are 64 bits wide.)
#pragma once

#include "stages/text/bpe.h"

// Pieces and how often each came. Its memory grows with the number of different pieces, not with the text:
// about 60 bytes a piece. One thread a counter.
typedef struct tm_bpe_counter tm_bpe_counter;
tm_bpe_counter *tm_bpe_counter_new(tm_pretokenizer kind, bool nfc);  // NULL without memory
void tm_bpe_counter_free(tm_bpe_counter *counter);

// Count the pieces of one whole document. Special tokens in it are text.
tm_status tm_bpe_counter_add(tm_bpe_counter *counter, tm_view text, tm_error *err);
tm_status tm_bpe_counter_merge(tm_bpe_counter *into, const tm_bpe_counter *from, tm_error *err);
size_t tm_bpe_counter_pieces(const tm_bpe_counter *counter);  // different ones

typedef struct tm_bpe_training {
    size_t size;             // entries wanted, special tokens and bytes included; at least those are made
    uint64_t min_frequency;  // a pair must occur this often (1 at least)
    const tm_view *special;  // special tokens: ids 0.. in this order, repetitions once
    size_t n_special;
} tm_bpe_training;

// TM_EINVAL if the size is above TM_BPE_IDS_MAX; TM_ENOMEM. Fewer entries than `size` if the pairs run out.
tm_status tm_bpe_train(const tm_bpe_counter *counter, const tm_bpe_training *options, tm_bpe **bpe,
                       tm_error *err);
