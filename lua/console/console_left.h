// SPDX-License-Identifier: Apache-2.0
// How long a run will still take: the longest way through what is not done yet.
//
// A node in work that tells its pace takes what it still has to do. Any other takes what it took in earlier
// runs after its inputs had ended (tm_estimate.tail); if it never ran, nothing is known.
#pragma once

#include "lua/estimate.h"

// A group of the plan, at one moment.
typedef struct tm_console_part {
    bool over;
    double left_s;   // of one in work that tells its pace, else NaN
    double since_s;  // since it is in work and its inputs have ended; 0: not yet
} tm_console_part;

// Seconds, or NaN. `parts`: one per group of the plan; `needs` may be NULL.
double tm_console_left(const tm_plan *plan, const tm_needs *needs, const tm_console_part *parts);
