// SPDX-License-Identifier: Apache-2.0
// The tokenizer of a folder, as stages load it.
#pragma once

#include "stages/format/tokenizer_json.h"

typedef struct tm_tokenizer {
    tm_bpe *bpe;
    tm_bpe_encoder *encoder;
    int64_t bos, eos;  // by tokenizer_config.json; -1: none
    int64_t start;     // what the post-processor puts before a text; -1: nothing
} tm_tokenizer;

// TM_ENOENT: there is no tokenizer.json in the folder.
tm_status tm_tokenizer_load(tm_tokenizer *tokenizer, const char *folder, tm_error *err);
void tm_tokenizer_clear(tm_tokenizer *tokenizer);
