// SPDX-License-Identifier: Apache-2.0
// Which of several models tm.best took.
#pragma once

#include <stdio.h>

#include "engine/plan.h"

// A line for each tm.best that has its result: "best: lr=0.01,width=32 (valid.loss 4.7952), called winner".
void tm_winner_print(const tm_plan *plan, FILE *file);
