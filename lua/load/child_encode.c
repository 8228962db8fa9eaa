// SPDX-License-Identifier: Apache-2.0
// Values of a graph file as canonical JSON: keys sorted by bytes, whole numbers as integers, the shortest
// text that reads back for the others.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/load/child_host.h"

const char tm_child_kinds = 0;
const char tm_child_names = 0;

// Where an encoder is, for messages: options.inner.3
typedef struct place {
    const struct place *up;
    const char *constructor;  // set in the outermost alone
    const char *name;         // or NULL
    lua_Integer index;
    int depth;
} place;

static void encode(lua_State *L, int index, const place *at);

static tm_buf *scratch(lua_State *L)
{
    return &tm_child_of(L)->scratch;
}

void tm_child_add(lua_State *L, const char *text, size_t size)
{
    tm_buf *buf = scratch(L);
    tm_buf_add(buf, text, size);
    if (buf->failed) tm_sandbox_doom(L, "TM0121");
    if (buf->size > TM_CHILD_TEXT)
        tm_child_fault(L, "TM0124", NULL, "put long lists into a file that a stage reads",
                       "one call is given more than %u MiB of values", TM_CHILD_TEXT >> 20);
}

static void add_text(lua_State *L, const char *text)
{
    tm_child_add(L, text, strlen(text));
}

// ---- faults ----

static void describe(const place *at, char *text, size_t size)
{
    char rest[100] = "";
    for (; at->up; at = at->up) {
        char part[100];
        bool first = !at->up->up;
        if (at->name) snprintf(part, sizeof part, "%.60s%s%.30s", at->name, rest[0] ? "." : "", rest);
        else
            snprintf(part, sizeof part, "%s%lld%s%.60s", first ? "value " : "", (long long)at->index,
                     rest[0] ? "." : "", rest);
        memcpy(rest, part, sizeof rest);
    }
    snprintf(text, size, "%s%s%s", at->constructor, rest[0] ? ": " : "", rest);
}

static const char *word_of(const place *at)
{
    for (; at; at = at->up)
        if (at->name) return at->name;
    return NULL;
}

_Noreturn static void refuse(lua_State *L, const place *at, const char *hint, const char *what)
{
    char where[224], text[400];
    describe(at, where, sizeof where);
    snprintf(text, sizeof text, "%s %s", where, what);
    tm_child_fault(L, "TM0112", word_of(at), hint, "%s", text);
}

static void refuse_function(lua_State *L, int index, const place *at)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &tm_child_names);
    lua_pushvalue(L, index);
    if (lua_rawget(L, -2) == LUA_TSTRING) {
        char where[224];
        const char *name = lua_tostring(L, -1);
        describe(at, where, sizeof where);
        if (strcmp(name, ":best") == 0) lua_pushstring(L, "write: node:best \"valid.loss\"");
        else if (name[0] == ':') lua_pushfstring(L, "write: node%s ...", name);
        else lua_pushfstring(L, "write: %s {}", name);
        size_t before = strncmp(name, "tm.", 3) == 0 ? 3 : name[0] == ':';
        tm_child_fault(L, "TM0110", name + before, lua_tostring(L, -1),
                       "%s is %s itself, not what it makes", where, name);
    }
    refuse(L, at, "a graph file gives plain data: text, numbers, true and false, tables of them",
           "is a function");
}

_Noreturn static void refuse_step(lua_State *L, int index, const place *at)
{
    char where[224];
    describe(at, where, sizeof where);
    lua_getiuservalue(L, index, 1);
    const char *name = lua_tostring(L, -1);
    tm_child_fault(L, "TM0110", name + (strncmp(name, "tm.", 3) == 0 ? 3 : 0),
                   "give it an input as its first value, or put it inside tm.curate { source, ... }",
                   "%s is %s {} without an input: a step, which stands only inside tm.curate", where, name);
}

_Noreturn static void refuse_kind(lua_State *L, int index, tm_kind kind, const place *at)
{
    switch (kind) {
    case TM_KIND_STEP: refuse_step(L, index, at);
    case TM_KIND_METRIC:
        refuse(L, at, "name it in text, as in node:best \"valid.loss\"",
               "is a metric, which has no value while the graph is described");
    case TM_KIND_SPEC:
        refuse(L, at, "put it into tm.params { NAME = ... } and use what that gives", "declares a parameter");
    default: refuse(L, at, "a graph is what the file returns, nothing else", "is a graph");
    }
}

// ---- plain values ----

static void encode_string(lua_State *L, int index, const place *at)
{
    size_t n;
    const char *text = lua_tolstring(L, index, &n);
    tm_child_add(L, "\"", 1);
    for (size_t i = 0, length; i < n; i += length) {
        unsigned char c = (unsigned char)text[i];
        length = tm_sandbox_utf8(text + i, n - i);
        if (length == 0) refuse(L, at, "save the file as UTF-8", "is text that is not UTF-8");
        if (c == 0) refuse(L, at, NULL, "is text with a zero byte in it");
        char escape[8];
        if (c == '"' || c == '\\') {
            snprintf(escape, sizeof escape, "\\%c", c);
            add_text(L, escape);
        } else if (c < 0x20) {
            snprintf(escape, sizeof escape, "\\u%04x", c);
            add_text(L, escape);
        } else {
            tm_child_add(L, text + i, length);
        }
    }
    tm_child_add(L, "\"", 1);
}

void tm_child_add_string(lua_State *L, int index, const char *what)
{
    place at = {.constructor = what};
    encode_string(L, lua_absindex(L, index), &at);
}

static void shortest(lua_Number x, char text[40])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, 40, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    if (!strpbrk(text, ".e")) strcat(text, ".0");
}

static void encode_number(lua_State *L, int index, const place *at)
{
    char text[40];
    lua_Number x = lua_tonumber(L, index);
    if (lua_isinteger(L, index)) snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(L, index));
    else if (!isfinite(x))
        refuse(L, at, "look for a division by zero", isnan(x) ? "is not a number (nan)" : "is infinite");
    else if (x == floor(x) && x >= -0x1p63 && x < 0x1p63) snprintf(text, sizeof text, "%lld", (long long)x);
    else shortest(x, text);
    add_text(L, text);
}

tm_kind tm_child_kind(lua_State *L, int index)
{
    int type = lua_type(L, index);
    if ((type != LUA_TUSERDATA && type != LUA_TTABLE) || !lua_getmetatable(L, index)) return TM_KIND_PLAIN;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &tm_child_kinds);
    lua_insert(L, -2);
    lua_rawget(L, -2);
    tm_kind kind = (tm_kind)lua_tointeger(L, -1);
    lua_pop(L, 2);
    return kind;
}

static void encode_ref(lua_State *L, int index)
{
    char head[48];
    lua_getiuservalue(L, index, 1);
    snprintf(head, sizeof head, "{\"$ref\":{\"node\":%lld,\"out\":", (long long)lua_tointeger(L, -1));
    add_text(L, head);
    lua_getiuservalue(L, index, 2);
    encode_string(L, -1, NULL);
    if (lua_getiuservalue(L, index, 3) == LUA_TSTRING) {
        add_text(L, ",\"select\":");
        add_text(L, lua_tostring(L, -1));
    }
    add_text(L, "}}");
    lua_pop(L, 3);
}

// ---- tables ----

// Walks the keys from tm_sandbox_keys on top of the stack: all numbers 1..n, all strings, or a fault.
static bool is_list(lua_State *L, size_t n, const place *at)
{
    size_t n_numbers = 0;
    for (size_t i = 1; i <= n; i++) {
        int type = lua_rawgeti(L, -1, (lua_Integer)i);
        bool in_order = type == LUA_TNUMBER && lua_isinteger(L, -1) && lua_tointeger(L, -1) == (lua_Integer)i;
        if (type == LUA_TBOOLEAN) refuse(L, at, NULL, "has true or false as a key");
        if (type == LUA_TNUMBER && !in_order)
            refuse(L, at, "a nil in a list makes a hole: is a name misspelled?",
                   "is a list with a hole in it, or with keys that are no positions");
        n_numbers += in_order;
        lua_pop(L, 1);
    }
    if (n_numbers && n_numbers < n)
        refuse(L, at, "use either positions or names in one table", "mixes positions and names");
    return n_numbers == n;
}

static bool all_refs(lua_State *L, int index, size_t n)
{
    bool refs = n > 0;
    for (size_t i = 1; refs && i <= n; i++) {
        lua_rawgeti(L, index, (lua_Integer)i);
        refs = tm_child_kind(L, lua_gettop(L)) == TM_KIND_REF;
        lua_pop(L, 1);
    }
    return refs;
}

static void encode_list(lua_State *L, int index, size_t n, const place *at)
{
    bool refs = all_refs(L, index, n);
    add_text(L, refs ? "{\"$refs\":[" : "[");
    for (size_t i = 1; i <= n; i++) {
        place inner = {.up = at, .index = (lua_Integer)i, .depth = at->depth + 1};
        if (i > 1) tm_child_add(L, ",", 1);
        lua_rawgeti(L, index, (lua_Integer)i);
        encode(L, lua_gettop(L), &inner);
        lua_pop(L, 1);
    }
    add_text(L, refs ? "]}" : "]");
}

// One `"key":value` of the table at `index`; the key is on top of the stack and is popped.
static void encode_member(lua_State *L, int index, const place *at)
{
    const char *name = lua_tostring(L, -1);
    place inner = {.up = at, .name = name, .depth = at->depth + 1};
    if (name[0] == '$')
        refuse(L, &inner, "choose another name", "begins with '$', which has a meaning of its own");
    encode_string(L, -1, &inner);
    tm_child_add(L, ":", 1);
    lua_pushvalue(L, -1);
    lua_rawget(L, index);
    encode(L, lua_gettop(L), &inner);
    lua_pop(L, 2);
}

static void encode_table(lua_State *L, int index, const place *at)
{
    if (at->depth > TM_CHILD_DEPTH) {
        while (at->up && at->up->up) at = at->up;
        refuse(L, at, NULL, "is nested more than 64 deep, or holds itself");
    }
    size_t n = tm_sandbox_keys(L, index);
    if (is_list(L, n, at)) {
        lua_pop(L, 1);
        encode_list(L, index, n, at);
        return;
    }
    int keys = lua_gettop(L);
    tm_child_add(L, "{", 1);
    for (size_t i = 1; i <= n; i++) {
        if (i > 1) tm_child_add(L, ",", 1);
        lua_rawgeti(L, keys, (lua_Integer)i);
        encode_member(L, index, at);
    }
    tm_child_add(L, "}", 1);
    lua_pop(L, 1);
}

static void encode(lua_State *L, int index, const place *at)
{
    tm_kind kind;
    luaL_checkstack(L, 10, "tables nested too deep");
    tm_sandbox_charge(L, 5);
    switch (lua_type(L, index)) {
    case LUA_TSTRING: encode_string(L, index, at); return;
    case LUA_TNUMBER: encode_number(L, index, at); return;
    case LUA_TBOOLEAN: add_text(L, lua_toboolean(L, index) ? "true" : "false"); return;
    case LUA_TFUNCTION: refuse_function(L, index, at); return;
    case LUA_TTABLE:
    case LUA_TUSERDATA: break;
    default:
        lua_pushfstring(L, "is a %s value", luaL_typename(L, index));
        refuse(L, at, "a graph file gives plain data: text, numbers, true and false, tables of them",
               lua_tostring(L, -1));
    }
    kind = tm_child_kind(L, index);
    if (kind == TM_KIND_REF) {
        encode_ref(L, index);
    } else if (kind == TM_KIND_TEXT) {
        size_t n;
        lua_getiuservalue(L, index, 1);
        const char *text = lua_tolstring(L, -1, &n);
        tm_child_add(L, text, n);
        lua_pop(L, 1);
    } else if (kind == TM_KIND_PLAIN || kind == TM_KIND_SWEEP) {
        encode_table(L, index, at);
    } else {
        refuse_kind(L, index, kind, at);
    }
}

// ---- what tidemill.lua calls ----

int tm_child_json(lua_State *L)
{
    place at = {.constructor = "value"};
    lua_settop(L, 1);
    tm_buf_reset(scratch(L));
    encode(L, 1, &at);
    lua_pushlstring(L, scratch(L)->data, scratch(L)->size);
    return 1;
}

static bool reserved(const char *name)
{
    return strcmp(name, "at") == 0 || strcmp(name, "store") == 0 || strcmp(name, "name") == 0;
}

static void check_reserved(lua_State *L, const char *name, const place *at)
{
    static const int types[] = {LUA_TTABLE, LUA_TBOOLEAN, LUA_TSTRING};
    static const char *const what[] = {"takes a table: at = { cores = 4, memory = \"8 GB\" }",
                                       "takes true or false", "takes a name"};
    int i = name[0] == 'a' ? 0 : name[0] == 's' ? 1 : 2;
    lua_pushstring(L, name);
    lua_rawget(L, 2);
    if (lua_type(L, -1) != types[i]) refuse(L, at, NULL, what[i]);
    lua_pop(L, 1);
}

// Members with positions first, then named ones; the reserved (`want`) or the others. Keys are at index 3.
static void encode_members(lua_State *L, size_t n, const place *at, bool want)
{
    size_t n_members = 0;
    for (size_t i = 1; i <= n; i++) {
        int type = lua_rawgeti(L, 3, (lua_Integer)i);
        if (type == LUA_TBOOLEAN) refuse(L, at, NULL, "has true or false as a name");
        if (type == LUA_TNUMBER && (!lua_isinteger(L, -1) || lua_tointeger(L, -1) != (lua_Integer)i))
            refuse(L, at, "is a name misspelled, or not yet assigned?", "has nil among its first values");
        bool is_reserved = type == LUA_TSTRING && reserved(lua_tostring(L, -1));
        if (is_reserved != want) {
            lua_pop(L, 1);
            continue;
        }
        if (want || n_members++) tm_child_add(L, ",", 1);
        if (is_reserved) {
            place inner = {.up = at, .name = lua_tostring(L, -1)};
            check_reserved(L, lua_tostring(L, -1), &inner);
        }
        if (type == LUA_TSTRING) {
            encode_member(L, 2, at);
        } else {
            char head[32];
            place inner = {.up = at, .index = (lua_Integer)i, .depth = 1};
            snprintf(head, sizeof head, "\"%zu\":", i);
            add_text(L, head);
            lua_rawgeti(L, 2, (lua_Integer)i);
            encode(L, lua_gettop(L), &inner);
            lua_pop(L, 2);
        }
    }
}

int tm_child_args(lua_State *L)
{
    place at = {.constructor = luaL_checkstring(L, 1)};
    lua_settop(L, 2);
    size_t n = tm_sandbox_keys(L, 2);
    for (int want = 0; want < 2; want++) {
        tm_buf_reset(scratch(L));
        encode_members(L, n, &at, want);
        lua_pushlstring(L, scratch(L)->size ? scratch(L)->data : "", scratch(L)->size);
    }
    return 2;
}

// Decimal or exponent, whichever is shorter: 0.5, 0.02, 1e-4, 300, 2.5e-6.
int tm_child_number(lua_State *L)
{
    char text[40], *e;
    lua_Number x = luaL_checknumber(L, 1);
    if (lua_isinteger(L, 1) || (x == floor(x) && fabs(x) < 1e15)) {
        snprintf(text, sizeof text, "%lld",
                 lua_isinteger(L, 1) ? (long long)lua_tointeger(L, 1) : (long long)x);
        lua_pushstring(L, text);
        return 1;
    }
    int digits = 1;
    for (; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, x);
        if (strtod(text, NULL) == x) break;
    }
    char decimal[40], exponent[40];
    e = strchr(text, 'e');
    snprintf(exponent, sizeof exponent, "%.*se%d", (int)(e - text), text, atoi(e + 1));
    snprintf(decimal, sizeof decimal, "%.*g", digits, x);
    lua_pushstring(L, strchr(decimal, 'e') || strlen(exponent) < strlen(decimal) ? exponent : decimal);
    return 1;
}
