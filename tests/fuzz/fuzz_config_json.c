// SPDX-License-Identifier: Apache-2.0
// config.json: what reads as a shape is written as the same shape.
#include <stdlib.h>

#include "stages/model/config.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tm_model_config config, again;
    tm_buf json = {0};
    memset(&config, 0, sizeof config);
    memset(&again, 0, sizeof again);
    if (tm_model_config_parse(&config, tm_view_of(data, size), NULL) < 0) return 0;
    if (tm_model_config_write(&config, &json, NULL) < 0) abort();
    if (tm_model_config_parse(&again, tm_buf_view(&json), NULL) < 0) abort();
    if (config.layers != again.layers || config.head_dim != again.head_dim || config.rope != again.rope ||
        config.vocab != again.vocab || config.window != again.window || config.tie != again.tie ||
        config.eos != again.eos || config.qkv_bias != again.qkv_bias ||
        config.rope_original != again.rope_original)
        abort();
    tm_buf_clear(&json);
    return 0;
}
