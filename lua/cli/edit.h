// SPDX-License-Identifier: Apache-2.0
// How one text becomes another, line by line or word by word: a shortest edit script (Myers 1986), over the
// hashes of the pieces.
#pragma once

#include "engine/base/bytes.h"

typedef enum { TM_EDIT_SAME, TM_EDIT_OUT, TM_EDIT_IN } tm_edit_kind;

// A piece and what becomes of it. `line` counts from 1: of an OUT piece in the first text, else in the
// second.
typedef struct tm_edit {
    tm_edit_kind kind;
    tm_view piece;
    size_t line;
} tm_edit;

// *edits (tm_free) views into the texts. A piece is a line with its end, or with `words` a word with the
// blanks behind it. Texts that are too different (over 2000 edits) are one that goes and one that comes.
tm_status tm_edit_texts(tm_view before, tm_view after, bool words, tm_edit **edits, size_t *n, tm_error *err);
