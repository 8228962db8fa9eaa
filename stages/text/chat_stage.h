// SPDX-License-Identifier: Apache-2.0
// What tm.tokenize_chat and tm.tokenize_pairs share: records with a tokenizer, one by one.
#pragma once

#include "stages/text/chat_tokens.h"
#include "stages/text/shape.h"
#include "stages/text/sift.h"

// The state of such a stage.
typedef struct tm_chat_stage {
    tm_tokenizer tokenizer;
    tm_chat *chat;
    tm_bpe_ids ids[3];
    tm_buf mask;
    int64_t n_logged;
} tm_chat_stage;

// Adds a row for the record that the text of a document is. TM_EFAILED and TM_EFORMAT set it aside; nothing
// may be added then.
typedef tm_status tm_chat_stage_add(tm_work *work, tm_chat_stage *state, const tm_doc *doc,
                                    const json_t *record, tm_batch *out, tm_error *err);

tm_status tm_chat_stage_begin(tm_work *work, tm_error *err);
void tm_chat_stage_end(tm_work *work);
// Outputs: 0 what `add` makes, 1 the documents set aside, with the reason in their meta data.
tm_status tm_chat_stage_map(tm_work *work, const char *stage, tm_chat_stage_add *add, const tm_batch *in,
                            tm_batch *const *out, tm_error *err);
