// SPDX-License-Identifier: Apache-2.0
// What templates do with text: Python's string methods on UTF-8.
#pragma once

#include "stages/text/template_value.h"

// Without characters of `chars` (NULL: white space as Python has it) at its ends: a part of `text`.
tm_view tm_text_strip(tm_view text, const tm_view *chars, bool left, bool right);
// Where `part` begins in `text` at or behind byte `from`, or SIZE_MAX.
size_t tm_text_find(tm_view text, tm_view part, size_t from);
bool tm_text_starts(tm_view text, tm_view part);
bool tm_text_ends(tm_view text, tm_view part);
// Byte offset of code point `point` (the end for those behind it).
size_t tm_text_at(tm_view text, size_t point);

typedef enum { TM_CASE_UPPER, TM_CASE_LOWER, TM_CASE_TITLE, TM_CASE_CAPITALIZE } tm_text_case;

// TM_EUNSUPPORTED for the few letters whose other case is several letters.
tm_status tm_text_recase(tm_view text, tm_text_case to, tm_buf *out, tm_error *err);
// At most `count` of them (negative: all).
void tm_text_replace(tm_view text, tm_view old, tm_view new, int64_t count, tm_buf *out);
// Parts between `separator` (NULL: runs of white space), at most `count` cuts (negative: all), counted from
// the left or from the right.
tm_status tm_text_split(tm_tarena *arena, tm_view text, const tm_view *separator, int64_t count, bool right,
                        tm_tval *list, tm_error *err);
