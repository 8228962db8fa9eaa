// SPDX-License-Identifier: Apache-2.0
// A conversation with one model: messages, and the ids that the model has read of them.
//
// A turn is rendered by the chat template together with all before it. Where the new text only adds to the
// old one, which is the rule, only what is new is tokenized, and the decoder keeps what it holds: an answer
// stands in the history as the tokens that were chosen.
#pragma once

#include "lua/model/opened.h"
#include "stages/model/generate.h"

typedef struct tm_conversation {
    const tm_opened *opened; // it and the device must outlive the conversation
    tm_decoder *decoder;
    json_t *messages;              // of {"role", "content"}
    tm_bpe_ids ids;                // what was read and chosen,
    tm_buf text;                   // and the rendering that it stands for;
    size_t asked_ids, asked_bytes; // sizes of both before the last answer
    uint64_t draw;                 // of the next token
} tm_conversation;

// `context`: tokens at most, prompt and answer. `system` may be NULL.
tm_status tm_conversation_open(tm_conversation *talk, tm_opened *opened, tm_device *device, uint32_t context,
                               const char *system, tm_error *err);
void tm_conversation_close(tm_conversation *talk);
void tm_conversation_reset(tm_conversation *talk); // forget all but the system message

// Say something and get the answer; both are then in the history. `how` needs no ends. When the context is
// too small the oldest turns are forgotten: `*dropped` says how many messages. TM_EINVAL: the turn alone is
// too long; it is then not in the history.
tm_status tm_conversation_say(tm_conversation *talk, tm_view text, const tm_generation *how,
                              tm_answer *answer, size_t *dropped, tm_error *err);
// Another answer to what was said last. TM_ENOENT: nothing was said yet.
tm_status tm_conversation_retry(tm_conversation *talk, const tm_generation *how, tm_answer *answer,
                                size_t *dropped, tm_error *err);
