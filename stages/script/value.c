// SPDX-License-Identifier: Apache-2.0
// Lua values to JSON text and back.
#include "stages/script/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "engine/base/json.h"
#include "stages/script/sandbox.h"

#define DEPTH 64

void tm_value_push(lua_State *L, const json_t *json)
{
    luaL_checkstack(L, 4, "tables nested too deep");
    const char *key;
    json_t *item;
    size_t i;
    switch (json ? json_typeof(json) : JSON_NULL) {
    case JSON_OBJECT:
        lua_createtable(L, 0, (int)json_object_size(json));
        json_object_foreach((json_t *)json, key, item)
        {
            tm_value_push(L, item);
            lua_setfield(L, -2, key);
        }
        return;
    case JSON_ARRAY:
        lua_createtable(L, (int)json_array_size(json), 0);
        json_array_foreach(json, i, item)
        {
            tm_value_push(L, item);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        return;
    case JSON_STRING: lua_pushlstring(L, json_string_value(json), json_string_length(json)); return;
    case JSON_INTEGER: lua_pushinteger(L, json_integer_value(json)); return;
    case JSON_REAL: lua_pushnumber(L, json_real_value(json)); return;
    case JSON_NULL: lua_pushnil(L); return;
    default: lua_pushboolean(L, json_is_true(json));
    }
}

static void encode_number(lua_State *L, int index, const char *what, tm_buf *out)
{
    char text[40];
    lua_Number x = lua_tonumber(L, index);
    if (lua_isinteger(L, index)) {
        tm_buf_fmt(out, "%lld", (long long)lua_tointeger(L, index));
        return;
    }
    if (!isfinite(x))
        luaL_error(L, "%s holds a number that is %s", what, isnan(x) ? "not a number" : "infinite");
    if (x == floor(x) && fabs(x) < 0x1p53) {
        tm_buf_fmt(out, "%lld", (long long)x);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    tm_buf_str(out, text);
}

static void encode(lua_State *L, int index, const char *what, int depth, tm_buf *out);

static void encode_list(lua_State *L, int index, size_t n, const char *what, int depth, tm_buf *out)
{
    tm_buf_char(out, '[');
    for (size_t i = 1; i <= n; i++) {
        if (i > 1) tm_buf_char(out, ',');
        lua_rawgeti(L, index, (lua_Integer)i);
        encode(L, lua_gettop(L), what, depth + 1, out);
        lua_pop(L, 1);
    }
    tm_buf_char(out, ']');
}

static void encode_table(lua_State *L, int index, const char *what, int depth, tm_buf *out)
{
    if (depth > DEPTH) luaL_error(L, "%s is nested more than %d deep, or holds itself", what, DEPTH);
    size_t n = tm_sandbox_keys(L, index);  // numbers come first
    int keys = lua_gettop(L);
    lua_rawgeti(L, keys, 1);
    lua_rawgeti(L, keys, (lua_Integer)n);
    bool list = n == 0 || (lua_isinteger(L, -2) && lua_tointeger(L, -2) == 1 && lua_isinteger(L, -1) &&
                           lua_tointeger(L, -1) == (lua_Integer)n);
    lua_settop(L, keys);
    if (list) {
        encode_list(L, index, n, what, depth, out);
        lua_pop(L, 1);
        return;
    }
    tm_buf_char(out, '{');
    for (size_t i = 1; i <= n; i++) {
        if (lua_rawgeti(L, keys, (lua_Integer)i) != LUA_TSTRING)
            luaL_error(L, "%s has a table with a %s as a key: names only, or the positions 1, 2, 3 ... only",
                       what, luaL_typename(L, -1));
        if (i > 1) tm_buf_char(out, ',');
        encode(L, keys + 1, what, depth, out);
        tm_buf_char(out, ':');
        lua_rawget(L, index);
        encode(L, keys + 1, what, depth + 1, out);
        lua_settop(L, keys);
    }
    tm_buf_char(out, '}');
    lua_pop(L, 1);
}

static void encode(lua_State *L, int index, const char *what, int depth, tm_buf *out)
{
    size_t size;
    luaL_checkstack(L, 8, "tables nested too deep");
    switch (lua_type(L, index)) {
    case LUA_TSTRING: {
        const char *text = lua_tolstring(L, index, &size);
        if (!tm_json_quote(tm_view_of(text, size), out))
            luaL_error(L, "%s holds text that is not UTF-8", what);
        return;
    }
    case LUA_TNUMBER: encode_number(L, index, what, out); return;
    case LUA_TBOOLEAN: tm_buf_str(out, lua_toboolean(L, index) ? "true" : "false"); return;
    case LUA_TNIL: tm_buf_str(out, "null"); return;
    case LUA_TTABLE: encode_table(L, index, what, depth, out); return;
    default: luaL_error(L, "%s holds a %s: only text, numbers, true and false, and tables of them", what,
                        luaL_typename(L, index));
    }
}

void tm_value_json(lua_State *L, int index, const char *what, tm_buf *out)
{
    encode(L, lua_absindex(L, index), what, 0, out);
    if (out->failed) tm_sandbox_doom(L, "TM0121");
}
