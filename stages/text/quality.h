// SPDX-License-Identifier: Apache-2.0
// The heuristic quality filters, as a table: one row names a filter, says what it measures and the bounds
// within which a document is kept. Names, definitions and default bounds are those of NeMo Curator 1.4 (its
// English chain), which takes most of them from Gopher (Rae et al. 2021) and C4 (Raffel et al. 2020).
#pragma once

#include "stages/text/repetition.h"

// What a row's function sees.
typedef struct tm_quality_document {
    tm_textstat stat;
    tm_repetition repetition;
    tm_repetition_scratch *scratch;
} tm_quality_document;

typedef enum {
    TM_QUALITY_CHARACTERS, // needs the statistics only
    TM_QUALITY_REPETITION, // needs the repetition as well
} tm_quality_kind;

typedef struct tm_quality_filter {
    const char *name;     // option and score name: "non_alpha_numeric"
    const char *measures; // one line for help texts
    tm_quality_kind kind;
    bool english_only; // not in the chain for other languages
    double min, max;   // a document is kept when min <= score <= max
    double (*score)(const tm_quality_document *document);
} tm_quality_filter;

// The rows, in the order of Curator's chain.
extern const tm_quality_filter tm_quality_filters[];
extern const size_t tm_quality_filter_count;
const tm_quality_filter *tm_quality_find(const char *name); // NULL when there is none

// Measure a document once for all rows; `text` is valid UTF-8 and must stay until the scores are taken.
// A document without characters, words or lines scores so that every filter that divides by their number
// rejects it (where Curator divides by zero).
tm_status tm_quality_measure(tm_quality_document *document, tm_view text, bool repetition, tm_error *err);
void tm_quality_document_clear(tm_quality_document *document);

// Curator's SubstringFilter: whether the text begins with, ends with, or holds a string.
typedef enum { TM_SUBSTRING_PREFIX, TM_SUBSTRING_SUFFIX, TM_SUBSTRING_ANY } tm_substring_place;
bool tm_quality_substring(tm_view text, tm_view what, tm_substring_place place);
