// SPDX-License-Identifier: Apache-2.0
// tokenizer.json: what reads also encodes, and what we write for it reads as a tokenizer with the same ids.
#include "stages/format/tokenizer_json.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

static tm_bpe_ids encode(const tm_bpe *bpe, tm_view text)
{
    tm_bpe_ids ids = {0};
    tm_bpe_encoder *encoder = tm_bpe_encoder_new(bpe);
    if (!encoder || tm_bpe_encode(encoder, text, TM_BPE_TEMPLATE, &ids, NULL) < 0) abort();
    tm_bpe_encoder_free(encoder);
    return ids;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tm_bpe *bpe, *again;
    tm_buf json = {0}, text = {0};
    tm_view input = tm_view_of(data, size);
    if (tm_tokenizer_json_read(input, &bpe, NULL) < 0) return 0;
    if (tm_tokenizer_json_write(bpe, &json, NULL) < 0) abort();
    if (tm_tokenizer_json_read(tm_buf_view(&json), &again, NULL) < 0) abort();
    tm_bpe_ids a = encode(bpe, input), b = encode(again, input);
    if (a.size != b.size || (a.size && memcmp(a.data, b.data, a.size * sizeof *a.data) != 0)) abort();
    if (tm_bpe_decode(bpe, a.data, a.size, true, &text, NULL) < 0) abort();
    tm_bpe_ids_clear(&a);
    tm_bpe_ids_clear(&b);
    tm_buf_clear(&json);
    tm_buf_clear(&text);
    tm_bpe_free(bpe);
    tm_bpe_free(again);
    return 0;
}
