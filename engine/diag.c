// SPDX-License-Identifier: Apache-2.0
// Printing of diagnostics with the source line and a caret.
#include "engine/diag.h"

#include <ctype.h>
#include <stdlib.h>

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

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static const char *find_word(const char *line, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = line; n && (at = strstr(at, word)); at++) {
        bool left = at == line || !word_char(at[-1]) || !word_char(word[0]);
        bool right = !word_char(at[n]) || !word_char(word[n - 1]);
        if (left && right) return at;
    }
    return NULL;
}

bool tm_diag_locate(const char *path, int line, const char *word, int *out_line, int *column, tm_buf *text)
{
    FILE *file = fopen(path, "r");
    if (!file) return false;
    char *row = NULL;
    size_t capacity = 0;
    bool found = false;
    for (int at = 1; !found && at < line + 40; at++) {
        ssize_t n = getline(&row, &capacity, file);
        if (n < 0) break;
        if (at < line) continue;
        while (n > 0 && (row[n - 1] == '\n' || row[n - 1] == '\r')) row[--n] = 0;
        const char *hit = find_word(row, word);
        if (at == line || hit) {
            tm_buf_reset(text);
            tm_buf_add(text, row, (size_t)n);
            *out_line = at;
            *column = hit ? (int)(hit - row) + 1 : 1;
        }
        found = hit != NULL;
        if (!word[0]) break;
    }
    free(row);
    fclose(file);
    return found;
}

static void full_path(const tm_diag *diag, const char *folder, char *path, size_t size)
{
    if (diag->file[0] == '/' || !folder || !folder[0]) snprintf(path, size, "%s", diag->file);
    else snprintf(path, size, "%s/%s", folder, diag->file);
}

// Fill the place of a diagnostic; the text of its line goes to `text`. Without a word, the first non-blank column.
static void place(const tm_diag *diag, const char *folder, int *line, int *column, tm_buf *text)
{
    char path[1400];
    *line = diag->line;
    *column = 1;
    if (!diag->file[0] || !diag->line) return;
    full_path(diag, folder, path, sizeof path);
    if (!tm_diag_locate(path, diag->line, diag->word, line, column, text) && text->size) {
        size_t i = 0;
        while (i < text->size && isspace((unsigned char)text->data[i])) i++;
        *column = (int)i + 1;
    }
}

static void print_source(const tm_diag *diag, int line, int column, const tm_buf *text, FILE *to)
{
    int width = fprintf(to, "%d", line);
    fprintf(to, " | %s\n", text->data);
    fprintf(to, "%*s | ", width, "");
    for (int i = 0; i < column - 1; i++) fputc(text->data[i] == '\t' ? '\t' : ' ', to);
    size_t carets = strlen(diag->word);
    bool hit = carets && (size_t)column - 1 + carets <= text->size &&
               strncmp(text->data + column - 1, diag->word, carets) == 0;
    for (size_t i = 0; i < (hit ? carets : 1); i++) fputc('^', to);
    fputc('\n', to);
}

static void print_field(const char *name, const char *text, FILE *to)
{
    if (text[0]) fprintf(to, "%-6s %s\n", name, text);
}

static void print_one(const tm_diag *diag, const char *folder, FILE *to, bool colour)
{
    tm_buf text = {0};
    int line, column;
    place(diag, folder, &line, &column, &text);
    const char *on = colour ? "\033[1;31m" : "", *off = colour ? "\033[0m" : "";
    fprintf(to, "%serror[%s]%s %s\n", on, diag->code, off, diag->what);
    if (diag->file[0] && line) fprintf(to, "  --> %s:%d:%d\n", diag->file, line, column);
    else if (diag->file[0]) fprintf(to, "  --> %s\n", diag->file);
    if (text.size) print_source(diag, line, column, &text, to);
    print_field("why", diag->why, to);
    print_field("fix", diag->fix, to);
    tm_buf_clear(&text);
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
        tm_buf text = {0};
        int line, column;
        place(d, folder, &line, &column, &text);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:s, s:s}", "code", d->code, "message",
                                              d->what, "file", d->file, "line", line, "column", line ? column : 0,
                                              "end_column", column + (int)strlen(d->word), "why", d->why, "fix",
                                              d->fix));
        tm_buf_clear(&text);
    }
    return list;
}
