// SPDX-License-Identifier: Apache-2.0
// What a run shows while it goes on: plain lines on stderr, at most one per node and second.
#pragma once

#include "engine/run.h"

typedef struct tm_console tm_console;

tm_console *tm_console_new(const tm_plan *plan, bool quiet);  // NULL without memory: then nothing is shown
void tm_console_event(void *console, const char *event, const json_t *fields);  // tm_run_options.watch
void tm_console_free(tm_console *console);
