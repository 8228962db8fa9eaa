// SPDX-License-Identifier: Apache-2.0
// Values between Lua and JSON.
#pragma once

#include <jansson.h>
#include <lua.h>

#include "engine/base/bytes.h"

// Push JSON as a Lua value: objects and lists become tables, null nil.
void tm_value_push(lua_State *L, const json_t *json);

// Append the value at `index` as canonical JSON: keys sorted by bytes, whole numbers without a fraction, the
// shortest text that reads back for the others, a table without keys as []. Raises, naming `what` ("meta"),
// at what JSON cannot hold: functions, text that is not UTF-8, infinity, keys that are neither all names nor
// all positions, tables in tables more than 64 deep.
void tm_value_json(lua_State *L, int index, const char *what, tm_buf *out);
