// SPDX-License-Identifier: Apache-2.0
// `string` and `utf8` of the closed Lua: work is counted by the byte, results are bounded, `format` shows no
// addresses, and the patterns are matched by pattern.c.
#include "stages/script/sandbox.h"

#include <string.h>

#include "stages/script/pattern.h"

static const char *const stock[] = {"byte", "char", "len", "lower", "reverse", "sub", "upper", NULL};
static const char *const stock_utf8[] = {"char", "codepoint", "codes", "len", "offset", NULL};

// Upvalue: the stock function. Counts the bytes of the first argument, then becomes that function.
static int counted(lua_State *L)
{
    size_t n = lua_type(L, 1) == LUA_TSTRING ? lua_rawlen(L, 1) : 0;
    tm_sandbox_charge(L, n / 8);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

static void add_counted(lua_State *L, const char *library, const char *const *names)
{
    tm_sandbox_pick(L, library, names);
    for (; *names; names++) {
        lua_getfield(L, -1, *names);
        lua_pushcclosure(L, counted, 1);
        lua_setfield(L, -2, *names);
    }
}

static int repeat(lua_State *L)
{
    size_t n, n_separator;
    const char *text = luaL_checklstring(L, 1, &n);
    lua_Integer times = luaL_checkinteger(L, 2);
    const char *separator = luaL_optlstring(L, 3, "", &n_separator);
    if (times <= 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if (n + n_separator == 0) times = 1;
    else if ((lua_Unsigned)times > TM_SANDBOX_STRING / (n + n_separator))
        return luaL_error(L, "'rep' would make a string of more than 16 MiB");
    tm_sandbox_charge(L, (uint64_t)times * (n + n_separator) / 16 + (uint64_t)times / 4);
    luaL_Buffer out;
    luaL_buffinitsize(L, &out, (size_t)times * (n + n_separator));
    for (; times > 0; times--) {
        luaL_addlstring(&out, text, n);
        if (times > 1) luaL_addlstring(&out, separator, n_separator);
    }
    luaL_pushresult(&out);
    return 1;
}

// Make the arguments of %s into text of ours, refuse %p; upvalue: the stock function.
static int format(lua_State *L)
{
    size_t n;
    const char *at = luaL_checklstring(L, 1, &n), *end = at + n;
    int top = lua_gettop(L), arg = 1;
    uint64_t work = n;
    while (at < end) {
        if (*at++ != '%' || at == end) continue;
        if (*at == '%') {
            at++;
            continue;
        }
        arg++;
        at += strspn(at, "-+ #0123456789.");
        if (*at == 'p') return luaL_error(L, "format '%%p' would show an address");
        if (*at == 's' && arg <= top) {
            tm_sandbox_tostring(L, arg);
            work += lua_rawlen(L, -1);
            lua_replace(L, arg);
        }
    }
    tm_sandbox_charge(L, work / 8);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

// Methods of strings are a copy: what a program does to `string` changes none of them.
static void add_methods(lua_State *L)
{
    int library = lua_gettop(L);
    lua_pushliteral(L, "");
    lua_createtable(L, 0, 2);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, library);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, library + 3);
    }
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "string");
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static void use_stock(lua_State *L, const char *library, const char *const *functions)
{
    tm_sandbox_push_env(L);
    lua_getfield(L, -1, library);
    tm_sandbox_pick(L, library, functions);
    lua_pop(L, 2);
}

void tm_sandbox_uncount_string(lua_State *L)
{
    use_stock(L, "string", stock);
    use_stock(L, "utf8", stock_utf8);
    lua_pushliteral(L, "");
    luaL_getmetafield(L, -1, "__index");
    tm_sandbox_pick(L, "string", stock);
    lua_pop(L, 2);
}

void tm_sandbox_add_string(lua_State *L)
{
    static const char *const charpattern[] = {"charpattern", NULL};
    lua_newtable(L);
    add_counted(L, "string", stock);
    lua_pushcfunction(L, repeat);
    lua_setfield(L, -2, "rep");
    static const char *const stock_format[] = {"format", NULL};
    tm_sandbox_pick(L, "string", stock_format);
    lua_getfield(L, -1, "format");
    lua_pushcclosure(L, format, 1);
    lua_setfield(L, -2, "format");
    tm_pattern_add(L);
    add_methods(L);
    lua_setfield(L, -2, "string");
    lua_newtable(L);
    add_counted(L, "utf8", stock_utf8);
    tm_sandbox_pick(L, "utf8", charpattern);
    lua_setfield(L, -2, "utf8");
}
