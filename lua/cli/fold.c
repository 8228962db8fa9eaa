// SPDX-License-Identifier: Apache-2.0
// Breaking lines.
#include "lua/cli/fold.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/base/called.h"
#include "engine/base/utf8.h"
#include "lua/cli/cells.h"

size_t tm_fold_room(FILE *file)
{
    struct winsize size;
    if (isatty(fileno(file)) && ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
        return size.ws_col;
    return TM_FOLD_NONE;
}

// The size of what is next: a character, or a colour, which takes no cells.
static size_t next(tm_view text, size_t *cells)
{
    const unsigned char *at = (const unsigned char *)text.data;
    uint32_t point;
    size_t n = 2;
    *cells = 0;
    if (text.size > 2 && at[0] == 27 && at[1] == '[') {
        while (n < text.size && (at[n] == ';' || (at[n] >= '0' && at[n] <= '9'))) n++;
        if (n < text.size && at[n] == 'm') return n + 1;
    }
    n = tm_utf8_decode(at, at + text.size, &point);
    if (!n) n = 1;
    *cells = tm_cells_width(tm_view_of(at, n), true);
    return n;
}

static tm_view behind(tm_view text, size_t n)
{
    return tm_view_of(text.data + n, text.size - n);
}

// What is before the next blank.
static size_t word_size(tm_view text, size_t *cells)
{
    size_t size = 0, one;
    for (*cells = 0; size < text.size && text.data[size] != ' '; *cells += one)
        size += next(behind(text, size), &one);
    return size;
}

static void indent_line(tm_buf *out, size_t indent, size_t *used)
{
    tm_buf_fmt(out, "\n%*s", (int)indent, "");
    *used = indent;
}

// A word that fits in no line.
static void put_long(tm_buf *out, tm_view word, size_t width, size_t indent, size_t *used)
{
    size_t one;
    for (size_t n; word.size; word = behind(word, n)) {
        n = next(word, &one);
        if (*used + one > width) indent_line(out, indent, used);
        tm_buf_add(out, word.data, n);
        *used += one;
    }
}

void tm_fold(tm_buf *out, tm_view line, size_t width, size_t indent)
{
    size_t used = 0;
    bool begun = false;  // the line has a word
    if (width < 4) width = 4;
    if (indent > width / 2) indent = width / 2;
    while (line.size) {
        size_t blanks = 0, cells;
        while (blanks < line.size && line.data[blanks] == ' ') blanks++;
        tm_view word = behind(line, blanks);
        word.size = word_size(word, &cells);
        if (used + blanks + cells > width && begun && cells) {
            indent_line(out, indent, &used);
            blanks = 0;
        }
        for (size_t i = 0; i < blanks && used < width; i++, used++) tm_buf_char(out, ' ');
        put_long(out, word, width, indent, &used);
        begun |= cells > 0;
        line = behind(line, (size_t)(word.data - line.data) + word.size);
    }
}

void tm_fold_print(FILE *file, size_t indent, const char *format, ...)
{
    char *line = NULL;
    tm_buf out = {0}, said = {0};
    va_list args;
    va_start(args, format);
    int size = vasprintf(&line, format, args);
    va_end(args);
    if (size >= 0) tm_called_put(&said, line);
    tm_fold(&out, tm_buf_view(&said), tm_fold_room(file), indent);
    tm_buf_char(&out, '\n');
    if (!out.failed && !said.failed) fwrite(out.data, 1, out.size, file);
    tm_buf_clear(&out);
    tm_buf_clear(&said);
    if (size >= 0) free(line);
}
