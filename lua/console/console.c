// SPDX-License-Identifier: Apache-2.0
// Which console there is, and what holds its parts together: the state, the drawing and the terminal.
#include "lua/console/console.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lua/cli/fold.h"
#include "lua/console/console_plain.h"
#include "lua/console/screen.h"

#define FRAME_NS 200000000  // between two frames, at least
#define INDENT 10           // of what goes on in a further line: behind the time
#define SHARE 200           // one part in so many of a core is the most that is spent on them

struct tm_console {
    tm_console_plain *plain;
    tm_buf lines;             // of an event
    tm_console_state *state;  // live: these
    tm_screen *screen;
    tm_console_lines frame;
    int64_t next_ns;  // of the next frame
};

tm_console *tm_console_new(const tm_plan *plan, const tm_needs *needs, tm_console_kind kind)
{
    bool live = kind == TM_CONSOLE_LIVE || (kind == TM_CONSOLE_AUTO && tm_screen_can(STDERR_FILENO));
    tm_console *c = kind == TM_CONSOLE_NONE ? NULL : calloc(1, sizeof *c);
    if (!c) return NULL;
    c->plain = tm_console_plain_new(plan, !live);
    if (live) c->state = tm_console_state_new(plan, needs);
    if (live) c->screen = tm_screen_open(STDERR_FILENO);
    if (c->plain && (!live || (c->state && c->screen))) return c;
    tm_console_free(c);
    return NULL;
}

void tm_console_free(tm_console *c)
{
    if (!c) return;
    tm_screen_close(c->screen);
    tm_console_state_free(c->state);
    tm_console_plain_free(c->plain);
    tm_console_lines_clear(&c->frame);
    tm_buf_clear(&c->lines);
    free(c);
}

static void draw(tm_console *c)
{
    tm_console_look look = tm_screen_look(c->screen);
    tm_console_draw(tm_console_state_view(c->state), &look, &c->frame);
    tm_screen_put(c->screen, &look, &c->frame);
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0 ? t.tv_sec * 1000000000LL + t.tv_nsec : 0;
}

// Lines that stay fit the window as it is now.
static void fold_lines(tm_console *c)
{
    tm_console_look look = tm_screen_look(c->screen);
    tm_buf folded = {0};
    size_t end;
    for (size_t at = 0; at < c->lines.size; at = end + 1) {
        const char *stop = memchr(c->lines.data + at, '\n', c->lines.size - at);
        end = stop ? (size_t)(stop - c->lines.data) : c->lines.size;
        tm_fold(&folded, tm_view_of(c->lines.data + at, end - at),
                look.width > 1 ? (size_t)look.width - 1 : 1, INDENT);
        tm_buf_char(&folded, '\n');
    }
    tm_buf_clear(&c->lines);
    c->lines = folded;
}

static void show_lines(tm_console *c, const char *event, const json_t *fields)
{
    if (c->screen) {
        tm_console_look look = tm_screen_look(c->screen);
        tm_console_plain_look(c->plain, look.width, look.utf8, look.colour);
    }
    tm_console_plain_event(c->plain, event, fields, &c->lines);
    if (c->screen) fold_lines(c);
    if (!c->lines.failed && c->lines.size && c->screen)
        tm_screen_above(c->screen, c->lines.data, c->lines.size);
    else if (!c->lines.failed && c->lines.size) fwrite(c->lines.data, 1, c->lines.size, stderr);
    tm_buf_clear(&c->lines);
}

void tm_console_event(void *arg, const char *event, const json_t *fields)
{
    tm_console *c = arg;
    if (!c) return;
    show_lines(c, event, fields);
    if (!c->state) return;
    tm_console_state_event(c->state, event, fields);
    if (strcmp(event, "suspend") == 0) tm_screen_leave(c->screen);
    if (strcmp(event, "stopping") == 0) draw(c);
}

void tm_console_tick(void *arg, const tm_run_now *now)
{
    tm_console *c = arg;
    if (!c || !c->state || tm_time_ns() < c->next_ns) return;
    int64_t before = cpu_ns();
    tm_console_state_look(c->state, now);
    draw(c);
    int64_t pause = SHARE * (cpu_ns() - before);
    c->next_ns = tm_time_ns() + (pause > FRAME_NS ? pause : FRAME_NS);
}
