// SPDX-License-Identifier: Apache-2.0
// What curation kept: a line for each chain, from the rows that its steps removed.
#pragma once

#include <stdio.h>

#include "engine/plan.h"

// "clean  1,027 of 1,169 documents kept: gopher 95, repetition 22, fuzzy_dedup 25 removed", for every chain
// of the plan whose results are known.
void tm_funnel_print(const tm_plan *plan, FILE *file);
