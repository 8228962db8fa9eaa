// SPDX-License-Identifier: Apache-2.0
// What happens in a run as lines of text, for files, pipes and scrollback: at most one per node and second,
// besides those that matter.
#pragma once

#include "engine/run.h"

typedef struct tm_console_plain tm_console_plain;

// `progress`: also lines of nodes in work, and what they counted when they are done. NULL without memory.
tm_console_plain *tm_console_plain_new(const tm_plan *plan, bool progress);
// Without this: UTF-8, no colours, and names padded to columns, as in windows of 80 cells and more.
void tm_console_plain_look(tm_console_plain *plain, int width, bool utf8, bool colour);
void tm_console_plain_free(tm_console_plain *plain);
// Append the lines of an event to `out`, if there are any. Texts that workers sent are made harmless.
void tm_console_plain_event(tm_console_plain *plain, const char *event, const json_t *fields, tm_buf *out);
