// SPDX-License-Identifier: Apache-2.0
// The closed state: its memory, its steps, and how it fails.
#include "stages/script/sandbox.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lualib.h>

#define HOOK_STEPS 1000
#define RESERVE (64u << 20)  // memory that a timed program is told about before it is refused
#define MAX_HEAVY 20         // times that a collection may bring it back below that
#define MAX_REFUSED 2   // collections that make just enough room, before the program counts as too big
#define FAULT_TYPE "tm.fault"

static void hook(lua_State *L, lua_Debug *ar);

static const char env_key = 0;  // its address keys the globals of programs in the registry

// ---- memory ----

static void *allocate(void *user, void *old, size_t old_size, size_t size)
{
    tm_sandbox *box = user;
    if (!old) old_size = 0;
    if (size == 0) {
        free(old);
        box->used -= old_size;
        return NULL;
    }
    bool over = size > old_size && (box->used + (size - old_size) > box->cap || box->n_refused > MAX_REFUSED);
    bool heavy = box->soft_cap && size > old_size && box->used + (size - old_size) > box->soft_cap;
    if (heavy && !box->heavy && box->L) {
        box->heavy = 1;
        lua_sethook(box->L, hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
    }
    if (over) {
        box->n_refused++;
        return NULL;
    }
    void *memory = realloc(old, size);
    if (memory) box->used += size - old_size;
    return memory;
}

// ---- steps ----

static void follow(lua_State *L, lua_Debug *ar)
{
    tm_sandbox *box = tm_sandbox_of(L);
    if (ar->currentline < 0) return;  // code of ours
    lua_getinfo(L, "S", ar);
    box->trail->line = ar->currentline;
    if (ar->source == box->trail_source) return;
    box->trail_source = ar->source;
    snprintf(box->trail->file, sizeof box->trail->file, "%s", ar->source + 1);
}

static void timed_hook(lua_State *L, tm_sandbox *box)
{
    lua_sethook(L, NULL, 0, 0);
    if (box->late) tm_sandbox_doom(L, "TM0122");
    if (!box->heavy) return;
    lua_gc(L, LUA_GCCOLLECT);
    if (box->used > box->soft_cap || ++box->n_heavy > MAX_HEAVY) tm_sandbox_doom(L, "TM0121");
    box->heavy = 0;
    if (box->late) tm_sandbox_doom(L, "TM0122");
}

static void hook(lua_State *L, lua_Debug *ar)
{
    tm_sandbox *box = tm_sandbox_of(L);
    if (box->doom) tm_sandbox_doom(L, box->doom);
    if (box->timed) timed_hook(L, box);
    else if (ar->event == LUA_HOOKLINE) follow(L, ar);
    else tm_sandbox_charge(L, HOOK_STEPS);
}

void tm_sandbox_charge(lua_State *L, uint64_t steps)
{
    tm_sandbox *box = tm_sandbox_of(L);
    box->steps += steps;
    if (box->steps > box->max_steps) tm_sandbox_doom(L, "TM0120");
    if (box->late) tm_sandbox_doom(L, "TM0122");
}

void tm_sandbox_time(tm_sandbox *box, double seconds)
{
    box->seconds = seconds;
    box->timed = true;
    box->soft_cap = box->cap > 2 * RESERVE ? box->cap - RESERVE : box->cap / 2;
    lua_sethook(box->L, NULL, 0, 0);
}

void tm_sandbox_stop(tm_sandbox *box)
{
    box->late = 1;
    lua_sethook(box->L, hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

// Where a bound was reached, by the trail or by the calls that stand.
static void place_doom(lua_State *L, tm_sandbox *box)
{
    int line;
    const char *file = box->timed && L ? tm_sandbox_where(L, &line) : NULL;
    box->fault.line = file ? line : box->trail->line;
    snprintf(box->fault.file, sizeof box->fault.file, "%s", file ? file + 1 : box->trail->file);
}

void tm_sandbox_doom(lua_State *L, const char *code)
{
    tm_sandbox *box = tm_sandbox_of(L);
    if (!box->doom) {
        box->doom = code;
        place_doom(L, box);
    }
    lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    lua_pushnil(L);
    lua_error(L);
    abort();
}

// ---- faults ----

const char *tm_sandbox_where(lua_State *L, int *line)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.source[0] != '@' || ar.currentline < 1) continue;
        *line = ar.currentline;
        return ar.source;
    }
    *line = 0;
    return NULL;
}

static int fault_tostring(lua_State *L)
{
    lua_getfield(L, 1, "file");
    lua_getfield(L, 1, "line");
    lua_getfield(L, 1, "text");
    if (lua_isstring(L, 2) && lua_isinteger(L, 3))
        lua_pushfstring(L, "%s:%d: %s", lua_tostring(L, 2), (int)lua_tointeger(L, 3), lua_tostring(L, 4));
    return 1;
}

static void set_text(lua_State *L, const char *key, const char *text)
{
    if (!text) return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

void tm_sandbox_push_fault(lua_State *L, const char *code, const char *text, const char *hint,
                           const char *word, const char *file, int line)
{
    lua_createtable(L, 0, 6);
    set_text(L, "code", code);
    set_text(L, "text", text);
    set_text(L, "hint", hint);
    set_text(L, "word", word);
    if (file) {
        set_text(L, "file", file + (file[0] == '@'));
        lua_pushinteger(L, line);
        lua_setfield(L, -2, "line");
    }
    luaL_setmetatable(L, FAULT_TYPE);
}

void tm_sandbox_raise(lua_State *L, const char *code, const char *word, const char *hint, const char *format,
                      ...)
{
    char text[TM_SANDBOX_FAULT_TEXT + 1];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int line;
    const char *file = tm_sandbox_where(L, &line);
    tm_sandbox_push_fault(L, code, text, hint, word, file, line);
    lua_error(L);
    abort();
}

size_t tm_sandbox_utf8(const char *text, size_t n)
{
    const unsigned char *t = (const unsigned char *)text;
    if (n == 0) return 0;
    if (t[0] < 0x80) return 1;
    size_t size = t[0] < 0xc2 ? 0 : t[0] < 0xe0 ? 2 : t[0] < 0xf0 ? 3 : t[0] < 0xf5 ? 4 : 0;
    if (size == 0 || size > n) return 0;
    for (size_t i = 1; i < size; i++)
        if ((t[i] & 0xc0) != 0x80) return 0;
    bool overlong = (t[0] == 0xe0 && t[1] < 0xa0) || (t[0] == 0xf0 && t[1] < 0x90);
    bool outside = (t[0] == 0xed && t[1] > 0x9f) || (t[0] == 0xf4 && t[1] > 0x8f);
    return overlong || outside ? 0 : size;
}

void tm_sandbox_clean(char *to, size_t size, const char *text, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < n && at + 5 < size;) {
        unsigned char c = (unsigned char)text[i];
        size_t length = tm_sandbox_utf8(text + i, n - i);
        bool control = c < 0x20 || c == 0x7f ||
                       (c == 0xc2 && length == 2 && (unsigned char)text[i + 1] < 0xa0);
        if (length && !control) {
            memcpy(to + at, text + i, length);
            at += length;
        } else {
            to[at++] = c == '\n' || c == '\t' || c == '\r' ? ' ' : '?';
        }
        i += length ? length : 1;
    }
    to[at] = 0;
}

// The interpreter shortens long chunk names in its messages; this finds the file that is meant.
static const char *file_of(const tm_sandbox *box, const char *text, size_t n)
{
    for (size_t i = 0; i < box->n_files; i++) {
        const char *name = box->files[i];
        size_t size = strlen(name);
        if (n == size && memcmp(text, name, n) == 0) return name;
        bool shortened = n > 3 && memcmp(text, "...", 3) == 0 && size >= n - 3;
        if (shortened && memcmp(text + 3, name + size - (n - 3), n - 3) == 0) return name;
    }
    return NULL;
}

// Split "file:line: message" if it starts so; returns the message.
static const char *split_place(tm_sandbox *box, const char *text)
{
    for (const char *colon = strchr(text, ':'); colon; colon = strchr(colon + 1, ':')) {
        if (!isdigit((unsigned char)colon[1])) continue;
        char *end;
        long line = strtol(colon + 1, &end, 10);
        const char *file = end[0] == ':' && end[1] == ' ' ? file_of(box, text, (size_t)(colon - text)) : NULL;
        if (!file) continue;
        snprintf(box->fault.file, sizeof box->fault.file, "%s", file);
        box->fault.line = (int)line;
        return end + 2;
    }
    return text;
}

// The name in quotes in "... global 'x' ..." and "... near 'x'".
static void find_word(tm_fault *fault)
{
    static const char *const before[] = {"near '", "field '", "local '", "method '", "upvalue '", "global '"};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        const char *at = strstr(fault->text, before[i]);
        if (!at) continue;
        at += strlen(before[i]);
        size_t n = strcspn(at, "'");
        if (n && n < sizeof fault->word) snprintf(fault->word, sizeof fault->word, "%.*s", (int)n, at);
        return;
    }
}

static void fault_of_text(tm_sandbox *box, const char *code, const char *text, size_t n)
{
    tm_fault *fault = &box->fault;
    snprintf(fault->code, sizeof fault->code, "%s", code);
    const char *rest = split_place(box, text);
    tm_sandbox_clean(fault->text, sizeof fault->text, rest, n - (size_t)(rest - text));
    find_word(fault);
}

static void take_field(lua_State *L, int index, const char *key, char *to, size_t size)
{
    lua_pushstring(L, key);
    lua_rawget(L, index);
    size_t n = 0;
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : "";
    tm_sandbox_clean(to, size, text, n);
    lua_pop(L, 1);
}

static void fault_of_table(tm_sandbox *box, lua_State *L)
{
    tm_fault *fault = &box->fault;
    char code[16];
    take_field(L, 1, "code", code, sizeof code);
    snprintf(fault->code, sizeof fault->code, "%.7s", code);
    take_field(L, 1, "text", fault->text, sizeof fault->text);
    take_field(L, 1, "hint", fault->hint, sizeof fault->hint);
    take_field(L, 1, "word", fault->word, sizeof fault->word);
    take_field(L, 1, "file", fault->file, sizeof fault->file);
    lua_pushstring(L, "line");
    lua_rawget(L, 1);
    fault->line = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
}

static void trace(lua_State *L, tm_fault *fault)
{
    lua_Debug ar;
    size_t at = 0;
    for (int level = 1, n = 0; n < 20 && lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sln", &ar);
        if (ar.source[0] != '@' || ar.currentline < 1) continue;
        char line[160], clean[160];
        int size = snprintf(line, sizeof line, "%s:%d: in %s", ar.short_src, ar.currentline,
                            ar.what[0] == 'm' ? "the file" : ar.name ? ar.name : "a function");
        tm_sandbox_clean(clean, sizeof clean, line, strnlen(line, (size_t)size));
        if (at + strlen(clean) + 2 > sizeof fault->traceback) break;
        at += (size_t)sprintf(fault->traceback + at, "%s%s", n ? "\n" : "", clean);
        n++;
    }
}

// The message handler of the outermost call: notes what the error says while the stack still stands.
static int note_fault(lua_State *L)
{
    tm_sandbox *box = tm_sandbox_of(L);
    if (box->doom) return 1;
    box->fault = (tm_fault){0};
    bool ours = false;
    if (lua_istable(L, 1) && lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, FAULT_TYPE);
        ours = lua_rawequal(L, -1, -2);
        lua_settop(L, 1);
    }
    size_t n;
    const char *text;
    if (ours) fault_of_table(box, L);
    else if (lua_type(L, 1) == LUA_TSTRING && (text = lua_tolstring(L, 1, &n)))
        fault_of_text(box, "TM0102", text, n);
    else {
        lua_pushfstring(
            L, lua_isnil(L, 1) ? "error was raised without a message" : "the error is no message but a %s",
            luaL_typename(L, 1));
        fault_of_text(box, "TM0102", lua_tostring(L, -1), strlen(lua_tostring(L, -1)));
    }
    if (!box->fault.line) {
        const char *file = tm_sandbox_where(L, &box->fault.line);
        snprintf(box->fault.file, sizeof box->fault.file, "%s", file ? file + 1 : box->trail->file);
        if (!file) box->fault.line = box->trail->line;
    }
    trace(L, &box->fault);
    return 1;
}

static void fault_of_doom(tm_sandbox *box)
{
    tm_fault *fault = &box->fault;
    const tm_sandbox_words *words = &box->words;
    bool memory = strcmp(box->doom, "TM0121") == 0;
    snprintf(fault->code, sizeof fault->code, "%s", box->doom);
    fault->word[0] = fault->hint[0] = fault->traceback[0] = 0;
    if (memory)
        snprintf(fault->text, sizeof fault->text, "%s needs more than %zu MiB%s", words->needs,
                 (box->soft_cap ? box->soft_cap : box->cap) >> 20, words->to);
    else if (box->late)
        snprintf(fault->text, sizeof fault->text, "%s needs more than %g second%s of processor time%s",
                 words->needs, box->seconds, box->seconds == 1 ? "" : "s", words->to);
    else
        snprintf(fault->text, sizeof fault->text, "%s needs more than %llu million steps%s", words->needs,
                 (unsigned long long)box->max_steps / 1000000, words->to);
    snprintf(fault->hint, sizeof fault->hint, "%s: %s%s", words->advice,
             memory ? "look for what grows without end here" : "look for a loop without end here",
             !memory && box->late ? ", or give the stage more: seconds = ..." : "");
}

bool tm_sandbox_call(tm_sandbox *box, int n_args, int n_results)
{
    lua_State *L = box->L;
    int base = lua_gettop(L) - n_args;
    lua_pushcfunction(L, note_fault);
    lua_insert(L, base);
    int status = lua_pcall(L, n_args, n_results, base);
    lua_remove(L, base);
    if (status == LUA_OK && !box->doom) return true;
    if (status == LUA_ERRMEM && !box->doom) {
        box->doom = "TM0121";
        place_doom(NULL, box);
    }
    if (box->doom) fault_of_doom(box);
    else if (!box->fault.code[0]) {  // the handler itself failed
        fault_of_text(box, "TM0102", "error in error handling", 23);
        box->fault.line = box->trail->line;
        memcpy(box->fault.file, box->trail->file, sizeof box->trail->file);
    }
    return false;
}

// ---- the state ----

static bool remember(tm_sandbox *box, const char *name)
{
    char **files = realloc(box->files, (box->n_files + 2) * sizeof *files);
    if (!files) return false;
    box->files = files;
    files[box->n_files] = strdup(name);
    if (!files[box->n_files]) return false;
    files[++box->n_files] = NULL;
    return true;
}

static void skip_head(const char **text, size_t *size)
{
    if (*size >= 3 && memcmp(*text, "\xef\xbb\xbf", 3) == 0) {
        *text += 3;
        *size -= 3;
    }
    if (*size == 0 || **text != '#') return;
    const char *end = memchr(*text, '\n', *size);
    *size -= end ? (size_t)(end - *text) : *size;
    *text = end ? end : "";
}

// What usually mends it, from the message of the parser.
static void hint_of_syntax(tm_fault *fault)
{
    char open[8];
    int line;
    const char *text = fault->text, *close = strstr(text, "(to close "), *near = strstr(text, " near ");
    bool in_braces = strncmp(text, "'}' expected", 12) == 0;
    near = near ? near + 6 : "";
    if (close && sscanf(close, "(to close %7s at line %d)", open, &line) == 2)
        snprintf(fault->hint, sizeof fault->hint, "close the %s of line %d", open, line);
    else if (in_braces && near[0] && strcmp(near, "<eof>") != 0)
        snprintf(fault->hint, sizeof fault->hint, "put a comma before %.60s", near);
    else if (strstr(text, "unfinished string"))
        snprintf(fault->hint, sizeof fault->hint, "end the text with the quote it began with");
    else if (strcmp(near, "<eof>") == 0)
        snprintf(fault->hint, sizeof fault->hint, "the file ends too early: end or close what was begun");
    else if (near[0])
        snprintf(fault->hint, sizeof fault->hint, "look at what stands before %.60s", near);
}

static void fault_of_syntax(tm_sandbox *box, const char *name, bool compiled)
{
    size_t n = 0;
    const char *message = lua_tolstring(box->L, -1, &n);
    box->fault = (tm_fault){0};
    if (compiled) fault_of_text(box, "TM0101", "this is compiled Lua; a graph file is text", 42);
    else if (message && strstr(message, "stack overflow"))
        fault_of_text(box, "TM0101", "the text is nested too deep", 27);
    else fault_of_text(box, "TM0101", message ? message : "", n);
    hint_of_syntax(&box->fault);
    if (!box->fault.file[0]) snprintf(box->fault.file, sizeof box->fault.file, "%s", name);
}

// What ends too early does so at its last line that says something.
static void clamp_line(tm_fault *fault, const char *text, size_t size)
{
    int lines = 1;
    while (size && strchr(" \t\r\n", text[size - 1])) size--;
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
    if (fault->line > lines) fault->line = lines;
}

bool tm_sandbox_load(tm_sandbox *box, const char *name, const char *text, size_t size)
{
    char chunk[260];
    skip_head(&text, &size);
    snprintf(chunk, sizeof chunk, "@%s", name);
    int status = remember(box, name) ? luaL_loadbufferx(box->L, text, size, chunk, "t") : LUA_ERRMEM;
    if (status == LUA_OK) {
        lua_rawgetp(box->L, LUA_REGISTRYINDEX, &env_key);
        lua_setupvalue(box->L, -2, 1);
        return true;
    }
    if (status == LUA_ERRMEM) {
        box->doom = "TM0121";
        fault_of_doom(box);
    } else {
        fault_of_syntax(box, name, size && text[0] == LUA_SIGNATURE[0]);
        clamp_line(&box->fault, text, size);
    }
    return false;
}

static int add_to_buffer(lua_State *L, const void *data, size_t size, void *buf)
{
    (void)L;
    tm_buf_add(buf, data, size);
    return 0;
}

// Without line numbers: they would cost a hook a line, and are nobody's.
bool tm_sandbox_load_trusted(tm_sandbox *box, const char *name, const char *text, size_t size)
{
    char chunk[64];
    tm_buf code = {0};
    snprintf(chunk, sizeof chunk, "=%s", name);
    bool done = luaL_loadbufferx(box->L, text, size, chunk, "t") == LUA_OK;
    if (done) {
        lua_dump(box->L, add_to_buffer, &code, 1);
        lua_pop(box->L, 1);
        done = !code.failed && luaL_loadbufferx(box->L, code.data, code.size, chunk, "b") == LUA_OK;
    }
    if (!done) fault_of_syntax(box, name, false);
    tm_buf_clear(&code);
    return done;
}

static int open_libraries(lua_State *L)
{
    luaL_newmetatable(L, FAULT_TYPE);
    lua_pushcfunction(L, fault_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "error");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    static const luaL_Reg stock[] = {
        {LUA_GNAME, luaopen_base},        {LUA_STRLIBNAME, luaopen_string}, {LUA_TABLIBNAME, luaopen_table},
        {LUA_COLIBNAME, luaopen_coroutine}, {LUA_MATHLIBNAME, luaopen_math},  {LUA_UTF8LIBNAME, luaopen_utf8},
        {NULL, NULL},
    };
    for (const luaL_Reg *lib = stock; lib->name; lib++) {
        luaL_requiref(L, lib->name, lib->func, 1);
        lua_pop(L, 1);
    }
    lua_newtable(L);
    tm_sandbox_add_string(L);
    tm_sandbox_add_table(L);
    tm_sandbox_add_coroutine(L);
    tm_sandbox_add_math(L);
    tm_sandbox_add_base(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &env_key);
    return 0;
}

void tm_sandbox_push_env(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &env_key);
}

static int on_panic(lua_State *L)
{
    (void)L;
    return 0;  // abort: an error outside of every call is our bug
}

tm_sandbox *tm_sandbox_new(size_t cap, uint64_t max_steps, tm_trail *trail)
{
    tm_sandbox *box = calloc(1, sizeof *box);
    if (!box) return NULL;
    *box = (tm_sandbox){.cap = cap, .max_steps = max_steps, .trail = trail};
    box->words = (tm_sandbox_words){"a graph file", "the graph", " to evaluate",
                                    "a graph file only describes work"};
    box->L = lua_newstate(allocate, box);
    if (!box->L) {
        free(box);
        return NULL;
    }
    lua_atpanic(box->L, on_panic);
    *(tm_sandbox **)lua_getextraspace(box->L) = box;
    lua_pushcfunction(box->L, open_libraries);
    if (lua_pcall(box->L, 0, 0, 0) != LUA_OK) {
        tm_sandbox_free(box);
        return NULL;
    }
    lua_sethook(box->L, hook, LUA_MASKCOUNT | LUA_MASKLINE, HOOK_STEPS);
    return box;
}

void tm_sandbox_free(tm_sandbox *box)
{
    if (!box) return;
    lua_close(box->L);
    for (size_t i = 0; i < box->n_files; i++) free(box->files[i]);
    free(box->files);
    free(box);
}
