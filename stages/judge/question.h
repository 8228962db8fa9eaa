// SPDX-License-Identifier: Apache-2.0
// Questions with choices, read from records.
//
// The prompt is a pattern: {text} stands for the text of the record, {NAME} for a field of its meta, {{ for a
// brace. A record without choices, or whose answer is none of them, is left out and counted.
#pragma once

#include "stages/judge/texts.h"

typedef struct tm_question_options {
    const char *prompt, *choices, *answer, *between;
} tm_question_options;

typedef struct tm_question {
    char *prompt;
    char **choices;
    size_t *lengths; // of the choices, in characters; at least 1
    size_t n_choices, answer;
} tm_question;

typedef struct tm_questions {
    tm_question *items;
    size_t n;
} tm_questions;

// TM_EINVAL: there is not one that can be used, or the pattern has a brace that is not closed.
tm_status tm_questions_read(tm_questions *questions, const tm_texts *texts,
                            const tm_question_options *options, tm_work *work, tm_error *err);
void tm_questions_clear(tm_questions *questions);

// Append the pattern with its fields put in. TM_ENOENT names the field that the record lacks.
tm_status tm_pattern_fill(const char *pattern, const tm_doc *doc, const json_t *meta, tm_buf *out,
                          tm_error *err);
