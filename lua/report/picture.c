// SPDX-License-Identifier: Apache-2.0
// The graph, drawn: a box for each node, a curate chain and a sweep as one box with a line a node.
#include <stdio.h>
#include <stdlib.h>

#include "lua/cli/counts.h"
#include "lua/past/compare.h"
#include "lua/report/layout.h"
#include "lua/report/parts.h"

#define MOST_BOXES 300
#define ROW 19.0
#define MOST_STEPS 32

typedef struct unit {       // what becomes a box
    const tm_past_node *head;  // the node, the last step of a chain, or the worst off of a sweep
    const tm_past_node *steps[MOST_STEPS];
    int n_steps;            // 0: neither chain nor sweep
    int n_left;             // of a sweep: nodes without a line
    size_t sweep;           // the length of its name in that of `head`, or 0
} unit;

typedef struct picture {
    const tm_report *report;
    unit *units;
    int *unit_of;  // node -> unit, -1: none
    tm_layout layout;
} picture;

static int node_index(const tm_past *past, const tm_past_node *node)
{
    return (int)(node - past->nodes);
}

static bool is_step(const tm_past *past, const tm_past_node *node)
{
    const tm_past_node *end = tm_report_chain(past, node);
    return end && end != node;
}

static bool is_fine(const tm_past_node *node)
{
    return strcmp(node->state, "done") == 0 || strcmp(node->state, "cached") == 0;
}

// The sweep that a node is of: a unit that is there already, or a new one. Another's work has no line.
static int take_sweep(picture *p, int n, const tm_past_node *node, size_t size)
{
    int at = 0;
    while (at < n && (p->units[at].sweep != size || strncmp(p->units[at].head->name, node->name, size) != 0))
        at++;
    unit *u = &p->units[at];
    if (at == n) *u = (unit){.head = node, .sweep = size};
    if (is_fine(u->head) ? !is_fine(node) : strcmp(node->state, "failed") == 0) u->head = node;
    if (node->same) return at;
    if (u->n_steps < MOST_STEPS) u->steps[u->n_steps++] = node;
    else u->n_left++;
    return at;
}

// Steps come before the end of their chain in the order of the graph, so ends are collected first.
static int collect(picture *p)
{
    const tm_past *past = &p->report->past;
    int n = 0;
    for (size_t i = 0; i < past->n_nodes; i++) {
        size_t sweep = tm_compare_sweep_size(past->nodes[i].name);
        p->unit_of[i] = sweep ? take_sweep(p, n, &past->nodes[i], sweep) : -1;
        if (p->unit_of[i] == n) n++;
        if (sweep) continue;
        if (is_step(past, &past->nodes[i])) continue;
        p->unit_of[i] = n;
        p->units[n++].head = &past->nodes[i];
    }
    for (size_t i = 0; i < past->n_nodes; i++) {
        if (p->unit_of[i] >= 0) continue;
        int end = p->unit_of[node_index(past, tm_report_chain(past, &past->nodes[i]))];
        if (end < 0) continue;
        unit *u = &p->units[end];
        p->unit_of[i] = end;
        if (u->n_steps < MOST_STEPS - 1) u->steps[u->n_steps++] = &past->nodes[i];
    }
    for (int i = 0; i < n; i++)
        if (p->units[i].n_steps && !p->units[i].sweep)
            p->units[i].steps[p->units[i].n_steps++] = p->units[i].head;
    return n;
}

static bool linked(const tm_layout *l, int from, int to)
{
    for (int i = 0; i < l->n_lines; i++)
        if (l->lines[i].from == from && l->lines[i].to == to) return true;
    return false;
}

static tm_status add_links(picture *p, tm_error *err)
{
    const tm_past *past = &p->report->past;
    const char *port;
    json_t *input;
    for (size_t i = 0; i < past->n_nodes; i++)
        json_object_foreach(json_object_get(past->nodes[i].plan, "inputs"), port, input)
        {
            const tm_past_node *maker =
                tm_report_maker(p->report, input);
            int from = maker ? p->unit_of[node_index(past, maker)] : -1, to = p->unit_of[i];
            if (from < 0 || to < 0 || from == to || linked(&p->layout, from, to)) continue;
            tm_line *lines = tm_realloc(p->layout.lines, ((size_t)p->layout.n_lines + 1) * sizeof *lines);
            if (!lines) return tm_fail(err, TM_ENOMEM, "no memory to draw the graph");
            p->layout.lines = lines;
            lines[p->layout.n_lines++] = (tm_line){.from = from, .to = to};
        }
    return TM_OK;
}

// ---- what stands in a box ----

static void second_line(const tm_past_node *node, char text[64])
{
    char time[TM_COUNT_TEXT];
    if (node->seconds >= 0)
        snprintf(text, 64, "%s %s", tm_report_sign(node->state), tm_duration_text(node->seconds, time));
    else  // one of a group has the time of all
        snprintf(text, 64, "%s %s", tm_report_sign(node->state),
                 node->same                         ? "the same"
                 : strcmp(node->state, "done") == 0 ? "fused"
                                                    : node->state);
}

static int letters(const char *text)
{
    int n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

// Texts are set at 13 and 12 pixels; the widest letters of common fonts are near 8.
static double width_of(const char *text, double letter)
{
    int n = letters(text);
    return (n > 34 ? 34 : n) * letter;
}

static const char *step_name(const unit *u, int k)
{
    const char *slash = strrchr(u->steps[k]->name, '/');
    return slash ? slash + 1 : u->steps[k]->stage;
}

static const char *title_of(const unit *u, char title[224])
{
    if (!u->sweep) return u->head->name;
    int n = snprintf(title, 224, "%.*s", (int)(u->sweep < 190 ? u->sweep : 190), u->head->name);
    if (u->n_left) snprintf(title + n, 224 - (size_t)n, ", %d more", u->n_left);
    return title;
}

static void measure_box(const unit *u, tm_box *box)
{
    char text[64], title[224];
    double width = width_of(title_of(u, title), 7.9);
    second_line(u->head, text);
    if (!u->n_steps) {
        double other = width_of(u->head->stage, 6.6);
        if (other > width) width = other;
        other = width_of(text, 6.6);
        if (other > width) width = other;
    }
    for (int k = 0; k < u->n_steps; k++) {
        second_line(u->steps[k], text);
        double other = width_of(step_name(u, k), 6.9) + 18 + width_of(text, 6.6);
        if (other > width) width = other;
    }
    box->width = width + 24 < 96 ? 96 : width + 24;
    box->height = u->n_steps ? 28 + ROW * u->n_steps + 6 : 62;
}

static void text_at(tm_buf *page, const char *class, double x, double y, const char *text)
{
    char cut[256];
    tm_html(page, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x, y);
    tm_html(page, "%s</text>", tm_report_cut(text, 34, cut));
}

static void draw_steps(tm_buf *page, const unit *u, double left, double right, double top)
{
    char text[64];
    for (int k = 0; k < u->n_steps; k++) {
        double y = top + 28 + ROW * k + 13;
        second_line(u->steps[k], text);
        text_at(page, "step", left, y, step_name(u, k));
        text_at(page, "state end", right, y, text);
    }
}

static void draw_box(tm_buf *page, const tm_past *past, const unit *u, const tm_box *box)
{
    char text[64], made[96], title[224];
    double left = box->x - box->width / 2, top = box->y - box->height / 2;
    second_line(u->head, text);
    tm_html(page, "<a href=\"#node-%d\" class=\"box %s\"><title>%s: %s, %s", node_index(past, u->head),
            tm_report_class(u->head->state), title_of(u, title), u->sweep ? "sweep" : u->head->stage,
            u->head->state);
    if (!u->sweep && tm_report_made(u->head, made)[0]) tm_html(page, ", %s", made);
    tm_html(page, "</title><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"7\"/>", left, top,
            box->width, box->height);
    text_at(page, "title", left + 12, top + 20, title_of(u, title));
    if (u->n_steps) {
        tm_html(page, "<path class=\"rule\" d=\"M%.1f %.1fh%.1f\"/>", left, top + 29, box->width);
        draw_steps(page, u, left + 12, left + box->width - 12, top + 2);
    } else {
        text_at(page, "step", left + 12, top + 37, u->sweep ? "sweep" : u->head->stage);
        text_at(page, "state", left + 12, top + 54, text);
    }
    tm_buf_str(page, "</a>\n");
}

// Straight inside a row, bent between rows.
static void draw_line(tm_buf *page, const tm_line *line)
{
    if (!line->n) return;
    tm_html(page, "<path class=\"line\" d=\"M%.1f %.1f", line->xs[0], line->ys[0]);
    for (int i = 1; i < line->n; i++) {
        double middle = (line->ys[i - 1] + line->ys[i]) / 2;
        if (i % 2 == 0)
            tm_html(page, "V%.1f", line->ys[i]);
        else
            tm_html(page, "C%.1f %.1f %.1f %.1f %.1f %.1f", line->xs[i - 1], middle, line->xs[i], middle,
                    line->xs[i], line->ys[i] - (i == line->n - 1 ? 5 : 0));
    }
    double x = line->xs[line->n - 1], y = line->ys[line->n - 1];
    tm_html(page, "\"/><path class=\"tip\" d=\"M%.1f %.1fl-4 -7h8z\"/>\n", x, y - 0.5);
}

static void draw(const picture *p, int n, tm_buf *page)
{
    const tm_layout *l = &p->layout;
    tm_report_wide(page, "The graph, drawn");
    tm_html(page,
            "<svg class=\"graph\" width=\"%.0f\" height=\"%.0f\" viewBox=\"-4 -4 %.0f %.0f\" role=\"group\" "
            "aria-labelledby=\"picture-t picture-d\">"
            "<title id=\"picture-t\">The graph of this run</title>"
            "<desc id=\"picture-d\">%d boxes and %d links, from the sources at the top to the results at the "
            "bottom. The table of nodes says the same in words.</desc>\n",
            l->width + 8, l->height + 8, l->width + 8, l->height + 8, n, l->n_lines);
    for (int i = 0; i < l->n_lines; i++) draw_line(page, &l->lines[i]);
    for (int i = 0; i < n; i++) draw_box(page, &p->report->past, &p->units[i], &l->boxes[i]);
    tm_buf_str(page, "</svg></div>\n");
}

static tm_status make(picture *p, tm_buf *page, tm_error *err)
{
    size_t n_nodes = p->report->past.n_nodes;
    p->units = tm_calloc(n_nodes + 1, sizeof *p->units);
    p->unit_of = tm_calloc(n_nodes + 1, sizeof *p->unit_of);
    p->layout.boxes = tm_calloc(n_nodes + 1, sizeof *p->layout.boxes);
    if (!p->units || !p->unit_of || !p->layout.boxes)
        return tm_fail(err, TM_ENOMEM, "no memory to draw the graph");
    int n = collect(p);
    if (n > MOST_BOXES) {
        tm_html(page,
                "<p>A graph of %d boxes is too big to be drawn here; the table of nodes has them all.</p>\n",
                n);
        return TM_OK;
    }
    for (int i = 0; i < n; i++) measure_box(&p->units[i], &p->layout.boxes[i]);
    p->layout.n_boxes = n;
    p->layout.gap_x = 22;
    p->layout.gap_y = 38;
    TM_TRY(add_links(p, err));
    TM_TRY(tm_layout_make(&p->layout, err));
    draw(p, n, page);
    tm_layout_clear(&p->layout);
    return TM_OK;
}

void tm_report_picture(const tm_report *report, tm_buf *page)
{
    picture p = {.report = report};
    if (!report->past.n_nodes) return;
    tm_report_open(page, "graph", "Graph");
    if (make(&p, page, NULL) < 0) page->failed = true;
    tm_buf_str(page,
               "<p class=\"legend\"><span class=\"done\">✓ made in this run, and how long it took</span> "
               "<span class=\"done\">✓ fused: made in one go with a neighbour, which has the time of both</span> "
               "<span class=\"cached\">≡ cached: made before</span> "
               "<span class=\"failed\">✗ failed</span> <span>– not run</span></p>\n");
    tm_report_close(page);
    tm_free(p.units);
    tm_free(p.unit_of);
    tm_free(p.layout.boxes);
    tm_free(p.layout.lines);
}
