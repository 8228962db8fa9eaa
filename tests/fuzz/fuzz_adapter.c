// SPDX-License-Identifier: Apache-2.0
// Adapters: the bytes before the first zero are adapter_config.json, those behind it
// adapter_model.safetensors. Whatever they say, an adapter comes of them or an error, and what comes can be
// written again.
#include <stdlib.h>
#include <string.h>

#include "stages/model/adapter_files.h"
#include "tests/fuzz/fuzz.h"

static void write_again(const tm_adapter *a)
{
    tm_buf json = {0};
    if (tm_adapter_config_write(a, "base", &json, NULL) < 0) abort();
    tm_buf_clear(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tm_model_config shape = {.layers = 2,
                                          .width = 8,
                                          .heads = 2,
                                          .kv_heads = 1,
                                          .head_dim = 4,
                                          .ffn = 12,
                                          .vocab = 16,
                                          .length = 8};
    tm_model_config config = shape;
    config.family = tm_family_find("llama");
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t n = zero ? (size_t)(zero - data) : size;
    tm_safetensors file = {0};
    tm_adapter *a;
    if (zero) {
        // Tensors are aligned within a file, as long as the file is.
        size_t rest = size - n - 1;
        char *bytes = aligned_alloc(64, (rest / 64 + 1) * 64);
        memcpy(bytes, zero + 1, rest);
        if (tm_safetensors_parse(&file, tm_view_of(bytes, rest), NULL) < 0) file = (tm_safetensors){0};
        if (tm_adapter_read(&a, &config, tm_view_of((const char *)data, n), &file, NULL) == TM_OK) {
            write_again(a);
            tm_adapter_free(a);
        }
        tm_safetensors_close(&file);
        free(bytes);
    } else if (tm_adapter_read(&a, &config, tm_view_of((const char *)data, n), &file, NULL) == TM_OK) {
        abort(); // an adapter without tensors adapts nothing
    }
    return 0;
}
