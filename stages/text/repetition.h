// SPDX-License-Identifier: Apache-2.0
// How much of a document repeats itself (Rae et al. 2021, Gopher, table A1), as NeMo Curator 1.4 counts it.
//
// All shares are of code points. n-grams are of words joined by one space; `top[n]` is the share of the text
// that goes when every occurrence of the most frequent n-gram is deleted from it (occurrences as a string, so
// also inside longer words); `duplicate[n]` is the share in n-grams seen before, overlaps counted once.
// Unlike Curator, which takes any of the most frequent n-grams when several are equally frequent, this takes
// the one that occurs first.
#pragma once

#include "stages/text/textstat.h"

#define TM_REPETITION_TOP 4        // top n-grams for n = 2..4
#define TM_REPETITION_DUPLICATE 10 // duplicate n-grams for n = 5..10

typedef struct tm_repetition {
    double unique_lines, unique_paragraphs;           // distinct / all
    double unique_line_chars, unique_paragraph_chars; // the same, weighted by length
    double top[TM_REPETITION_TOP + 1];                // [2..4]; 1 for fewer words than n
    double duplicate[TM_REPETITION_DUPLICATE + 1];    // [5..10]; 1 for fewer words than n
} tm_repetition;

// Memory that is used again from document to document.
typedef struct tm_repetition_scratch tm_repetition_scratch;
tm_repetition_scratch *tm_repetition_scratch_new(void); // NULL without memory
void tm_repetition_scratch_free(tm_repetition_scratch *scratch);

// Measure a document that tm_textstat_scan has counted. A document without lines or characters has unique
// shares of 0 and repeated shares of 1: the filters reject it. Time is linear in its size.
tm_status tm_repetition_measure(const tm_textstat *stat, tm_repetition_scratch *scratch, tm_repetition *out,
                                tm_error *err);
