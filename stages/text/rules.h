// SPDX-License-Identifier: Apache-2.0
// Applying rows of the quality table to documents: what tm.gopher and tm.repetition share.
#pragma once

#include "stages/text/quality.h"
#include "stages/text/sift.h"

typedef struct tm_rules_options {
    tm_string_list without, bounds;
    bool english;
} tm_rules_options;

extern const tm_option tm_rules_option_rows[];  // of both stages

// A rule in force.
typedef struct tm_rule {
    const tm_quality_filter *filter;
    double min, max;
} tm_rule;

typedef struct tm_rules {
    tm_rule rules[64];
    size_t n;
    tm_quality_document document;
} tm_rules;

// Rows of one kind with the changes that the options ask for: `without` names rows to leave out, `bounds`
// changes those of a row ("word_count=20..100000", either end may be missing). `fault` (may be NULL) says
// what is wrong.
tm_status tm_rules_make(tm_rules *rules, const tm_rules_options *options, tm_quality_kind kind,
                        tm_option_fault *fault, tm_error *err);
void tm_rules_clear(tm_rules *rules);

// Keep or remove every document of a batch: the first rule that a document breaks is its reason.
tm_status tm_rules_apply(tm_rules *rules, tm_work *work, const char *stage, bool repetition,
                         const tm_batch *in, tm_batch *const *out, tm_error *err);
