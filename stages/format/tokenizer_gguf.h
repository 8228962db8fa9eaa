// SPDX-License-Identifier: Apache-2.0
// Byte-level BPE tokenizers inside GGUF files.
//
// `tokenizer.ggml.pre` names the pre-tokenizer; what other names mean (or a file without one) is refused with
// TM_EUNSUPPORTED, because ids would silently be others. Tokens of type control and user defined become added
// tokens, those of type unused are left out.
#pragma once

#include "stages/format/gguf.h"
#include "stages/format/tokenizer_json.h"

typedef struct tm_gguf_tokenizer {
    tm_bpe *bpe;
    tm_tokenizer_config config;    // borrowed from the file
    int64_t bos, eos, pad;         // ids, or -1
} tm_gguf_tokenizer;

// TM_ENOENT: the file has no tokenizer. Free `bpe` with tm_bpe_free.
tm_status tm_tokenizer_gguf_read(const tm_gguf *file, tm_gguf_tokenizer *tokenizer, tm_error *err);

// Put a tokenizer's values into a file for a model of `vocab` ids; ids without a token become unused ones.
// `bos`, `eos` and `pad` are ids or -1, `chat_template` may be empty. TM_EUNSUPPORTED names what GGUF cannot
// say.
tm_status tm_tokenizer_gguf_put(const tm_bpe *bpe, uint32_t vocab, int64_t bos, int64_t eos, int64_t pad,
                                tm_view chat_template, tm_gguf_writer *writer, tm_error *err);
