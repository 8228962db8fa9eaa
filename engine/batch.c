// SPDX-License-Identifier: Apache-2.0
// Columnar batches and their canonical encoding.
#include "engine/batch.h"

#include <stdatomic.h>

typedef struct column {
    tm_buf data;
    tm_buf ends;  // u64 end offsets of variable columns, in bytes
    size_t rows;
} column;

struct tm_batch {
    atomic_int refs;
    const tm_col *cols;
    size_t n_cols, rows;
    column columns[];
};

static bool variable(tm_col_kind kind)
{
    return kind == TM_COL_BYTES || kind == TM_COL_U32S;
}

tm_batch *tm_batch_new(const tm_col *cols, size_t n_cols)
{
    tm_batch *batch = tm_calloc(1, sizeof *batch + n_cols * sizeof(column));
    if (!batch) return NULL;
    atomic_init(&batch->refs, 1);
    batch->cols = cols;
    batch->n_cols = n_cols;
    return batch;
}

tm_batch *tm_batch_ref(tm_batch *batch)
{
    atomic_fetch_add(&batch->refs, 1);
    return batch;
}

void tm_batch_unref(tm_batch *batch)
{
    if (!batch || atomic_fetch_sub(&batch->refs, 1) != 1) return;
    for (size_t i = 0; i < batch->n_cols; i++) {
        tm_buf_clear(&batch->columns[i].data);
        tm_buf_clear(&batch->columns[i].ends);
    }
    tm_free(batch);
}

size_t tm_batch_rows(const tm_batch *batch)
{
    return batch->rows;
}

size_t tm_batch_bytes(const tm_batch *batch)
{
    size_t sum = 0;
    for (size_t i = 0; i < batch->n_cols; i++) sum += batch->columns[i].data.size;
    return sum;
}

static void add(tm_batch *batch, size_t col, tm_col_kind kind, const void *data, size_t size)
{
    tm_assert(col < batch->n_cols && batch->cols[col].kind == kind);
    column *c = &batch->columns[col];
    tm_assert(c->rows == batch->rows);
    tm_buf_add(&c->data, data, size);
    if (variable(kind)) tm_buf_le64(&c->ends, c->data.size);
    c->rows++;
}

void tm_batch_add_bytes(tm_batch *batch, size_t col, tm_view value)
{
    add(batch, col, TM_COL_BYTES, value.data, value.size);
}

void tm_batch_add_u32s(tm_batch *batch, size_t col, const uint32_t *values, size_t n)
{
    add(batch, col, TM_COL_U32S, values, n * sizeof *values);
}

void tm_batch_add_i64(tm_batch *batch, size_t col, int64_t value)
{
    add(batch, col, TM_COL_I64, &value, sizeof value);
}

void tm_batch_add_f64(tm_batch *batch, size_t col, double value)
{
    add(batch, col, TM_COL_F64, &value, sizeof value);
}

tm_status tm_batch_row(tm_batch *batch, tm_error *err)
{
    for (size_t i = 0; i < batch->n_cols; i++) {
        tm_assert(batch->columns[i].rows == batch->rows + 1);
        TM_TRY(tm_buf_status(&batch->columns[i].data, err));
        TM_TRY(tm_buf_status(&batch->columns[i].ends, err));
    }
    batch->rows++;
    return TM_OK;
}

static tm_view get(const tm_batch *batch, size_t col, size_t row, tm_col_kind kind)
{
    tm_assert(col < batch->n_cols && batch->cols[col].kind == kind && row < batch->rows);
    const column *c = &batch->columns[col];
    if (!variable(kind)) return (tm_view){c->data.data + row * 8, 8};
    uint64_t begin = row ? tm_le64(c->ends.data + (row - 1) * 8) : 0;
    uint64_t end = tm_le64(c->ends.data + row * 8);
    return (tm_view){c->data.data + begin, end - begin};
}

tm_view tm_batch_get_bytes(const tm_batch *batch, size_t col, size_t row)
{
    return get(batch, col, row, TM_COL_BYTES);
}

const uint32_t *tm_batch_get_u32s(const tm_batch *batch, size_t col, size_t row, size_t *n)
{
    tm_view v = get(batch, col, row, TM_COL_U32S);
    *n = v.size / sizeof(uint32_t);
    return (const uint32_t *)(const void *)v.data;
}

int64_t tm_batch_get_i64(const tm_batch *batch, size_t col, size_t row)
{
    return (int64_t)tm_le64(get(batch, col, row, TM_COL_I64).data);
}

double tm_batch_get_f64(const tm_batch *batch, size_t col, size_t row)
{
    double value;
    memcpy(&value, get(batch, col, row, TM_COL_F64).data, sizeof value);
    return value;
}

tm_status tm_batch_copy_row(tm_batch *batch, const tm_batch *from, size_t row, tm_error *err)
{
    tm_assert(batch->n_cols == from->n_cols);
    for (size_t i = 0; i < batch->n_cols; i++) {
        tm_view v = get(from, i, row, from->cols[i].kind);
        add(batch, i, from->cols[i].kind, v.data, v.size);
    }
    return tm_batch_row(batch, err);
}

static void encode_column(const tm_batch *batch, size_t i, tm_buf *out)
{
    const column *c = &batch->columns[i];
    tm_buf_char(out, (char)batch->cols[i].kind);
    size_t name = strlen(batch->cols[i].name);
    tm_buf_char(out, (char)name);
    tm_buf_add(out, batch->cols[i].name, name);
    if (variable(batch->cols[i].kind)) {
        uint64_t begin = 0;
        for (size_t row = 0; row < batch->rows; row++) {
            uint64_t end = tm_le64(c->ends.data + row * 8);
            tm_buf_le32(out, (uint32_t)(end - begin));
            begin = end;
        }
    }
    tm_buf_add(out, c->data.data, c->data.size);
}

tm_status tm_batch_encode(const tm_batch *batch, tm_buf *out, tm_error *err)
{
    tm_buf_add(out, "TMB1", 4);
    tm_buf_le32(out, (uint32_t)batch->n_cols);
    tm_buf_le64(out, batch->rows);
    for (size_t i = 0; i < batch->n_cols; i++) encode_column(batch, i, out);
    return tm_buf_status(out, err);
}

// A bounded reader over the encoded bytes.
typedef struct reader {
    const char *at, *end;
} reader;

static const char *pull(reader *r, uint64_t size)
{
    if ((uint64_t)(r->end - r->at) < size) return NULL;
    const char *p = r->at;
    r->at += size;
    return p;
}

static tm_status decode_lengths(reader *r, tm_batch *batch, size_t i, uint64_t *total, tm_error *err)
{
    const char *lengths = batch->rows <= SIZE_MAX / 4 ? pull(r, batch->rows * 4) : NULL;
    if (!lengths) return tm_fail(err, TM_EFORMAT, "chunk: column %s is cut short", batch->cols[i].name);
    column *c = &batch->columns[i];
    if (!tm_buf_reserve(&c->ends, batch->rows * 8))
        return tm_fail(err, TM_ENOMEM, "chunk of %zu rows", batch->rows);
    uint64_t end = 0;
    for (size_t row = 0; row < batch->rows; row++) {
        uint32_t length = tm_le32(lengths + row * 4);
        if (batch->cols[i].kind == TM_COL_U32S && length % 4)
            return tm_fail(err, TM_EFORMAT, "chunk: column %s, row %zu: odd length", batch->cols[i].name,
                           row);
        end += length;
        tm_buf_le64(&c->ends, end);
    }
    *total = end;
    return TM_OK;
}

static tm_status decode_column(reader *r, tm_batch *batch, size_t i, tm_error *err)
{
    const tm_col *col = &batch->cols[i];
    const char *head = pull(r, 2);
    size_t name = head ? (unsigned char)head[1] : 0;
    const char *text = head ? pull(r, name) : NULL;
    if (!text || head[0] != (char)col->kind || name != strlen(col->name) ||
        memcmp(text, col->name, name) != 0)
        return tm_fail(err, TM_EFORMAT, "chunk: column %zu is not %s", i, col->name);
    uint64_t total = (uint64_t)batch->rows * 8;
    if (variable(col->kind)) TM_TRY(decode_lengths(r, batch, i, &total, err));
    const char *data = pull(r, total);
    if (!data) return tm_fail(err, TM_EFORMAT, "chunk: column %s is cut short", col->name);
    tm_buf_add(&batch->columns[i].data, data, total);
    batch->columns[i].rows = batch->rows;
    return tm_buf_status(&batch->columns[i].data, err);
}

static tm_status decode_into(reader *r, tm_batch *batch, tm_error *err)
{
    const char *head = pull(r, 16);
    if (!head || memcmp(head, "TMB1", 4) != 0) return tm_fail(err, TM_EFORMAT, "chunk: no TMB1 header");
    uint32_t n_cols = tm_le32(head + 4);
    uint64_t rows = tm_le64(head + 8);
    if (n_cols != batch->n_cols)
        return tm_fail(err, TM_EFORMAT, "chunk: %u columns, expected %zu", n_cols, batch->n_cols);
    if (rows > (uint64_t)(r->end - r->at))
        return tm_fail(err, TM_EFORMAT, "chunk: impossible number of rows");
    batch->rows = rows;
    for (size_t i = 0; i < batch->n_cols; i++) TM_TRY(decode_column(r, batch, i, err));
    if (r->at != r->end)
        return tm_fail(err, TM_EFORMAT, "chunk: %zu bytes behind the end", (size_t)(r->end - r->at));
    return TM_OK;
}

tm_status tm_batch_decode(tm_view bytes, const tm_col *cols, size_t n_cols, tm_batch **out, tm_error *err)
{
    tm_batch *batch = tm_batch_new(cols, n_cols);
    if (!batch) return tm_fail(err, TM_ENOMEM, "no memory for a chunk");
    reader r = {bytes.data, bytes.data + bytes.size};
    tm_status status = decode_into(&r, batch, err);
    if (status < 0) {
        tm_batch_unref(batch);
        return status;
    }
    *out = batch;
    return TM_OK;
}
