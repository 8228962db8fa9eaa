// SPDX-License-Identifier: Apache-2.0
// Arguments of constructors: to options, to links, to values that hold links.
#include "engine/graph_parts.h"

#include <stdlib.h>

static const tm_port *find_port(const tm_port *ports, size_t n, const char *name)
{
    for (size_t i = 0; i < n && ports[i].name; i++)
        if (strcmp(ports[i].name, name) == 0) return &ports[i];
    return NULL;
}

static const tm_option *find_option(const tm_stage *stage, const char *name)
{
    for (const tm_option *o = stage->options; o && o->name; o++)
        if (strcmp(o->name, name) == 0) return o;
    return NULL;
}

bool graph_is_wrong(const json_t *arg)
{
    const json_t *ref = json_object_get(arg, "$ref");
    return ref && json_integer_value(json_object_get(ref, "node")) < 0;
}

// `value`: the value that has the option, or NULL if it is the stage's.
void graph_option_fault(builder *b, tm_node *node, const json_t *value, const tm_option_fault *fault)
{
    bool absent = strstr(fault->what, "is required") != NULL;
    const char *code = absent ? "TM0204" : "TM0201", *word = absent ? NULL : fault->option;
    tm_diag *d = value ? graph_value_fault(b, value, code, word) : graph_fault(b, node, code, word);
    const char *owner = d->owner;
    if (value) TM_DIAG(d->what, "tm.%s: %s", owner, fault->what);
    else TM_DIAG(d->what, "%s: %s", node->called, fault->what);
    TM_DIAG(d->why, "%s", fault->why);
    TM_DIAG(d->fix, "%s", fault->fix);
    if (!d->fix[0] && absent) TM_DIAG(d->fix, "add `%s = ...`", fault->option);
    if (!d->fix[0])
        TM_DIAG(d->fix, "give \"%s\" another value, or leave it out", fault->option ? fault->option : "it");
    TM_DIAG(d->look, "tidemill describe %s", owner);
}

static tm_status bind_port(builder *b, tm_node *node, const char *name, const tm_port *row,
                           const json_t *given, tm_error *err);

// A value such as tm.llama{...}: its options become canonical, links inside it become ports of the node.
static tm_status bind_value(builder *b, tm_node *node, const char *place, const char *family,
                            const json_t *given, json_t **canonical, tm_error *err)
{
    const char *name = json_string_value(json_object_get(given, "$value"));
    const tm_value *value = name ? tm_value_find(name) : NULL;
    *canonical = NULL;
    if (!value || strcmp(value->family, family) != 0) {
        tm_diag *d = graph_fault(b, node, "TM0202", place);
        TM_DIAG(d->what, "%s: tm.%s is no %s", node->called, name ? name : "?", family);
        if (value) TM_DIAG(d->why, "tm.%s is an %s", name, value->family);
        graph_how_to_give(&(tm_port){.value = family}, d->fix, sizeof d->fix);
        return TM_OK;
    }
    json_t *options = json_object();
    const char *key;
    json_t *arg;
    json_object_foreach(json_object_get(given, "args"), key, arg)
    {
        bool main = strcmp(key, "1") == 0;
        if (graph_is_wrong(arg)) continue;
        const tm_port *row = find_port(value->inputs, 4, main ? "" : key);
        if (!row) {
            json_object_set(options, key, arg);
            continue;
        }
        char port[96];
        snprintf(port, sizeof port, "%s%s%s", place, main ? "" : ".", main ? "" : key);
        TM_TRY(bind_port(b, node, port, row, arg, err));
    }
    tm_option_fault fault;
    tm_error err_of_value = {0};
    if (tm_options_check(value->options, options, canonical, &fault) < 0)
        graph_option_fault(b, node, given, &fault);
    else {
        if (node->smoke) tm_options_smoke(value->options, *canonical);
        json_object_set_new(*canonical, "$value", json_string(name));
    }
    if (*canonical && value->check && value->check(*canonical, &err_of_value) < 0) {
        tm_diag *d = graph_value_fault(b, given, "TM0220", NULL);
        TM_DIAG(d->what, "tm.%s: %.400s", name, err_of_value.text);
        if (err_of_value.hint[0]) TM_DIAG(d->fix, "%s", err_of_value.hint);
        else
            TM_DIAG(d->fix, "mend the options of tm.%s", name);
        TM_DIAG(d->look, "tidemill describe %s", name);
    }
    json_decref(options);
    return TM_OK;
}

static tm_status bind_table(builder *b, tm_node *node, const char *name, const tm_port *row,
                            const json_t *table, tm_error *err)
{
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)table, key, item)
    {
        char port[96];
        snprintf(port, sizeof port, "%s.%s", name, key);
        TM_TRY(bind_port(b, node, port, row, item, err));
    }
    return TM_OK;
}

// The type that the port takes in the end: what its conversions are made of.
static const char *type_at_last(const tm_port *row)
{
    const tm_stage *via = row->via && row->via[0] ? tm_stage_find(row->via) : NULL;
    return via ? type_at_last(&via->inputs[0]) : row->type;
}

// A text where a node is due is most likely a path: the stage that reads such a thing from one.
static bool reader_fix(const tm_port *row, const json_t *given, tm_diag *d)
{
    const char *type = json_is_string(given) ? type_at_last(row) : NULL;
    for (const tm_stage *const *s = tm_stages; type && *s; s++) {
        if ((*s)->inputs[0].name || !find_option(*s, "path") || !(*s)->outputs[0].type) continue;
        if (strcmp((*s)->outputs[0].type, type) != 0) continue;
        TM_DIAG(d->fix, "if that is a path, write: tm.%s { \"%.60s\" }", (*s)->name,
                json_string_value(given));
        return true;
    }
    return false;
}

static void wrong_port(builder *b, tm_node *node, const char *name, const tm_port *row, const json_t *given)
{
    char input[128];
    tm_diag *d = graph_fault(b, node, "TM0210", name);
    char *shown = json_dumps(given, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *value = json_string_value(json_object_get(given, "$value"));
    TM_DIAG(d->what, "%s: its %s takes %s%s%s", node->called, graph_input_label(name, input, sizeof input),
            row->type ? row->type : "", row->value ? row->type ? " or a value: " : "a value: " : "",
            row->value ? row->value : "");
    if (value) TM_DIAG(d->why, "it is given the value tm.%s", value);
    else TM_DIAG(d->why, "it is given %.80s", shown ? shown : "?");
    if (!reader_fix(row, given, d)) graph_how_to_give(row, d->fix, sizeof d->fix);
    free(shown);
}

static tm_status bind_port(builder *b, tm_node *node, const char *name, const tm_port *row,
                           const json_t *given, tm_error *err)
{
    const json_t *ref = json_object_get(given, "$ref"), *refs = json_object_get(given, "$refs");
    if (graph_is_wrong(given)) return TM_OK;
    if (ref && row->type) return graph_connect(b, node, name, row, ref, err);
    if (refs && (row->flags & TM_PORT_MANY)) {
        size_t i;
        json_t *one;
        json_array_foreach(refs, i, one)
        {
            char port[96];
            snprintf(port, sizeof port, "%s.%zu", name, i + 1);
            TM_TRY(graph_connect(b, node, port, row,
                           json_object_get(one, "$ref") ? json_object_get(one, "$ref") : one, err));
        }
        return TM_OK;
    }
    if (json_object_get(given, "$value") && row->value) {
        json_t *canonical;
        TM_TRY(bind_value(b, node, name, row->value, given, &canonical, err));
        if (canonical) json_object_set_new(node->values, name, canonical);
        return TM_OK;
    }
    if (json_is_object(given) && !ref && !refs && !json_object_get(given, "$value") &&
        (row->flags & TM_PORT_MANY))
        return bind_table(b, node, name, row, given, err);
    wrong_port(b, node, name, row, given);
    return TM_OK;
}

static tm_status bind_option_value(builder *b, tm_node *node, const tm_option *o, json_t *arg,
                                   json_t *options, tm_error *err)
{
    json_t *canonical;
    TM_TRY(bind_value(b, node, o->name, o->choices, arg, &canonical, err));
    if (canonical) json_object_set_new(options, o->name, canonical);
    return TM_OK;
}

// `stop = { patience = 3 }` says `stop = tm.stop { patience = 3 }`: a family of one value needs no name. NULL
// if `arg` is no such table; else to be released.
static json_t *name_value(const tm_node *node, const tm_option *o, json_t *arg)
{
    const tm_value *only = NULL;
    if (json_object_get(arg, "$value")) return json_incref(arg);
    if (!json_is_object(arg) || json_object_get(arg, "$ref") || json_object_get(arg, "$refs")) return NULL;
    for (const tm_value *const *v = tm_values; *v; v++) {
        if (strcmp((*v)->family, o->choices) != 0) continue;
        if (only) return NULL;
        only = *v;
    }
    if (!only) return NULL;
    return json_pack("{s:s, s:s, s:i, s:O}", "$value", only->name, "file", node->file, "line", node->line,
                     "args", arg);
}

tm_status graph_bind_arg(builder *b, tm_node *node, const char *key, json_t *arg, json_t *options,
                          tm_error *err)
{
    const tm_stage *stage = node->stage;
    if (graph_is_wrong(arg)) return TM_OK;
    bool first = strcmp(key, "1") == 0;
    const tm_port *row = first ? find_port(stage->inputs, TM_MAX_PORTS, "")
                               : find_port(stage->inputs, TM_MAX_PORTS, key);
    if (row && (first || row->name[0])) return bind_port(b, node, first ? "" : key, row, arg, err);
    const tm_option *o = find_option(stage, first ? "path" : key);
    json_t *value = o && o->kind == TM_OPT_VALUE ? name_value(node, o, arg) : NULL;
    if (value) {
        tm_status status = bind_option_value(b, node, o, value, options, err);
        json_decref(value);
        return status;
    }
    if (first && !o) {
        char *shown = json_dumps(arg, JSON_ENCODE_ANY | JSON_COMPACT);
        tm_diag *d = graph_fault(b, node, "TM0210", NULL);
        TM_DIAG(d->what, "%s takes no value without a name", node->called);
        TM_DIAG(d->why, "it is given %.80s", shown ? shown : "?");
        TM_DIAG(d->fix, "for example: %s", stage->example ? stage->example : "");
        free(shown);
        return TM_OK;
    }
    json_object_set(options, first ? o->name : key, arg);
    return TM_OK;
}

tm_status graph_parse_options(tm_node *node, tm_error *err)
{
    if (!node->stage->options_size) return TM_OK;
    node->parsed = tm_calloc(1, node->stage->options_size);
    if (!node->parsed) return tm_fail(err, TM_ENOMEM, "no memory for options");
    return tm_options_fill(node->stage->options, node->options, node->parsed, err);
}

// "tm.sft: input data: " before a fault of a conversion that stands there, else "".
const char *graph_served(const tm_node *node, char *text, size_t size)
{
    char input[128];
    text[0] = 0;
    if (node->serves)
        snprintf(text, size, "%s: %s: ", node->serves->called,
                 graph_input_label(node->serves_port, input, sizeof input));
    return text;
}

// Every input that must be there is; what is given and wrong has its own fault already.
void graph_check_inputs(builder *b, tm_node *node, const json_t *args)
{
    char input[128];
    for (const tm_port *p = node->stage->inputs; p < node->stage->inputs + TM_MAX_PORTS && p->name; p++) {
        bool there = (p->flags & TM_PORT_OPTIONAL) || json_object_get(node->values, p->name);
        there |= json_object_get(args, p->name[0] ? p->name : "1") != NULL;
        for (size_t i = 0; i < node->n_links; i++) there |= node->links[i].row == p;
        const char *key;
        json_t *value;
        json_object_foreach(node->values, key, value)
            there |= strncmp(key, p->name, strlen(p->name)) == 0 && key[strlen(p->name)] == '.';
        if (there) continue;
        tm_diag *d = graph_fault(b, node, "TM0209", NULL);
        char place[224];
        TM_DIAG(d->what, "%s%s needs its %s", graph_served(node, place, sizeof place), node->called,
                graph_input_label(p->name, input, sizeof input));
        TM_DIAG(d->why, "it takes %s%s%s", p->type ? p->type : p->value, p->help ? ": " : "",
                p->help ? p->help : "");
        TM_DIAG(d->fix, "for example: %s", node->stage->example ? node->stage->example : "");
    }
}
