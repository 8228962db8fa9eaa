// SPDX-License-Identifier: Apache-2.0
// Which names of a body nobody has given a value: found before it runs, by the compiler itself.
//
// A function is compiled inside one that declares its names as locals. Those that become upvalues are bound
// nowhere in it: they are globals, and the globals are those of an interpreter made as the worker makes it.
// Where such a name stands is found by the same means, with what follows a place written as another name.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "stages/script/body_parts.h"

#define MEMORY (32u << 20)
#define GROUP 100               // names that one compilation asks about; a function has up to 200 locals
#define OTHER "tidemill__other" // what a name is written as that is not asked about

typedef enum { UNKNOWN, BOUND, READ, ASSIGNED } binding;  // UNKNOWN: not asked yet

typedef struct names {
    tm_sandbox *box;
    const json_t *functions, *function, *uses, *tokens;  // all; the one at hand, what it uses
    size_t n;           // tokens
    binding *bindings;  // of each
    tm_buf text;        // being compiled
    const char *group[GROUP];
    size_t n_group;
    size_t at;          // the token that is wrong
} names;

// ---- tokens ----

static const char *token(const names *s, size_t i)
{
    const char *text = json_string_value(json_array_get(s->tokens, i));
    return text ? text : "";
}

static bool is(const names *s, size_t i, const char *word)
{
    return strcmp(token(s, i), word) == 0;
}

static bool is_name(const char *text)
{
    static const char *const keywords[] = {
        "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
        "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while", NULL,
    };
    if (!isalpha((unsigned char)text[0]) && text[0] != '_') return false;
    for (const char *const *word = keywords; *word; word++)
        if (strcmp(*word, text) == 0) return false;
    return true;
}

// A name that is no field, method or label.
static bool stands_alone(const names *s, size_t i)
{
    if (!is_name(token(s, i))) return false;
    return i == 0 || !(is(s, i - 1, ".") || is(s, i - 1, ":") || is(s, i - 1, "goto") || is(s, i - 1, "::"));
}

// Maybe the key in `{ text = ... }`, which no name stands for.
static bool is_key(const names *s, size_t i)
{
    return i > 0 && is(s, i + 1, "=") && (is(s, i - 1, "{") || is(s, i - 1, ",") || is(s, i - 1, ";"));
}

// What stands here is called or has a field taken: without a value it raises.
static bool is_used(const names *s, size_t i)
{
    const char *text = token(s, i);
    return text[0] && strchr("({\"'.:[", text[0]) && strcmp(text, "..") != 0 && strcmp(text, "...") != 0 &&
           strcmp(text, "::") != 0;
}

// ---- what there is ----

// Pushes the value of a name that nothing in the function binds; nil if there is none.
static void push_global(const names *s, const char *name)
{
    lua_State *L = s->box->L;
    tm_sandbox_push_env(L);
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

static bool is_known(const names *s, const char *name)
{
    lua_State *L = s->box->L;
    if (json_object_get(s->uses, name)) return true;
    push_global(s, name);
    bool known = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return known;
}

// The table of the library that a name stands for when nothing in the function binds it: "string"; or NULL.
static const char *library_of(const names *s, const json_t *uses, const char *name)
{
    lua_State *L = s->box->L;
    const json_t *use = json_object_get(uses, name);
    if (use) name = json_string_value(json_object_get(use, "library"));
    if (!name) return NULL;
    push_global(s, name);
    bool library = lua_istable(L, -1);
    lua_pop(L, 1);
    return library ? name : NULL;
}

static bool has_member(const names *s, const char *library, const char *member)
{
    lua_State *L = s->box->L;
    push_global(s, library);
    lua_getfield(L, -1, member);
    bool has = !lua_isnil(L, -1);
    lua_pop(L, 2);
    return has;
}

// ---- asking the compiler ----

// The function, with `name` (or NULL) written otherwise behind the token `last`, and before it where it was
// found.
static void write_function(names *s, const char *name, size_t last)
{
    for (size_t i = 0; i < s->n; i++) {
        bool other = name && is(s, i, name) && (i > last || (i < last && s->bindings[i] > BOUND));
        tm_buf_str(&s->text, other && stands_alone(s, i) ? OTHER : token(s, i));
        tm_buf_char(&s->text, ' ');
        if (i == 0 && json_is_true(json_object_get(s->function, "method")))
            tm_buf_str(&s->text, is(s, 1, ")") ? "self " : "self, ");
    }
}

// Leaves the function on the stack; or the message, and gives false.
static bool compile(names *s)
{
    lua_State *L = s->box->L;
    if (tm_buf_status(&s->text, NULL) < 0) tm_sandbox_doom(L, "TM0121");
    return luaL_loadbufferx(L, s->text.data, s->text.size, "=names", "t") == LUA_OK &&
           lua_pcall(L, 0, 1, 0) == LUA_OK;
}

static binding ask(names *s, const char *name, size_t i)
{
    lua_State *L = s->box->L;
    binding found = BOUND;
    const char *upvalue;
    tm_buf_reset(&s->text);
    tm_buf_fmt(&s->text, "local %s <const>, %s; return function ", name, OTHER);
    write_function(s, name, i);
    if (!compile(s)) {
        const char *text = lua_tostring(L, -1);
        if (text && strstr(text, "attempt to assign to const variable")) found = ASSIGNED;
    } else {
        for (int k = 1; (upvalue = lua_getupvalue(L, -1, k)); k++, lua_pop(L, 1))
            if (strcmp(upvalue, name) == 0) found = READ;
    }
    lua_pop(L, 1);
    return found;
}

// What binds the name at token i. Those before it are asked about first, as each answer needs them.
static binding binding_of(names *s, size_t i)
{
    const char *name = token(s, i);
    for (size_t k = 0; k <= i; k++)
        if (s->bindings[k] == UNKNOWN && stands_alone(s, k) && is(s, k, name))
            s->bindings[k] = ask(s, name, k);
    return s->bindings[i];
}

// ---- globals ----

// `table.unpack or unpack`: what stands behind `or` is never looked at.
static bool is_never_read(const names *s, size_t i)
{
    if (i < 4 || !is(s, i - 1, "or")) return false;
    const char *library = is(s, i - 3, ".") ? library_of(s, s->uses, token(s, i - 4)) : NULL;
    return library && has_member(s, library, token(s, i - 2));
}

static void look_at(names *s, const char *name)
{
    for (size_t i = 0; i < s->n && i < s->at; i++)
        if (stands_alone(s, i) && is(s, i, name) && binding_of(s, i) > BOUND && !is_never_read(s, i))
            s->at = i;
}

// Of the group those that are bound nowhere.
static void look_at_group(names *s)
{
    lua_State *L = s->box->L;
    const char *upvalue;
    tm_buf_reset(&s->text);
    for (size_t i = 0; i < s->n_group; i++) tm_buf_fmt(&s->text, "%s%s", i ? "," : "local ", s->group[i]);
    tm_buf_str(&s->text, "; return function ");
    write_function(s, NULL, 0);
    if (compile(s))
        for (int k = 1; (upvalue = lua_getupvalue(L, -1, k)); k++, lua_pop(L, 1))
            for (size_t i = 0; i < s->n_group; i++)
                if (strcmp(upvalue, s->group[i]) == 0) look_at(s, s->group[i]);
    lua_pop(L, 1);
    s->n_group = 0;
}

// global(name), global(name, value): what the running program would say.
static int use_global(lua_State *L)
{
    tm_sandbox_push_env(L);
    lua_insert(L, 1);
    if (lua_gettop(L) == 2) lua_gettable(L, 1);
    else lua_settable(L, 1);
    return 0;
}

// Pushes `did you mean 'doc'?` from what there is and what the function binds, if something is near.
static bool push_near(names *s, const char *name)
{
    lua_State *L = s->box->L;
    lua_newtable(L);
    tm_sandbox_push_env(L);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushboolean(L, 1);
        lua_rawset(L, -6);
    }
    lua_pop(L, 1);
    for (size_t i = 0; i < s->n; i++) {
        if (!stands_alone(s, i) || is_key(s, i) || binding_of(s, i) != BOUND) continue;
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, token(s, i));
    }
    const char *near = tm_sandbox_nearest(L, -1, name);
    if (near) lua_pushfstring(L, "did you mean '%s'?", near);
    return near != NULL;
}

_Noreturn static void raise_unknown(names *s)
{
    lua_State *L = s->box->L;
    const char *name = token(s, s->at);
    int n_args = s->bindings[s->at] == ASSIGNED ? 2 : 1;
    lua_pushcfunction(L, use_global);
    lua_pushstring(L, name);
    if (n_args == 2) lua_pushboolean(L, 1);
    lua_pcall(L, n_args, 0, 0);
    int fault = lua_gettop(L);
    lua_getfield(L, fault, "code");
    if (strcmp(lua_tostring(L, -1), "TM0103") == 0 && push_near(s, name)) lua_setfield(L, fault, "hint");
    lua_settop(L, fault);
    lua_error(L);
    abort();
}

static void look_at_globals(names *s)
{
    lua_State *L = s->box->L;
    lua_newtable(L);
    int seen = lua_gettop(L);
    for (size_t i = 0; i < s->n; i++) {
        const char *name = token(s, i);
        if (!stands_alone(s, i) || is_known(s, name)) continue;
        if (lua_getfield(L, seen, name) == LUA_TNIL) {
            lua_pushboolean(L, 1);
            lua_setfield(L, seen, name);
            s->group[s->n_group++] = name;
        }
        lua_pop(L, 1);
        if (s->n_group == GROUP) look_at_group(s);
    }
    if (s->n_group) look_at_group(s);
    lua_pop(L, 1);
    if (s->at < s->n) raise_unknown(s);
}

// ---- members of the library ----

// Whether some function looks whether there is such a member, or makes it.
static bool is_asked_for(const names *s, const char *library, const char *member)
{
    const char *name;
    json_t *function;
    json_object_foreach((json_t *)s->functions, name, function)
    {
        names other = {.box = s->box, .tokens = json_object_get(function, "tokens")};
        for (size_t i = 0, n = json_array_size(other.tokens); i + 2 < n; i++) {
            if (!is(&other, i + 1, ".") || !is(&other, i + 2, member)) continue;
            bool made = i > 0 && is(&other, i - 1, "function");
            if (is_used(&other, i + 3) && !made) continue;
            const char *found = library_of(s, json_object_get(function, "uses"), token(&other, i));
            if (found && strcmp(found, library) == 0) return true;
        }
    }
    return false;
}

_Noreturn static void raise_member(names *s, size_t i, const char *library)
{
    lua_State *L = s->box->L;
    const char *member = token(s, i + 2);
    s->at = i + 2;
    push_global(s, library);
    const char *near = tm_sandbox_nearest(L, -1, member);
    if (near) lua_pushfstring(L, "did you mean '%s.%s'?", library, near);
    else {
        luaL_Buffer all;
        size_t n = tm_sandbox_keys(L, -1);
        int keys = lua_gettop(L);
        luaL_buffinit(L, &all);
        luaL_addstring(&all, "it has ");
        for (size_t k = 1; k <= n; k++) {
            if (k > 1) luaL_addstring(&all, k < n ? ", " : " and ");
            lua_rawgeti(L, keys, (lua_Integer)k);
            luaL_addvalue(&all);
        }
        luaL_pushresult(&all);
    }
    tm_sandbox_raise(L, "TM0115", member, lua_tostring(L, -1), "%s has no '%s.%s'", s->box->words.program,
                     library, member);
}

static void look_at_members(names *s)
{
    for (size_t i = 0; i + 3 < s->n; i++) {
        if (!stands_alone(s, i) || !is(s, i + 1, ".") || !is_used(s, i + 3)) continue;
        const char *library = library_of(s, s->uses, token(s, i));
        if (!library || has_member(s, library, token(s, i + 2))) continue;
        if (binding_of(s, i) > BOUND && !is_asked_for(s, library, token(s, i + 2)))
            raise_member(s, i, library);
    }
}

// ---- the whole ----

static int look_at_function(lua_State *L)
{
    names *s = lua_touserdata(L, 1);
    luaL_checkstack(L, 20, "too many names");
    for (size_t i = 0; i < s->n; i++)
        if (is(s, i, "_ENV")) return 0;  // its globals are what it makes them
    look_at_globals(s);
    look_at_members(s);
    return 0;
}

static int open_library(lua_State *L)
{
    tm_body_open_library(L);
    return 0;
}

static bool check(names *s, json_t *function)
{
    s->function = function;
    s->uses = json_object_get(function, "uses");
    s->tokens = json_object_get(function, "tokens");
    s->n = s->at = json_array_size(s->tokens);
    s->bindings = tm_calloc(s->n + 1, sizeof *s->bindings);
    if (!s->bindings) return true;
    lua_State *L = s->box->L;
    lua_settop(L, 0);
    lua_pushcfunction(L, look_at_function);
    lua_pushlightuserdata(L, s);
    bool done = tm_sandbox_call(s->box, 1, 0);
    tm_free(s->bindings);
    return done || s->box->doom;
}

bool tm_body_check_names(const json_t *code, bool batch, tm_fault *fault)
{
    tm_trail trail = {0};
    names s = {.functions = json_object_get(code, "$code"), .box = tm_body_sandbox(MEMORY, batch, &trail)};
    const char *name;
    json_t *function;
    bool good = true;
    if (!s.box) return true;
    lua_pushcfunction(s.box->L, open_library);
    bool open = tm_sandbox_call(s.box, 0, 0);
    json_object_foreach((json_t *)s.functions, name, function)
    {
        if (!open || (good = check(&s, function))) continue;
        const char *file = json_string_value(json_object_get(function, "file"));
        *fault = s.box->fault;
        snprintf(fault->file, sizeof fault->file, "%s", file ? file : "?");
        fault->line = (int)json_integer_value(json_array_get(json_object_get(function, "lines"), s.at));
        break;
    }
    tm_buf_clear(&s.text);
    tm_sandbox_free(s.box);
    return good;
}
