// SPDX-License-Identifier: Apache-2.0
// What the quality filters measure, counted in one pass over a document.
//
// Definitions are those of NeMo Curator 1.4: lengths are in code points; a word is a run without white space
// (of Unicode, as Python's str.split has it); a line counts when it holds more than white space; paragraphs
// are what stands between occurrences of two line ends.
#pragma once

#include "engine/base/bytes.h"

// A piece of the text, in bytes, and its code points.
typedef struct tm_span {
    uint32_t start, size, n_chars;
} tm_span;

typedef struct tm_spans {
    tm_span *items;
    size_t count, capacity;
} tm_spans;

typedef struct tm_textstat {
    tm_view text; // as given
    uint64_t n_chars;
    uint64_t n_alnum;    // of [a-zA-Z0-9\n?!,.]
    uint64_t n_digits;   // of [0-9]
    uint64_t n_white;    // space, tab, line end, carriage return, backspace
    uint64_t n_brackets; // {}[]() and the angle brackets U+27E8, U+27E9
    uint64_t n_url_chars;
    bool has_porn_url;       // "porn" inside a URL
    uint64_t n_word_chars;   // of all words
    uint32_t longest_word;   // code points
    uint64_t n_symbol_words; // an ellipsis, or runs of # for more than half of its characters
    uint64_t n_alpha_words;  // with a letter
    uint64_t n_common_words; // the be to of and that have with
    uint64_t n_bullet_lines; // begin with a bullet
    uint64_t n_open_lines;   // do not end in . ? ! " '
    uint64_t n_ellipsis_lines;
    uint64_t n_policy_paragraphs; // speak of cookies, privacy policies, terms of use
    bool has_lorem;               // "lorem ipsum"
    tm_spans words, lines, paragraphs;
    tm_buf lower; // the text with ASCII letters in lower case
} tm_textstat;

// Count a document of valid UTF-8, less than 4 GiB. `stat` is all zero or used before; it keeps its memory.
// The views inside point into `text`, which must stay.
tm_status tm_textstat_scan(tm_textstat *stat, tm_view text, tm_error *err);
void tm_textstat_clear(tm_textstat *stat);
