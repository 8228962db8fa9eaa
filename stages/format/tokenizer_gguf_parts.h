// SPDX-License-Identifier: Apache-2.0
// What reading and writing of tokenizers in GGUF files share; nobody else includes this.
#pragma once

#include "stages/text/pretokenize.h"

enum {  // tokenizer.ggml.token_type
    TM_GGUF_TOKEN_NORMAL = 1,
    TM_GGUF_TOKEN_UNKNOWN = 2,
    TM_GGUF_TOKEN_CONTROL = 3,
    TM_GGUF_TOKEN_USER = 4,
    TM_GGUF_TOKEN_UNUSED = 5,
};

// What a name in tokenizer.ggml.pre stands for, in llama.cpp and in the tokenizer.json it was made from.
typedef struct tm_gguf_pre {
    const char *name;
    tm_pretokenizer kind;
    bool ignore_merges;
    bool nfc;     // tokenizer.json normalizes; llama.cpp does not
    bool begins;  // a text begins with the begin token unless the file says otherwise
} tm_gguf_pre;

extern const tm_gguf_pre tm_gguf_pres[];  // ends with a row without a name; the first of a kind is written
