// SPDX-License-Identifier: Apache-2.0
// Host functions of the graph process: where a call came from, faults, `require`, and the result.
#include "lua/load/child_host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/nearest.h"

static const char module_key = 0, finish_key = 0, host_key = 0,
                  loaded_key = 0; // addresses: keys in the registry
static const char nodes_key = 0;
static const char loading = 0;  // stands in `loaded` for a file that is being evaluated

#define MOST_MISTAKES 15

// ---- faults and places ----

void tm_child_fault(lua_State *L, const char *code, const char *word, const char *hint, const char *format,
                    ...)
{
    char text[TM_SANDBOX_FAULT_TEXT + 1];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tm_child *child = tm_child_of(L);
    tm_sandbox_push_fault(L, code, text, hint, word, child->site, child->site_line);
    lua_error(L);
    abort();
}

// fault(code, word, hint, text)
static int fault(lua_State *L)
{
    tm_child_fault(L, luaL_checkstring(L, 1), lua_tostring(L, 2), lua_tostring(L, 3), "%s",
                   luaL_checkstring(L, 4));
}

// mistake(code, word, hint, text): a fault that is told at the end. Of very many one ends the evaluation.
static int mistake(lua_State *L)
{
    tm_child *child = tm_child_of(L);
    char fields[4][TM_SANDBOX_FAULT_TEXT + 1];
    if (json_array_size(child->mistakes) >= MOST_MISTAKES) return fault(L);
    for (int i = 0; i < 4; i++) {
        size_t n;
        const char *text = lua_tolstring(L, i + 1, &n);
        tm_sandbox_clean(fields[i], sizeof fields[i], text ? text : "", text ? n : 0);
    }
    const char *file = child->site ? child->site + (child->site[0] == '@') : "";
    json_array_append_new(child->mistakes,
                          json_pack("{s:s, s:s, s:s, s:s, s:s, s:i}", "code", fields[0], "word", fields[1],
                                    "hint", fields[2], "text", fields[3], "file", file, "line",
                                    child->site ? child->site_line : 0));
    return 0;
}

// Upvalue: a function of the module. Notes the line that called, for whatever the call makes or complains
// about.
static int entered(lua_State *L)
{
    tm_child *child = tm_child_of(L);
    const char *site = child->site;
    int line = child->site_line, n = lua_gettop(L);
    child->site = tm_sandbox_where(L, &child->site_line);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, n, LUA_MULTRET);
    child->site = site;
    child->site_line = line;
    return lua_gettop(L);
}

// entry(f) -> f as a program sees it
static int entry(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushcclosure(L, entered, 1);
    return 1;
}

// site() -> file, line of the call into the module
static int site(lua_State *L)
{
    tm_child *child = tm_child_of(L);
    lua_pushstring(L, child->site ? child->site + (child->site[0] == '@') : "?");
    lua_pushinteger(L, child->site_line);
    return 2;
}

// move(file, line): what comes is about that line
static int move(lua_State *L)
{
    tm_child *child = tm_child_of(L);
    child->site = luaL_checkstring(L, 1);  // the module holds the string
    child->site_line = (int)luaL_checkinteger(L, 2);
    return 0;
}

static int nearest(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TTABLE);
    const char *near = tm_sandbox_nearest(L, 2, luaL_checkstring(L, 1));
    lua_pushstring(L, near);
    return 1;
}

static const char *const kind_names[TM_N_KINDS] = {
    [TM_KIND_PLAIN] = "plain", [TM_KIND_REF] = "ref",     [TM_KIND_TEXT] = "text",
    [TM_KIND_STEP] = "step",   [TM_KIND_SWEEP] = "sweep", [TM_KIND_METRIC] = "metric",
    [TM_KIND_SPEC] = "spec",   [TM_KIND_GRAPH] = "graph",
};

// kind(x) -> the kind of an object, "plain" for another table, the type of anything else
static int kind(lua_State *L)
{
    tm_kind k = tm_child_kind(L, 1);
    lua_pushstring(L, k == TM_KIND_PLAIN && !lua_istable(L, 1) ? luaL_typename(L, 1) : kind_names[k]);
    return 1;
}

// make(kind, ...) -> an object with these values
static int make(lua_State *L)
{
    int n = lua_gettop(L) - 1;
    lua_newuserdatauv(L, 0, n);
    lua_insert(L, 2);
    for (int i = n; i > 0; i--) lua_setiuservalue(L, 2, i);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &tm_child_kinds);
    lua_pushvalue(L, 1);
    lua_rawget(L, -2);
    lua_setmetatable(L, 2);
    lua_settop(L, 2);
    return 1;
}

// get(object, i)
static int get(lua_State *L)
{
    lua_getiuservalue(L, 1, (int)lua_tointeger(L, 2));
    return 1;
}

static int raw_set_metatable(lua_State *L)
{
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

// ---- require ----

bool tm_child_keep_file(tm_child *child, const char *name, const char *text, size_t size)
{
    tm_child_file *files = tm_realloc(child->files, (child->n_files + 1) * sizeof *files);
    if (!files) return false;
    child->files = files;
    char *copy = tm_alloc(size + 1), *own_name = tm_strdup(name);
    if (!copy || !own_name) return false;
    memcpy(copy, text, size);
    files[child->n_files++] = (tm_child_file){own_name, tm_view_of(copy, size)};
    return true;
}

static void ask_for(lua_State *L, const char *name)
{
    static const char *const module[] = {"tidemill", NULL};
    tm_child *child = tm_child_of(L);
    tm_buf *body = &child->scratch;
    tm_child_send('r', name, strlen(name));
    char answer = tm_child_receive(body);
    if (answer == 'f') return;
    char why[512], hint[512];
    size_t n = body->data ? strnlen(body->data, body->size) : 0;
    snprintf(why, sizeof why, "%.*s", (int)(n < 500 ? n : 500), body->data ? body->data : "");
    snprintf(hint, sizeof hint, "%.*s", n + 1 < body->size ? (int)(body->size - n - 1) : 0,
             n + 1 < body->size ? body->data + n + 1 : "");
    const char *fix = tm_nearest(name, module) ? "did you mean \"tidemill\"?"
                                               : "only files beside the graph file, and in folders below it, "
                                                 "can be required";
    tm_sandbox_raise(L, "TM0114", name, hint[0] ? hint : fix, "require \"%s\": %s", name, why);
}

// A fault in a required file keeps the place that it names.
_Noreturn static void pass_on(lua_State *L)
{
    tm_fault f = tm_sandbox_of(L)->fault;
    if (tm_sandbox_of(L)->doom) tm_sandbox_doom(L, tm_sandbox_of(L)->doom);
    tm_sandbox_push_fault(L, f.code, f.text, f.hint, f.word, f.file, f.line);
    lua_error(L);
    abort();
}

// The body of the answer is: path NUL source.
static void load_file(lua_State *L)
{
    tm_child *child = tm_child_of(L);
    lua_State *main = child->box->L;
    const char *path = child->scratch.data;
    size_t n_path = strlen(path) + 1;
    if (!tm_child_keep_file(child, path, path + n_path, child->scratch.size - n_path))
        tm_sandbox_doom(L, "TM0121");
    if (!tm_sandbox_load(child->box, path, path + n_path, child->scratch.size - n_path)) pass_on(L);
    if (main != L) lua_xmove(main, L, 1);
}

static int require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    if (strcmp(name, "tidemill") == 0) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &module_key);
        return 1;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded_key);
    lua_pushvalue(L, 1);
    int type = lua_rawget(L, 2);
    if (type == LUA_TLIGHTUSERDATA)
        tm_sandbox_raise(L, "TM0114", name, NULL, "require \"%s\": the files require each other in a circle",
                         name);
    if (type != LUA_TNIL) return 1;
    lua_pop(L, 1);
    ask_for(L, name);
    lua_pushvalue(L, 1);
    lua_pushlightuserdata(L, (void *)&loading);
    lua_rawset(L, 2);
    load_file(L);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, 2);
    return 1;
}

// ---- the host table ----

static void push_json(lua_State *L, const json_t *json)
{
    luaL_checkstack(L, 4, "catalogue nested too deep");
    const char *key;
    json_t *item;
    size_t i;
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        lua_newtable(L);
        json_object_foreach((json_t *)json, key, item)
        {
            push_json(L, item);
            lua_setfield(L, -2, key);
        }
        return;
    case JSON_ARRAY:
        lua_newtable(L);
        json_array_foreach(json, i, item)
        {
            push_json(L, item);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        return;
    case JSON_STRING: lua_pushstring(L, json_string_value(json)); return;
    case JSON_INTEGER: lua_pushinteger(L, json_integer_value(json)); return;
    case JSON_REAL: lua_pushnumber(L, json_real_value(json)); return;
    case JSON_NULL: lua_pushnil(L); return;
    default: lua_pushboolean(L, json_is_true(json));
    }
}

// kinds.NAME: the metatables. In the registry: metatable -> number, and name -> metatable.
static void add_kinds(lua_State *L)
{
    lua_newtable(L);
    lua_newtable(L);
    for (int i = TM_KIND_REF; i < TM_N_KINDS; i++) {
        lua_newtable(L);
        lua_pushstring(L, kind_names[i]);
        lua_setfield(L, -2, "__metatable");
        lua_pushvalue(L, -1);
        lua_pushinteger(L, i);
        lua_rawset(L, -4);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, kind_names[i]);
        lua_setfield(L, -3, kind_names[i]);
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &tm_child_kinds);
    lua_setfield(L, -2, "kinds");
}

static void add_table(lua_State *L, const char *name, const void *key)
{
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
    lua_setfield(L, -2, name);
}

// The closed library, and what only the module may use.
static int make_host(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"args", tm_child_args},
        {"code", tm_child_code},
        {"entry", entry},
        {"fault", fault},
        {"json", tm_child_json},
        {"kind", kind},
        {"get", get},
        {"make", make},
        {"mistake", mistake},
        {"move", move},
        {"nearest", nearest},
        {"number", tm_child_number},
        {"site", site},
        {"set", raw_set_metatable},
        {NULL, NULL},
    };
    tm_child *child = tm_child_of(L);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    push_json(L, child->catalogue);
    lua_setfield(L, -2, "catalogue");
    push_json(L, child->overrides);
    lua_setfield(L, -2, "overrides");
    push_json(L, child->maybe);
    lua_setfield(L, -2, "maybe");
    add_kinds(L);
    add_table(L, "names", &tm_child_names);
    add_table(L, "nodes", &nodes_key);
    tm_sandbox_push_env(L);
    lua_setfield(L, -2, "env");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &host_key);

    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &loaded_key);
    tm_sandbox_push_env(L);
    lua_pushcfunction(L, require);
    lua_pushliteral(L, "require");
    lua_insert(L, -2);
    lua_rawset(L, -3);
    return 0;
}

bool tm_child_open_host(tm_child *child)
{
    lua_pushcfunction(child->box->L, make_host);
    return tm_sandbox_call(child->box, 0, 0);
}

void tm_child_push_host(tm_child *child)
{
    lua_rawgetp(child->box->L, LUA_REGISTRYINDEX, &host_key);
}

void tm_child_set_module(tm_child *child)
{
    lua_rawsetp(child->box->L, LUA_REGISTRYINDEX, &finish_key);
    lua_rawsetp(child->box->L, LUA_REGISTRYINDEX, &module_key);
}

void tm_child_push_finish(tm_child *child)
{
    lua_rawgetp(child->box->L, LUA_REGISTRYINDEX, &finish_key);
}

// ---- the result ----

void tm_child_send_result(tm_child *child)
{
    lua_State *L = child->box->L;
    tm_buf out = {0};
    size_t n;
    const char *text = lua_tolstring(L, -2, &n);
    tm_buf_str(&out, "{\"params\":");
    tm_buf_add(&out, text, n);
    text = lua_tolstring(L, -1, &n);
    tm_buf_str(&out, ",\"targets\":");
    tm_buf_add(&out, text, n);
    tm_buf_str(&out, ",\"nodes\":[");
    lua_rawgetp(L, LUA_REGISTRYINDEX, &nodes_key);
    lua_Integer n_nodes = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= n_nodes; i++) {
        lua_rawgeti(L, -1, i);
        text = lua_tolstring(L, -1, &n);
        if (i > 1) tm_buf_char(&out, ',');
        tm_buf_add(&out, text, n);
        lua_pop(L, 1);
    }
    char *mistakes = json_array_size(child->mistakes) ? json_dumps(child->mistakes, JSON_COMPACT) : NULL;
    tm_buf_str(&out, "]");
    if (mistakes) tm_buf_fmt(&out, ",\"mistakes\":%s", mistakes);
    tm_buf_str(&out, "}");
    free(mistakes);
    if (!out.failed) tm_child_send('j', out.data, out.size);
}
