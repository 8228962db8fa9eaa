// SPDX-License-Identifier: Apache-2.0
// Looking stages and values up by name.
#include "engine/stage.h"

const tm_stage *tm_stage_find(const char *name)
{
    for (const tm_stage *const *stage = tm_stages; *stage; stage++)
        if (strcmp((*stage)->name, name) == 0) return *stage;
    return NULL;
}

const tm_value *tm_value_find(const char *name)
{
    for (const tm_value *const *value = tm_values; *value; value++)
        if (strcmp((*value)->name, name) == 0) return *value;
    return NULL;
}

bool tm_stage_makes(const tm_stage *stage, int port)
{
    return port < TM_MAX_PORTS && stage->outputs[port].name && !(stage->outputs[port].flags & TM_PORT_ALIAS);
}
