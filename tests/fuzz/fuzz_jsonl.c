// SPDX-License-Identifier: Apache-2.0
// JSON lines: any bytes give lines, good or bad, in pieces of any size; good ones hold valid UTF-8.
#include "stages/format/jsonl.h"

#include <stdlib.h>

#include "engine/base/utf8.h"
#include "tests/fuzz/fuzz.h"

typedef struct stream {
    const uint8_t *data;
    size_t size, at, step;
} stream;

static tm_status read_stream(void *self, void *data, size_t size, size_t *got, tm_error *err)
{
    (void)err;
    stream *s = self;
    *got = s->size - s->at < size ? s->size - s->at : size;
    if (*got > s->step) *got = s->step;
    if (*got) memcpy(data, s->data + s->at, *got);
    s->at += *got;
    return TM_OK;
}

static void require_utf8(tm_view view)
{
    if (view.data && tm_utf8_valid(view) != view.size) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    stream s = {data, size, 0, size ? 1 + data[0] % 64 : 1};
    tm_jsonl *in;
    tm_jsonl_row row;
    if (tm_jsonl_open(&in, read_stream, &s, &(tm_jsonl_options){.line_bytes = 4096}, NULL) < 0) return 0;
    while (tm_jsonl_next(in, &row, NULL) == TM_OK) {
        if (row.bad) continue;
        require_utf8(row.id);
        require_utf8(row.text);
        require_utf8(row.source);
        require_utf8(row.meta);
    }
    tm_jsonl_close(in);
    return 0;
}
