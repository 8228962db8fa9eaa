// SPDX-License-Identifier: Apache-2.0
// Pieces and normal form of any bytes: blocks cut as single pieces do, pieces cover the text, NFC settles at
// once.
#include <stdlib.h>

#include "stages/text/bpe_nfc.h"
#include "stages/text/pretokenize.h"
#include "tests/fuzz/fuzz.h"

static void cut(tm_pretokenizer kind, tm_view text)
{
    size_t ends[100], at = 0, begin = 0, n;
    while ((n = tm_pretokenize(kind, text, &at, ends, 100)))
        for (size_t i = 0; i < n; begin = ends[i++])
            if (tm_pretokenize_next(kind, text, begin) != ends[i]) abort();
    if (begin != text.size) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tm_view text = tm_view_of(data, size);
    tm_buf once = {0}, twice = {0};
    for (unsigned kind = 0; kind < TM_PRETOKENIZERS; kind++) cut((tm_pretokenizer)kind, text);
    if (tm_nfc_add(text, &once, NULL) < 0 || tm_nfc_add(tm_buf_view(&once), &twice, NULL) < 0) abort();
    if (!tm_view_eq(tm_buf_view(&once), tm_buf_view(&twice))) abort();
    if (tm_nfc_is_normal(text) && !tm_view_eq(tm_buf_view(&once), text)) abort();
    tm_buf_clear(&once);
    tm_buf_clear(&twice);
    return 0;
}
