// SPDX-License-Identifier: Apache-2.0
// `doc`, the record that a body sees, and `emit`, which takes what it makes of it.
#include "stages/script/body_parts.h"

#include <stdio.h>

#include "engine/base/json.h"
#include "engine/base/nearest.h"
#include "engine/base/utf8.h"
#include "stages/script/value.h"

#define MAX_ID 200  // bytes of an id that a body gives

enum { ID, TEXT, SOURCE, META, MESSAGES, TOOLS, PROMPT, CHOSEN, REJECTED, N_FIELDS };

static const char *const names[] = {"id",    "text",   "source", "meta",     "messages",
                                    "tools", "prompt", "chosen", "rejected", NULL};
static const char docs_key = 0;  // its address keys the list of all `doc`s in the registry

// What a record of a shape holds besides id, source and meta.
static bool in_shape(tm_body_shape shape, int field)
{
    switch (shape) {
    case TM_BODY_TEXT: return field == TEXT;
    case TM_BODY_CHAT: return field == MESSAGES || field == TOOLS;
    case TM_BODY_PREFERENCE: return field >= PROMPT;
    }
    return false;
}

static bool is_field(tm_body_shape shape, int field)
{
    return field == ID || field == SOURCE || field == META || in_shape(shape, field);
}

static int find_field(const char *name)
{
    int i = 0;
    while (names[i] && strcmp(names[i], name) != 0) i++;
    return names[i] ? i : -1;
}

// "'txt': did you mean 'text'?" for a name that no record of this shape has.
_Noreturn static void no_field(lua_State *L, const char *what, tm_body_shape shape, const char *name)
{
    const char *there[N_FIELDS + 1];
    int n = 0;
    for (int i = 0; i < N_FIELDS; i++)
        if (is_field(shape, i)) there[n++] = names[i];
    there[n] = NULL;
    const char *near = tm_nearest(name, there);
    luaL_Buffer all;
    luaL_buffinit(L, &all);
    luaL_addstring(&all, near ? "did you mean '" : "there is: ");
    if (near) luaL_addstring(&all, near);
    for (int i = 0; !near && i < n; i++) {
        if (i) luaL_addstring(&all, ", ");
        luaL_addstring(&all, there[i]);
    }
    if (near) luaL_addstring(&all, "'?");
    luaL_pushresult(&all);
    tm_sandbox_raise(L, "TM0127", name, lua_tostring(L, -1), "%s has no field '%s'", what, name);
}

// ---- doc ----

static void push_view(lua_State *L, tm_view view)
{
    lua_pushlstring(L, view.data ? view.data : "", view.size);
}

static void push_meta(lua_State *L, tm_view meta)
{
    json_t *json = meta.size ? json_loadb(meta.data, meta.size, JSON_DECODE_ANY, NULL) : NULL;
    tm_body *body = tm_body_of(L);
    json_decref(body->parsed);
    body->parsed = json;  // held by the body, so that an error leaks nothing
    if (json_is_object(json)) tm_value_push(L, json);
    else lua_newtable(L);
}

// A part of the canonical JSON in the text column.
static void push_part(lua_State *L, const tm_doc *doc, const char *name)
{
    tm_body *body = tm_body_of(L);
    json_decref(body->parsed);
    body->parsed = json_loadb(doc->text.data ? doc->text.data : "", doc->text.size, 0, NULL);
    const json_t *part = json_object_get(body->parsed, name);
    if (!json_is_array(part) && strcmp(name, names[TOOLS]) != 0)
        luaL_error(L, "the record holds no %s", name);
    tm_value_push(L, part);
}

static const tm_doc *record_of(lua_State *L, const body_doc *doc)
{
    const tm_body *body = tm_body_of(L);
    if (doc->i >= body->n_docs) luaL_error(L, "the record is one of an earlier call");
    return &body->docs[doc->i];
}

// __index of the table of fields: the first look at a field of this record.
static int read_field(lua_State *L)
{
    tm_body *body = tm_body_of(L);
    body_doc *doc = lua_touserdata(L, lua_upvalueindex(1));
    const tm_doc *record = record_of(L, doc);
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
    int field = find_field(name);
    if (field < 0 || !is_field(body->spec.takes, field)) no_field(L, "doc", body->spec.takes, name);
    lua_settop(L, 2);
    if (field == ID) push_view(L, record->id);
    else if (field == TEXT) push_view(L, record->text);
    else if (field == SOURCE) push_view(L, record->source);
    else if (field == META) push_meta(L, record->meta);
    else push_part(L, record, name);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, 1);
    doc->filled |= 1u << field;
    return 1;
}

static int refuse_change(lua_State *L)
{
    luaL_tolstring(L, 2, NULL);
    const char *name = lua_tostring(L, -1);
    tm_sandbox_raise(L, "TM0127", name, "give what is new to emit { ... }", "doc.%s cannot be changed", name);
}

static int refuse_walk(lua_State *L)
{
    tm_sandbox_raise(L, "TM0127", "pairs", "name the fields: doc.id, doc.text, doc.meta",
                     "doc is a record: it cannot be walked");
}

static int doc_text(lua_State *L)
{
    lua_pushliteral(L, "record ");
    push_view(L, record_of(L, lua_touserdata(L, 1))->id);
    lua_concat(L, 2);
    return 1;
}

static void new_doc(lua_State *L, size_t i)
{
    static const luaL_Reg events[] = {
        {"__newindex", refuse_change}, {"__pairs", refuse_walk}, {"__tostring", doc_text}, {NULL, NULL}};
    body_doc *doc = lua_newuserdatauv(L, sizeof *doc, 1);
    int index = lua_gettop(L);
    *doc = (body_doc){.i = i};
    lua_newtable(L);
    luaL_setfuncs(L, events, 0);
    lua_pushliteral(L, "record");
    lua_setfield(L, -2, "__metatable");
    lua_createtable(L, 0, N_FIELDS);  // the fields that were looked at
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, index);
    lua_pushcclosure(L, read_field, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, index);
}

// Make `doc` (on top of the stack) stand for the record of this call.
static void forget_fields(lua_State *L)
{
    body_doc *doc = lua_touserdata(L, -1);
    if (!doc->filled) return;
    lua_getiuservalue(L, -1, 1);
    for (int i = 0; i < N_FIELDS; i++) {
        if (!(doc->filled & 1u << i)) continue;
        lua_pushstring(L, names[i]);
        lua_pushnil(L);
        lua_rawset(L, -3);
    }
    lua_pop(L, 1);
    doc->filled = 0;
}

// The i-th `doc`, made at its first use; `all` is where their list is.
static void push_doc(lua_State *L, int all, size_t i)
{
    if (lua_rawgeti(L, all, (lua_Integer)i + 1) == LUA_TNIL) {
        lua_pop(L, 1);
        new_doc(L, i);
        lua_pushvalue(L, -1);
        lua_rawseti(L, all, (lua_Integer)i + 1);
    }
    forget_fields(L);
}

void tm_body_push_docs(lua_State *L)
{
    const tm_body *body = tm_body_of(L);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &docs_key) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &docs_key);
    }
    int all = lua_gettop(L);
    if (body->spec.batch) lua_createtable(L, (int)body->n_docs, 0);
    else push_doc(L, all, 0);
    for (size_t i = 0; body->spec.batch && i < body->n_docs; i++) {
        push_doc(L, all, i);
        lua_rawseti(L, all + 1, (lua_Integer)i + 1);
    }
    lua_remove(L, all);
}

void tm_body_find_doc(lua_State *L, size_t i)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &docs_key);
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    lua_remove(L, -2);
}

bool tm_body_is_doc(lua_State *L, int index, size_t *i)
{
    if (lua_type(L, index) != LUA_TUSERDATA || lua_rawlen(L, index) != sizeof(body_doc)) return false;
    index = lua_absindex(L, index);
    *i = ((const body_doc *)lua_touserdata(L, index))->i;
    tm_body_find_doc(L, *i);
    bool same = lua_rawequal(L, index, -1);
    lua_pop(L, 1);
    return same && *i < tm_body_of(L)->n_docs;
}

// ---- emit ----

static tm_view string_at(lua_State *L, int index, const char *name)
{
    size_t size;
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "emit: %s is text, not %s", name,
                   lua_isnil(L, index) ? "nothing" : lua_pushfstring(L, "a %s", luaL_typename(L, index)));
    const char *text = lua_tolstring(L, index, &size);
    return tm_view_of(text, size);
}

// Whether a record that the body was given was broken before.
static bool was_broken(const tm_body *body)
{
    for (size_t i = 0; i < body->n_docs; i++) {
        tm_view text = body->docs[i].text, source = body->docs[i].source;
        if (tm_utf8_valid(text) != text.size || tm_utf8_valid(source) != source.size) return true;
    }
    return false;
}

_Noreturn static void no_utf8(lua_State *L, tm_view text, const char *name)
{
    bool before = was_broken(tm_body_of(L));
    tm_sandbox_raise(L, "TM0127", name,
                     before ? "put tm.fix_unicode in front of this stage"
                            : "cut text between characters: utf8.offset gives the places",
                     "emit: '%s' is not UTF-8 at byte %d%s", name, (int)tm_utf8_valid(text) + 1,
                     before ? ", and nor was the record it was given" : "");
}

// Append text to the bytes of the record; the range is given back.
static void add_text(lua_State *L, tm_view text, const char *name, size_t *at, size_t *size)
{
    tm_body *body = tm_body_of(L);
    if (tm_utf8_valid(text) != text.size) no_utf8(L, text, name);
    *at = body->bytes.size;
    *size = text.size;
    tm_buf_add(&body->bytes, text.data, text.size);
}

static void add_meta(lua_State *L, int index, size_t *at, size_t *size)
{
    tm_body *body = tm_body_of(L);
    if (!lua_istable(L, index)) luaL_error(L, "emit: meta is a table, not a %s", luaL_typename(L, index));
    *at = body->bytes.size;
    tm_value_json(L, index, "emit: meta", &body->bytes);
    *size = body->bytes.size - *at;
    bool list = body->bytes.data[*at] == '[';
    if (list && *size > 2) luaL_error(L, "emit: meta is a table with names, not a list");
    if (list) *size = 0;  // an empty table
}

static void add_string(lua_State *L, tm_view text, const char *name)
{
    if (!tm_json_quote(text, &tm_body_of(L)->bytes)) no_utf8(L, text, name);
}

// The member at `key` of a message, which must be text.
static void add_member(lua_State *L, int message, const char *key, const char *name)
{
    lua_getfield(L, message, key);
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "emit: a message of %s has no %s: write { role = \"user\", content = \"...\" }", name,
                   key);
    tm_buf_fmt(&tm_body_of(L)->bytes, "\"%s\":", key);
    add_string(L, string_at(L, -1, name), name);
    lua_pop(L, 1);
}

// role and content first, whatever else a message has behind them by name.
static void add_message(lua_State *L, const char *name)
{
    int message = lua_gettop(L);
    tm_buf *out = &tm_body_of(L)->bytes;
    if (!lua_istable(L, message))
        luaL_error(L, "emit: %s holds a %s, not messages", name, luaL_typename(L, message));
    tm_buf_char(out, '{');
    add_member(L, message, "role", name);
    tm_buf_char(out, ',');
    add_member(L, message, "content", name);
    size_t n = tm_sandbox_keys(L, message);
    for (size_t i = 1; n > 2 && i <= n; i++) {
        if (lua_rawgeti(L, message + 1, (lua_Integer)i) != LUA_TSTRING)
            luaL_error(L, "emit: a message of %s has a %s as a key", name, luaL_typename(L, -1));
        const char *key = lua_tostring(L, -1);
        if (strcmp(key, "role") != 0 && strcmp(key, "content") != 0) {
            tm_buf_char(out, ',');
            add_string(L, string_at(L, -1, name), name);
            tm_buf_char(out, ':');
            lua_getfield(L, message, key);
            tm_value_json(L, -1, name, out);
        }
        lua_settop(L, message + 1);
    }
    lua_settop(L, message);
    tm_buf_char(out, '}');
}

// A list of messages, or for short a text: what a user asks (prompt), what the assistant says.
static void add_messages(lua_State *L, int emission, int field)
{
    tm_buf *out = &tm_body_of(L)->bytes;
    const char *name = names[field];
    lua_getfield(L, emission, name);
    if (lua_type(L, -1) == LUA_TSTRING && field != MESSAGES) {
        tm_buf_fmt(out, "[{\"role\":\"%s\",\"content\":", field == PROMPT ? "user" : "assistant");
        add_string(L, string_at(L, -1, name), name);
        tm_buf_str(out, "}]");
        lua_pop(L, 1);
        return;
    }
    lua_Integer n = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;
    if (n == 0)
        tm_sandbox_raise(L, "TM0127", name,
                         "write: messages = { { role = \"user\", content = \"...\" }, ... }",
                         "emit: %s is no list of messages", name);
    tm_buf_char(out, '[');
    for (lua_Integer i = 1; i <= n; i++) {
        if (i > 1) tm_buf_char(out, ',');
        lua_rawgeti(L, -1, i);
        add_message(L, name);
        lua_pop(L, 1);
    }
    tm_buf_char(out, ']');
    lua_pop(L, 1);
}

static void add_shaped(lua_State *L, int emission, tm_body *body, body_emission *e)
{
    bool chat = body->spec.gives == TM_BODY_CHAT;
    e->text = body->bytes.size;
    for (int field = chat ? MESSAGES : PROMPT; field <= (chat ? MESSAGES : REJECTED); field++) {
        tm_buf_fmt(&body->bytes, "%s\"%s\":", field == MESSAGES || field == PROMPT ? "{" : ",", names[field]);
        add_messages(L, emission, field);
    }
    if (chat && lua_getfield(L, emission, names[TOOLS]) != LUA_TNIL) {
        tm_buf_fmt(&body->bytes, ",\"%s\":", names[TOOLS]);
        tm_value_json(L, -1, "emit: tools", &body->bytes);
    }
    tm_buf_char(&body->bytes, '}');
    e->text_size = body->bytes.size - e->text;
}

// One field of an emission; the value is on top of the stack.
static void add_field(lua_State *L, tm_body *body, int field, body_emission *e)
{
    int value = lua_gettop(L);
    if (field == TEXT) add_text(L, string_at(L, value, "text"), "text", &e->text, &e->text_size);
    else if (field == SOURCE)
        add_text(L, string_at(L, value, "source"), "source", &e->source, &e->source_size);
    else if (field == META) add_meta(L, value, &e->meta, &e->meta_size);
    else if (field == ID) {
        tm_view id = string_at(L, value, "id");
        if (id.size == 0 || id.size > MAX_ID)
            luaL_error(L, "emit: an id has 1 to %d bytes, not %d", MAX_ID, (int)id.size);
        add_text(L, id, "id", &e->id, &e->id_size);
        e->own_id = true;
    }
    (void)body;
}

static void add_record(tm_body *body, tm_view view, size_t *at, size_t *size)
{
    *at = body->bytes.size;
    *size = view.size;
    tm_buf_add(&body->bytes, view.data, view.size);
}

static body_emission *new_emission(lua_State *L, tm_body *body)
{
    if (body->n_emitted == body->capacity) {
        size_t capacity = body->capacity ? 2 * body->capacity : 8;
        body_emission *more = tm_realloc(body->emitted, capacity * sizeof *more);
        if (!more) tm_sandbox_doom(L, "TM0121");
        body->emitted = more;
        body->capacity = capacity;
    }
    body->emitted[body->n_emitted] = (body_emission){0};
    return &body->emitted[body->n_emitted];
}

// What an emission comes from, and with `use` that something does: the record that it is, the one or the list
// behind it, or the only one there is. The first of them.
static size_t origin(lua_State *L, tm_body *body, bool use)
{
    size_t first = 0, i;
    bool list = lua_istable(L, 2);
    lua_Integer n = list ? (lua_Integer)lua_rawlen(L, 2) : 1;
    if (lua_isnil(L, 2) && !tm_body_is_doc(L, 1, &first) && body->spec.batch)
        tm_sandbox_raise(L, "TM0127", "emit",
                         "write: emit({ text = ... }, doc), or a list of records behind the comma",
                         "emit: of which record is this?");
    for (lua_Integer k = 1; k <= n && !lua_isnil(L, 2); k++) {
        if (list) lua_rawgeti(L, 2, k);
        else lua_pushvalue(L, 2);
        if (!tm_body_is_doc(L, -1, &i))
            luaL_error(L, "emit: what is emitted comes from records of this call, not from a %s",
                       luaL_typename(L, -1));
        lua_pop(L, 1);
        if (k == 1) first = i;
        if (use) body->records[i].used = true;
    }
    if (n == 0) luaL_error(L, "emit: the list of records that this comes from is empty");
    if (use) body->records[first].used = true;
    return first;
}

// emit(doc): the record as it is.
static void emit_doc(lua_State *L, tm_body *body, body_emission *e, const tm_doc *doc)
{
    if (body->spec.takes != body->spec.gives)
        luaL_error(L, "emit(doc): the stage takes one shape of record and gives another");
    add_record(body, doc->text, &e->text, &e->text_size);
    add_record(body, doc->source, &e->source, &e->source_size);
    add_record(body, doc->meta, &e->meta, &e->meta_size);
}

static void emit_table(lua_State *L, tm_body *body, body_emission *e, const tm_doc *doc)
{
    unsigned given = 0;
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2);
        int field = lua_type(L, -2) == LUA_TSTRING ? find_field(name) : -1;
        if (field < 0 || !is_field(body->spec.gives, field))
            no_field(L, "what is emitted", body->spec.gives, name);
        given |= 1u << field;
        if (field < MESSAGES) add_field(L, body, field, e);
    }
    for (int i = 0; i < N_FIELDS; i++)
        if (i != TOOLS && in_shape(body->spec.gives, i) && !(given & 1u << i))
            tm_sandbox_raise(L, "TM0127", "emit", NULL, "emit: what is emitted has no %s", names[i]);
    if (body->spec.gives != TM_BODY_TEXT) add_shaped(L, 1, body, e);
    if (!(given & 1u << SOURCE)) add_record(body, doc->source, &e->source, &e->source_size);
    if (!(given & 1u << META)) add_record(body, doc->meta, &e->meta, &e->meta_size);
}

static int emit(lua_State *L)
{
    tm_body *body = tm_body_of(L);
    body_emission *e = new_emission(L, body);
    size_t i;
    lua_settop(L, 2);
    if (!lua_istable(L, 1) && !tm_body_is_doc(L, 1, &i))
        tm_sandbox_raise(L, "TM0127", "emit",
                         body->spec.batch
                             ? "write: emit({ text = ... }, doc), or emit(doc) for the record as it is"
                             : "write: emit { text = ... }, or emit(doc) for the record as it is",
                         "emit takes a table, not %s", lua_isnil(L, 1) ? "nothing" : luaL_typename(L, 1));
    e->from = origin(L, body, false);
    if (lua_istable(L, 1)) emit_table(L, body, e, &body->docs[e->from]);
    else emit_doc(L, body, e, &body->docs[i]);
    origin(L, body, true);
    body->n_emitted++;
    size_t held = body->bytes.size + body->n_emitted * sizeof *body->emitted;
    if (body->bytes.failed || held > body->spec.memory / 4) tm_sandbox_doom(L, "TM0121");
    return 0;
}

void tm_body_push_emit(lua_State *L)
{
    lua_pushcfunction(L, emit);
}

static tm_view range(const tm_body *body, size_t at, size_t size)
{
    return tm_view_of(body->bytes.data ? body->bytes.data + at : "", size);
}

// One emission without an id of its own keeps the record's; of several the n-th gets "#n" behind it.
tm_status tm_body_flush(tm_body *body, tm_batch *out, tm_error *err)
{
    for (size_t i = 0; i < body->n_emitted; i++)
        if (!body->emitted[i].own_id) body->records[body->emitted[i].from].nameless++;
    tm_buf numbered = {0};
    tm_status status = TM_OK;
    for (size_t i = 0; status >= 0 && i < body->n_emitted; i++) {
        const body_emission *e = &body->emitted[i];
        body_record *from = &body->records[e->from];
        tm_view id = e->own_id ? range(body, e->id, e->id_size) : body->docs[e->from].id;
        if (!e->own_id && from->nameless > 1) {
            tm_buf_reset(&numbered);
            tm_buf_add(&numbered, id.data, id.size);
            tm_buf_fmt(&numbered, "#%zu", ++from->numbered);
            status = tm_buf_status(&numbered, err);
            id = tm_buf_view(&numbered);
        }
        tm_doc doc = {id, range(body, e->text, e->text_size), range(body, e->source, e->source_size),
                      range(body, e->meta, e->meta_size)};
        if (status >= 0) status = tm_docs_add(out, &doc, err);
    }
    tm_buf_clear(&numbered);
    return status;
}
