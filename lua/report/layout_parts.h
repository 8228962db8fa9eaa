// SPDX-License-Identifier: Apache-2.0
// What the halves of the layout share: boxes and pieces of lines in rows.
#pragma once

#include "engine/base/bytes.h"
#include "lua/report/layout.h"

typedef struct tm_spot_of {
    int box;    // or -1: a piece of `line`
    int line;
    int row, place;  // place in its row
    double width, x;
    double sum, weight;  // scratch of whoever sorts or places
} tm_spot_of;

typedef struct tm_row_link {
    int upper, lower;  // spots of neighbouring rows
} tm_row_link;

typedef struct tm_rows {
    tm_spot_of *spots;  // those of the boxes first; the pieces of a line follow one another, from above
    int n_spots;
    tm_row_link *links;
    int n_links;
    int *order, *best;  // spots, row by row
    int *start;         // where a row begins in `order`
    int n_rows;
} tm_rows;

// Coordinates of boxes and lines.
tm_status tm_layout_place(tm_layout *layout, tm_rows *rows, tm_error *err);
