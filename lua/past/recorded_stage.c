// SPDX-License-Identifier: Apache-2.0
#include "lua/past/recorded_stage.h"

const tm_stage *tm_recorded_stage(const json_t *node)
{
    const char *name = json_string_value(json_object_get(json_object_get(node, "own"), "stage"));
    return name ? tm_stage_find(name) : NULL;
}
