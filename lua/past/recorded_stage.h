// SPDX-License-Identifier: Apache-2.0
// The stages of a recorded plan.
#pragma once

#include <jansson.h>

#include "engine/stage.h"

// The row of a node of a recorded plan, or NULL if this program has none of that name. (The node's "stage" is
// what the graph file calls it: of a stage made there, a name that no row has.)
const tm_stage *tm_recorded_stage(const json_t *node);
