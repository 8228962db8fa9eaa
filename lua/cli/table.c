// SPDX-License-Identifier: Apache-2.0
// Tables as text.
#include "lua/cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <utf8proc.h>

#include "lua/cli/fold.h"

enum { GAP = 2, NARROW = 80 };

typedef struct placing {
    bool right;
    int optional; // order in which columns go where there is no room; 0: it stays
} placing;

struct tm_table {
    json_t *cells; // of strings: the headings first
    size_t n_columns;
    placing *columns;
    bool failed; // no memory for a column: nothing is printed
};

tm_table *tm_table_new(void)
{
    tm_table *t = calloc(1, sizeof *t);
    if (t) t->cells = json_array();
    return t;
}

void tm_table_free(tm_table *t)
{
    if (!t) return;
    json_decref(t->cells);
    free(t->columns);
    free(t);
}

void tm_table_column(tm_table *t, const char *heading, bool right)
{
    if (!t) return;
    placing *grown = realloc(t->columns, (t->n_columns + 1) * sizeof *grown);
    t->failed |= !grown;
    if (!grown) return;
    t->columns = grown;
    t->columns[t->n_columns++] = (placing){.right = right};
    json_array_append_new(t->cells, json_string(heading));
}

void tm_table_optional(tm_table *t, int order)
{
    if (t && t->n_columns) t->columns[t->n_columns - 1].optional = order;
}

void tm_table_cell(tm_table *t, const char *format, ...)
{
    va_list args;
    if (!t) return;
    va_start(args, format);
    json_t *cell = json_vsprintf(format, args);
    va_end(args);
    json_array_append_new(t->cells, cell ? cell : json_string("?")); // not UTF-8
}

static size_t n_rows(const tm_table *t)
{
    return t && t->n_columns && !t->failed ? json_array_size(t->cells) / t->n_columns - 1 : 0;
}

static const char *cell_at(const tm_table *t, size_t row, size_t column)
{
    const char *text = json_string_value(json_array_get(t->cells, row * t->n_columns + column));
    return text ? text : "";
}

// ---- for people ----

// The next character and how many places it takes.
static const char *next(const char *text, int *width)
{
    utf8proc_int32_t c = -1;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &c);
    *width = c < 32 ? 1 : utf8proc_charwidth(c);
    return text + (n > 0 ? n : 1);
}

static int width_of(const char *text)
{
    int width = 0, one;
    for (; *text; width += one) text = next(text, &one);
    return width;
}

// At most `room` places of a text; gives how many it took.
static int print_text(const char *text, int room, FILE *file)
{
    int used = 0, one;
    bool cut = width_of(text) > room;
    while (*text) {
        const char *from = text;
        text = next(text, &one);
        if (used + one > room - 2 * cut) break;
        used += one;
        if ((unsigned char)*from < 32 || *from == 127)
            fputc(' ', file);
        else
            fwrite(from, 1, (size_t)(text - from), file);
    }
    if (cut) fputs("..", file);
    return used + 2 * cut;
}

// Of a file that is no terminal `else_room`.
static int room_of(FILE *file, int else_room)
{
    size_t room = tm_fold_room(file);
    return room < TM_FOLD_NONE ? (int)room : else_room;
}

// Nothing stands behind the last cell that is not empty.
static void print_row(const tm_table *t, size_t row, const int *widths, size_t last, int room, FILE *file)
{
    size_t end = last;
    while (end > 0 && (!widths[end] || !cell_at(t, row, end)[0])) end--;
    for (size_t i = 0; i <= end; i++) {
        const char *text = cell_at(t, row, i);
        if (!widths[i]) continue;
        int pad = widths[i] - width_of(text);
        if (t->columns[i].right && pad > 0) fprintf(file, "%*s", pad, "");
        int left = room - (i == last ? 0 : GAP);
        if (i == last && t->columns[i].right && pad > 0) left -= pad;
        print_text(text, i == last ? (left > 8 ? left : 8) : widths[i], file);
        room -= widths[i] + GAP;
        if (i < end) fprintf(file, "%*s", (t->columns[i].right || pad < 0 ? 0 : pad) + GAP, "");
    }
    fputc('\n', file);
}

// Widths of the columns, 0 of empty ones.
static void measure(const tm_table *t, size_t n, int *widths)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        for (size_t row = 1; row <= n; row++) {
            int width = width_of(cell_at(t, row, i));
            if (width > widths[i]) widths[i] = width;
        }
        int heading = width_of(cell_at(t, 0, i));
        if (widths[i] && widths[i] < heading) widths[i] = heading;
    }
}

static int highest_order(const tm_table *t, const int *widths)
{
    int order = 0;
    for (size_t i = 0; i < t->n_columns; i++)
        if (widths[i] && t->columns[i].optional > order) order = t->columns[i].optional;
    return order;
}

// Gives how many columns it left out.
static size_t make_narrow(const tm_table *t, int *widths, int room)
{
    size_t left = 0;
    int total = -GAP, order;
    for (size_t i = 0; i < t->n_columns; i++) total += widths[i] ? widths[i] + GAP : 0;
    while (total > room && (order = highest_order(t, widths)) > 0)
        for (size_t i = t->n_columns; i-- > 0 && total > room;)
            if (widths[i] && t->columns[i].optional == order) {
                total -= widths[i] + GAP;
                widths[i] = 0;
                left++;
            }
    return left;
}

// NULL if there is nothing to print, or no memory.
static int *widths_of(const tm_table *t)
{
    size_t n = n_rows(t);
    int *widths = n ? calloc(t->n_columns, sizeof *widths) : NULL;
    if (widths) measure(t, n, widths);
    return widths;
}

// Columns of width 0 are left out.
static void print_columns(const tm_table *t, const int *widths, int room, FILE *file)
{
    size_t n = n_rows(t), last = 0;
    for (size_t i = 0; i < t->n_columns; i++)
        if (widths[i]) last = i;
    for (size_t row = 0; row <= n; row++) print_row(t, row, widths, last, room, file);
}

size_t tm_table_print(const tm_table *t, FILE *file)
{
    int room = room_of(file, 1 << 20);
    int *widths = widths_of(t);
    if (!widths) return 0;
    size_t left = make_narrow(t, widths, room);
    print_columns(t, widths, room, file);
    free(widths);
    return left;
}

// ---- in parts ----

// Widths of one part: the head, and `per` of the others from `from` on. False if that is too wide.
static bool choose(const tm_table *t, const int *widths, size_t head, size_t from, size_t per, int room,
                   int *part)
{
    size_t seen = 0;
    int total = -GAP;
    for (size_t i = 0; i < t->n_columns; i++) {
        bool other = i >= head && widths[i], in = i < head || (seen >= from && seen < from + per);
        part[i] = in ? widths[i] : 0;
        total += part[i] ? part[i] + GAP : 0;
        seen += other;
    }
    return total <= room;
}

// The fewest parts of equal numbers of columns that fit. `per`: how many columns a part has.
static size_t parts_of(const tm_table *t, const int *widths, size_t head, int room, int *part, size_t *per)
{
    size_t n = 0;
    for (size_t i = head; i < t->n_columns; i++) n += widths[i] > 0;
    for (size_t parts = 1; parts < n; parts++) {
        size_t from = 0;
        *per = (n + parts - 1) / parts;
        while (from < n && choose(t, widths, head, from, *per, room, part)) from += *per;
        if (from >= n) return parts;
    }
    *per = 1;
    return n ? n : 1;
}

size_t tm_table_parts(const tm_table *t, size_t head, FILE *file)
{
    size_t per, parts = 0;
    int *widths = widths_of(t), *part = widths ? calloc(t->n_columns, sizeof *part) : NULL;
    if (part) parts = parts_of(t, widths, head, room_of(file, NARROW), part, &per);
    free(part);
    free(widths);
    return parts;
}

// Should one column beside the head be too much, the first is cut, not the numbers.
static void shorten_first(int *part, size_t n, int room)
{
    int total = -GAP;
    for (size_t i = 0; i < n; i++) total += part[i] ? part[i] + GAP : 0;
    if (total > room && part[0] > 8) part[0] = part[0] - (total - room) > 8 ? part[0] - (total - room) : 8;
}

void tm_table_print_parts(const tm_table *t, size_t head, FILE *file)
{
    int room = room_of(file, NARROW), *widths = widths_of(t);
    int *part = widths ? calloc(t->n_columns, sizeof *part) : NULL;
    size_t per, parts = part ? parts_of(t, widths, head, room, part, &per) : 0;
    for (size_t i = 0; i < parts; i++) {
        if (i) fputc('\n', file);
        if (!choose(t, widths, head, i * per, per, room, part)) shorten_first(part, t->n_columns, room);
        print_columns(t, part, room, file);
    }
    free(part);
    free(widths);
}

// ---- as CSV ----

static void csv_text(const char *text, FILE *file)
{
    if (!text[strcspn(text, ",\"\n\r")]) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"') fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

void tm_table_csv(const tm_table *t, FILE *file)
{
    size_t n = n_rows(t);
    for (size_t row = 0; t && !t->failed && row <= n; row++)
        for (size_t i = 0; i < t->n_columns; i++) {
            csv_text(cell_at(t, row, i), file);
            fputc(i + 1 < t->n_columns ? ',' : '\n', file);
        }
}
