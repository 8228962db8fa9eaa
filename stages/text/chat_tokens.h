// SPDX-License-Identifier: Apache-2.0
// Conversations and preferences as ids: a chat template and a tokenizer, and which ids are learned.
//
// What stands before an answer and the answer itself are tokenized apart, since that is what generation sees:
// it is given the one and makes the other. Where a template marks what the assistant wrote (generation
// blocks) the marks are taken; otherwise an answer is what the template adds when the answer is added to the
// messages before it. An answer is learned up to its last special token; a line end behind that is never
// generated.
#pragma once

#include <jansson.h>

#include "stages/text/template.h"
#include "stages/text/tokenizer_folder.h"

// ChatML, with <|im_end|> or another Jinja expression behind each message.
#define TM_CHATML_WITH(end)                                                                              \
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + " end    \
    " + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
#define TM_CHATML TM_CHATML_WITH("'<|im_end|>'")

typedef struct tm_chat tm_chat;  // for one thread

// The template of a tokenizer's folder: chat_template.jinja, or that of tokenizer_config.json (of several the
// one named "default"), or ChatML, with the tokenizer's end token if it has no <|im_end|>. Borrows the
// tokenizer. TM_EFORMAT, TM_EUNSUPPORTED: the template cannot be used.
tm_status tm_chat_open(tm_chat **chat, const tm_tokenizer *tokenizer, const char *folder, tm_error *err);
void tm_chat_close(tm_chat *chat);  // NULL is fine

// All below take JSON as stages/text/shape.h has it. TM_EFAILED and TM_EFORMAT are the record's own fault:
// the template refuses it, or it has nothing to learn from; the text says why. Other failures are not.

// The text that the template makes of `messages` (an array; `tools` may be NULL), up to where the assistant
// is to speak if `ask`. Replaces what is in `text`.
tm_status tm_chat_text(tm_chat *chat, const json_t *messages, const json_t *tools, bool ask, tm_buf *text,
                       tm_error *err);
// What a model is given to answer `messages`. Appends to `ids`.
tm_status tm_chat_prompt(tm_chat *chat, const json_t *messages, const json_t *tools, tm_bpe_ids *ids,
                         tm_error *err);

// The special token that ends an answer, where generation stops; -1 if the template has none.
tm_status tm_chat_end(tm_chat *chat, int64_t *id, tm_error *err);

typedef enum { TM_CHAT_ALL, TM_CHAT_LAST } tm_chat_answers; // which answers are learned

// A conversation {"messages", "tools"?}. Appends to `ids`, and a byte for each to `mask`: 1 where it is
// learned.
tm_status tm_chat_example(tm_chat *chat, const json_t *conversation, tm_chat_answers which, tm_bpe_ids *ids,
                          tm_buf *mask, tm_error *err);
// A preference {"prompt", "chosen", "rejected"}. Replaces what is in the three.
tm_status tm_chat_pair(tm_chat *chat, const json_t *preference, tm_bpe_ids *prompt, tm_bpe_ids *chosen,
                       tm_bpe_ids *rejected, tm_error *err);
