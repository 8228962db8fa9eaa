// SPDX-License-Identifier: Apache-2.0
// The last lines of a terminal, drawn over and over; what is above them scrolls away as ever.
//
// Between two calls the terminal is in the state that it was found in, with its cursor at the first of these
// lines, so that nothing has to be put right when the program is killed. Only the cursor's place is saved
// (DECSC), against keys that echo. Lines that did not change are not sent again. What does not fit into the
// terminal's buffer (somebody pressed Ctrl-S) is sent later: drawing never waits.
#pragma once

#include "lua/console/console_draw.h"

typedef struct tm_screen tm_screen;

// Whether a descriptor is a terminal that lines can be drawn on, in the foreground.
bool tm_screen_can(int fd);
tm_screen *tm_screen_open(int fd);  // NULL without memory
// The size now, and what it can show (from LC_ALL, LC_CTYPE, LANG; NO_COLOR).
tm_console_look tm_screen_look(const tm_screen *screen);
void tm_screen_above(tm_screen *screen, const char *text, size_t size);  // whole lines, which stay
void tm_screen_put(tm_screen *screen, const tm_console_look *look, const tm_console_lines *lines);
// The lines go, what was given to stay is sent, the cursor is where they were; drawing may begin anew.
void tm_screen_leave(tm_screen *screen);
void tm_screen_close(tm_screen *screen);  // leaves
