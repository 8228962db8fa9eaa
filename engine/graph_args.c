// SPDX-License-Identifier: Apache-2.0
// Arguments of constructors: to options, to links, to values that hold links.
#include "engine/graph_link.h"
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

static const tm_value *value_of(const json_t *given)
{
    const char *name = json_string_value(json_object_get(given, "$value"));
    return name ? tm_value_find(name) : NULL;
}

// What a link or value would do in an input: the type of its node's output, or the family of its value.
static bool takes(const builder *b, const tm_port *row, const json_t *given)
{
    const json_t *ref = json_object_get(given, "$ref");
    const tm_value *value = value_of(given);
    size_t id = (size_t)json_integer_value(json_object_get(ref, "node"));
    const char *out = json_string_value(json_object_get(ref, "out"));
    const tm_node *from = ref && id < b->n_by_id ? b->by_id[id] : NULL;
    int port = from ? tm_stage_output(from->stage, out ? out : "") : -1;
    if (value) return row->value && strcmp(row->value, value->family) == 0;
    if (port < 0 || !row->type) return false;
    const tm_port *have = &from->stage->outputs[port];
    return strcmp(row->type, have->type) == 0 || tm_link_conversion(row, have);
}

static bool is_number(const char *name)
{
    return name[0] && strspn(name, "0123456789") == strlen(name);
}

// Whether a text without a name can be what an option wants that has to be given.
static bool wants_text(const tm_option *o, const json_t *args, const json_t *given)
{
    bool text = o->kind == TM_OPT_LIST || o->kind == TM_OPT_STRING || o->kind == TM_OPT_PATH;
    return text && json_is_string(given) && !o->def && !json_object_get(args, o->name);
}

// The name that was meant by a name which a stage does not have: the nearest of its inputs and options; of a
// second value without a name the first input or option that takes such a thing and is not given. Or NULL.
static const char *meant(const builder *b, const tm_stage *stage, const json_t *args, const char *name)
{
    const char *names[80];
    const json_t *given = json_object_get(args, name);
    const tm_value *value = value_of(given);
    size_t n = 0;
    bool number = is_number(name);
    for (const tm_port *p = stage->inputs; p < stage->inputs + TM_MAX_PORTS && p->name; p++) {
        if (number && p->name[0] && !json_object_get(args, p->name) && takes(b, p, given)) return p->name;
        if (p->name[0]) names[n++] = p->name;
    }
    for (const tm_option *o = stage->options; o && o->name && n < 76; o++) {
        bool family = o->kind == TM_OPT_VALUE && value && strcmp(o->choices, value->family) == 0;
        if (number && family && !json_object_get(args, o->name)) return o->name;
        if (number && wants_text(o, args, given)) return o->name;
        names[n++] = o->name;
    }
    names[n++] = "name";
    names[n++] = "store";
    names[n] = NULL;
    return number ? NULL : tm_nearest(name, names);
}

// "write: program = { "python3", "tag.py" }" of the texts from number `name` on.
static void write_list(const char *option, const json_t *args, const char *name, tm_diag *d)
{
    char key[16];
    tm_buf all = {0};
    const json_t *text;
    for (long i = strtol(name, NULL, 10); snprintf(key, sizeof key, "%ld", i), true; i++) {
        if (!json_is_string(text = json_object_get(args, key))) break;
        char *shown = json_dumps(text, JSON_ENCODE_ANY);
        if (all.size) tm_buf_str(&all, ", ");
        tm_buf_str(&all, shown ? shown : "");
        free(shown);
    }
    TM_DIAG(d->fix, "write: %s = { %.*s }", option, (int)all.size, all.data ? all.data : "");
    tm_buf_clear(&all);
}

// An option that there is not: what is said of it besides.
static void unknown(const builder *b, const tm_node *node, const json_t *args, const char *name, tm_diag *d)
{
    const tm_stage *stage = node->stage;
    const char *near = meant(b, stage, args, name);
    if (is_number(name)) {
        TM_DIAG(d->what, "%s takes one value without a name, and value %s is another", node->called, name);
        d->why[0] = 0;
        const tm_option *o = near ? find_option(stage, near) : NULL;
        if (o && o->kind == TM_OPT_LIST) write_list(near, args, name, d);
        else if (near) TM_DIAG(d->fix, "write: %s = ...", near);
        else if (stage->inputs[0].flags & TM_PORT_MANY)
            TM_DIAG(d->fix, "several go in a table of their own: %s { { ..., ... } }", node->called);
        else
            TM_DIAG(d->fix, "give it a name, or leave it out; for example: %s",
                    stage->example ? stage->example : "");
        d->word[0] = 0;
    } else if (near) {
        TM_DIAG(d->fix, "did you mean \"%s\"?", near);
    }
}

// A text where a value is due: the member of the family that it names, or all of them.
static void name_members(const tm_option *o, const char *text, tm_diag *d)
{
    const char *names[32];
    char all[256] = "";
    size_t n = 0;
    for (const tm_value *const *v = tm_values; *v && n < 31; v++) {
        if (strcmp((*v)->family, o->choices) != 0) continue;
        size_t at = strlen(all);
        names[n++] = (*v)->name;
        snprintf(all + at, sizeof all - at, "%s%s = tm.%s {}", at ? ", or " : "", o->name, (*v)->name);
    }
    names[n] = NULL;
    const char *near = text[0] ? tm_nearest(text, names) : NULL;
    if (near) TM_DIAG(d->fix, "write: %s = tm.%s {}", o->name, near);
    else if (n) TM_DIAG(d->fix, "write: %s", all);
}

// `value`: the value that has the option, or NULL if it is the stage's; `args`: what was given.
void graph_option_fault(builder *b, tm_node *node, const json_t *value, const json_t *args,
                        const tm_option_fault *fault)
{
    bool absent = strstr(fault->what, "is required") != NULL;
    const char *code = absent ? "TM0204" : "TM0201", *word = absent ? NULL : fault->option;
    tm_diag *d = value ? graph_value_fault(b, value, code, word) : graph_fault(b, node, code, word);
    const char *owner = d->owner;
    if (value) TM_DIAG(d->what, "tm.%s: %s", owner, fault->what);
    else TM_DIAG(d->what, "%s: %s", node->called, fault->what);
    TM_DIAG(d->why, "%s", fault->why);
    TM_DIAG(d->fix, "%s", fault->fix);
    const tm_option *o = value || !fault->option ? NULL : find_option(node->stage, fault->option);
    const char *text = o ? json_string_value(json_object_get(args, o->name)) : NULL;
    if (!value && !o && fault->option) unknown(b, node, args, fault->option, d);
    if (o && o->kind == TM_OPT_VALUE && !absent) name_members(o, text ? text : "", d);
    if (!d->fix[0] && absent) TM_DIAG(d->fix, "add `%s = ...`", fault->option);
    if (!d->fix[0])
        TM_DIAG(d->fix, "give \"%s\" another value, or leave it out", fault->option ? fault->option : "it");
    TM_DIAG(d->look, "tidemill describe %s", owner);
}

static tm_status bind_port(builder *b, tm_node *node, const char *name, const tm_port *row,
                           const json_t *given, tm_error *err);

static void how_an_input_is_given(const tm_port *row, const char *example, tm_diag *d)
{
    TM_DIAG(d->why, "it takes %s%s%s", row->type ? row->type : row->value, row->help ? ": " : "",
            row->help ? row->help : "");
    TM_DIAG(d->fix, "for example: %s", example ? example : "");
}

// Every input of a value that must be there is.
static void check_inputs_of_value(builder *b, const tm_value *value, const json_t *given)
{
    char input[128];
    for (const tm_port *p = value->inputs; p < value->inputs + 4 && p->name; p++) {
        const json_t *arg = json_object_get(json_object_get(given, "args"), p->name[0] ? p->name : "1");
        if (arg || (p->flags & TM_PORT_OPTIONAL)) continue;
        tm_diag *d = graph_value_fault(b, given, "TM0209", NULL);
        TM_DIAG(d->what, "tm.%s needs its %s", value->name, graph_input_label(p->name, input, sizeof input));
        how_an_input_is_given(p, value->example, d);
    }
}

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
        graph_option_fault(b, node, given, options, &fault);
    else {
        check_inputs_of_value(b, value, given);
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
        const char *key;
        json_t *value;
        there |= json_object_get(args, p->name[0] ? p->name : "1") != NULL;
        json_object_foreach((json_t *)args, key, value)
        {
            bool known = strcmp(key, "1") == 0 || find_port(node->stage->inputs, TM_MAX_PORTS, key) ||
                         find_option(node->stage, key);
            const char *near = known ? NULL : meant(b, node->stage, args, key);
            there |= near && strcmp(near, p->name) == 0;
        }
        for (size_t i = 0; i < node->n_links; i++) there |= node->links[i].row == p;
        json_object_foreach(node->values, key, value)
            there |= strncmp(key, p->name, strlen(p->name)) == 0 && key[strlen(p->name)] == '.';
        if (there) continue;
        tm_diag *d = graph_fault(b, node, "TM0209", NULL);
        char place[224];
        TM_DIAG(d->what, "%s%s needs its %s", graph_served(node, place, sizeof place), node->called,
                graph_input_label(p->name, input, sizeof input));
        how_an_input_is_given(p, node->stage->example, d);
    }
}
