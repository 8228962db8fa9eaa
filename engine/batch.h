// SPDX-License-Identifier: Apache-2.0
// Records in memory: named columns of equal length, reference-counted, and their canonical bytes.
//
// A batch is what flows between stages; its canonical encoding is what is hashed and stored as a chunk.
// The encoding holds no addresses, capacities or times, so equal records give equal bytes everywhere:
//
//   "TMB1" | u32 columns | u64 rows | column...
//   column: u8 kind | u8 name length | name | payload
//   payload of a fixed column: rows x 8 bytes; of a variable one: rows x u32 lengths, then the elements.
//
// All integers are little-endian. A batch that others can see is never changed.
#pragma once

#include "engine/base/bytes.h"

typedef enum {
    TM_COL_BYTES = 1,  // any bytes (text is UTF-8)
    TM_COL_U32S = 2,   // a list of u32 per row
    TM_COL_I64 = 3,
    TM_COL_F64 = 4,
} tm_col_kind;

typedef struct tm_col {
    const char *name;
    tm_col_kind kind;
} tm_col;

typedef struct tm_batch tm_batch;

// A batch with these columns and no rows (`cols` must outlive it: schemas are constants). NULL without
// memory.
tm_batch *tm_batch_new(const tm_col *cols, size_t n_cols);
tm_batch *tm_batch_ref(tm_batch *batch);
void tm_batch_unref(tm_batch *batch);  // NULL is ignored

size_t tm_batch_rows(const tm_batch *batch);
size_t tm_batch_bytes(const tm_batch *batch);  // of the elements, without overhead

// One row is one add to every column, in any order, then tm_batch_row() to close it. A failed allocation is
// remembered and reported by tm_batch_row.
void tm_batch_add_bytes(tm_batch *batch, size_t col, tm_view value);
void tm_batch_add_u32s(tm_batch *batch, size_t col, const uint32_t *values, size_t n);
void tm_batch_add_i64(tm_batch *batch, size_t col, int64_t value);
void tm_batch_add_f64(tm_batch *batch, size_t col, double value);
tm_status tm_batch_row(tm_batch *batch, tm_error *err);

// Borrowed views, valid while the batch lives.
tm_view tm_batch_get_bytes(const tm_batch *batch, size_t col, size_t row);
const uint32_t *tm_batch_get_u32s(const tm_batch *batch, size_t col, size_t row, size_t *n);
int64_t tm_batch_get_i64(const tm_batch *batch, size_t col, size_t row);
double tm_batch_get_f64(const tm_batch *batch, size_t col, size_t row);

// Append row `row` of `from` (same schema) to `batch`.
tm_status tm_batch_copy_row(tm_batch *batch, const tm_batch *from, size_t row, tm_error *err);

tm_status tm_batch_encode(const tm_batch *batch, tm_buf *out, tm_error *err);
// The schema must be the expected one; TM_EFORMAT names what differs.
tm_status tm_batch_decode(tm_view bytes, const tm_col *cols, size_t n_cols, tm_batch **batch, tm_error *err);
