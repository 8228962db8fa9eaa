// SPDX-License-Identifier: Apache-2.0
// tokenizer.json and tokenizer_config.json (Hugging Face) of byte-level BPE tokenizers.
//
// Read: model BPE; normalizer none or NFC; pre-tokenizer ByteLevel, Split + ByteLevel with a pattern that
// tm_pretokenizer_of_pattern knows, or Digits + ByteLevel; post-processor none, ByteLevel,
// TemplateProcessing, RobertaProcessing, BertProcessing or a Sequence of them; decoder ByteLevel; merges as
// pairs or as "a b". What would give other ids than Hugging Face's library is refused with TM_EUNSUPPORTED
// and its name, never passed over. `truncation` and `padding` are not looked at.
#pragma once

#include "stages/text/bpe.h"

#define TM_TOKENIZER_JSON_MAX ((size_t)64 << 20)  // bytes
#define TM_TOKENIZER_JSON_DEPTH 64

// TM_EFORMAT says what and where. Free with tm_bpe_free.
tm_status tm_tokenizer_json_read(tm_view json, tm_bpe **bpe, tm_error *err);

// The file that `Tokenizer.save` of Hugging Face's library writes for the same tokenizer, byte for byte but
// for the last newline. Appends to `json`.
tm_status tm_tokenizer_json_write(const tm_bpe *bpe, tm_buf *json, tm_error *err);

// Append the same file with a post-processor that puts `token` before every text: a prompt then begins as the
// documents did that a model was trained on. For a tokenizer that puts nothing there. TM_EFORMAT: not JSON.
tm_status tm_tokenizer_json_start(tm_view json, tm_view token, uint32_t id, tm_buf *out, tm_error *err);

typedef struct tm_tokenizer_config {
    tm_view bos, eos, pad, unk;  // contents of special tokens, or {0}
    tm_view chat_template;       // Jinja, or {0}
    size_t max_length;           // tokens a model takes, or 0
} tm_tokenizer_config;

// tokenizer_config.json for transformers' AutoTokenizer. TM_EINVAL if a token is not in the tokenizer.
tm_status tm_tokenizer_config_write(const tm_bpe *bpe, const tm_tokenizer_config *config, tm_buf *json,
                                    tm_error *err);
