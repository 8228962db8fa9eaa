// SPDX-License-Identifier: Apache-2.0
// A model or tokenizer by the name that people give on the command line: a folder, a GGUF file, an archive
// with one of these, or the address of a result.
#pragma once

#include "engine/base/io.h"
#include "lua/cli.h"
#include "stages/model/plan_file.h"
#include "stages/text/template.h"
#include "stages/text/tokenizer_folder.h"

enum { TM_OPENED_ENDS = 16 };

typedef struct tm_opened {
    char folder[TM_PATH_MAX];
    tm_plan_file plan;         // where the model is one
    char scratch[TM_PATH_MAX]; // what a file was unpacked into, or ""; gone when the opening is done
    tm_model *model;           // NULL where a tokenizer alone was asked for
    tm_tokenizer tokenizer;
    // Tokens that end a text: of generation_config.json, else config.json, else the tokenizer's end token.
    uint32_t ends[TM_OPENED_ENDS];
    size_t n_ends;
    tm_buf chat_source; // of the chat template; ChatML's for a tokenizer without one
    tm_template *chat;  // the same parsed, when it was asked for
} tm_opened;

// TM_ENOENT says what was looked for and where. tm_opened_close frees, also after a failure.
tm_status tm_opened_model(tm_opened *opened, const tm_cli *cli, const char *name, tm_error *err);
tm_status tm_opened_tokenizer(tm_opened *opened, const tm_cli *cli, const char *name, tm_error *err);

// Parse the chat template: before the first tm_opened_render. The special token that it puts behind an answer
// is then one of `ends`, whatever the model's files say.
tm_status tm_opened_chat(tm_opened *opened, tm_error *err);
// Append messages (a list of {"role", "content"}) as the chat template renders them, with the beginning of an
// answer behind them if `answer`. TM_EFAILED: the template refuses them.
tm_status tm_opened_render(const tm_opened *opened, const json_t *messages, bool answer, tm_buf *text,
                           tm_error *err);

void tm_opened_close(tm_opened *opened);
