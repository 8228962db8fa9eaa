// SPDX-License-Identifier: Apache-2.0
// Secrets of a graph (tm.secret "NAME"): environment variables that the nodes of a run will want.
#pragma once

#include "engine/plan.h"

// Before any work: a diagnostic for each secret that is not set and that a node certain to run wants.
void tm_secrets_check(const tm_plan *plan, tm_diags *diags);
