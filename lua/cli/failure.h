// SPDX-License-Identifier: Apache-2.0
// What is said of a run that failed: what and where, why, what is kept, how to go on, where to look.
#pragma once

#include "engine/diag.h"
#include "engine/run.h"
#include "lua/cli/cli.h"

// Fills `diags` with the failure of a run that ended with `err`. `cli`: its graph file and parameters
// are those of the fix.
void tm_failure_tell(const tm_plan *plan, const tm_run_result *result, const tm_error *err, const tm_cli *cli,
                     tm_diags *diags);
// What is to be done about an error of this code where the stage has no better word: "mend that".
const char *tm_failure_remedy(const char *code);
