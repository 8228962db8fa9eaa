// SPDX-License-Identifier: Apache-2.0
// What happens in a run as lines of text, for files, pipes and scrollback: at most one per node and second,
// besides those that matter.
#pragma once

#include "engine/run.h"

typedef struct tm_console_plain tm_console_plain;

// `progress`: also lines of nodes in work, and what they counted when they are done. NULL without memory.
tm_console_plain *tm_console_plain_new(const tm_plan *plan, bool progress);
void tm_console_plain_free(tm_console_plain *plain);
// In windows narrower than 80 cells names are not padded.
void tm_console_plain_width(tm_console_plain *plain, int width);
// Append the lines of an event to `out`, if there are any. Texts in them are as workers sent them.
void tm_console_plain_event(tm_console_plain *plain, const char *event, const json_t *fields, tm_buf *out);
