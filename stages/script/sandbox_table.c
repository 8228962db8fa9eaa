// SPDX-License-Identifier: Apache-2.0
// `table`, `coroutine` and `math` of the closed Lua.
//
// The functions of `table` take elements as they are (no metamethods), count their work, and `sort` is a
// stable merge: the stock quicksort takes its pivot from the clock when a list is long.
#include "stages/script/sandbox.h"

#include <math.h>
#include <string.h>

// ---- table ----

static lua_Integer length(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    return (lua_Integer)lua_rawlen(L, index);
}

static int insert(lua_State *L)
{
    lua_Integer n = length(L, 1), at = n + 1;
    int given = lua_gettop(L);
    if (given != 2 && given != 3) return luaL_error(L, "wrong number of arguments to 'insert'");
    if (given == 3) at = luaL_checkinteger(L, 2);
    luaL_argcheck(L, at >= 1 && at <= n + 1, 2, "position out of bounds");
    tm_sandbox_charge(L, (uint64_t)(n + 1 - at));
    for (lua_Integer i = n + 1; i > at; i--) {
        lua_rawgeti(L, 1, i - 1);
        lua_rawseti(L, 1, i);
    }
    lua_settop(L, given);
    lua_rawseti(L, 1, at);
    return 0;
}

static int take_out(lua_State *L)
{
    lua_Integer n = length(L, 1), at = luaL_optinteger(L, 2, n);
    if (lua_gettop(L) > 1)
        luaL_argcheck(L, (n == 0 && at == 0) || (at >= 1 && at <= n + 1), 2, "position out of bounds");
    lua_rawgeti(L, 1, at);
    tm_sandbox_charge(L, at <= n ? (uint64_t)(n - at) : 0);
    for (; at < n; at++) {
        lua_rawgeti(L, 1, at + 1);
        lua_rawseti(L, 1, at);
    }
    if (at <= n) {
        lua_pushnil(L);
        lua_rawseti(L, 1, at);
    }
    return 1;
}

static int concat(lua_State *L)
{
    size_t n_separator, total = 0;
    lua_Integer n = length(L, 1);
    const char *separator = luaL_optlstring(L, 2, "", &n_separator);
    lua_Integer from = luaL_optinteger(L, 3, 1), to = luaL_optinteger(L, 4, n);
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    for (lua_Integer i = from; i <= to; i++) {
        int type = lua_rawgeti(L, 1, i);
        if (type != LUA_TSTRING && type != LUA_TNUMBER)
            return luaL_error(L, "invalid value (%s) at index %I in table for 'concat'", luaL_typename(L, -1),
                              i);
        total += lua_rawlen(L, -1) + n_separator;
        if (total > TM_SANDBOX_STRING)
            return luaL_error(L, "'concat' would make a string of more than 16 MiB");
        luaL_addvalue(&text);
        if (i < to) luaL_addlstring(&text, separator, n_separator);
        if (i == LUA_MAXINTEGER) break;
    }
    tm_sandbox_charge(L, total / 16 + (from <= to ? (uint64_t)(to - from) : 0));
    luaL_pushresult(&text);
    return 1;
}

static int move(lua_State *L)
{
    int target = lua_isnoneornil(L, 5) ? 1 : 5;
    length(L, 1);
    length(L, target);
    lua_Integer from = luaL_checkinteger(L, 2), to = luaL_checkinteger(L, 3), at = luaL_checkinteger(L, 4);
    if (to >= from) {
        lua_Unsigned n = (lua_Unsigned)to - (lua_Unsigned)from;
        luaL_argcheck(L, n < (1u << 24), 3, "too many elements to move");
        luaL_argcheck(L, at <= LUA_MAXINTEGER - (lua_Integer)n, 4, "destination wrap around");
        tm_sandbox_charge(L, n + 1);
        bool down = at <= from || at > to || target != 1;
        for (lua_Integer i = 0; i <= (lua_Integer)n; i++) {
            lua_Integer k = down ? i : (lua_Integer)n - i;
            lua_rawgeti(L, 1, from + k);
            lua_rawseti(L, target, at + k);
        }
    }
    lua_pushvalue(L, target);
    return 1;
}

// Stack: 1 list, 2 order or nil, 3 snapshot of the elements.
static bool before(lua_State *L, uint32_t a, uint32_t b)
{
    bool given = !lua_isnil(L, 2);
    if (given) lua_pushvalue(L, 2);
    lua_rawgeti(L, 3, a);
    lua_rawgeti(L, 3, b);
    bool result;
    if (given) {
        lua_call(L, 2, 1);
        result = lua_toboolean(L, -1);
        lua_pop(L, 1);
    } else {
        result = lua_compare(L, -2, -1, LUA_OPLT);
        lua_pop(L, 2);
    }
    return result;
}

static void merge(lua_State *L, const uint32_t *from, uint32_t *to, size_t low, size_t middle, size_t high)
{
    size_t a = low, b = middle;
    for (size_t i = low; i < high; i++) {
        bool right = a == middle || (b < high && before(L, from[b], from[a]));
        to[i] = right ? from[b++] : from[a++];
    }
    tm_sandbox_charge(L, high - low);
}

static int sort(lua_State *L)
{
    size_t n = (size_t)length(L, 1);
    if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
    luaL_argcheck(L, n < (1u << 24), 1, "list too big");
    lua_settop(L, 2);
    lua_createtable(L, (int)n, 0);
    uint32_t *order = lua_newuserdatauv(L, (2 * n + 1) * sizeof *order, 0), *spare = order + n;
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint32_t)i + 1;
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        lua_rawseti(L, 3, (lua_Integer)i + 1);
    }
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t low = 0; low < n; low += 2 * width) {
            size_t middle = low + width < n ? low + width : n;
            size_t high = low + 2 * width < n ? low + 2 * width : n;
            merge(L, order, spare, low, middle, high);
        }
        uint32_t *swap = order;
        order = spare;
        spare = swap;
    }
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, 3, order[i]);
        lua_rawseti(L, 1, (lua_Integer)i + 1);
    }
    return 0;
}

void tm_sandbox_add_table(lua_State *L)
{
    static const char *const stock[] = {"pack", "unpack", NULL};
    static const luaL_Reg ours[] = {
        {"concat", concat},   {"insert", insert}, {"move", move},
        {"remove", take_out}, {"sort", sort},     {NULL, NULL},
    };
    luaL_newlib(L, ours);
    tm_sandbox_pick(L, "table", stock);
    lua_setfield(L, -2, "table");
}

// ---- coroutine ----

// Resume the coroutine with the n values on top of L; gives how many came back on L, or -1 with the error
// there.
static int resume_with(lua_State *L, lua_State *co, int n)
{
    tm_sandbox *box = tm_sandbox_of(L);
    int n_results = 0;
    if (!lua_checkstack(co, n)) return luaL_error(L, "too many arguments to resume");
    if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) {
        lua_pushliteral(L, "cannot resume dead coroutine");
        return -1;
    }
    lua_xmove(L, co, n);
    int status = lua_resume(co, L, n, &n_results);
    if (box->doom) tm_sandbox_doom(L, box->doom);
    if (status == LUA_ERRMEM) tm_sandbox_doom(L, "TM0121");
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        return -1;
    }
    if (!lua_checkstack(L, n_results + 1)) {
        lua_pop(co, n_results);
        return luaL_error(L, "too many results to resume");
    }
    lua_xmove(co, L, n_results);
    return n_results;
}

static int resume(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    int n = resume_with(L, co, lua_gettop(L) - 1);
    lua_pushboolean(L, n >= 0);
    lua_insert(L, n >= 0 ? -(n + 1) : -2);
    return n >= 0 ? n + 1 : 2;
}

static int call_wrapped(lua_State *L)
{
    int n = resume_with(L, lua_tothread(L, lua_upvalueindex(1)), lua_gettop(L));
    return n >= 0 ? n : lua_error(L);
}

static int wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

void tm_sandbox_add_coroutine(lua_State *L)
{
    static const char *const stock[] = {"create", "isyieldable", "running", "status", "yield", NULL};
    static const luaL_Reg ours[] = {{"resume", resume}, {"wrap", wrap}, {NULL, NULL}};
    luaL_newlib(L, ours);
    tm_sandbox_pick(L, "coroutine", stock);
    lua_setfield(L, -2, "coroutine");
}

// ---- math ----
// exp and log go through long double, so that the double nearest to the true value comes out in all but one
// case of some thousands, whatever the machine's vector units; functions that a graph has no use for are left
// out.

static int exponential(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)expl((long double)luaL_checknumber(L, 1)));
    return 1;
}

static int logarithm(lua_State *L)
{
    long double x = (long double)luaL_checknumber(L, 1);
    if (lua_isnoneornil(L, 2)) {
        lua_pushnumber(L, (lua_Number)logl(x));
        return 1;
    }
    lua_Number base = luaL_checknumber(L, 2);
    long double y = base == 2 ? log2l(x) : base == 10 ? log10l(x) : logl(x) / logl((long double)base);
    lua_pushnumber(L, (lua_Number)y);
    return 1;
}

void tm_sandbox_add_math(lua_State *L)
{
    static const char *const stock[] = {"abs", "ceil", "floor", "fmod", "huge", "max", "maxinteger", "min",
                                        "mininteger", "modf", "pi", "sqrt", "tointeger", "type", "ult", NULL};
    static const luaL_Reg ours[] = {{"exp", exponential}, {"log", logarithm}, {NULL, NULL}};
    luaL_newlib(L, ours);
    tm_sandbox_pick(L, "math", stock);
    lua_setfield(L, -2, "math");
}
