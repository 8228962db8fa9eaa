// SPDX-License-Identifier: Apache-2.0
// What a run shows on stderr while it goes on: a live part below plain lines on a terminal, plain lines alone
// everywhere else.
#pragma once

#include "engine/run.h"
#include "lua/estimate.h"

typedef enum { TM_CONSOLE_AUTO, TM_CONSOLE_LIVE, TM_CONSOLE_PLAIN, TM_CONSOLE_NONE } tm_console_kind;

typedef struct tm_console tm_console;

// AUTO is live where stderr is a terminal that can be drawn on. NULL without memory: then nothing is shown.
// `needs`: what earlier runs tell of the work (borrowed), or NULL.
tm_console *tm_console_new(const tm_plan *plan, const tm_needs *needs, tm_console_kind kind);
void tm_console_event(void *console, const char *event, const json_t *fields);  // tm_run_options.watch
void tm_console_tick(void *console, const tm_run_now *now);                     // tm_run_options.tick
void tm_console_free(tm_console *console);  // the live part goes
