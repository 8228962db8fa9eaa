// SPDX-License-Identifier: Apache-2.0
// Answers as they are compared: what of a text is the answer, and what of it does not count.
#pragma once

#include "engine/base/bytes.h"

typedef enum {
    TM_ANSWER_WHOLE,
    TM_ANSWER_GSM8K, // the number behind the last "####"
    TM_ANSWER_LAST_NUMBER,
    TM_ANSWER_LAST_LINE, // that is not empty
} tm_answer_part;
#define TM_ANSWER_PARTS "whole gsm8k last_number last_line"

typedef enum {
    TM_NORMAL_NONE,
    TM_NORMAL_TRIM,  // without white space at both ends
    TM_NORMAL_WORDS, // lower case, no punctuation, no a, an, the; one space between words (as for SQuAD)
} tm_normal;
#define TM_NORMALS "none trim words"

// By name; -1: none of these.
int tm_answer_part_find(const char *name);
int tm_normal_find(const char *name);

// Append the part of `text` that is the answer, normalised. Numbers are written in one way: no "$",
// thousands' commas, leading "+", ".0" or dot at the end. False: there is no such part. Letters are those of
// ASCII.
bool tm_answer_text(tm_view text, tm_answer_part part, tm_normal normal, tm_buf *out);
