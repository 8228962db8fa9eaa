// SPDX-License-Identifier: Apache-2.0
// The stages of a recorded plan.
#include "engine/stage.h"
#include "lua/past/runs.h"

const tm_stage *tm_recorded_stage(const json_t *node)
{
    const char *name = json_string_value(json_object_get(json_object_get(node, "own"), "stage"));
    return name ? tm_stage_find(name) : NULL;
}
