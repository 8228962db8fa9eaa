// SPDX-License-Identifier: Apache-2.0
// Lines of the console. Nodes are a table whose columns go, the least telling first, until it fits.
#include "lua/console/console_draw.h"

#include <math.h>
#include <stdio.h>

#include "lua/cli/cells.h"
#include "lua/cli/counts.h"

#define PLAIN "\033[0m"
#define DIM "\033[2m"
#define BOLD "\033[1m"
#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define CYAN "\033[36m"

typedef struct pen {
    tm_buf *out;
    const tm_console_look *look;
    size_t used, width;  // cells
} pen;

// ---- a line ----

static pen pen_at(tm_console_lines *lines, const tm_console_look *look)
{
    tm_buf *out = &lines->line[lines->n++];
    tm_buf_reset(out);
    return (pen){.out = out, .look = look, .width = look->width > 1 ? (size_t)look->width - 1 : 1};
}

static void colour(pen *p, const char *code)
{
    if (p->look->colour) tm_buf_str(p->out, code);
}

static void put(pen *p, const char *text)
{
    p->used += tm_cells_put(p->out, tm_view_str(text), p->width - p->used, p->look->utf8);
}

static void put_in(pen *p, const char *code, const char *text)
{
    colour(p, code);
    put(p, text);
    colour(p, PLAIN);
}

static void pad(pen *p, size_t to)
{
    for (; p->used < to && p->used < p->width; p->used++) tm_buf_char(p->out, ' ');
}

// ---- numbers ----

static void rate_text(double rate, const char *unit, char *text, size_t size)
{
    char n[TM_COUNT_TEXT];
    text[0] = 0;
    if (isnan(rate) || !unit[0]) return;
    if (rate >= 99.5) snprintf(text, size, "%s %s/s", tm_count_text(llrint(rate), n), unit);
    else if (rate >= 9.95) snprintf(text, size, "%.0f %s/s", rate, unit);
    else snprintf(text, size, "%.*f %s/s", rate < 0.995 ? 2 : 1, rate, unit);
}

// ---- the table of nodes ----

typedef enum { BAR, PERCENT, COUNT, RATE, AMOUNT, LOSS, CACHED, LEFT, MEMORY, COLUMNS } column;

// From the one that goes first to the one that stays longest.
static const column order[COLUMNS] = {MEMORY, CACHED, AMOUNT, BAR, RATE, COUNT, LEFT, LOSS, PERCENT};

#define CELL 64
#define BAR_CELLS 14

typedef struct row {
    const tm_console_node *node;
    char cell[COLUMNS][CELL];
} row;

typedef struct table {
    row rows[TM_CONSOLE_LINES];
    size_t n, name_width, width[COLUMNS];
} table;

static void fill(row *r, const tm_console_node *node)
{
    char a[TM_COUNT_TEXT], b[TM_COUNT_TEXT];
    *r = (row){.node = node};
    if (node->doing) {
        snprintf(r->cell[COUNT], CELL, "%s", node->doing);
        return;
    }
    if (node->total > 0)
        snprintf(r->cell[COUNT], CELL, "%s of %s %s", tm_count_text(llrint(node->done), a),
                 tm_count_text(llrint(node->total), b), node->unit);
    else if (node->done > 0)
        snprintf(r->cell[COUNT], CELL, "%s %s", tm_count_text(llrint(node->done), a),
                 tm_unit_text(llrint(node->done), node->unit, b));
    if (node->total > 0) {
        double share = node->done < node->total ? node->done / node->total : 1;
        snprintf(r->cell[BAR], CELL, "%*s", BAR_CELLS, "");  // drawn later
        snprintf(r->cell[PERCENT], CELL, "%3d %%", (int)(100 * share));
    }
    rate_text(node->rate, node->unit, r->cell[RATE], CELL);
    rate_text(node->amount_rate, node->amount_unit, r->cell[AMOUNT], CELL);
    if (!isnan(node->loss)) snprintf(r->cell[LOSS], CELL, "loss %.3f", node->loss);
    if (!isnan(node->cached)) snprintf(r->cell[CACHED], CELL, "%.0f %% cached", floor(100 * node->cached));
    if (node->memory) tm_size_text(node->memory, r->cell[MEMORY]);
    if (isnan(node->left_s) || node->left_s < 0.5) return;
    char left[TM_COUNT_TEXT];
    snprintf(r->cell[LEFT], CELL, "%s left", tm_duration_text(rint(node->left_s), left));
}

static size_t table_width(const table *t)
{
    size_t all = 2 + t->name_width;
    for (int c = 0; c < COLUMNS; c++) all += t->width[c] ? 2 + t->width[c] : 0;
    return all;
}

// Columns go until the rest fits, and then names get shorter.
static void fit(table *t, const tm_console_look *look)
{
    size_t width = look->width > 1 ? (size_t)look->width - 1 : 1, longest = 0;
    for (size_t i = 0; i < t->n; i++) {
        size_t w = tm_cells_width(tm_view_str(t->rows[i].node->name), look->utf8);
        if (w > longest) longest = w;
        for (int c = 0; c < COLUMNS; c++) {
            size_t size = strlen(t->rows[i].cell[c]);  // ASCII
            if (size > t->width[c]) t->width[c] = size;
        }
    }
    t->name_width = longest < 30 ? longest : 30;
    if (t->name_width > width / 3 && width / 3 >= 8) t->name_width = width / 3;
    for (int i = 0; i < COLUMNS && table_width(t) > width; i++) t->width[order[i]] = 0;
    if (longest > t->name_width && table_width(t) < width) {
        size_t spare = width - table_width(t);
        t->name_width += spare < longest - t->name_width ? spare : longest - t->name_width;
    }
}

// A share as a bar, in eighths of a cell where the terminal can.
static void put_bar(pen *p, double share)
{
    static const char *const eighths[] = {"", "\xe2\x96\x8f", "\xe2\x96\x8e", "\xe2\x96\x8d", "\xe2\x96\x8c",
                                          "\xe2\x96\x8b", "\xe2\x96\x8a", "\xe2\x96\x89"};
    if (share > 1) share = 1;
    int parts = (int)(share * BAR_CELLS * 8), full = parts / 8, rest = parts % 8, cells = 0;
    colour(p, CYAN);
    for (; cells < full; cells++) tm_buf_str(p->out, p->look->utf8 ? "\xe2\x96\x88" : "#");
    if (p->look->utf8 && rest) {
        tm_buf_str(p->out, eighths[rest]);
        cells++;
    }
    colour(p, PLAIN);
    colour(p, DIM);
    for (; cells < BAR_CELLS; cells++) tm_buf_str(p->out, p->look->utf8 ? "\xe2\x94\x80" : "-");
    colour(p, PLAIN);
    p->used += BAR_CELLS;
}

// Aligned to the right.
static void put_percent(pen *p, const char *cell)
{
    size_t blank = strspn(cell, " ");
    pad(p, p->used + blank);
    put(p, cell + blank);
}

static void put_row(const table *t, const row *r, tm_console_lines *lines, const tm_console_look *look)
{
    pen p = pen_at(lines, look);
    const tm_console_node *node = r->node;
    const char *mark = node->working ? look->utf8 ? "\xe2\x97\x8f" : "*" : look->utf8 ? "\xe2\x97\x8b" : "-";
    put_in(&p, node->working ? GREEN : DIM, mark);
    pad(&p, 2);
    colour(&p, BOLD);
    size_t room = p.width - p.used, at = 2 + t->name_width;
    if (room > t->name_width) room = t->name_width;
    p.used += tm_cells_put(p.out, tm_view_str(node->name), room, look->utf8);
    colour(&p, PLAIN);
    bool bare = true;
    for (int c = 0; c < COLUMNS; c++) {
        if (!t->width[c]) continue;
        bare &= !r->cell[c][0];
        if (r->cell[c][0]) pad(&p, at + 2);
        if (r->cell[c][0] && c == BAR) put_bar(&p, node->done / node->total);
        else if (r->cell[c][0] && (c == MEMORY || c == CACHED || node->doing)) put_in(&p, DIM, r->cell[c]);
        else if (r->cell[c][0] && c == PERCENT) put_percent(&p, r->cell[c]);
        else if (r->cell[c][0]) put(&p, r->cell[c]);
        at += 2 + t->width[c];
    }
    if (!bare || !r->cell[COUNT][0]) return;
    pad(&p, 2 + t->name_width + 2);  // a column that went, but all that is known of this one
    put_in(&p, DIM, r->cell[COUNT]);
}

// Where there are more nodes than lines, those that compute are shown, in the order of the graph.
static void choose(table *t, const tm_console_view *v, size_t room)
{
    size_t working = 0, others;
    for (size_t i = 0; i < v->n_nodes; i++) working += v->nodes[i].working;
    others = room > working ? room - working : 0;
    for (size_t i = 0; i < v->n_nodes && t->n < room; i++) {
        if (!v->nodes[i].working && !others) continue;
        others -= !v->nodes[i].working;
        fill(&t->rows[t->n++], &v->nodes[i]);
    }
}

static void draw_nodes(const tm_console_view *v, const tm_console_look *look, size_t room,
                       tm_console_lines *lines)
{
    table t = {.n = 0};
    bool all = v->n_nodes <= room;
    if (!room) return;
    choose(&t, v, all ? room : room - 1);
    fit(&t, look);
    for (size_t i = 0; i < t.n; i++) put_row(&t, &t.rows[i], lines, look);
    if (all) return;
    char text[64];
    pen p = pen_at(lines, look);
    snprintf(text, sizeof text, "and %zu more", v->n_nodes - t.n);
    pad(&p, 2);
    put_in(&p, DIM, text);
}

// ---- below the nodes ----

static void draw_waiting(const tm_console_view *v, const tm_console_look *look, tm_console_lines *lines)
{
    pen p = pen_at(lines, look);
    char text[64];
    int shown = 0;
    colour(&p, DIM);
    put(&p, "next");
    for (; shown < 8 && shown < v->n_waiting && v->waiting[shown]; shown++) {
        size_t size = tm_cells_width(tm_view_str(v->waiting[shown]), look->utf8);
        if (shown && p.used + size + 16 > p.width) break;
        if (shown) put(&p, ",");
        pad(&p, p.used + (shown ? 1 : 2));
        put(&p, v->waiting[shown]);
    }
    snprintf(text, sizeof text, " and %d more", v->n_waiting - shown);
    if (v->n_waiting > shown && p.used + strlen(text) <= p.width) put(&p, text);
    colour(&p, PLAIN);
}

static void draw_warning(const char *text, const tm_console_look *look, tm_console_lines *lines)
{
    pen p = pen_at(lines, look);
    put_in(&p, YELLOW, "warning ");
    pad(&p, p.used + 1);
    put(&p, text);
}

static void draw_sample(const tm_console_view *v, const tm_console_look *look, size_t room,
                        tm_console_lines *lines)
{
    pen p = pen_at(lines, look);
    put_in(&p, CYAN, v->sample_of);
    tm_view text = tm_view_str(v->sample);
    for (size_t i = 1; i < room && text.size; i++) {
        p = pen_at(lines, look);
        pad(&p, 2);
        colour(&p, DIM);
        size_t width = p.width - p.used;
        if (i + 1 == room) tm_cells_put(p.out, text, width, look->utf8);
        else if (!tm_cells_wrap(p.out, &text, width, look->utf8)) text.size = 0;
        colour(&p, PLAIN);
    }
}

static void draw_graph(const tm_console_view *v, const tm_console_look *look, tm_console_lines *lines)
{
    pen p = pen_at(lines, look);
    char text[96], time[TM_COUNT_TEXT];
    int left = v->all - v->done - v->running - v->failed;
    bool wide = look->width >= 60;
    snprintf(text, sizeof text, wide ? "%d of %d nodes done" : "%d/%d done", v->done, v->all);
    put_in(&p, BOLD, text);
    if (v->cached && wide) {
        snprintf(text, sizeof text, " (%d cached)", v->cached);
        put(&p, text);
    }
    snprintf(text, sizeof text, ", %d running", v->running);
    put(&p, text);
    if (v->failed) {
        snprintf(text, sizeof text, ", %d failed", v->failed);
        put_in(&p, RED, text);
    }
    snprintf(text, sizeof text, ", %d left", left > 0 ? left : 0);
    if (wide && left > 0) put(&p, text);
    pad(&p, p.used + 2);
    put(&p, tm_duration_text(rint(v->elapsed_s), time));
    if (isnan(v->left_s)) return;
    snprintf(text, sizeof text, ", about %s left", tm_duration_text(rint(v->left_s), time));
    put(&p, text);
}

static void draw_stopping(const tm_console_view *v, const tm_console_look *look, tm_console_lines *lines)
{
    pen p = pen_at(lines, look);
    put_in(&p, YELLOW, v->stopping > 1 ? "killing the workers"
                       : look->width >= 80
                           ? "stopping: what is trained so far is saved to go on from; Ctrl-C again kills"
                           : "stopping: saves; Ctrl-C again kills");
}

// ---- all of it ----

// Between what has scrolled away and what moves.
static void lines_blank(tm_console_lines *lines)
{
    tm_buf_reset(&lines->line[lines->n++]);
}

typedef struct share {
    size_t nodes, waiting, warnings, sample;
} share;

// Who gets the lines: the graph's own first, then nodes, warnings, the sample, what waits.
static share divide(const tm_console_view *v, size_t room)
{
    share s = {0};
    size_t few = v->n_nodes < 3 ? v->n_nodes : 3, n_warnings = 0;
    while (n_warnings < TM_CONSOLE_WARNINGS && v->warnings[n_warnings][0]) n_warnings++;
    s.nodes = few < room ? few : room;
    room -= s.nodes;
    s.warnings = n_warnings && room ? 1 : 0;
    room -= s.warnings;
    s.sample = v->sample[0] && room >= 2 ? 2 : 0;
    room -= s.sample;
    s.waiting = v->n_waiting && room ? 1 : 0;
    room -= s.waiting;
    size_t more = v->n_nodes - s.nodes < room ? v->n_nodes - s.nodes : room;
    s.nodes += more;
    room -= more;
    for (; room && s.warnings && s.warnings < n_warnings; room--) s.warnings++;
    for (; room > 3 && s.sample && s.sample < 4; room--) s.sample++;
    return s;
}

void tm_console_draw(const tm_console_view *v, const tm_console_look *look, tm_console_lines *lines)
{
    size_t room = look->height > 1 ? (size_t)look->height - 1 : 1;
    lines->n = 0;
    if (room > TM_CONSOLE_LINES) room = TM_CONSOLE_LINES;
    bool stopping = v->stopping && room > 1;
    share s = divide(v, room - 1 - stopping);
    if (s.nodes + s.waiting + s.warnings + s.sample + 12 < room) lines_blank(lines);
    draw_nodes(v, look, s.nodes, lines);
    if (s.waiting) draw_waiting(v, look, lines);
    for (size_t i = s.warnings; i-- > 0;) draw_warning(v->warnings[i], look, lines);
    if (s.sample) draw_sample(v, look, s.sample, lines);
    draw_graph(v, look, lines);
    if (stopping) draw_stopping(v, look, lines);
}

void tm_console_lines_clear(tm_console_lines *lines)
{
    for (size_t i = 0; i < TM_CONSOLE_LINES; i++) tm_buf_clear(&lines->line[i]);
    lines->n = 0;
}
