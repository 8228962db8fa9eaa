// SPDX-License-Identifier: Apache-2.0
// GGUF files: all bytes that a tensor claims can be read, and what is taken for a shape or a tokenizer holds.
#include <stdlib.h>

#include "stages/format/tokenizer_gguf.h"
#include "stages/model/model_gguf.h"
#include "tests/fuzz/fuzz.h"

static void expand(const tm_gguf_tensor *t)
{
    float values[256];
    for (size_t at = 0; at < t->data.size; at += t->type->bytes)
        t->type->expand(t->data.data + at, values, 1);
}

static void read_tokenizer(const tm_gguf *file)
{
    tm_gguf_tokenizer tokenizer;
    tm_buf json = {0};
    tm_bpe *again;
    if (tm_tokenizer_gguf_read(file, &tokenizer, NULL) < 0) return;
    if (tm_tokenizer_json_write(tokenizer.bpe, &json, NULL) < 0) abort();
    if (tm_tokenizer_json_read(tm_buf_view(&json), &again, NULL) < 0) abort();
    tm_buf_reset(&json);
    if (tm_tokenizer_config_write(tokenizer.bpe, &tokenizer.config, &json, NULL) == TM_ENOMEM &&
        tokenizer.config.chat_template.size == 0)
        abort();
    tm_buf_clear(&json);
    tm_bpe_free(tokenizer.bpe);
    tm_bpe_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tm_gguf file;
    tm_model_config config;
    tm_buf json = {0};
    if (tm_gguf_parse(&file, tm_view_of(data, size), NULL) < 0) return 0;
    for (size_t i = 0; i < file.n_tensors; i++) expand(&file.tensors[i]);
    if (tm_gguf_config(&file, &config, NULL) == TM_OK) {
        if (tm_model_config_write(&config, &json, NULL) < 0) abort();
        if (config.layers <= 8) tm_gguf_weights(&file, &config, "/dev/null", NULL);
    }
    read_tokenizer(&file);
    tm_buf_clear(&json);
    tm_gguf_close(&file);
    return 0;
}
