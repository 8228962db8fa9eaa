// SPDX-License-Identifier: Apache-2.0
// Lua patterns with a bound: `find`, `match`, `gmatch` and `gsub` as the manual of Lua 5.4 (section 6.4.1)
// has them, by a matcher that counts its steps, so that a pattern which backtracks without end is stopped at
// its line like any loop. The stock matcher cannot be stopped from within.
#pragma once

#include <lua.h>

// Set the four functions as fields of the table on top of the stack of a sandbox.
void tm_pattern_add(lua_State *L);
