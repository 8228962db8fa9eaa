// SPDX-License-Identifier: Apache-2.0
// The last words of a run: what the judges measured, what lies where.
#pragma once

#include "engine/run.h"

// How a run ended, as tm_past_status says it: "done", "stopped" or "failed".
const char *tm_summary_state(tm_status status);

// On stdout. What failed is told by lua/cli/failure.h. `placed`: what was put where (see lua/place.h).
void tm_summary_print(const tm_plan *plan, tm_status status, const tm_run_result *result,
                      const json_t *placed);
