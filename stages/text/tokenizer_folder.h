// SPDX-License-Identifier: Apache-2.0
// The tokenizer of a folder, as stages load it.
#pragma once

#include <jansson.h>

#include "stages/format/tokenizer_json.h"

typedef struct tm_tokenizer {
    tm_bpe *bpe;
    tm_bpe_encoder *encoder;
    int64_t bos, eos;  // by tokenizer_config.json; -1: none
    int64_t start;     // what the post-processor puts before a text; -1: nothing
} tm_tokenizer;

// TM_ENOENT: there is no tokenizer.json in the folder.
tm_status tm_tokenizer_load(tm_tokenizer *tokenizer, const char *folder, tm_error *err);
// What tokenizer_config.json says, a new reference; NULL if there is none. Numbers are reals.
tm_status tm_tokenizer_config_read(const char *folder, json_t **config, tm_error *err);
// The chat template: that of chat_template.jinja, else the configuration's (of several the one named
// "default"), else "". Replaces what is in `text`.
tm_status tm_tokenizer_template(const char *folder, const json_t *config, tm_buf *text, tm_error *err);
void tm_tokenizer_clear(tm_tokenizer *tokenizer);
