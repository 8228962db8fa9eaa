// SPDX-License-Identifier: Apache-2.0
// A model or tokenizer by the name that people give on the command line: a folder, a GGUF file, an archive
// with one of these, or the address of a result.
#pragma once

#include "engine/base/io.h"
#include "lua/cli/cli.h"
#include "stages/model/plan_file.h"
#include "stages/text/chat_tokens.h"

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
    tm_chat *chat;       // its chat template, or NULL,
    tm_error chat_error; // and why it cannot be used
} tm_opened;

// TM_ENOENT says what was looked for and where. tm_opened_close frees, also after a failure.
tm_status tm_opened_model(tm_opened *opened, const tm_cli *cli, const char *name, tm_error *err);
tm_status tm_opened_tokenizer(tm_opened *opened, const tm_cli *cli, const char *name, tm_error *err);

// Before the chat template is used: why it cannot be, or TM_OK. The special token that it puts behind an
// answer is then one of `ends`, whatever the model's files say.
tm_status tm_opened_chat(tm_opened *opened, tm_error *err);

void tm_opened_close(tm_opened *opened);
