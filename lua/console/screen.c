// SPDX-License-Identifier: Apache-2.0
// ECMA-48 sequences that every terminal of today has.
#include "lua/console/screen.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HIDE "\033[?25l"
#define SHOW "\033[?25h"
#define SAVE "\0337"
#define RESTORE "\0338"
#define CLEAR_LINE "\033[K"
#define CLEAR_BELOW "\033[J"

#define WHOLE_NS 3000000000  // all lines are sent again after this, should something else have written there
#define MOST_WAITING (1 << 20)  // bytes for a terminal that takes none

struct tm_screen {
    int fd;
    tm_buf above;      // lines that stay, not sent yet
    tm_buf out;
    tm_console_lines shown;
    bool drawn;        // the cursor is at the first of `shown`
    int width, height; // when it was
    int64_t whole_ns;
};

bool tm_screen_can(int fd)
{
    const char *term = getenv("TERM");
    struct winsize size;
    return isatty(fd) && term && term[0] && strcmp(term, "dumb") != 0 && tcgetpgrp(fd) == getpgrp() &&
           ioctl(fd, TIOCGWINSZ, &size) == 0;
}

tm_screen *tm_screen_open(int fd)
{
    tm_screen *s = calloc(1, sizeof *s);
    if (s) s->fd = fd;
    return s;
}

static bool says_utf8(void)
{
    const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && value[0]) return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

tm_console_look tm_screen_look(const tm_screen *s)
{
    struct winsize size = {0};
    const char *no_colour = getenv("NO_COLOR");
    ioctl(s->fd, TIOCGWINSZ, &size);
    return (tm_console_look){.width = size.ws_col ? size.ws_col : 80,
                             .height = size.ws_row ? size.ws_row : 24,
                             .utf8 = says_utf8(), .colour = !no_colour || !no_colour[0]};
}

void tm_screen_above(tm_screen *s, const char *text, size_t size)
{
    if (s->above.size + size < MOST_WAITING) tm_buf_add(&s->above, text, size);
}

// Everything or nothing, without waiting. (A terminal that takes something takes a frame.)
static bool takes(const tm_screen *s)
{
    struct pollfd ready = {.fd = s->fd, .events = POLLOUT};
    return poll(&ready, 1, 0) == 1 && ready.revents & POLLOUT;
}

static void send(tm_screen *s)
{
    size_t sent = 0;
    while (!s->out.failed && sent < s->out.size) {
        ssize_t n = tm_sys.write(s->fd, s->out.data + sent, s->out.size - sent);
        if (n <= 0) break;
        sent += (size_t)n;
    }
    tm_buf_reset(&s->out);
}

static void go_to_top(tm_screen *s, const tm_console_look *look)
{
    bool same = look->width == s->width && look->height == s->height;
    if (s->drawn && same) tm_buf_str(&s->out, RESTORE);  // a change of the size moves lines and cursor alike
    tm_buf_str(&s->out, "\r");
}

// What stays, in terminal's line ends.
static void add_above(tm_screen *s)
{
    for (size_t i = 0; i < s->above.size; i++) {
        if (s->above.data[i] == '\n') tm_buf_str(&s->out, "\r");
        tm_buf_char(&s->out, s->above.data[i]);
    }
    tm_buf_reset(&s->above);
}

static bool same_line(const tm_buf *a, const tm_buf *b)
{
    return a->size == b->size && (!a->size || memcmp(a->data, b->data, a->size) == 0);
}

static void add_lines(tm_screen *s, const tm_console_lines *lines, bool whole)
{
    for (size_t i = 0; i < lines->n; i++) {
        const tm_buf *line = &lines->line[i];
        bool known = !whole && i < s->shown.n && same_line(line, &s->shown.line[i]);
        if (i) tm_buf_str(&s->out, "\r\n");
        if (!known && line->size) tm_buf_add(&s->out, line->data, line->size);
        if (!known) tm_buf_str(&s->out, CLEAR_LINE);
    }
    if (lines->n < s->shown.n) tm_buf_str(&s->out, CLEAR_BELOW);
    if (lines->n > 1) tm_buf_fmt(&s->out, "\033[%zuA", lines->n - 1);
    tm_buf_str(&s->out, "\r" SAVE SHOW);
}

static bool changed(const tm_screen *s, const tm_console_lines *lines)
{
    if (lines->n != s->shown.n) return true;
    for (size_t i = 0; i < lines->n; i++)
        if (!same_line(&lines->line[i], &s->shown.line[i])) return true;
    return false;
}

// Another program has the terminal (Ctrl-Z and `bg`): lines that stay are sent, nothing is drawn.
static bool in_background(tm_screen *s)
{
    pid_t group = tcgetpgrp(s->fd);
    if (group < 0 || group == getpgrp()) return false;
    if (s->above.size && takes(s)) {
        add_above(s);
        send(s);
    }
    s->drawn = false;
    s->shown.n = 0;
    return true;
}

void tm_screen_put(tm_screen *s, const tm_console_look *look, const tm_console_lines *lines)
{
    int64_t now = tm_time_ns();
    if (in_background(s)) return;
    bool resized = look->width != s->width || look->height != s->height;
    bool whole = !s->drawn || s->above.size || resized || now - s->whole_ns > WHOLE_NS;
    if ((!whole && !changed(s, lines)) || !takes(s)) return;
    tm_buf_str(&s->out, HIDE);
    go_to_top(s, look);
    if (!s->drawn || s->above.size || resized) tm_buf_str(&s->out, CLEAR_BELOW);
    add_above(s);
    add_lines(s, lines, whole);
    send(s);
    if (whole) s->whole_ns = now;
    s->drawn = true;
    s->width = look->width;
    s->height = look->height;
    s->shown.n = lines->n;
    for (size_t i = 0; i < lines->n; i++) {
        tm_buf_reset(&s->shown.line[i]);
        if (lines->line[i].size) tm_buf_add(&s->shown.line[i], lines->line[i].data, lines->line[i].size);
    }
}

void tm_screen_leave(tm_screen *s)
{
    tm_console_look look = tm_screen_look(s);
    if (s->drawn) {
        go_to_top(s, &look);
        tm_buf_str(&s->out, CLEAR_BELOW);
    }
    add_above(s);
    send(s);
    s->drawn = false;
    s->shown.n = 0;
}

void tm_screen_close(tm_screen *s)
{
    if (!s) return;
    tm_screen_leave(s);
    tm_console_lines_clear(&s->shown);
    tm_buf_clear(&s->above);
    tm_buf_clear(&s->out);
    free(s);
}
