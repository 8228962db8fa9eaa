// SPDX-License-Identifier: Apache-2.0
// A function of a graph file as data (engine/code.h): its text, its tokens, and what it uses.
//
// Lua tells the lines on which a function begins and ends, and its parameters; the tokens between tell where
// exactly. What it uses are its upvalues: constants, functions of the library, and functions of the same
// kind, which become part of the code.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lua/load/child_host.h"
#include "stages/script/body.h"
#include "stages/script/tokens.h"

#define MAX_FUNCTIONS 200
#define MAX_PARAMS 32
#define DEPTH 200  // blocks in blocks

// Stack of the functions below.
enum { FUNCTION = 1, NAMES, QUEUE };  // the body; function -> name, name -> true; list of functions

typedef struct found {
    tm_view file;          // the whole text
    const char *name;      // of the file
    size_t from, to;       // "(doc, o, emit) ... end" in it
    int line;              // of the parenthesis
    bool method;           // has a parameter `self` that is not written
} found;

// ---- the text of a function ----

static const tm_child_file *find_file(const tm_child *child, const char *source)
{
    for (size_t i = 0; source[0] == '@' && i < child->n_files; i++)
        if (strcmp(child->files[i].name, source + 1) == 0) return &child->files[i];
    return NULL;
}

// Behind `function`: its name, if it has one, and its parameters, compared with those that Lua knows. The
// tokens end at the closing parenthesis.
static bool same_parameters(tm_tokens *t, const char *const *params, int n, bool vararg, found *f)
{
    bool colon = false, dots = false, more;
    while ((more = tm_tokens_next(t)) && !tm_token_is(t, "(")) colon |= tm_token_is(t, ":");
    f->from = t->at;
    f->line = t->line;
    f->method = colon;
    int k = 0;
    if (colon && (n == 0 || strcmp(params[k++], "self") != 0)) return false;
    while (more && (more = tm_tokens_next(t)) && !tm_token_is(t, ")")) {
        if (tm_token_is(t, ",")) continue;
        if (tm_token_is(t, "...")) dots = true;
        else if (k == n || !tm_token_is(t, params[k++])) return false;
    }
    return more && k == n && dots == vararg;
}

// The `end` of the function whose parameters were read; sets f->to.
static bool find_end(tm_tokens *t, int line, found *f)
{
    int depth = 1;
    while (depth > 0 && tm_tokens_next(t)) {
        if (tm_token_is(t, "function") || tm_token_is(t, "do") || tm_token_is(t, "if") ||
            tm_token_is(t, "repeat"))
            depth++;
        else if (tm_token_is(t, "end") || tm_token_is(t, "until")) depth--;
    }
    f->to = t->next;
    return depth == 0 && t->line == line;
}

static bool same_text(const found *a, const found *b)
{
    return tm_view_eq(tm_view_of(a->file.data + a->from, a->to - a->from),
                      tm_view_of(b->file.data + b->from, b->to - b->from));
}

// Every function that begins and ends on these lines with these parameters; 2 if they are not all the same.
static int find_text(tm_view text, const lua_Debug *ar, const char *const *params, found *f)
{
    tm_tokens t;
    int n = 0;
    tm_tokens_init(&t, text);
    while (tm_tokens_next(&t) && t.line <= ar->linedefined) {
        if (!tm_token_is(&t, "function")) continue;
        tm_tokens inner = t;
        found one = {.file = text, .name = f->name};
        if (!same_parameters(&inner, params, ar->nparams, ar->isvararg != 0, &one)) continue;
        if (t.line != ar->linedefined && one.line != ar->linedefined) continue;
        if (!find_end(&inner, ar->lastlinedefined, &one)) continue;
        if (n && !same_text(f, &one)) return 2;
        *f = one;
        n = 1;
    }
    return n;
}

// The function at `index` in its file.
static void locate(lua_State *L, int index, const char *name, found *f)
{
    tm_child *child = tm_child_of(L);
    lua_Debug ar;
    const char *params[MAX_PARAMS] = {0};
    lua_pushvalue(L, index);
    lua_getinfo(L, ">Su", &ar);
    const tm_child_file *file = find_file(child, ar.source);
    lua_pushvalue(L, index);
    for (int i = 0; i < ar.nparams && i < MAX_PARAMS; i++) params[i] = lua_getlocal(L, NULL, i + 1);
    lua_pop(L, 1);
    *f = (found){.name = file ? file->name : "?"};
    tm_sandbox_charge(L, file ? file->text.size / 8 : 0);
    int n = file && ar.nparams <= MAX_PARAMS ? find_text(file->text, &ar, params, f) : 0;
    if (n == 1) return;
    if (file) {
        child->site = file->name;  // these outlive every error
        child->site_line = ar.linedefined;
    }
    if (n == 0) tm_child_fault(L, "TM0127", name, NULL, "the text of %s cannot be found", name);
    tm_child_fault(L, "TM0127", "function", "begin them on lines of their own",
                   "%s cannot be told from another function on the same lines", name);
}

// ---- what it may use ----

// The line of a file on which the function uses this name.
static int line_of(const found *f, const char *name)
{
    tm_tokens t;
    tm_tokens_init(&t, f->file);
    while (tm_tokens_next(&t) && t.next <= f->to)
        if (t.at >= f->from && tm_token_is(&t, name)) return t.line;
    return f->line;
}

_Noreturn static void refuse(lua_State *L, const found *f, const char *function, const char *name,
                             const char *what, const char *hint)
{
    tm_child *child = tm_child_of(L);
    child->site = f->name;
    child->site_line = line_of(f, name);
    tm_child_fault(L, "TM0127", name, hint, "%s uses '%s', %s", function, name, what);
}

// The path of a value of the library ("math.floor", "string"), or NULL.
static const char *library_path(lua_State *L, int index)
{
    static const char *const parts[] = {"string", "table", "math", "utf8", NULL};
    tm_sandbox_push_env(L);
    int env = lua_gettop(L);
    for (int part = -1; part < 4; part++) {
        if (part < 0) lua_pushvalue(L, env);
        else lua_getfield(L, env, parts[part]);
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            if (!lua_rawequal(L, index, -1) || lua_type(L, -2) != LUA_TSTRING) continue;
            const char *path = part < 0 ? lua_tostring(L, -2)
                                        : lua_pushfstring(L, "%s.%s", parts[part], lua_tostring(L, -2));
            return path;
        }
        lua_settop(L, env);
    }
    return NULL;
}

static bool has_functions(lua_State *L, int index)
{
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        if (lua_isfunction(L, -1)) {
            lua_pop(L, 2);
            return true;
        }
    return false;
}

_Noreturn static void refuse_table(lua_State *L, int index, const found *f, const char *function,
                                   const char *name)
{
    const char *hint = "pass it as an option: tm.stage { options = { NAME = tm.table { ... } }, ... }";
    if (luaL_getmetafield(L, index, "__metatable") == LUA_TSTRING) {
        const char *kind = lua_tostring(L, -1);
        if (strcmp(kind, "tidemill") == 0)
            refuse(L, f, function, name, "which describes graphs and is not there while they run",
                   "a body has string, table, math and utf8; give it the rest as options");
        if (strcmp(kind, "params") == 0)
            refuse(L, f, function, name, "the table of all parameters",
                   "take out what it needs, before the stage: local limit = p.limit");
    }
    if (has_functions(L, index))
        hint = "take out the functions it needs, before the stage: local f = library.f";
    refuse(L, f, function, name, "a table", hint);
}

_Noreturn static void refuse_other(lua_State *L, int index, const found *f, const char *function,
                                   const char *name)
{
    if (tm_child_kind(L, index) == TM_KIND_REF)
        refuse(L, f, function, name, "a node", "a body sees records only, as its first parameter");
    if (lua_isfunction(L, index))
        refuse(L, f, function, name, "a function that is not there while a graph runs",
               "a body has string, table, math and utf8; give it the rest as options");
    refuse(L, f, function, name, "which is no plain value", "give it as an option");
}

// ---- JSON ----

static void add(lua_State *L, const char *text)
{
    tm_child_add(L, text, strlen(text));
}

static void add_string(lua_State *L, const char *text, size_t size, const char *what)
{
    lua_pushlstring(L, text, size);
    tm_child_add_string(L, -1, what);
    lua_pop(L, 1);
}

static void add_field(lua_State *L, const char *head, const char *text, const char *tail)
{
    add(L, head);
    add_string(L, text, strlen(text), "tm.stage");
    add(L, tail);
}

static void add_number(lua_State *L, int index, const found *f, const char *function, const char *name)
{
    char text[48];
    lua_Number x = lua_tonumber(L, index);
    if (lua_isinteger(L, index)) snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(L, index));
    else if (isinf(x) && x > 0) snprintf(text, sizeof text, "{\"library\":\"math.huge\"}");
    else if (!isfinite(x)) refuse(L, f, function, name, "a number that is not finite", NULL);
    else {
        snprintf(text, sizeof text, "%.17g", x);
        if (!strpbrk(text, ".e")) strcat(text, ".0");
        add(L, "{\"float\":");
        strcat(text, "}");
    }
    add(L, text);
}

// The name of a function of the code; new ones join the queue.
static const char *function_name(lua_State *L, int index, const char *wanted)
{
    lua_pushvalue(L, index);
    if (lua_rawget(L, NAMES) == LUA_TSTRING) return lua_tostring(L, -1);
    lua_pop(L, 1);
    lua_pushstring(L, wanted);
    for (int k = 2;; k++) {
        lua_pushvalue(L, -1);
        if (lua_rawget(L, NAMES) == LUA_TNIL) break;
        lua_pop(L, 2);
        lua_pushfstring(L, "%s#%d", wanted, k);
    }
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushboolean(L, 1);
    lua_rawset(L, NAMES);
    lua_pushvalue(L, index);
    lua_pushvalue(L, -2);
    lua_rawset(L, NAMES);
    lua_Integer n = (lua_Integer)lua_rawlen(L, QUEUE);
    if (n >= MAX_FUNCTIONS)
        tm_child_fault(L, "TM0124", "stage", NULL, "tm.stage: the body uses more than %d functions",
                       MAX_FUNCTIONS);
    lua_pushvalue(L, index);
    lua_rawseti(L, QUEUE, n + 1);
    return lua_tostring(L, -1);
}

static bool is_text(lua_State *L, int index)
{
    lua_Debug ar;
    if (!lua_isfunction(L, index) || lua_iscfunction(L, index)) return false;
    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &ar);
    return ar.source[0] == '@';
}

// The value of an upvalue, on top of the stack.
static void add_use(lua_State *L, const found *f, const char *function, const char *name)
{
    int index = lua_gettop(L);
    const char *path;
    luaL_checkstack(L, 12, "too many functions");
    switch (lua_type(L, index)) {
    case LUA_TNIL: add(L, "null"); break;
    case LUA_TBOOLEAN: add(L, lua_toboolean(L, index) ? "true" : "false"); break;
    case LUA_TNUMBER: add_number(L, index, f, function, name); break;
    case LUA_TSTRING: tm_child_add_string(L, index, name); break;
    default:
        if ((path = library_path(L, index))) add_field(L, "{\"library\":", path, "}");
        else if (is_text(L, index)) add_field(L, "{\"function\":", function_name(L, index, name), "}");
        else if (lua_istable(L, index)) refuse_table(L, index, f, function, name);
        else refuse_other(L, index, f, function, name);
    }
    lua_settop(L, index);
}

static void add_uses(lua_State *L, int index, const found *f, const char *function)
{
    const char *name;
    bool first = true;
    add(L, ",\"uses\":{");
    for (int i = 1; (name = lua_getupvalue(L, index, i)); i++, lua_pop(L, 1)) {
        if (strcmp(name, "_ENV") == 0) {
            tm_sandbox_push_env(L);
            if (!lua_rawequal(L, -1, -2))
                refuse(L, f, function, name, "other globals than those there are", NULL);
            lua_pop(L, 1);
            continue;
        }
        if (!first) add(L, ",");
        first = false;
        add_string(L, name, strlen(name), name);
        add(L, ":");
        add_use(L, f, function, name);
    }
    add(L, "}");
}

// A body is called by position: what its parameters are called is no matter of the text, but a parameter that
// is not written is put there.
static void add_text(lua_State *L, const found *f, const char *function)
{
    const char *text = f->file.data + f->from + 1;
    size_t size = f->to - f->from - 1;
    tm_tokens t = {.text = f->file, .next = f->from + 1, .next_line = 1};
    bool none = tm_tokens_next(&t) && tm_token_is(&t, ")");
    luaL_Buffer all;
    luaL_buffinit(L, &all);
    luaL_addstring(&all, !f->method ? "(" : none ? "(self" : "(self,");
    luaL_addlstring(&all, text, size);
    luaL_pushresult(&all);
    add(L, ",\"text\":");
    tm_child_add_string(L, -1, function);
    lua_pop(L, 1);
}

static void add_tokens(lua_State *L, const found *f, const char *function)
{
    for (int lines = 0; lines < 2; lines++) {
        tm_tokens t;
        bool first = true;
        tm_tokens_init(&t, f->file);
        add(L, lines ? ",\"lines\":[" : ",\"tokens\":[");
        while (tm_tokens_next(&t) && t.next <= f->to) {
            char number[16];
            if (t.at < f->from) continue;
            if (!first) add(L, ",");
            first = false;
            snprintf(number, sizeof number, "%d", t.line);
            if (lines) add(L, number);
            else add_string(L, t.token.data, t.token.size, function);
        }
        add(L, "]");
    }
}

static void add_function(lua_State *L, int index, const char *name)
{
    char line[40];
    found f;
    locate(L, index, name, &f);
    add_field(L, "", name, ":{\"file\":");
    add_string(L, f.name, strlen(f.name), "tm.stage");
    snprintf(line, sizeof line, ",\"line\":%d", f.line);
    add(L, line);
    if (f.method) add(L, ",\"method\":true");
    add_text(L, &f, name);
    add_tokens(L, &f, name);
    add_uses(L, index, &f, name);
    add(L, "}");
}

// ---- the whole ----

_Noreturn static void refuse_code(lua_State *L, const char *function)
{
    static const char assigns[] = "attempt to assign to const variable '";
    tm_child *child = tm_child_of(L);
    tm_fault fault = child->box->fault;
    const char *name = strstr(fault.text, assigns);
    for (size_t i = 0; i < child->n_files; i++)
        if (strcmp(child->files[i].name, fault.file) == 0) child->site = child->files[i].name;
    child->site_line = fault.line;
    if (!name) tm_child_fault(L, "TM0127", fault.word, NULL, "%s: %.400s", function, fault.text);
    name += sizeof assigns - 1;
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(name, "'"), name);
    tm_child_fault(
        L, "TM0127", word, "records are worked on in several processes: use a local of its own",
        "%s assigns to '%s', a local outside of it: nothing is kept from call to call", function, word);
}

// Raise what is wrong with a name of some function.
_Noreturn static void refuse_name(lua_State *L, const tm_fault *fault)
{
    tm_child *child = tm_child_of(L);
    for (size_t i = 0; i < child->n_files; i++)
        if (strcmp(child->files[i].name, fault->file) == 0) child->site = child->files[i].name;
    child->site_line = fault->line;
    tm_child_fault(L, fault->code, fault->word, fault->hint[0] ? fault->hint : NULL, "%s", fault->text);
}

// Compile what was written, as the worker will, and look whether it will have what is named.
static void check_code(lua_State *L, bool batch)
{
    tm_child *child = tm_child_of(L);
    json_t *code = json_loadb(child->scratch.data, child->scratch.size, 0, NULL), *function;
    const char *name;
    if (L != child->box->L)
        tm_child_fault(L, "TM0127", "stage", "make stages outside of coroutines",
                       "tm.stage inside a coroutine");
    if (!code) tm_sandbox_doom(L, "TM0121");
    json_object_foreach(json_object_get(code, "$code"), name, function)
    {
        bool done = tm_body_compile(child->box, function);
        if (done) lua_pop(L, 1);
        else {
            lua_pushstring(L, name);  // outlives the JSON
            json_decref(code);
            refuse_code(L, lua_tostring(L, -1));
        }
    }
    tm_fault fault;
    bool known = tm_body_check_names(code, batch, &fault);
    json_decref(code);
    if (!known) refuse_name(L, &fault);
}

int tm_child_code(lua_State *L)
{
    tm_child *child = tm_child_of(L);
    const char *name = lua_tostring(L, 2);
    bool batch = strcmp(name, "batch") == 0;
    lua_settop(L, FUNCTION);
    lua_newtable(L);
    lua_newtable(L);
    tm_buf_reset(&child->scratch);
    if (!is_text(L, FUNCTION))
        tm_child_fault(L, "TM0127", batch ? "batch" : "each",
                       batch ? "write: batch = function(docs, o, emit) ... end"
                             : "write: each = function(doc, o, emit) ... end",
                       "tm.stage: %s is no function of this file", batch ? "batch" : "each");
    function_name(L, FUNCTION, batch ? "batch" : "each");
    lua_settop(L, QUEUE);
    add(L, "{\"$code\":{");
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, QUEUE); i++) {
        if (i > 1) add(L, ",");
        lua_rawgeti(L, QUEUE, i);
        lua_pushvalue(L, -1);
        lua_rawget(L, NAMES);
        add_function(L, QUEUE + 1, lua_tostring(L, -1));
        lua_settop(L, QUEUE);
    }
    add(L, "}}");
    check_code(L, batch);
    lua_pushlstring(L, child->scratch.data, child->scratch.size);
    return 1;
}
