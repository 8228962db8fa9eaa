// SPDX-License-Identifier: Apache-2.0
// Which language a text is in, by CLD2 (Sites 2013, Compact Language Detector 2): quadgram statistics, 83
// languages in the tables the library is built with. Deterministic; the library's tables decide the answer.
#pragma once

#include "engine/base/bytes.h"

typedef struct tm_language {
    char code[16];      // ISO 639 code, with a script for some ("en", "zh-Hant"); "un" when unknown
    double probability; // share of the text in this language, 0..1 (CLD2 gives whole percents)
    bool reliable;      // CLD2's own judgement
    size_t n_bytes;     // of letters that were looked at
} tm_language;

// The main language of valid UTF-8 text; invalid text is cut at the first bad byte. Text beyond 1 MiB is not
// looked at. Never fails: a text without letters is "un", with probability 0.
void tm_language_detect(tm_view text, tm_language *language);

// The codes that tm_language_detect can give: fills a list that ends with NULL; `codes` has room for
// TM_LANGUAGES.
#define TM_LANGUAGES 700
void tm_language_codes(const char *codes[TM_LANGUAGES]);
