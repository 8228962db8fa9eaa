// SPDX-License-Identifier: Apache-2.0
// Answers by id.
#include "stages/format/answers.h"

#include <stdlib.h>

// A record that the program gave, and the row of the chunk it belongs to.
typedef struct tm_answer {
    tm_record record;
    size_t row, order;
} tm_answer;

void tm_answers_clear(tm_answers *a)
{
    for (size_t i = 0; i < a->n; i++) tm_record_clear(&a->items[i].record);
    tm_free(a->items);
    tm_hash_map_clear(&a->rows);
}

tm_status tm_answers_ask(tm_answers *a, const tm_batch *in, tm_record_shape shape, tm_buf *lines,
                         tm_error *err)
{
    for (size_t row = 0; row < tm_batch_rows(in); row++) {
        tm_doc doc = tm_docs_get(in, row);
        tm_hash id = tm_hash_of(doc.id.data, doc.id.size);
        if (!tm_hash_map_get(&a->rows, id, NULL) && !tm_hash_map_put(&a->rows, id, row))
            return tm_fail(err, TM_ENOMEM, "no memory for ids");
        TM_TRY(tm_record_write(&doc, shape, lines, err));
    }
    return TM_OK;
}

static tm_status add_answer(tm_answers *a, tm_view line, tm_record_shape shape, tm_error *err)
{
    if (a->n == a->capacity) {
        size_t capacity = a->capacity ? 2 * a->capacity : 64;
        tm_answer *items = tm_realloc(a->items, capacity * sizeof *items);
        if (!items) return tm_fail(err, TM_ENOMEM, "no memory for records");
        a->items = items;
        a->capacity = capacity;
    }
    tm_answer *one = &a->items[a->n];
    *one = (tm_answer){.order = a->n};
    a->n++;
    TM_TRY(tm_record_read(line, shape, &one->record, err));
    tm_view id = one->record.doc.id;
    uint64_t row;
    if (!id.size) return tm_fail(err, TM_EFORMAT, "there is no \"id\"");
    if (!tm_hash_map_get(&a->rows, tm_hash_of(id.data, id.size), &row))
        return tm_fail(err, TM_EFORMAT, "no record of its input has the id \"%.*s\"",
                       (int)(id.size < 80 ? id.size : 80), id.data);
    one->row = row;
    return TM_OK;
}

tm_status tm_answers_read(tm_answers *a, tm_view output, tm_record_shape shape, tm_error *err)
{
    size_t number = 0;
    for (const char *at = output.data, *end = at + output.size; at && at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n = newline ? (size_t)(newline - at) : (size_t)(end - at);
        number++;
        tm_status status = n ? add_answer(a, tm_view_of(at, n), shape, err) : TM_OK;
        if (status < 0) {
            if (err && status != TM_ENOMEM) tm_error_class(err, "TM0416");
            tm_error_prefix(err, "line %zu of what it gave (%.*s)", number, (int)(n < 60 ? n : 60), at);
            if (err && !err->hint[0])
                tm_hint(err,
                        "a line is {\"id\": ..., \"text\": ...} with the id of a record that it was given");
            return status;
        }
        at += n + 1;
    }
    return TM_OK;
}

static int by_row(const void *x, const void *y)
{
    const tm_answer *a = x, *b = y;
    if (a->row != b->row) return a->row < b->row ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

// One answer keeps the id of its record, of several the n-th gets "#n" behind it.
static tm_status put_answer(const tm_batch *in, const tm_answer *one, size_t k, size_t n, tm_batch *out,
                            tm_error *err)
{
    tm_doc was = tm_docs_get(in, one->row), doc = one->record.doc;
    tm_buf id = {0};
    tm_buf_add(&id, was.id.data, was.id.size);
    if (n > 1) tm_buf_fmt(&id, "#%zu", k + 1);
    doc.id = tm_buf_view(&id);
    if (!doc.source.data) doc.source = was.source;
    if (!doc.meta.data) doc.meta = was.meta;
    tm_status status = tm_buf_status(&id, err);
    if (status >= 0) status = tm_docs_add(out, &doc, err);
    tm_buf_clear(&id);
    return status;
}

void tm_answers_sort(tm_answers *a)
{
    if (a->n) qsort(a->items, a->n, sizeof *a->items, by_row);
}

tm_status tm_answers_put(const tm_answers *a, const tm_batch *in, size_t row, size_t *at, tm_batch *out,
                         size_t *n, tm_error *err)
{
    *n = 0;
    while (*at + *n < a->n && a->items[*at + *n].row == row) ++*n;
    for (size_t k = 0; k < *n; k++) TM_TRY(put_answer(in, &a->items[*at + k], k, *n, out, err));
    *at += *n;
    return TM_OK;
}
