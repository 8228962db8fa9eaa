// SPDX-License-Identifier: Apache-2.0
// What a program answers: any bytes are records in order or an error; what is taken is valid UTF-8, and
// written as lines and read again it is the same.
#include "stages/format/answers.h"

#include <stdlib.h>

#include "engine/base/utf8.h"
#include "tests/fuzz/fuzz.h"

static void require_utf8(tm_view view)
{
    if (tm_utf8_valid(view) != view.size) abort();
}

static tm_batch *new_docs(void)
{
    const tm_type *type = tm_type_find("documents");
    return tm_batch_new(type->cols, type->n_cols);
}

static void require_same_again(const tm_doc *doc, tm_record_shape shape)
{
    tm_buf line = {0};
    tm_record again = {0};
    if (tm_record_write(doc, shape, &line, NULL) < 0) abort();
    if (tm_record_read(tm_view_of(line.data, line.size - 1), shape, &again, NULL) < 0) abort();
    if (!tm_view_eq(again.doc.text, doc->text) || !tm_view_eq(again.doc.meta, doc->meta)) abort();
    tm_record_clear(&again);
    tm_buf_clear(&line);
}

static void take(tm_answers *answers, const tm_batch *in, tm_record_shape shape)
{
    tm_batch *out = new_docs();
    size_t at = 0, n;
    tm_answers_sort(answers);
    for (size_t row = 0; row < tm_batch_rows(in); row++)
        if (tm_answers_put(answers, in, row, &at, out, &n, NULL) < 0) abort();
    if (tm_batch_rows(out) != answers->n) abort();
    for (size_t row = 0; row < tm_batch_rows(out); row++) {
        tm_doc doc = tm_docs_get(out, row);
        require_utf8(doc.text);
        require_utf8(doc.meta);
        require_same_again(&doc, shape);
    }
    tm_batch_unref(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const ids[] = {"a", "b", "c"};
    for (int shape = TM_RECORD_TEXT; shape <= TM_RECORD_PREFERENCE; shape++) {
        tm_batch *in = new_docs();
        tm_answers answers = {0};
        tm_buf lines = {0};
        for (int i = 0; i < 3; i++) {
            tm_doc doc = {.id = tm_view_str(ids[i]), .text = tm_view_str("x"), .source = tm_view_str("s")};
            if (tm_docs_add(in, &doc, NULL) < 0) abort();
        }
        if (tm_answers_ask(&answers, in, TM_RECORD_TEXT, &lines, NULL) < 0) abort();
        if (tm_answers_read(&answers, tm_view_of((const char *)data, size), (tm_record_shape)shape, NULL) >=
            0)
            take(&answers, in, (tm_record_shape)shape);
        tm_buf_clear(&lines);
        tm_answers_clear(&answers);
        tm_batch_unref(in);
    }
    return 0;
}
