// SPDX-License-Identifier: Apache-2.0
// Printing of diagnostics with the source line and a caret.
#include "engine/diag.h"

#include <stdlib.h>

#include "engine/spot.h"

tm_diag *tm_diag_add(tm_diags *diags, const char *code, const char *file, int line)
{
    size_t capacity = sizeof diags->items / sizeof diags->items[0];
    size_t i = diags->n < capacity ? diags->n : capacity - 1;
    diags->n++;
    tm_diag *diag = &diags->items[i];
    *diag = (tm_diag){.line = line};
    TM_DIAG(diag->code, "%s", code);
    TM_DIAG(diag->file, "%s", file ? file : "");
    return diag;
}

static void full_path(const tm_diag *diag, const char *folder, char *path, size_t size)
{
    if (diag->file[0] == '/' || !folder || !folder[0]) snprintf(path, size, "%s", diag->file);
    else snprintf(path, size, "%s/%s", folder, diag->file);
}

// The place of a diagnostic; empty without one.
static void place(const tm_diag *diag, const char *folder, tm_spot *spot)
{
    char path[1400];
    *spot = (tm_spot){.line = diag->line};
    if (!diag->file[0] || !diag->line) return;
    full_path(diag, folder, path, sizeof path);
    if (!tm_spot_find(path, diag->line, diag->owner, diag->word, spot)) spot->column = 1;
}

static void print_source(const tm_spot *spot, FILE *to)
{
    int width = fprintf(to, "%d", spot->line);
    fprintf(to, " | %s\n%*s | ", spot->text.data, width, "");
    for (int i = 0; i < spot->column - 1; i++) fputc(spot->text.data[i] == '\t' ? '\t' : ' ', to);
    for (size_t i = 0; i < spot->length; i++) fputc('^', to);
    fputc('\n', to);
}

static void print_field(const char *name, const char *text, FILE *to)
{
    if (text[0]) fprintf(to, "%-6s %s\n", name, text);
}

static void print_one(const tm_diag *diag, const char *folder, FILE *to, bool colour)
{
    tm_spot spot;
    place(diag, folder, &spot);
    const char *on = colour ? "\033[1;31m" : "", *off = colour ? "\033[0m" : "";
    fprintf(to, "%serror[%s]%s %s\n", on, diag->code, off, diag->what);
    if (diag->file[0] && spot.line) fprintf(to, "  --> %s:%d:%d\n", diag->file, spot.line, spot.column);
    else if (diag->file[0]) fprintf(to, "  --> %s\n", diag->file);
    if (spot.text.size) print_source(&spot, to);
    print_field("why", diag->why, to);
    print_field("fix", diag->fix, to);
    tm_buf_clear(&spot.text);
}

void tm_diags_print(const tm_diags *diags, const char *folder, FILE *to, bool colour)
{
    size_t shown = diags->n < 5 ? diags->n : 5;
    for (size_t i = 0; i < shown; i++) {
        if (i) fputc('\n', to);
        print_one(&diags->items[i], folder, to, colour);
    }
    if (diags->n > shown) fprintf(to, "\n%zu more errors\n", diags->n - shown);
}

json_t *tm_diags_json(const tm_diags *diags, const char *folder)
{
    json_t *list = json_array();
    size_t shown = diags->n < 16 ? diags->n : 16;
    for (size_t i = 0; i < shown; i++) {
        const tm_diag *d = &diags->items[i];
        tm_spot spot;
        place(d, folder, &spot);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:s, s:s}", "code", d->code,
                                              "message", d->what, "file", d->file, "line", spot.line,
                                              "column", spot.column, "end_column",
                                              spot.column + (int)spot.length, "why", d->why, "fix", d->fix));
        tm_buf_clear(&spot.text);
    }
    return list;
}
