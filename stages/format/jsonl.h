// SPDX-License-Identifier: Apache-2.0
// JSON lines: one record per line, bounded and strict, and a bad line never ends the file.
//
// Lines are read through a callback (tm_archive_read fits, for plain, gzip and zstd files alike). Every line
// is checked as a whole: UTF-8 without overlong forms or surrogates, the JSON grammar of RFC 8259 with
// nothing added, nesting of at most 128, no lone surrogate escapes. Empty lines are passed over. A line that
// fails is given with its number and the reason. Values are views into the line; only strings with escapes
// are copied.
#pragma once

#include "engine/base/bytes.h"

// Up to `size` bytes; *got is 0 at the end only.
typedef tm_status tm_read_bytes(void *self, void *data, size_t size, size_t *got, tm_error *err);

typedef struct tm_jsonl_options {
    const char *id, *text, *source, *meta; // names of the fields; NULL: "id", "text", "source", "meta"
    bool any_shape;    // lines need no text field: for readers that take the line apart themselves
    size_t line_bytes; // 0: 64 MiB; a longer line is bad, and not kept in memory
} tm_jsonl_options;

// One line. Views are valid until the next call; data is NULL for a field the line does not have.
typedef struct tm_jsonl_row {
    uint64_t line;   // number, from 1
    uint64_t offset; // of its first byte in the stream
    tm_view bytes;   // the line without its end
    const char *bad; // why it cannot be used (a constant), or NULL
    size_t bad_at;   // where in the line
    tm_view id;      // decoded; the digits as they stand for a number
    tm_view text;    // decoded
    tm_view source;  // decoded
    tm_view meta;    // JSON object: the fields that have no other place, then the members of meta
} tm_jsonl_row;

typedef struct tm_jsonl tm_jsonl;

tm_status tm_jsonl_open(tm_jsonl **jsonl, tm_read_bytes *read, void *self, const tm_jsonl_options *options,
                        tm_error *err);

// The next line that is not empty, good or bad; TM_DONE after the last. Fails only when reading or memory
// does.
tm_status tm_jsonl_next(tm_jsonl *jsonl, tm_jsonl_row *row, tm_error *err);
void tm_jsonl_close(tm_jsonl *jsonl); // NULL is fine

// ---- the scanner underneath ----

typedef struct tm_json_error {
    const char *why; // a constant
    size_t at;       // byte offset
} tm_json_error;

// Called for each member of the top-level object: its key without quotes (escapes as they stand) and its
// value as it stands, quotes included. Returns a reason to stop, or NULL.
typedef const char *tm_json_member(void *self, tm_view key, tm_view value);

// Checks that `text` is one JSON object (white space around it allowed) of valid UTF-8, calling `member` for
// each of its members. False with the reason in `error`.
bool tm_json_object(tm_view text, tm_json_member *member, void *self, tm_json_error *error);

// The value of a checked JSON string, quotes included: a view into it when it has no escapes, else decoded
// and added to `out`, which must have room for value.size bytes (decoding never makes it longer).
tm_view tm_json_string(tm_view value, tm_buf *out);

// Whether a member's key is `name`, escapes considered.
bool tm_json_key_is(tm_view key, const char *name);
