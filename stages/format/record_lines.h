// SPDX-License-Identifier: Apache-2.0
// Records as lines of JSON for programs, and back: {"id", "text", "source", "meta"}; conversations have
// "messages" and preferences "prompt", "chosen" and "rejected" instead of "text" (stages/text/shape.h).
#pragma once

#include "engine/type.h"

typedef enum { TM_RECORD_TEXT, TM_RECORD_CHAT, TM_RECORD_PREFERENCE } tm_record_shape;

// "documents", "chat", "preference"; -1 for anything else.
int tm_record_shape_find(const char *name);

// Append one record and a newline; `meta` is always there, be it empty. TM_EFORMAT: its text is not what the
// shape says.
tm_status tm_record_write(const tm_doc *doc, tm_record_shape shape, tm_buf *line, tm_error *err);

// What a line says; views into `bytes`. `source` and `meta` have no data where the line does not name them.
typedef struct tm_record {
    tm_doc doc;
    tm_buf bytes;
} tm_record;

// TM_EFORMAT says what is wrong with the line. The record is cleared by tm_record_clear, also on failure; it
// may be used for line after line. A record without an id has none (size 0).
tm_status tm_record_read(tm_view line, tm_record_shape shape, tm_record *record, tm_error *err);
void tm_record_clear(tm_record *record);
