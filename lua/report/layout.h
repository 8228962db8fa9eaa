// SPDX-License-Identifier: Apache-2.0
// Where the boxes and lines of a drawn graph go: layers from top to bottom, few crossings, straight long
// lines.
//
// Sugiyama, Tagawa, Toda 1981: layers by longest path, long links cut into one piece a layer, order within a
// layer by barycentres, places by least squares under the order (pool adjacent violators). Depends on the
// order of what it is given and on nothing else.
#pragma once

#include "engine/base/status.h"

typedef struct tm_box {
    double width, height;  // given
    double x, y;           // the middle, filled
    int layer;             // filled
} tm_box;

typedef struct tm_line {
    int from, to;  // given: boxes; `from` stands above
    // Filled: the points it passes through, from the lower edge of a box to the upper edge of another; two
    // for each layer between them (where it enters and leaves the row). Freed by tm_layout_clear.
    double *xs, *ys;
    int n;
} tm_line;

typedef struct tm_layout {
    tm_box *boxes;  // the caller's
    int n_boxes;
    tm_line *lines;  // the caller's; lines that close a circle, and from a box to itself, get no points
    int n_lines;
    double gap_x, gap_y;    // between boxes of a layer, between layers
    double width, height;   // filled: of everything; the smallest coordinate is 0
    int crossings;          // filled
} tm_layout;

tm_status tm_layout_make(tm_layout *layout, tm_error *err);
void tm_layout_clear(tm_layout *layout);  // what tm_layout_make allocated
