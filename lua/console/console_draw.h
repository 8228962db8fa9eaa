// SPDX-License-Identifier: Apache-2.0
// The live part of the console as lines: a function of what is to be seen and of where it is shown.
#pragma once

#include "engine/base/bytes.h"
#include "lua/console/console_state.h"

typedef struct tm_console_look {
    int width, height;  // of the window
    bool utf8;          // else ASCII alone
    bool colour;
} tm_console_look;

#define TM_CONSOLE_LINES 64

typedef struct tm_console_lines {
    tm_buf line[TM_CONSOLE_LINES];  // without line ends; each narrower than the window
    size_t n;
} tm_console_lines;

// At most height - 1 lines. `lines` is cleared first; zeroed memory will do.
void tm_console_draw(const tm_console_view *view, const tm_console_look *look, tm_console_lines *lines);
void tm_console_lines_clear(tm_console_lines *lines);
