// SPDX-License-Identifier: Apache-2.0
// A body's interpreter: made for a chunk, called per record or batch, ended by its time.
#include "stages/script/body.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/hash.h"
#include "engine/base/random.h"
#include "stages/script/body_parts.h"
#include "stages/script/value.h"

#define LATE_SIGNAL SIGPROF
#define NAMED 3        // records of a batch that failed
#define LOG_LINES 200  // of print, per chunk

static const char each_key = 0, options_key = 0, emit_key = 0;  // addresses: keys in the registry

enum { OPTIONS = 1, RETURNED };  // what is on the stack between calls

int tm_body_shape_find(const char *name)
{
    static const char *const names[] = {"documents", "chat", "preference"};
    for (int i = 0; name && i < 3; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

// ---- time ----

static void on_late(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    tm_sandbox *box = info->si_value.sival_ptr;
    if (box) tm_sandbox_stop(box);
}

// Of the CPU time of this thread; goes on ringing, should the program be at work where no hook is looked at.
static tm_status start_timer(tm_body *body, tm_error *err)
{
    struct sigaction action = {.sa_sigaction = on_late, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = LATE_SIGNAL};
    event.sigev_value.sival_ptr = body->box;
    event._sigev_un._tid = gettid();
    double seconds = body->spec.seconds;
    struct itimerspec time = {.it_interval = {.tv_sec = 1}};
    time.it_value.tv_sec = (time_t)seconds;
    time.it_value.tv_nsec = (long)((seconds - (double)time.it_value.tv_sec) * 1e9);
    sigemptyset(&action.sa_mask);
    if (sigaction(LATE_SIGNAL, &action, NULL) || timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &body->timer))
        return tm_fail_errno(err, "timer of a stage in Lua");
    body->has_timer = true;
    if (timer_settime(body->timer, 0, &time, NULL)) return tm_fail_errno(err, "timer of a stage in Lua");
    return TM_OK;
}

// ---- what a body has that a graph file has not ----

// random() in [0, 1), random(n) in 1..n, random(m, n) in m..n
static int draw(lua_State *L)
{
    tm_body *body = tm_body_of(L);
    int n_args = lua_gettop(L);
    uint64_t i = body->n_random++;
    if (n_args == 0) {
        lua_pushnumber(L, tm_random_unit(body->spec.seed, body->stream, i));
        return 1;
    }
    lua_Integer low = n_args > 1 ? luaL_checkinteger(L, 1) : 1,
                high = luaL_checkinteger(L, n_args > 1 ? 2 : 1);
    luaL_argcheck(L, low <= high, n_args > 1 ? 2 : 1, "interval is empty");
    uint64_t width = (uint64_t)high - (uint64_t)low + 1;  // 0: all there are
    uint64_t x = width ? tm_random_below(body->spec.seed, body->stream, i, width)
                       : tm_random_u64(body->spec.seed, body->stream, i);
    lua_pushinteger(L, (lua_Integer)((uint64_t)low + x));
    return 1;
}

static int refuse_seed(lua_State *L)
{
    tm_sandbox_raise(L, "TM0115", "randomseed", "give the node another seed: { ..., seed = 1 }",
                     "random numbers follow from the node's seed and the record's id");
}

void tm_body_open_library(lua_State *L)
{
    tm_sandbox_uncount_string(L);
    tm_sandbox_push_env(L);
    lua_pushliteral(L, "coroutine");
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_getfield(L, -1, "math");
    lua_pushcfunction(L, draw);
    lua_setfield(L, -2, "random");
    lua_pushcfunction(L, refuse_seed);
    lua_setfield(L, -2, "randomseed");
    lua_pop(L, 2);
}

static int refuse_change(lua_State *L)
{
    luaL_tolstring(L, 2, NULL);
    tm_sandbox_raise(L, "TM0127", lua_tostring(L, -1), "use a local variable",
                     "the options of a stage cannot be changed");
}

static int no_option(lua_State *L)
{
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &options_key);
    const char *near = tm_sandbox_nearest(L, -1, name);
    if (near) lua_pushfstring(L, "did you mean o.%s?", near);
    else lua_pushliteral(L, "declare it: tm.stage { options = { NAME = tm.int { 1 } }, ... }");
    tm_sandbox_raise(L, "TM0127", name, lua_tostring(L, -1), "the stage has no option '%s'", name);
}

static void push_options(lua_State *L, const json_t *options)
{
    static const luaL_Reg events[] = {{"__newindex", refuse_change}, {NULL, NULL}};
    lua_newuserdatauv(L, 0, 0);
    lua_newtable(L);
    luaL_setfuncs(L, events, 0);
    lua_pushliteral(L, "options");
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)options, name, value)
    {
        tm_value_push(L, value);
        lua_setfield(L, -2, name);
    }
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &options_key);
    lua_newtable(L);
    lua_pushcfunction(L, no_option);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

// ---- opening ----

static int open_body(lua_State *L)
{
    tm_body *body = tm_body_of(L);
    tm_body_open_library(L);
    push_options(L, body->spec.options);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &each_key);  // for a moment
    tm_body_link(L, body);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &each_key);
    lua_insert(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &each_key);
    tm_body_push_emit(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &emit_key);
    return 1;  // the options
}

static void print_line(void *user, const char *text, size_t size)
{
    tm_body *body = user;
    char line[1000];
    if (body->n_lines++ >= LOG_LINES) return;
    tm_sandbox_clean(line, sizeof line, text, size);
    if (body->n_lines == LOG_LINES)
        snprintf(line, sizeof line, "(more than %d lines of a chunk are left out)", LOG_LINES);
    if (body->spec.log) body->spec.log(body->spec.user, line);
}

static tm_status fail_open(const tm_body *body, tm_error *err)
{
    const tm_fault *fault = &body->box->fault;
    tm_fail(err, TM_EFAILED, "%s:%d: %s", fault->file, fault->line, fault->text);
    tm_error_class(err, "TM0414");
    if (fault->hint[0]) tm_hint(err, "%s", fault->hint);
    return TM_EFAILED;
}

static void set_trail(tm_body *body)
{
    const json_t *code = json_object_get(body->spec.code, "$code"),
                 *entry = json_object_get(code, body->spec.batch ? "batch" : "each");
    const char *file = json_string_value(json_object_get(entry, "file"));
    body->trail.line = (int)json_integer_value(json_object_get(entry, "line"));
    snprintf(body->trail.file, sizeof body->trail.file, "%s", file ? file : "?");
}

tm_sandbox *tm_body_sandbox(size_t memory, bool batch, tm_trail *trail)
{
    tm_sandbox *box = tm_sandbox_new(memory, UINT64_MAX, trail);
    if (box)
        box->words = (tm_sandbox_words){"the body of a stage", "a chunk", "",
                                        batch ? "a body is called with a list of records"
                                              : "a body is called once per record"};
    return box;
}

tm_status tm_body_open(const tm_body_spec *spec, tm_body **out, tm_error *err)
{
    tm_body *body = tm_calloc(1, sizeof *body);
    if (!body) return tm_fail(err, TM_ENOMEM, "no memory for a stage in Lua");
    body->spec = *spec;
    set_trail(body);
    body->box = tm_body_sandbox(spec->memory, spec->batch, &body->trail);
    tm_status status = body->box ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for a stage in Lua");
    if (status >= 0) {
        body->box->user = body;
        body->box->print = print_line;
        tm_sandbox_time(body->box, spec->seconds);
        status = start_timer(body, err);
    }
    if (status >= 0) {
        lua_pushcfunction(body->box->L, open_body);
        status = tm_sandbox_call(body->box, 0, 1) ? TM_OK : fail_open(body, err);
    }
    if (status < 0) tm_body_close(body);
    else *out = body;
    return status;
}

void tm_body_close(tm_body *body)
{
    if (!body) return;
    if (body->has_timer) timer_delete(body->timer);
    tm_sandbox_free(body->box);
    json_decref(body->parsed);
    tm_buf_clear(&body->bytes);
    tm_free(body->emitted);
    tm_free(body->records);
    tm_free(body);
}

// ---- calling ----

static void log_trace(const tm_body *body, const tm_error *err)
{
    char line[1000];
    const tm_fault *fault = &body->box->fault;
    if (!body->spec.log) return;
    if (err) body->spec.log(body->spec.user, err->text);
    for (const char *at = fault->traceback; *at;) {
        size_t n = strcspn(at, "\n");
        snprintf(line, sizeof line, "  %.*s", (int)n, at);
        body->spec.log(body->spec.user, line);
        at += n + (at[n] == '\n');
    }
}

// The record, or the first few of a batch.
static void tell_given(const tm_body *body, tm_error *err)
{
    char text[480];
    size_t at = 0, n = body->n_docs, shown = n < NAMED ? n : NAMED;
    if (n == 1) at = (size_t)snprintf(text, sizeof text, "record ");
    else if (n > shown) at = (size_t)snprintf(text, sizeof text, "%zu records, the first %zu: ", n, shown);
    else at = (size_t)snprintf(text, sizeof text, "%zu records: ", n);
    for (size_t i = 0; i < shown; i++) {
        tm_view id = body->docs[i].id, source = body->docs[i].source;
        size_t most = n == 1 ? 120 : 60;
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s%s%.*s", i ? "; " : "",
                               (int)(id.size < most ? id.size : most), id.data ? id.data : "",
                               source.size ? ", from " : "", (int)(source.size < most ? source.size : most),
                               source.data ? source.data : "");
    }
    tm_why(err, "it was given %s", text);
}

static tm_status fail_call(const tm_body *body, tm_error *err)
{
    const tm_fault *fault = &body->box->fault;
    tm_fail(err, TM_EFAILED, "%s:%d: %.280s", fault->file, fault->line, fault->text);
    tm_error_class(err, "TM0414");
    tell_given(body, err);
    if (fault->hint[0]) tm_hint(err, "%s", fault->hint);
    else if (body->spec.batch)
        tm_hint(err, "print(doc.id, doc.text) in the body shows a record in `tidemill logs`");
    else tm_hint(err, "print(doc.text) in the body shows the record in `tidemill logs`");
    log_trace(body, err);
    return TM_EFAILED;
}

// Of a batch also: a table from records to texts.
static bool is_table_of_reasons(lua_State *L)
{
    size_t i;
    for (lua_pushnil(L); lua_next(L, RETURNED); lua_pop(L, 1)) {
        if (tm_body_is_doc(L, -2, &i) && lua_type(L, -1) == LUA_TSTRING) continue;
        lua_pop(L, 2);
        return false;
    }
    return true;
}

// What the body returned: nothing, or in a few words why there is nothing of a record.
static tm_status check_reason(const tm_body *body, tm_error *err)
{
    lua_State *L = body->box->L;
    size_t i;
    int type = lua_type(L, RETURNED);
    if (type == LUA_TNIL || type == LUA_TSTRING) return TM_OK;
    if (type == LUA_TTABLE && body->spec.batch && is_table_of_reasons(L)) return TM_OK;
    bool record = tm_body_is_doc(L, RETURNED, &i);
    const char *what = record                  ? "the record that it was given"
                       : type == LUA_TBOOLEAN  ? "true or false"
                       : type == LUA_TNUMBER   ? "a number"
                       : type == LUA_TFUNCTION ? "a function"
                       : type != LUA_TTABLE    ? "an object of the program"
                       : body->spec.batch      ? "a table of something else than reasons"
                                               : "a table";
    tm_fail(err, TM_EFAILED, "%s:%d: the body returns %s", body->trail.file, body->trail.line, what);
    tm_error_class(err, "TM0414");
    if (record)
        tm_hint(err, "to pass it on as it is: emit(doc); what is returned is the reason for leaving one out, "
                     "a text");
    else if (body->spec.batch)
        tm_hint(err,
                "give records to emit({ ... }, doc); what is returned are the reasons for leaving some out: "
                "a text for all, or a table: why[doc] = \"too short\"");
    else
        tm_hint(err,
                "give records to emit { ... }; what is returned is the reason for leaving one out, a text");
    return TM_EFAILED;
}

static tm_status begin_call(tm_body *body, const tm_doc *docs, size_t n, tm_error *err)
{
    tm_assert(n > 0 && (n == 1 || body->spec.batch));
    if (n > body->docs_capacity) {
        body_record *more = tm_realloc(body->records, n * sizeof *more);
        if (!more) return tm_fail(err, TM_ENOMEM, "no memory for a stage in Lua");
        body->records = more;
        body->docs_capacity = n;
    }
    for (size_t i = 0; i < n; i++) body->records[i] = (body_record){0};
    body->docs = docs;
    body->n_docs = n;
    body->stream = tm_hash64(docs->id.data, docs->id.size, 0);
    body->n_random = 0;
    body->n_emitted = 0;
    tm_buf_reset(&body->bytes);
    lua_settop(body->box->L, OPTIONS);
    return TM_OK;
}

static int push_arguments(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &each_key);
    tm_body_push_docs(L);
    lua_pushvalue(L, 1);  // the options
    lua_rawgetp(L, LUA_REGISTRYINDEX, &emit_key);
    return 4;
}

tm_status tm_body_call(tm_body *body, const tm_doc *docs, size_t n, tm_batch *out, tm_error *err)
{
    lua_State *L = body->box->L;
    TM_TRY(begin_call(body, docs, n, err));
    lua_pushcfunction(L, push_arguments);
    lua_pushvalue(L, OPTIONS);
    if (!tm_sandbox_call(body->box, 1, 4) || !tm_sandbox_call(body->box, 3, 1)) {
        lua_settop(L, OPTIONS);
        return fail_call(body, err);
    }
    TM_TRY(check_reason(body, err));
    if (tm_batch_bytes(out) > body->spec.memory) {
        tm_fail(err, TM_EFAILED, "%s:%d: it emits more than %zu MiB for one chunk", body->trail.file,
                body->trail.line, body->spec.memory >> 20);
        tm_error_class(err, "TM0414");
        return TM_EFAILED;
    }
    return tm_body_flush(body, out, err);
}

bool tm_body_left_out(tm_body *body, size_t i, const char **reason)
{
    lua_State *L = body->box->L;
    *reason = NULL;
    if (body->records[i].used) return false;
    if (lua_type(L, RETURNED) == LUA_TSTRING) *reason = lua_tostring(L, RETURNED);
    if (lua_type(L, RETURNED) != LUA_TTABLE) return true;
    tm_body_find_doc(L, i);
    if (lua_rawget(L, RETURNED) == LUA_TSTRING) *reason = lua_tostring(L, -1);
    lua_settop(L, RETURNED);
    return true;
}
