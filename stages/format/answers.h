// SPDX-License-Identifier: Apache-2.0
// What a program answered to the records of a chunk, brought back into their order.
//
// Answers name the record by its id and come in any order; a record may have none or several. One answer
// keeps the id, of several the n-th gets "#n" behind it; source and meta are the record's unless the answer
// has its own.
#pragma once

#include "engine/base/hash_map.h"
#include "stages/format/record_lines.h"

typedef struct tm_answers {
    struct tm_answer *items;
    size_t n, capacity;
    tm_hash_map rows;  // hash of an id -> row of the chunk
} tm_answers;

void tm_answers_clear(tm_answers *answers);

// Append the records of a chunk as lines, and remember their ids.
tm_status tm_answers_ask(tm_answers *answers, const tm_batch *in, tm_record_shape shape, tm_buf *lines,
                         tm_error *err);
// Take lines apart. TM_EFORMAT: the error has the number of the line and its beginning.
tm_status tm_answers_read(tm_answers *answers, tm_view output, tm_record_shape shape, tm_error *err);
// Bring them into order; call once, when all are read.
void tm_answers_sort(tm_answers *answers);
// Append the answers to row `row` to `out`; rows ascend from call to call. `*n` says how many there were,
// `*at` (0 at first) is where the next row goes on.
tm_status tm_answers_put(const tm_answers *answers, const tm_batch *in, size_t row, size_t *at, tm_batch *out,
                         size_t *n, tm_error *err);
