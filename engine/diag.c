// SPDX-License-Identifier: Apache-2.0
// Printing of diagnostics with the source line and a caret.
#include "engine/diag.h"

#include <stdlib.h>
#include <unistd.h>

#include "engine/base/called.h"
#include "engine/base/utf8.h"
#include "engine/spot.h"

// Of a line, so much before and behind what the caret points at is shown.
enum { BEFORE = 60, BEHIND = 110 };

typedef struct paint {
    const char *error, *place, *label, *off;
} paint;

// One call in a sweep or a loop is made several times, and so is its mistake.
static bool same(const tm_diag *a, const tm_diag *b)
{
    return a->line && a->line == b->line && strcmp(a->code, b->code) == 0 && strcmp(a->file, b->file) == 0 &&
           strcmp(a->what, b->what) == 0 && strcmp(a->owner, b->owner) == 0 && strcmp(a->word, b->word) == 0;
}

tm_diag *tm_diag_add(tm_diags *diags, const char *code, const char *file, int line)
{
    size_t capacity = sizeof diags->items / sizeof diags->items[0];
    size_t i = diags->n < capacity ? diags->n : capacity - 1;
    tm_diag *diag = &diags->items[i];
    for (size_t k = 0; diags->n >= capacity && k < i; k++)
        if (same(&diags->items[k], diag)) {
            diags->items[k].repeats++;
            break;
        }
    diags->n++;
    *diag = (tm_diag){.line = line};
    TM_DIAG(diag->code, "%s", code);
    TM_DIAG(diag->file, "%s", file ? file : "");
    return diag;
}

void tm_diag_error(tm_diag *diag, const tm_error *err)
{
    TM_DIAG(diag->code, "%s", tm_error_code(err));
    TM_DIAG(diag->what, "%.500s", err->text);
    TM_DIAG(diag->why, "%s", err->why);
    TM_DIAG(diag->fix, "%s", err->hint);
}

// A copy without halves of characters that a field had no room for.
static tm_diag mended(const tm_diag *diag)
{
    tm_diag d = *diag;
    char *const fields[] = {d.what, d.why, d.kept, d.fix, d.look, d.file};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) tm_utf8_mend(fields[i]);
    return d;
}

static size_t shown(const tm_diags *diags, size_t most)
{
    return diags->n < most ? diags->n : most;
}

// Where more is said: what the diagnostic names, else the page of its code.
static const char *look_of(const tm_diag *diag, char text[64])
{
    if (diag->look[0]) return diag->look;
    snprintf(text, 64, "tidemill explain %s", diag->code);
    return text;
}

// ---- places ----

// The file as it can be opened from here.
static void path_of(const tm_diag *diag, const char *folder, char *path, size_t size)
{
    char here[1024] = "";
    size_t n = getcwd(here, sizeof here) ? strlen(here) : 0;
    if (n && folder && strncmp(folder, here, n) == 0 && (!folder[n] || folder[n] == '/')) {
        folder += n;
        folder += *folder == '/';
    }
    bool bare = diag->file[0] == '/' || !folder || !folder[0] || strcmp(folder, ".") == 0;
    if (bare)
        snprintf(path, size, "%s", diag->file);
    else snprintf(path, size, "%s/%s", folder, diag->file);
}

// The place of a diagnostic; empty without one.
static void place(const tm_diags *diags, const tm_diag *diag, const char *path, tm_spot *spot)
{
    *spot = (tm_spot){.line = diag->line};
    if (!diag->file[0] || !diag->line) return;
    bool buffered = diags->buffer && strcmp(diag->file, diags->buffer_file) == 0;
    bool found = buffered ? tm_spot_in(diags->buffer, diag->line, diag->owner, diag->word, spot)
                          : tm_spot_find(path, diag->line, diag->owner, diag->word, spot);
    if (!found) spot->column = 1;
}

static size_t characters(const char *text, size_t bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < bytes; i++) n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

// The columns under the caret, in characters from 1.
static void columns(const tm_spot *spot, int *first, int *behind)
{
    size_t start = spot->column ? (size_t)spot->column - 1 : 0;
    *first = *behind = spot->column;
    if (!spot->text.size) return;
    size_t length = start + spot->length > spot->text.size ? spot->text.size - start : spot->length;
    *first = (int)characters(spot->text.data, start) + 1;
    *behind = *first + (int)characters(spot->text.data + start, length);
}

// ---- text ----

// Cells of a part of a line on a terminal; with `to` it is written: blanks for tabs, '?' for what is no text.
static int cells(const char *text, size_t bytes, FILE *to)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + bytes;
    int n = 0;
    while (p < end) {
        uint32_t point = 0;
        unsigned size = tm_utf8_decode(p, end, &point);
        bool odd = !size || point < 0x20 || (point >= 0x7f && point < 0xa0);
        int width = odd ? *p == '\t' ? 4 : 1 : tm_utf8_cells(point);
        if (to && odd)
            fputs(*p == '\t' ? "    " : "?", to);
        else if (to)
            fwrite(p, 1, size, to);
        n += width;
        p += size ? size : 1;
    }
    return n;
}

// A place to cut a text at, not inside a character.
static size_t cut(const char *text, size_t at)
{
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80) at--;
    return at;
}

static void print_source(const tm_spot *spot, FILE *to, const paint *p)
{
    const char *text = spot->text.data;
    size_t size = spot->text.size, start = (size_t)spot->column - 1;
    size_t length = start + spot->length > size ? size - start : spot->length;
    size_t from = size > BEFORE + BEHIND && start > BEFORE ? cut(text, start - BEFORE) : 0;
    size_t most = length > BEHIND ? length : BEHIND;
    size_t end = size - from > BEFORE + BEHIND && start + most < size ? cut(text, start + most) : size;
    int width = snprintf(NULL, 0, "%d", spot->line);
    fprintf(to, "%s%d |%s %s", p->place, spot->line, p->off, from ? "..." : "");
    cells(text + from, end - from, to);
    fprintf(to, "%s\n%s%*s |%s ", end < size ? "..." : "", p->place, width, "", p->off);
    int blanks = cells(text + from, start - from, NULL) + (from ? 3 : 0),
        n = cells(text + start, length, NULL);
    fprintf(to, "%*s%s", blanks, "", p->error);
    for (int i = 0; i < (n ? n : 1); i++) fputc('^', to);
    fprintf(to, "%s\n", p->off);
}

// Further lines of a text stand below its first; what could move the cursor is left out.
static void print_field(const char *name, const char *text, FILE *to, const paint *p)
{
    if (!text[0]) return;
    fprintf(to, "%s%-6s%s ", p->label, name, p->off);
    for (; *text; text++)
        if (*text == '\n' && text[1])
            fputs("\n       ", to);
        else if ((unsigned char)*text >= 0x20 && *text != 0x7f)
            fputc(*text, to);
    fputc('\n', to);
}

// A field that names commands.
static void print_command(const char *name, const char *text, FILE *to, const paint *p)
{
    tm_buf said = {0};
    tm_called_put(&said, text);
    print_field(name, tm_buf_status(&said, NULL) >= 0 && said.size ? said.data : text, to, p);
    tm_buf_clear(&said);
}

static bool is_repeat(const tm_diags *diags, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (same(&diags->items[k], &diags->items[i])) return true;
    return false;
}

static size_t repeats(const tm_diags *diags, size_t i, size_t n)
{
    size_t count = diags->items[i].repeats;
    for (size_t k = i + 1; k < n; k++) count += same(&diags->items[k], &diags->items[i]);
    return count;
}

static bool told_before(const tm_diags *diags, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(diags->items[k].code, diags->items[i].code) == 0) return true;
    return false;
}

static void print_one(const tm_diags *diags, size_t i, const char *folder, FILE *to, const paint *p)
{
    const tm_diag copy = mended(&diags->items[i]), *diag = &copy;
    char path[1400], look[64];
    tm_spot spot;
    int first, behind;
    path_of(diag, folder, path, sizeof path);
    place(diags, diag, path, &spot);
    columns(&spot, &first, &behind);
    fprintf(to, "%serror[%s]%s %s\n", p->error, diag->code, p->off, diag->what);
    if (diag->file[0] && spot.line)
        fprintf(to, "  %s-->%s %s:%d:%d\n", p->place, p->off, path, spot.line, first);
    else if (diag->file[0])
        fprintf(to, "  %s-->%s %s\n", p->place, p->off, path);
    if (spot.text.size) print_source(&spot, to, p);
    print_field("why", diag->why, to, p);
    print_field("kept", diag->kept, to, p);
    print_command("fix", diag->fix, to, p);
    if (diag->look[0] || !told_before(diags, i)) print_command("look", look_of(diag, look), to, p);
    tm_buf_clear(&spot.text);
}

void tm_diags_print(const tm_diags *diags, const char *folder, FILE *to, bool colour)
{
    static const paint bright = {"\033[1;31m", "\033[34m", "\033[1m", "\033[0m"}, plain = {"", "", "", ""};
    size_t n = shown(diags, 16), printed = 0, told = 0;
    for (size_t i = 0; i < n && printed < 5; i++) {
        if (is_repeat(diags, i)) continue;
        size_t more = repeats(diags, i, n);
        if (printed++) fputc('\n', to);
        print_one(diags, i, folder, to, colour ? &bright : &plain);
        if (more) fprintf(to, "and    %zu more of this: the line is run several times\n", more);
        told += 1 + more;
    }
    size_t left = diags->n - told;
    if (left) fprintf(to, "\n%zu more error%s\n", left, left == 1 ? "" : "s");
}

// ---- JSON ----

static json_t *one_json(const tm_diags *diags, const tm_diag *diag, const char *folder)
{
    const tm_diag copy = mended(diag), *d = &copy;
    char path[1400], look[64];
    tm_spot spot;
    int first, behind;
    path_of(d, folder, path, sizeof path);
    place(diags, d, path, &spot);
    columns(&spot, &first, &behind);
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:s, s:s, s:s, s:s}", "code", d->code,
                             "severity", "error", "what", d->what, "file", d->file[0] ? path : "", "line",
                             spot.line, "column", first, "end_line", spot.line, "end_column", behind, "why",
                             d->why, "kept", d->kept, "fix", d->fix, "look", look_of(d, look));
    tm_buf_clear(&spot.text);
    return json;
}

json_t *tm_diags_json(const tm_diags *diags, const char *folder)
{
    json_t *list = json_array();
    size_t n = shown(diags, 16);
    for (size_t i = 0; i < n; i++) json_array_append_new(list, one_json(diags, &diags->items[i], folder));
    return list;
}
