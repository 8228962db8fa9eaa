// SPDX-License-Identifier: Apache-2.0
// Coordinates: each row in turn as near as its order allows to what it is linked with.
#include <stdlib.h>

#include "lua/report/layout_parts.h"

#define PASSES 16

typedef struct block { // spots of a row that touch
    double sum, weight;
    int n;
} block;

static double room(const tm_layout *l, const tm_spot_of *a, const tm_spot_of *b)
{
    bool pieces = a->box < 0 && b->box < 0;
    return (a->width + b->width) / 2 + (pieces ? l->gap_x / 2 : l->gap_x);
}

static void pack(const tm_layout *l, tm_rows *r)
{
    for (int row = 0; row < r->n_rows; row++) {
        double x = 0;
        for (int i = r->start[row]; i < r->start[row + 1]; i++) {
            if (i > r->start[row]) x += room(l, &r->spots[r->order[i - 1]], &r->spots[r->order[i]]);
            r->spots[r->order[i]].x = x;
        }
    }
}

// Long lines are straightened first (Gansner et al. 1993, section 4).
static double pull(const tm_spot_of *a, const tm_spot_of *b)
{
    return a->box < 0 && b->box < 0 ? 8 : a->box < 0 || b->box < 0 ? 2 : 1;
}

// What each spot of a row would like, and how much. `ways`: 1 from above, 2 from below, 3 both.
static void find_wishes(tm_rows *r, int row, int ways)
{
    for (int i = r->start[row]; i < r->start[row + 1]; i++) {
        tm_spot_of *s = &r->spots[r->order[i]];
        s->weight = 0.01;
        s->sum = s->x * s->weight;
    }
    for (int i = 0; i < r->n_links; i++) {
        tm_spot_of *upper = &r->spots[r->links[i].upper], *lower = &r->spots[r->links[i].lower];
        double w = pull(upper, lower);
        if (lower->row == row && (ways & 1)) {
            lower->sum += w * upper->x;
            lower->weight += w;
        }
        if (upper->row == row && (ways & 2)) {
            upper->sum += w * lower->x;
            upper->weight += w;
        }
    }
}

// Least squares of the wishes under "not nearer than `room`": what would overlap becomes one block.
static void place_row(const tm_layout *l, tm_rows *r, int row, block *blocks)
{
    const int *order = r->order + r->start[row];
    int n = r->start[row + 1] - r->start[row], n_blocks = 0;
    double offset = 0;
    for (int i = 0; i < n; i++) {
        const tm_spot_of *s = &r->spots[order[i]];
        if (i) offset += room(l, &r->spots[order[i - 1]], s);
        blocks[n_blocks++] = (block){s->sum - offset * s->weight, s->weight, 1};
        while (n_blocks > 1) {
            block *a = &blocks[n_blocks - 2], *b = &blocks[n_blocks - 1];
            if (a->sum / a->weight <= b->sum / b->weight) break;
            *a = (block){a->sum + b->sum, a->weight + b->weight, a->n + b->n};
            n_blocks--;
        }
    }
    offset = 0;
    for (int k = 0, i = 0; k < n_blocks; k++)
        for (int end = i + blocks[k].n; i < end; i++) {
            if (i) offset += room(l, &r->spots[order[i - 1]], &r->spots[order[i]]);
            r->spots[order[i]].x = blocks[k].sum / blocks[k].weight + offset;
        }
}

// Long lines go straight down from where they begin, as far as boxes, which stay, leave room.
static void straighten(const tm_layout *l, tm_rows *r, block *blocks)
{
    for (int row = 0; row < r->n_rows; row++) {
        for (int i = r->start[row]; i < r->start[row + 1]; i++) {
            tm_spot_of *s = &r->spots[r->order[i]];
            s->weight = s->box < 0 ? 1 : 1e4;
            s->sum = s->x * s->weight;
        }
        for (int i = 0; i < r->n_links; i++) {
            const tm_spot_of *upper = &r->spots[r->links[i].upper];
            tm_spot_of *lower = &r->spots[r->links[i].lower];
            if (lower->row == row && lower->box < 0 && upper->box < 0) lower->sum = upper->x;
        }
        place_row(l, r, row, blocks);
    }
}

static tm_status place_all(const tm_layout *l, tm_rows *r, tm_error *err)
{
    block *blocks = tm_calloc((size_t)r->n_spots + 1, sizeof *blocks);
    if (!blocks) return tm_fail(err, TM_ENOMEM, "no memory to draw a graph");
    pack(l, r);
    for (int pass = 0; pass < PASSES; pass++)
        for (int k = 0; k < r->n_rows; k++) {
            int ways = pass + 2 >= PASSES ? 3 : pass % 2 ? 2 : 1;
            int row = pass % 2 ? r->n_rows - 1 - k : k;
            find_wishes(r, row, ways);
            place_row(l, r, row, blocks);
        }
    straighten(l, r, blocks);
    tm_free(blocks);
    return TM_OK;
}

static void shift(tm_layout *l, tm_rows *r)
{
    double left = 0, right = 0;
    for (int i = 0; i < r->n_spots; i++) {
        double a = r->spots[i].x - r->spots[i].width / 2, b = r->spots[i].x + r->spots[i].width / 2;
        if (!i || a < left) left = a;
        if (!i || b > right) right = b;
    }
    for (int i = 0; i < r->n_spots; i++) r->spots[i].x -= left;
    l->width = right - left;
}

// Heights: a row is as high as its highest box. `tops` gets where rows begin, and the end of the last.
static void find_tops(tm_layout *l, const tm_rows *r, double *tops, double *heights)
{
    for (int i = 0; i < l->n_boxes; i++)
        if (l->boxes[i].height > heights[l->boxes[i].layer]) heights[l->boxes[i].layer] = l->boxes[i].height;
    double y = 0;
    for (int row = 0; row < r->n_rows; row++) {
        tops[row] = y;
        y += heights[row] + l->gap_y;
    }
    l->height = r->n_rows ? y - l->gap_y : 0;
}

static tm_status add_points(tm_layout *l, const tm_rows *r, const double *tops, const double *heights,
                            tm_error *err)
{
    for (int i = 0, piece = l->n_boxes; i < l->n_lines; i++) {
        tm_line *line = &l->lines[i];
        if (line->from < 0 || line->to < 0 || line->from >= l->n_boxes || line->to >= l->n_boxes) continue;
        const tm_box *a = &l->boxes[line->from], *b = &l->boxes[line->to];
        if (a->layer >= b->layer) continue;
        size_t n = 2 * (size_t)(b->layer - a->layer);
        line->xs = tm_calloc(n, sizeof *line->xs);
        line->ys = tm_calloc(n, sizeof *line->ys);
        if (!line->xs || !line->ys) return tm_fail(err, TM_ENOMEM, "no memory for a line of %zu points", n);
        line->xs[line->n] = a->x;
        line->ys[line->n++] = a->y + a->height / 2;
        for (int row = a->layer + 1; row < b->layer; row++, piece++) {
            line->xs[line->n] = r->spots[piece].x;
            line->ys[line->n++] = tops[row];
            line->xs[line->n] = r->spots[piece].x;
            line->ys[line->n++] = tops[row] + heights[row];
        }
        line->xs[line->n] = b->x;
        line->ys[line->n++] = b->y - b->height / 2;
    }
    return TM_OK;
}

tm_status tm_layout_place(tm_layout *l, tm_rows *r, tm_error *err)
{
    double *tops = tm_calloc(2 * (size_t)r->n_rows + 2, sizeof *tops);
    if (!tops) return tm_fail(err, TM_ENOMEM, "no memory to draw a graph");
    double *heights = tops + r->n_rows + 1;
    tm_status status = place_all(l, r, err);
    if (status >= 0) {
        shift(l, r);
        find_tops(l, r, tops, heights);
        for (int i = 0; i < l->n_boxes; i++) {
            tm_box *box = &l->boxes[i];
            box->x = r->spots[i].x;
            box->y = tops[box->layer] + heights[box->layer] / 2;
        }
        status = add_points(l, r, tops, heights, err);
    }
    tm_free(tops);
    return status;
}
