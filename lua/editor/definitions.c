// SPDX-License-Identifier: Apache-2.0
// Classes and functions of the definitions, from the rows of stages, values and types.
//
// A node's class inherits from the class of what it gives, so that it can stand wherever that is taken; its
// ports are fields. Arguments are exact classes: an unknown option is a warning in the editor.
#include "lua/editor/definitions.h"

#include <stdio.h>

#include "definitions_lua.h"
#include "engine/stage.h"

// Text as comment lines; of an empty text nothing.
static void add_comment(tm_buf *out, const char *text)
{
    while (text && *text) {
        size_t n = strcspn(text, "\n");
        tm_buf_str(out, "---");
        tm_buf_add(out, text, n);
        tm_buf_char(out, '\n');
        text += n + (text[n] == '\n');
    }
}

// What a function does: one sentence, the whole story, an example.
static void add_story(tm_buf *out, const char *brief, const char *help, const char *example)
{
    add_comment(out, brief);
    if (help) {
        tm_buf_str(out, "---\n");
        add_comment(out, help);
    }
    if (example) tm_buf_fmt(out, "---\n---```lua\n---%s\n---```\n", example);
}

// ---- types ----

static void add_alternative(tm_buf *types, const char *format, const char *name)
{
    char text[96];
    snprintf(text, sizeof text, format, name);
    for (const char *at = types->size ? types->data : NULL; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, text, strlen(text)) == 0 && strchr("|", at[strlen(text)])) return;
    }
    if (types->size) tm_buf_char(types, '|');
    tm_buf_str(types, text);
}

// What may stand where a type is due: it, what is converted into it, and a path where documents are.
static void add_taken(tm_buf *types, const char *type, const char *via)
{
    add_alternative(types, "tidemill.%s", type);
    const tm_stage *converts = via && via[0] ? tm_stage_find(via) : NULL;
    if (converts) add_taken(types, converts->inputs[0].type, converts->inputs[0].via);
    else if (strcmp(type, "documents") == 0) add_alternative(types, "%s", "string");
}

static void add_input_type(tm_buf *types, const tm_port *p)
{
    if (p->type) add_taken(types, p->type, p->via);
    if (p->value) add_alternative(types, "tidemill.value.%s", p->value);
    if (p->flags & TM_PORT_NAMESAKE) add_alternative(types, "tidemill.%s", "model");
    if (p->flags & TM_PORT_MANY) add_alternative(types, "%s", "table");
}

// Where a family has one value its name can be left out: stop = { patience = 3 }.
static const tm_value *only_value(const char *family)
{
    const tm_value *only = NULL;
    for (const tm_value *const *v = tm_values; *v; v++) {
        if (strcmp((*v)->family, family) != 0) continue;
        if (only) return NULL;
        only = *v;
    }
    return only;
}

static void add_choices(tm_buf *out, const char *choices)
{
    while (*choices) {
        size_t n = strcspn(choices, " ");
        tm_buf_fmt(out, "\"%.*s\"", (int)n, choices);
        choices += n + (choices[n] == ' ');
        if (*choices) tm_buf_char(out, '|');
    }
}

static void add_option_type(tm_buf *out, const tm_option *o)
{
    static const char *const names[] = {
        [TM_OPT_BOOL] = "boolean", [TM_OPT_INT] = "integer",   [TM_OPT_NUMBER] = "number",
        [TM_OPT_STRING] = "string", [TM_OPT_PATH] = "string",  [TM_OPT_LIST] = "string|string[]",
        [TM_OPT_TABLE] = "table",  [TM_OPT_CODE] = "function",
    };
    if (o->kind == TM_OPT_CHOICE) {
        add_choices(out, o->choices);
    } else if (o->kind == TM_OPT_VALUE) {
        tm_buf_fmt(out, "tidemill.value.%s", o->choices);
        const tm_value *only = only_value(o->choices);
        if (only) tm_buf_fmt(out, "|tidemill.args.%s", only->name);
    } else {
        tm_buf_str(out, names[o->kind]);
    }
}

// ---- arguments ----

static void add_field(tm_buf *out, const char *name, bool optional, const char *type)
{
    tm_buf_fmt(out, "---@field %s%s %s\n", name, optional ? "?" : "", type);
}

static void add_option(tm_buf *out, const tm_option *o, const char *name)
{
    tm_buf type = {0};
    tm_buf_fmt(out, "---%s", o->help);
    if (o->min != 0 || o->max != 0) tm_buf_fmt(out, "; %.10g to %.10g", o->min, o->max);
    if (o->def && strcmp(o->def, "null") != 0) tm_buf_fmt(out, " (default %s)", o->def);
    tm_buf_char(out, '\n');
    add_option_type(&type, o);
    out->failed |= type.failed;
    add_field(out, name, o->def != NULL, type.size ? type.data : "any");
    tm_buf_clear(&type);
}

// `s` and the rows that take its place if the main input is of another type.
static bool belongs(const tm_stage *row, const tm_stage *s)
{
    return row == s || (row->as && strcmp(row->as, s->name) == 0);
}

static void add_input(tm_buf *out, const tm_port *p, const tm_stage *of, bool optional)
{
    tm_buf types = {0};
    add_input_type(&types, p);
    for (const tm_stage *const *s = tm_stages; of && !p->name[0] && *s; s++)
        if (belongs(*s, of)) add_input_type(&types, &(*s)->inputs[0]);
    out->failed |= types.failed;
    add_comment(out, p->help);
    add_field(out, p->name[0] ? p->name : "[1]", optional || (p->flags & TM_PORT_OPTIONAL),
              types.size ? types.data : "any");
    tm_buf_clear(&types);
}

static const tm_port *find_port(const tm_port *ports, size_t n, const char *name)
{
    for (size_t i = 0; i < n && ports[i].name; i++)
        if (strcmp(ports[i].name, name) == 0) return &ports[i];
    return NULL;
}

// The options of a row; `path` of a source is the value without a name.
static void add_options(tm_buf *out, const tm_option *options, const tm_port *inputs, size_t n_inputs,
                        bool source)
{
    for (const tm_option *o = options; o && o->name; o++) {
        if (find_port(inputs, n_inputs, o->name)) continue;
        bool first = strcmp(o->name, "path") == 0 && source;
        add_option(out, o, first ? "[1]" : o->name);
    }
}

static void add_stage_args(tm_buf *out, const tm_stage *s)
{
    bool step = (s->traits & TM_STEP) != 0;
    tm_buf_fmt(out, "---@class (exact) tidemill.args.%s\n", s->name);
    bool best = strcmp(s->name, "best") == 0; // tidemill.lua gives it `on` out of the points of the sweep
    for (size_t i = 0; i < TM_MAX_PORTS && s->inputs[i].name; i++)
        add_input(out, &s->inputs[i], s, s->inputs[i].name[0] ? best : step);
    add_options(out, s->options, s->inputs, TM_MAX_PORTS, !find_port(s->inputs, TM_MAX_PORTS, ""));
    tm_buf_str(out, "---what the node is called if `tm.graph` does not name it\n---@field name? string\n"
                    "---keep the output, also where it could be passed on without\n---@field store? boolean\n"
                    "---what the node needs of the machine\n---@field at? tidemill.at\n\n");
}

// ---- nodes ----

// What a node is: its main output, of all rows that may stand there; a step besides.
static void add_node_parents(tm_buf *out, const tm_stage *s)
{
    tm_buf types = {0};
    for (const tm_stage *const *row = tm_stages; *row; row++)
        if (belongs(*row, s) && (*row)->outputs[0].name && !(*row)->outputs[0].name[0])
            add_alternative(&types, "tidemill.%s", (*row)->outputs[0].type);
    if (s->traits & TM_STEP) add_alternative(&types, "%s", "tidemill.step");
    if (!types.size) add_alternative(&types, "%s", "tidemill.node");
    for (char *bar = types.data; bar && (bar = strchr(bar, '|'));) *bar = ',';
    out->failed |= types.failed;
    tm_buf_fmt(out, " : %s\n", types.size ? types.data : "table");
    tm_buf_clear(&types);
}

static void add_node(tm_buf *out, const tm_stage *s)
{
    tm_buf_fmt(out, "---A use of `tm.%s`.\n---@class tidemill.node.%s", s->name, s->name);
    add_node_parents(out, s);
    for (size_t i = 0; i < TM_MAX_PORTS && s->outputs[i].name; i++) {
        char type[96];
        if (!s->outputs[i].name[0]) continue;
        snprintf(type, sizeof type, "tidemill.%s", s->outputs[i].type);
        add_comment(out, s->outputs[i].help);
        add_field(out, s->outputs[i].name, false, type);
    }
    tm_buf_char(out, '\n');
}

static void add_stage(tm_buf *out, const tm_stage *s)
{
    add_stage_args(out, s);
    add_node(out, s);
    add_story(out, s->brief, s->help, s->example);
    tm_buf_fmt(out, "---@param args tidemill.args.%s\n"
                    "---@return tidemill.node.%s\nfunction tm.%s(args) end\n\n",
               s->name, s->name, s->name);
}

static void add_value(tm_buf *out, const tm_value *v)
{
    tm_buf_fmt(out, "---@class (exact) tidemill.args.%s\n", v->name);
    for (size_t i = 0; i < 4 && v->inputs[i].name; i++) add_input(out, &v->inputs[i], NULL, false);
    add_options(out, v->options, v->inputs, 4, false);
    tm_buf_char(out, '\n');
    add_story(out, v->brief, NULL, v->example);
    tm_buf_fmt(out, "---@param args tidemill.args.%s\n"
                    "---@return tidemill.value.%s\nfunction tm.%s(args) end\n\n",
               v->name, v->family, v->name);
}

static void add_types(tm_buf *out)
{
    for (size_t i = 0; tm_type_at(i); i++) {
        const tm_type *t = tm_type_at(i);
        tm_buf_fmt(out, "---%s\n---@class tidemill.%s : tidemill.%s\n\n", t->brief, t->name,
                   t->tree ? "snapshots" : "records");
    }
}

static void add_families(tm_buf *out)
{
    for (const tm_value *const *v = tm_values; *v; v++) {
        bool seen = false;
        const char *family = (*v)->family;
        for (const tm_value *const *w = tm_values; w < v; w++) seen |= strcmp((*w)->family, family) == 0;
        if (!seen) tm_buf_fmt(out, "---A value: %s.\n---@class tidemill.value.%s\n\n", family, family);
    }
}

tm_status tm_definitions(tm_buf *out, tm_error *err)
{
    tm_buf_str(out, definitions_lua);
    tm_buf_str(out, "-- What flows, and what values there are\n\n");
    add_types(out);
    add_families(out);
    tm_buf_str(out, "-- Stages\n\n");
    for (const tm_stage *const *s = tm_stages; *s; s++)
        if (!((*s)->traits & TM_INTERNAL) && strcmp((*s)->name, "stage") != 0) add_stage(out, *s);
    tm_buf_str(out, "-- Values\n\n");
    for (const tm_value *const *v = tm_values; *v; v++) add_value(out, *v);
    tm_buf_str(out, "return tm\n");
    return tm_buf_status(out, err);
}

// ---- functions of the language ----

// The start of the comment that ends before `at`.
static const char *comment_before(const char *text, const char *at)
{
    while (at > text) {
        const char *line = at - 1;
        while (line > text && line[-1] != '\n') line--;
        if (strncmp(line, "---", 3) != 0) break;
        at = line;
    }
    return at;
}

bool tm_definition_story(const char *function, tm_buf *out)
{
    char head[80];
    snprintf(head, sizeof head, "\nfunction tm.%.48s(", function);
    const char *found = strstr(definitions_lua, head);
    if (!found) return false;
    for (const char *at = comment_before(definitions_lua, found + 1); at <= found;) {
        size_t n = strcspn(at, "\n");
        if (at[3] != '@' && strncmp(at + 3, "```", 3) != 0) {
            tm_buf_add(out, at + 3, n - 3);
            tm_buf_char(out, '\n');
        }
        at += n + 1;
    }
    return true;
}
