// SPDX-License-Identifier: Apache-2.0
// Base functions of the closed Lua: what the stock ones do, less what depends on the machine, the clock or
// the collector.
#include "stages/script/sandbox.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/nearest.h"

void tm_sandbox_pick(lua_State *L, const char *library, const char *const *names)
{
    lua_pushglobaltable(L);
    if (library) {
        lua_getfield(L, -1, library);
        lua_remove(L, -2);
    }
    for (; *names; names++) {
        lua_getfield(L, -1, *names);
        lua_setfield(L, -3, *names);
    }
    lua_pop(L, 1);
}

// ---- text of values ----

void tm_sandbox_tostring(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    if (luaL_callmeta(L, index, "__tostring")) {
        if (!lua_isstring(L, -1)) luaL_error(L, "'__tostring' must return a string");
        return;
    }
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
        if (lua_tonumber(L, index) != lua_tonumber(L, index)) {
            lua_pushliteral(L, "nan");
            return;
        }
        luaL_tolstring(L, index, NULL);
        return;
    case LUA_TSTRING: lua_pushvalue(L, index); return;
    case LUA_TBOOLEAN: lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false"); return;
    case LUA_TNIL: lua_pushliteral(L, "nil"); return;
    default:
        if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) return;
        lua_pushstring(L, luaL_typename(L, index));
    }
}

static int to_string(lua_State *L)
{
    luaL_checkany(L, 1);
    tm_sandbox_tostring(L, 1);
    return 1;
}

static int print(lua_State *L)
{
    tm_sandbox *box = tm_sandbox_of(L);
    int n = lua_gettop(L);
    luaL_Buffer line;
    luaL_buffinit(L, &line);
    for (int i = 1; i <= n; i++) {
        if (i > 1) luaL_addchar(&line, '\t');
        tm_sandbox_tostring(L, i);
        luaL_addvalue(&line);
    }
    luaL_pushresult(&line);
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    tm_sandbox_charge(L, 100 + size / 4);
    if (box->print) box->print(box->user, text, size);
    return 0;
}

// ---- walking tables in the order of their keys ----

typedef struct key {
    int rank;  // 0 integer, 0 float too, 1 string, 2 boolean
    bool is_float;
    lua_Integer i;  // also false 0, true 1
    lua_Number f;
    const char *text;
    size_t size;
} key;

// A float key has no integral value, or one beyond 64 bits.
static int compare_mixed(lua_Integer i, lua_Number f)
{
    if (f >= 0x1p63) return -1;
    if (f < -0x1p63) return 1;
    lua_Integer floor_f = (lua_Integer)floor(f);
    return i <= floor_f ? -1 : 1;
}

static int compare_keys(const void *x, const void *y)
{
    const key *a = x, *b = y;
    if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
    if (a->rank == 1) {
        int order = memcmp(a->text, b->text, a->size < b->size ? a->size : b->size);
        return order ? order : a->size < b->size ? -1 : a->size > b->size;
    }
    if (a->is_float && b->is_float) return a->f < b->f ? -1 : a->f > b->f;
    if (a->is_float) return -compare_mixed(b->i, a->f);
    if (b->is_float) return compare_mixed(a->i, b->f);
    return a->i < b->i ? -1 : a->i > b->i;
}

static void read_key(lua_State *L, int index, key *k)
{
    *k = (key){0};
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
        k->is_float = !lua_isinteger(L, index);
        if (k->is_float) k->f = lua_tonumber(L, index);
        else k->i = lua_tointeger(L, index);
        return;
    case LUA_TSTRING:
        k->rank = 1;
        k->text = lua_tolstring(L, index, &k->size);
        return;
    case LUA_TBOOLEAN:
        k->rank = 2;
        k->i = lua_toboolean(L, index);
        return;
    default:
        tm_sandbox_raise(
            L, "TM0116", NULL, "use numbers, strings or booleans as keys, or walk a list with ipairs",
            "a table with a %s as a key cannot be walked: such keys have no order", luaL_typename(L, index));
    }
}

static void push_key(lua_State *L, const key *k)
{
    if (k->rank == 1) lua_pushlstring(L, k->text, k->size);
    else if (k->rank == 2) lua_pushboolean(L, (int)k->i);
    else if (k->is_float) lua_pushnumber(L, k->f);
    else lua_pushinteger(L, k->i);
}

size_t tm_sandbox_keys(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    luaL_checkstack(L, 6, "too many nested tables");
    size_t n = 0, logs = 1;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) n++;
    for (size_t m = n; m; m >>= 1) logs++;
    tm_sandbox_charge(L, n * logs / 2);
    lua_createtable(L, n < INT32_MAX ? (int)n : 0, 0);
    key *keys = lua_newuserdatauv(L, (n + 1) * sizeof *keys, 0);
    size_t i = 0;
    bool sorted = true;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1), i++) {
        read_key(L, -2, &keys[i]);
        sorted = sorted && (i == 0 || compare_keys(&keys[i - 1], &keys[i]) < 0);
    }
    if (!sorted) qsort(keys, n, sizeof *keys, compare_keys);
    for (i = 0; i < n; i++) {
        push_key(L, &keys[i]);
        lua_rawseti(L, -3, (lua_Integer)i + 1);
    }
    lua_pop(L, 1);
    return n;
}

// Upvalues: the list of keys, how many were visited.
static int pairs_step(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    for (lua_Integer i = lua_tointeger(L, lua_upvalueindex(2)) + 1;; i++) {
        lua_settop(L, 1);
        lua_pushinteger(L, i);
        lua_replace(L, lua_upvalueindex(2));
        if (lua_rawgeti(L, lua_upvalueindex(1), i) == LUA_TNIL) return 1;
        lua_pushvalue(L, -1);
        if (lua_rawget(L, 1) != LUA_TNIL) return 2;
    }
}

static int pairs(lua_State *L)
{
    luaL_checkany(L, 1);
    if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 3);
        return 3;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    tm_sandbox_keys(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, pairs_step, 2);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

// The smallest key above the given one; costs a walk of the table.
static int next(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    key after, best, k;
    bool first = lua_isnil(L, 2), found = false;
    if (!first) read_key(L, 2, &after);
    uint64_t n = 1;
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1), n++) {
        read_key(L, -2, &k);
        if (!first && compare_keys(&k, &after) <= 0) continue;
        if (found && compare_keys(&k, &best) >= 0) continue;
        best = k;
        found = true;
    }
    tm_sandbox_charge(L, n);
    if (!found) {
        lua_pushnil(L);
        return 1;
    }
    push_key(L, &best);
    lua_pushvalue(L, -1);
    lua_rawget(L, 1);
    return 2;
}

// ---- metatables ----
// A metatable is copied when it is first set, field by field from this list, so that nothing can be added to
// it later; getmetatable gives the original.

static const char *const events[] = {
    "__add", "__band", "__bnot", "__bor", "__bxor", "__call", "__close", "__concat", "__div", "__eq", "__idiv",
    "__index", "__le", "__len", "__lt", "__metatable", "__mod", "__mul", "__name", "__newindex", "__pairs", "__pow",
    "__shl", "__shr", "__sub", "__tostring", "__unm", NULL,
};

static const char original_key = 0;  // its address keys the original in a copy
static const char copies_key = 0;    // and the table original -> copy in the registry

static void refuse_event(lua_State *L, const char *name, const char *why)
{
    lua_pushstring(L, name);
    if (lua_rawget(L, 2) != LUA_TNIL)
        tm_sandbox_raise(L, "TM0117", name, NULL, "a metatable with %s is not allowed here: %s", name, why);
    lua_pop(L, 1);
}

static void copy_metatable(lua_State *L)
{
    refuse_event(L, "__gc", "it would run when memory is reclaimed, which is not the same in every run");
    refuse_event(L, "__mode", "when its entries vanish is not the same in every run");
    lua_newtable(L);
    for (const char *const *event = events; *event; event++) {
        lua_pushstring(L, *event);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, 2) == LUA_TNIL) lua_pop(L, 2);
        else if (strcmp(*event, "__call") == 0 && !lua_isfunction(L, -1))
            luaL_error(L, "'__call' must be a function");
        else lua_rawset(L, -3);
    }
    lua_pushvalue(L, 2);
    lua_rawsetp(L, -2, &original_key);
}

static int set_metatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_setmetatable(L, 1);
        return 1;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &copies_key);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, 3) == LUA_TNIL) {
        lua_pop(L, 1);
        copy_metatable(L);
        lua_pushvalue(L, 2);
        lua_pushvalue(L, -2);
        lua_rawset(L, 3);
    }
    lua_setmetatable(L, 1);
    lua_settop(L, 1);
    return 1;
}

static int get_metatable(lua_State *L)
{
    luaL_checkany(L, 1);
    if (!lua_getmetatable(L, 1)) {
        lua_pushnil(L);
        return 1;
    }
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) return 1;
    lua_rawgetp(L, -1, &original_key);
    return 1;
}

// ---- protected calls: a bound that was reached goes through ----

static int finish_call(lua_State *L, int status, lua_KContext extra)
{
    tm_sandbox *box = tm_sandbox_of(L);
    if (box->doom) tm_sandbox_doom(L, box->doom);
    if (status == LUA_ERRMEM) tm_sandbox_doom(L, "TM0121");
    if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - (int)extra;
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

static int protected_call(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_call);
    return finish_call(L, status, 0);
}

// xpcall(f, handler, ...). The handler is called behind the error, not within it: within, a bound that is
// reached could not stop it.
static int finish_call_with(lua_State *L, int status, lua_KContext extra)
{
    int n = finish_call(L, status, extra);
    if (status == LUA_OK || status == LUA_YIELD) return n;
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    status = lua_pcall(L, 1, 1, 0);
    finish_call(L, status, 0);
    if (status == LUA_OK) lua_pushboolean(L, 0);
    if (status == LUA_OK) lua_insert(L, -2);
    return 2;
}

static int protected_call_with(lua_State *L)
{
    int n = lua_gettop(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);  // function, handler, true, function, arguments
    int status = lua_pcallk(L, n - 2, LUA_MULTRET, 0, 2, finish_call_with);
    return finish_call_with(L, status, 2);
}

static int raw_set(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected table");
    lua_rawset(L, 1);
    return 1;
}

// ---- globals ----

typedef struct absent {
    const char *name, *why;
} absent;

static const absent absents[] = {
    {"io", "files are read by stages: tm.read"},
    {"os", "no clock, environment or processes: options come in through tm.params"},
    {"debug", "it would look behind the closed environment"},
    {"package", "only files beside the graph can be required"},
    {"load", "put the code in a file beside the graph, and require it"},
    {"loadstring", "put the code in a file beside the graph, and require it"},
    {"dofile", "use require"},
    {"loadfile", "use require"},
    {"collectgarbage", "memory is no business of a graph"},
    {"warn", "use print"},
    {"unpack", "it is table.unpack"},
    {"_G", "globals are fixed"},
    {"require", "require it outside of the function, and use what it gives"},
    {"coroutine", "use a loop"},
    {NULL, NULL},
};

static void unknown_global(lua_State *L, const char *name)
{
    for (const absent *a = absents; a->name; a++)
        if (strcmp(a->name, name) == 0)
            tm_sandbox_raise(L, "TM0115", name, a->why, "%s has no '%s'", tm_sandbox_of(L)->words.program,
                             name);
    if (strcmp(name, "tm") == 0)
        tm_sandbox_raise(L, "TM0103", name, "begin the file with: local tm = require \"tidemill\"",
                         "there is no global 'tm'");
}

const char *tm_sandbox_nearest(lua_State *L, int index, const char *word)
{
    size_t n = tm_sandbox_keys(L, index), n_names = 0;
    const char **names = lua_newuserdatauv(L, (n + 1) * sizeof *names, 0);
    for (size_t i = 1; i <= n; i++) {
        if (lua_rawgeti(L, -2, (lua_Integer)i) == LUA_TSTRING) names[n_names++] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    names[n_names] = NULL;
    const char *near = tm_nearest(word, names);
    lua_pop(L, 2);
    return near;
}

static void add_name(lua_State *L, int table, const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_') return; // "(temporary)"
    lua_pushboolean(L, 1);
    lua_setfield(L, table, name);
}

// Push a table of the names that the code at work can use: globals, its locals, and those that it takes from
// around it.
static void push_visible(lua_State *L, int globals)
{
    lua_Debug at;
    const char *name;
    lua_newtable(L);
    int table = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, globals); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING) add_name(L, table, lua_tostring(L, -2));
    if (!lua_getstack(L, 1, &at)) return;
    for (int i = 1; (name = lua_getlocal(L, &at, i)); i++, lua_pop(L, 1)) add_name(L, table, name);
    if (!lua_getinfo(L, "f", &at)) return;
    for (int i = 1; (name = lua_getupvalue(L, -1, i)); i++, lua_pop(L, 1))
        if (strcmp(name, "_ENV") != 0) add_name(L, table, name);
    lua_settop(L, table);
}

static int global_index(lua_State *L)
{
    lua_settop(L, 2);
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
    unknown_global(L, name);
    push_visible(L, 1);
    const char *near = tm_sandbox_nearest(L, 3, name);
    if (near) lua_pushfstring(L, "did you mean '%s'?", near);
    else lua_pushfstring(L, "declare it before its use: local %s = ...", name);
    tm_sandbox_raise(L, "TM0103", name, lua_tostring(L, -1), "there is no global '%s'", name);
}

static int global_newindex(lua_State *L)
{
    lua_settop(L, 3);
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
    lua_pushfstring(L, "write: local %s = ...", name);
    tm_sandbox_raise(L, "TM0104", name, lua_tostring(L, -1), "'%s' would become a global", name);
}

static void add_strictness(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, global_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, global_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "globals");
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

void tm_sandbox_add_base(lua_State *L)
{
    static const char *const stock[] = {"assert", "error",  "ipairs", "rawequal", "rawget",  "rawlen",
                                        "select", "tonumber", "type", NULL};
    static const luaL_Reg ours[] = {
        {"getmetatable", get_metatable}, {"next", next},   {"pairs", pairs},
        {"pcall", protected_call},       {"print", print}, {"rawset", raw_set},
        {"setmetatable", set_metatable},
        {"tostring", to_string},         {"xpcall", protected_call_with},
        {NULL, NULL},
    };
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &copies_key);
    tm_sandbox_pick(L, NULL, stock);
    luaL_setfuncs(L, ours, 0);
    lua_pushliteral(L, LUA_VERSION);
    lua_setfield(L, -2, "_VERSION");
    add_strictness(L);
}
