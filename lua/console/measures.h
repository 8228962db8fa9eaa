// SPDX-License-Identifier: Apache-2.0
// What judges measured, as a table: a line a measure, a column a model.
#pragma once

#include <stdio.h>

#include "engine/plan.h"

// One table for every judge of the plan whose result is known: the last snapshot of each model.
void tm_measures_print(const tm_plan *plan, FILE *file);
