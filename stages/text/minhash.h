// SPDX-License-Identifier: Apache-2.0
// Near duplicates by MinHash and banding (Broder 1997; Leskovec, Rajaraman & Ullman, Mining of Massive
// Datasets, chapter 3): documents whose sets of 5-word shingles overlap much share a band of their
// signatures.
//
// A text is put in lower case, punctuation is taken out, white space separates words. A shingle is five words
// in a row (all words of a text with fewer) and is hashed to 32 bits x; signature value i is the least of
// h_i(x) = (a_i x + b_i) >> 32 over the shingles, with a_i, b_i 64-bit constants drawn from the seed
// (multiply-shift, Dietzfelbinger 1996). 112 values make 14 bands of 8: texts with Jaccard similarity J meet
// in a band with probability 1 - (1 - J^8)^14, 0.92 at 0.8, 0.5 at 0.69.
//
// Signatures are the same bits on every processor; the fastest path it has is taken at run time, and the
// environment variable TM_CPU=base or avx2 hides the better ones.
#pragma once

#include "engine/base/bytes.h"

#define TM_MINHASH_VALUES 112
#define TM_MINHASH_BANDS 14
#define TM_MINHASH_ROWS 8
#define TM_MINHASH_WORDS 5

typedef struct tm_minhash tm_minhash; // the constants and the memory for one thread

tm_minhash *tm_minhash_new(uint64_t seed); // NULL without memory
void tm_minhash_free(tm_minhash *m);
const char *tm_minhash_path(const tm_minhash *m); // "base", "avx2" or "avx512"

// The signature of a text in UTF-8 (wrong bytes are passed over). A text without words has all values
// 0xffffffff and *n_shingles 0.
tm_status tm_minhash_sign(tm_minhash *m, tm_view text, uint32_t signature[TM_MINHASH_VALUES],
                          size_t *n_shingles, tm_error *err);

// The keys of the bands: equal keys in one band make two documents candidates.
void tm_minhash_bands(const uint32_t signature[TM_MINHASH_VALUES], uint64_t keys[TM_MINHASH_BANDS]);

// Share of equal values: an estimate of the Jaccard similarity (standard error 0.05 at most).
double tm_minhash_similarity(const uint32_t a[TM_MINHASH_VALUES], const uint32_t b[TM_MINHASH_VALUES]);

// The exact Jaccard similarity of the shingle sets of two texts (of their 32-bit hashes); 1 for two without
// words.
tm_status tm_minhash_jaccard(tm_minhash *m, tm_view a, tm_view b, double *similarity, tm_error *err);

// ---- clusters ----

// Collects the band keys of documents and joins those that share one. Holds 116 bytes a document while adding
// and 32 more while clustering.
typedef struct tm_minhash_index tm_minhash_index;

// Confirms a candidate pair, `a` < `b`, both numbers in order of adding: sets *same. NULL: every pair is the
// same.
typedef struct tm_minhash_check {
    tm_status (*same)(void *self, uint32_t a, uint32_t b, bool *same, tm_error *err);
    void *self;
} tm_minhash_check;

tm_minhash_index *tm_minhash_index_new(void);
void tm_minhash_index_free(tm_minhash_index *index);

// Adds the next document (numbers count up from 0, up to 2^32 - 2). One without shingles is never a
// duplicate: pass keys NULL.
tm_status tm_minhash_index_add(tm_minhash_index *index, const uint64_t keys[TM_MINHASH_BANDS], tm_error *err);
size_t tm_minhash_index_count(const tm_minhash_index *index);

// For every document the first of its cluster: first[i] == i is kept, the others are duplicates of first[i].
// A document is compared with the first 16 documents of its bucket that were not the same as an earlier one
// there, and joined to the first it is the same as. The result depends on the order of adding alone.
tm_status tm_minhash_index_cluster(const tm_minhash_index *index, const tm_minhash_check *check,
                                   uint32_t *first, tm_error *err);
