// SPDX-License-Identifier: Apache-2.0
// Lines of tuning data in the shapes that data sets come in, to the one that stages/text/shape.h has.
//
//   chat         {"messages": [{"role", "content"}]}              also "conversation", and {"from", "value"}
//   in
//                {"conversations": [{"from", "value"}]}           either (ShareGPT)
//                {"instruction", "input"?, "output"}              (Alpaca)
//                {"prompt", "completion"}, {"input", "output"}, {"question", "answer"}, {"prompt",
//                "response"}
//   preference   {"prompt", "chosen", "rejected"}                 texts, or lists of messages
//                {"chosen", "rejected"}                           lists whose common beginning is the prompt
//                {"prompt", "chosen_response", "rejected_response"}
//                {"instruction", "input"?, "chosen", "rejected"}
//                {"context", "completions": [{"rank", "completion"} x 2]}
//
// A further "system" (or "system_prompt") text becomes the first message, "tools" are kept. Roles are brought
// to system, user, assistant and tool.
#pragma once

#include <jansson.h>

#include "engine/base/bytes.h"

typedef struct tm_tuning_options {
    const char *shape;    // "chat", "instruction" (chat, of prompts and answers only) or "preference"
    const json_t *fields; // our name -> the line's ("data.q": a member of a member), or NULL: found out
    const char *system;   // for conversations without a system message, or ""
} tm_tuning_options;

// Names that `fields` may have for a shape, NULL-terminated.
const char *const *tm_tuning_fields(const char *shape);

// The record of a line: `text` is replaced by its canonical JSON, and the members that it is made of are
// taken out of `line`. `*bad` is NULL, or why the line cannot be used (a constant). TM_ENOMEM.
tm_status tm_tuning_record(json_t *line, const tm_tuning_options *options, tm_buf *text, const char **bad,
                           tm_error *err);
