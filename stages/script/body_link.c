// SPDX-License-Identifier: Apache-2.0
// From the code of a stage to functions: each compiled by itself, then joined with what it uses.
#include "stages/script/body_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "stages/script/value.h"

static const char functions_key = 0;  // its address keys the table name -> function in the registry

static const char *text_of(const json_t *json, const char *field)
{
    const char *text = json_string_value(json_object_get(json, field));
    return text ? text : "";
}

// The text on its own lines, in a scope where what it uses are constants: to assign to one is then a mistake
// that the compiler finds.
bool tm_body_compile(tm_sandbox *box, const json_t *function)
{
    tm_buf text = {0};
    const char *name;
    json_t *use;
    bool first = true;
    for (json_int_t line = json_integer_value(json_object_get(function, "line")); line > 1; line--)
        tm_buf_char(&text, '\n');
    json_object_foreach(json_object_get(function, "uses"), name, use)
    {
        tm_buf_fmt(&text, "%s%s <const>", first ? "local " : ",", name);
        first = false;
    }
    tm_buf_fmt(&text, "%sreturn function%s", first ? "" : ";", text_of(function, "text"));
    bool done = !text.failed && tm_sandbox_load(box, text_of(function, "file"), text.data, text.size) &&
                tm_sandbox_call(box, 0, 1);
    tm_buf_clear(&text);
    return done;
}

static void push_library(lua_State *L, const char *path)
{
    char part[64];
    const char *dot = strchr(path, '.');
    snprintf(part, sizeof part, "%.*s", dot ? (int)(dot - path) : 60, path);
    tm_sandbox_push_env(L);
    lua_getfield(L, -1, part);
    if (dot) lua_getfield(L, -1, dot + 1);
    lua_replace(L, dot ? -3 : -2);
    if (dot) lua_pop(L, 1);
}

static void push_use(lua_State *L, const json_t *use)
{
    const char *function = json_string_value(json_object_get(use, "function"));
    const char *library = json_string_value(json_object_get(use, "library"));
    const json_t *number = json_object_get(use, "float");
    if (library) push_library(L, library);
    else if (number) lua_pushnumber(L, json_number_value(number));
    else if (function) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &functions_key);
        lua_getfield(L, -1, function);
        lua_remove(L, -2);
    } else tm_value_push(L, use);
}

// Give the function on top of the stack the values of what it uses.
static void join(lua_State *L, const json_t *function)
{
    const json_t *uses = json_object_get(function, "uses");
    const char *name;
    for (int i = 1; (name = lua_getupvalue(L, -1, i)); i++) {
        lua_pop(L, 1);
        if (strcmp(name, "_ENV") == 0) continue;
        push_use(L, json_object_get(uses, name));
        lua_setupvalue(L, -2, i);
    }
}

_Noreturn static void pass_on(lua_State *L, tm_sandbox *box)
{
    tm_fault f = box->fault;
    if (box->doom) tm_sandbox_doom(L, box->doom);
    tm_sandbox_push_fault(L, f.code, f.text, f.hint, f.word, f.file, f.line);
    lua_error(L);
    abort();
}

void tm_body_link(lua_State *L, tm_body *body)
{
    const json_t *functions = json_object_get(body->spec.code, "$code");
    const char *name;
    json_t *function;
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &functions_key);
    json_object_foreach((json_t *)functions, name, function)
    {
        if (!tm_body_compile(body->box, function)) pass_on(L, body->box);
        lua_setfield(L, -2, name);
    }
    json_object_foreach((json_t *)functions, name, function)
    {
        lua_getfield(L, -1, name);
        join(L, function);
        lua_pop(L, 1);
    }
    lua_getfield(L, -1, body->spec.batch ? "batch" : "each");
    lua_remove(L, -2);
}
