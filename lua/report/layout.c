// SPDX-License-Identifier: Apache-2.0
// Layers, pieces of long lines, and the order within a layer; layout_places.c does the rest.
#include "lua/report/layout_parts.h"

#include <limits.h>
#include <stdlib.h>

#define SWEEPS 12

// ---- layers ----

static bool counts(const tm_layout *l, const tm_line *line)
{
    return line->from != line->to && line->from >= 0 && line->to >= 0 && line->from < l->n_boxes &&
           line->to < l->n_boxes;
}

// Longest paths from above. Boxes on a circle are never free of lines from above, and stay where they got to.
static void find_layers(tm_layout *l, int *above, int *queue)
{
    int n = 0;
    for (int i = 0; i < l->n_boxes; i++) l->boxes[i].layer = above[i] = 0;
    for (int i = 0; i < l->n_lines; i++)
        if (counts(l, &l->lines[i])) above[l->lines[i].to]++;
    for (int i = 0; i < l->n_boxes; i++)
        if (!above[i]) queue[n++] = i;
    for (int at = 0; at < n; at++)
        for (int i = 0; i < l->n_lines; i++) {
            const tm_line *line = &l->lines[i];
            if (!counts(l, line) || line->from != queue[at]) continue;
            int layer = l->boxes[queue[at]].layer + 1;
            if (l->boxes[line->to].layer < layer) l->boxes[line->to].layer = layer;
            if (--above[line->to] == 0) queue[n++] = line->to;
        }
}

// A box that nothing leads to stands right above the first that needs it.
static void lower_sources(tm_layout *l, int *nearest)
{
    for (int i = 0; i < l->n_boxes; i++) nearest[i] = INT_MAX;
    for (int i = 0; i < l->n_lines; i++) {
        const tm_line *line = &l->lines[i];
        if (!counts(l, line)) continue;
        int layer = l->boxes[line->to].layer;
        if (layer < nearest[line->from]) nearest[line->from] = layer;
        nearest[line->to] = -1;
    }
    for (int i = 0; i < l->n_lines; i++)
        if (counts(l, &l->lines[i])) nearest[l->lines[i].to] = -1;
    for (int i = 0; i < l->n_boxes; i++)
        if (nearest[i] != INT_MAX && nearest[i] > 0) l->boxes[i].layer = nearest[i] - 1;
}

static tm_status make_layers(tm_layout *l, tm_error *err)
{
    int *scratch = tm_calloc(2 * (size_t)l->n_boxes + 1, sizeof *scratch);
    if (!scratch) return tm_fail(err, TM_ENOMEM, "no memory to draw %d boxes", l->n_boxes);
    find_layers(l, scratch, scratch + l->n_boxes);
    lower_sources(l, scratch);
    tm_free(scratch);
    return TM_OK;
}

// ---- spots: boxes, and pieces of lines ----

static bool drawn(const tm_layout *l, const tm_line *line)
{
    return counts(l, line) && l->boxes[line->from].layer < l->boxes[line->to].layer;
}

static tm_status allocate(tm_rows *r, tm_layout *l, tm_error *err)
{
    size_t pieces = 0, links = 0;
    for (int i = 0; i < l->n_boxes; i++)
        if (l->boxes[i].layer >= r->n_rows) r->n_rows = l->boxes[i].layer + 1;
    for (int i = 0; i < l->n_lines; i++)
        if (drawn(l, &l->lines[i])) {
            int span = l->boxes[l->lines[i].to].layer - l->boxes[l->lines[i].from].layer;
            links += (size_t)span;
            pieces += (size_t)span - 1;
        }
    r->spots = tm_calloc((size_t)l->n_boxes + pieces + 1, sizeof *r->spots);
    r->links = tm_calloc(links + 1, sizeof *r->links);
    r->order = tm_calloc((size_t)l->n_boxes + pieces + 1, sizeof *r->order);
    r->best = tm_calloc((size_t)l->n_boxes + pieces + 1, sizeof *r->best);
    r->start = tm_calloc((size_t)r->n_rows + 2, sizeof *r->start);
    bool there = r->spots && r->links && r->order && r->best && r->start;
    return there ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory to draw %d boxes", l->n_boxes);
}

static void add_link(tm_rows *r, int upper, int lower)
{
    r->links[r->n_links++] = (tm_row_link){upper, lower};
}

static void make_spots(tm_rows *r, const tm_layout *l)
{
    for (int i = 0; i < l->n_boxes; i++)
        r->spots[r->n_spots++] = (tm_spot_of){.box = i, .row = l->boxes[i].layer, .width = l->boxes[i].width};
    for (int i = 0; i < l->n_lines; i++) {
        const tm_line *line = &l->lines[i];
        if (!drawn(l, line)) continue;
        int last = line->from;
        for (int row = l->boxes[line->from].layer + 1; row < l->boxes[line->to].layer; row++) {
            r->spots[r->n_spots] = (tm_spot_of){.box = -1, .line = i, .row = row, .width = 2};
            add_link(r, last, r->n_spots);
            last = r->n_spots++;
        }
        add_link(r, last, line->to);
    }
    for (int row = 0, n = 0; row < r->n_rows; row++) {
        r->start[row] = n;
        for (int i = 0; i < r->n_spots; i++)
            if (r->spots[i].row == row) r->order[n++] = i;
        r->start[row + 1] = n;
    }
}

// ---- order ----

static void number(tm_rows *r)
{
    for (int row = 0; row < r->n_rows; row++)
        for (int i = r->start[row]; i < r->start[row + 1]; i++)
            r->spots[r->order[i]].place = i - r->start[row];
}

static int crossings(const tm_rows *r)
{
    int n = 0;
    for (int a = 0; a < r->n_links; a++)
        for (int b = a + 1; b < r->n_links; b++) {
            const tm_row_link *x = &r->links[a], *y = &r->links[b];
            if (r->spots[x->upper].row != r->spots[y->upper].row) continue;
            int above = r->spots[x->upper].place - r->spots[y->upper].place;
            int below = r->spots[x->lower].place - r->spots[y->lower].place;
            n += (above < 0 && below > 0) || (above > 0 && below < 0);
        }
    return n;
}

// Where the spots of a row would like to be: the middle of those they are linked with above (or below).
static void find_barycentres(tm_rows *r, int row, bool above)
{
    for (int i = r->start[row]; i < r->start[row + 1]; i++) {
        tm_spot_of *s = &r->spots[r->order[i]];
        s->sum = s->weight = 0;
    }
    for (int i = 0; i < r->n_links; i++) {
        const tm_row_link *link = &r->links[i];
        tm_spot_of *s = &r->spots[above ? link->lower : link->upper];
        if (s->row != row) continue;
        s->sum += r->spots[above ? link->upper : link->lower].place;
        s->weight += 1;
    }
    for (int i = r->start[row]; i < r->start[row + 1]; i++) {
        tm_spot_of *s = &r->spots[r->order[i]];
        s->sum = s->weight > 0 ? s->sum / s->weight : s->place;
    }
}

// Insertion keeps the order of equals.
static void sort_row(tm_rows *r, int row)
{
    int *order = r->order + r->start[row], n = r->start[row + 1] - r->start[row];
    for (int i = 1; i < n; i++) {
        int moving = order[i], k = i;
        while (k > 0 && r->spots[order[k - 1]].sum > r->spots[moving].sum) {
            order[k] = order[k - 1];
            k--;
        }
        order[k] = moving;
    }
    for (int i = 0; i < n; i++) r->spots[order[i]].place = i;
}

static int find_order(tm_rows *r)
{
    number(r);
    int best = crossings(r);
    memcpy(r->best, r->order, (size_t)r->n_spots * sizeof *r->best);
    for (int sweep = 0; sweep < SWEEPS && best; sweep++) {
        bool down = sweep % 2 == 0;
        for (int k = 1; k < r->n_rows; k++) {
            int row = down ? k : r->n_rows - 1 - k;
            find_barycentres(r, row, down);
            sort_row(r, row);
        }
        int now = crossings(r);
        if (now >= best) continue;
        best = now;
        memcpy(r->best, r->order, (size_t)r->n_spots * sizeof *r->best);
    }
    memcpy(r->order, r->best, (size_t)r->n_spots * sizeof *r->best);
    number(r);
    return best;
}

// ---- all of it ----

tm_status tm_layout_make(tm_layout *l, tm_error *err)
{
    tm_rows rows = {0};
    for (int i = 0; i < l->n_lines; i++) {
        l->lines[i].xs = l->lines[i].ys = NULL;
        l->lines[i].n = 0;
    }
    tm_status status = make_layers(l, err);
    if (status >= 0) status = allocate(&rows, l, err);
    if (status >= 0) {
        make_spots(&rows, l);
        l->crossings = find_order(&rows);
        status = tm_layout_place(l, &rows, err);
    }
    tm_free(rows.spots);
    tm_free(rows.links);
    tm_free(rows.order);
    tm_free(rows.best);
    tm_free(rows.start);
    if (status < 0) tm_layout_clear(l);
    return status;
}

void tm_layout_clear(tm_layout *l)
{
    for (int i = 0; i < l->n_lines; i++) {
        tm_free(l->lines[i].xs);
        tm_free(l->lines[i].ys);
        l->lines[i].xs = l->lines[i].ys = NULL;
        l->lines[i].n = 0;
    }
}
