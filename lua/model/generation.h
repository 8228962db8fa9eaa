// SPDX-License-Identifier: Apache-2.0
// The flags of commands that let a model speak.
#pragma once

#include "lua/cli/cli.h"
#include "stages/model/generate.h"

// `n` and `t` are the defaults of --tokens and --temperature, as text.
#define TM_GENERATION_FLAGS(n, t)                                                                            \
    {"--tokens", 'n', "N", "at most so many new tokens (default " n ")"},                                    \
        {"--temperature", 't', "T",                                                                          \
         "0 takes the likeliest token, 1 draws as the model says (default " t ")"},                          \
        {"--top-k", 0, "K", "only the K likeliest tokens (default: all)"},                                   \
        {"--top-p", 0, "P", "only the likeliest tokens that together have probability P (default 1)"},       \
        {"--min-p", 0, "P", "only tokens at least P times as likely as the likeliest (default 0)"},          \
        {"--repetition", 0, "R", "above 1: tokens that were there become less likely (default 1)"},          \
        {"--seed", 0, "N", "of the draws (default 1)"},                                                      \
        {"--stop", 0, "TEXT", "end before this text (may be given several times)"},                          \
    {                                                                                                        \
        "--cores", 'j', "N", "threads (default: those this process may use)"                                 \
    }

enum { TM_GENERATION_STOPS = 32 };

typedef struct tm_generation_given {
    tm_generation how; // `stops` points below; ends, hear and listener are the caller's
    const char *stops[TM_GENERATION_STOPS];
    int cores;
} tm_generation_given;

// Fill from the flags; what is not given stays as it is in `given->how` (n_tokens and temperature have no
// other default). TM_EXIT_USAGE, and said so, if a flag is wrong.
int tm_generation_flags(const tm_cli *cli, tm_generation_given *given);
// --cores alone.
int tm_cores_flag(const tm_cli *cli, int *cores);
