// SPDX-License-Identifier: Apache-2.0
// describe: everything about one stage or value, from its row; what a graph takes and has.
#include <math.h>
#include <stdio.h>

#include "engine/stage.h"
#include "lua/cli/session.h"
#include "lua/editor/definitions.h"
#include "lua/load/own_graph.h"

static const tm_flag flags[] = {TM_GRAPH_FLAGS, {0}};

static void print_range(const tm_option *o)
{
    if (o->kind == TM_OPT_CHOICE) printf(": %s", o->choices);
    if (o->kind == TM_OPT_VALUE) printf(" of the family %s", o->choices);
    if (o->min == 0 && o->max == 0) return;
    printf(" (%.10g to %.10g)", o->min, o->max);
}

static void print_options(const tm_option *options)
{
    if (options && options->name) printf("\noptions\n");
    for (const tm_option *o = options; o && o->name; o++) {
        printf("  %-18s %s", o->name, tm_opt_kind_name(o->kind));
        print_range(o);
        if (!o->def) printf(", required\n");
        else if (strcmp(o->def, "null") == 0) printf(", optional\n");
        else printf(", default %s\n", o->def);
        printf("  %-18s %s%s\n", "", o->help, o->flags & TM_OPT_NOKEY ? "; changes no result" : "");
    }
}

static void print_ports(const char *title, const tm_port *ports, size_t n)
{
    if (ports[0].name) printf("\n%s\n", title);
    for (size_t i = 0; i < n && ports[i].name; i++) {
        const tm_port *p = &ports[i];
        char type[96];
        snprintf(type, sizeof type, "%s%s%s", p->type ? p->type : "",
                 p->type && p->value ? " or a value: "
                 : p->value          ? "values: "
                                     : "",
                 p->value ? p->value : "");
        printf("  %-18s %s%s%s\n", p->name[0] ? p->name : "(main)", type,
               p->flags & TM_PORT_OPTIONAL ? ", optional" : "",
               p->flags & TM_PORT_MANY ? ", one or a table" : "");
        printf("  %-18s %s\n", "", p->help);
    }
}

static json_t *options_json(const tm_option *options)
{
    json_t *list = json_array();
    for (const tm_option *o = options; o && o->name; o++) {
        json_t *option = json_pack("{s:s, s:s, s:s, s:b, s:b}", "name", o->name, "kind",
                                   tm_opt_kind_name(o->kind), "help", o->help, "required", !o->def, "key",
                                   !(o->flags & TM_OPT_NOKEY));
        if (o->def) json_object_set_new(option, "default", json_loads(o->def, JSON_DECODE_ANY, NULL));
        if (o->choices) json_object_set_new(option, "choices", json_string(o->choices));
        if (o->min != 0 || o->max != 0)
            json_object_set_new(option, "range", json_pack("[f, f]", o->min, o->max));
        json_array_append_new(list, option);
    }
    return list;
}

static json_t *ports_json(const tm_port *ports, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n && ports[i].name; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s?, s:s?, s:s, s:b, s:b}", "name", ports[i].name, "type",
                                        ports[i].type, "value", ports[i].value, "help", ports[i].help,
                                        "optional", (ports[i].flags & TM_PORT_OPTIONAL) != 0, "many",
                                        (ports[i].flags & TM_PORT_MANY) != 0));
    return list;
}

static int describe_stage(const tm_cli *cli, const tm_stage *s)
{
    if (cli->json)
        return tm_cli_print(
            cli, json_pack("{s:s, s:s, s:s, s:s?, s:i, s:s?, s:o, s:o, s:o}", "name", s->name, "family",
                           s->family, "brief", s->brief, "help", s->help, "version", s->version, "example",
                           s->example, "inputs", ports_json(s->inputs, TM_MAX_PORTS), "outputs",
                           ports_json(s->outputs, TM_MAX_PORTS), "options", options_json(s->options)));
    printf("tm.%s (%s, version %d)\n%s\n", s->name, s->family, s->version, s->brief);
    if (s->help) printf("\n%s\n", s->help);
    print_ports("inputs", s->inputs, TM_MAX_PORTS);
    print_ports("outputs", s->outputs, TM_MAX_PORTS);
    print_options(s->options);
    if (s->example) printf("\nexample\n  %s\n", s->example);
    if (s->paper) printf("\nsource\n  %s\n", s->paper);
    return TM_EXIT_OK;
}

static int describe_value(const tm_cli *cli, const tm_value *v)
{
    if (cli->json)
        return tm_cli_print(cli, json_pack("{s:s, s:s, s:s, s:s?, s:o, s:o}", "name", v->name, "family",
                                           v->family, "brief", v->brief, "example", v->example, "inputs",
                                           ports_json(v->inputs, 4), "options", options_json(v->options)));
    printf("tm.%s (a value: %s)\n%s\n", v->name, v->family, v->brief);
    print_ports("inputs", v->inputs, 4);
    print_options(v->options);
    if (v->example) printf("\nexample\n  %s\n", v->example);
    return TM_EXIT_OK;
}

// The stages with a port of this type: those that give it (outputs) or take it.
static json_t *stages_with(const tm_type *t, bool gives)
{
    json_t *list = json_array();
    for (const tm_stage *const *s = tm_stages; *s; s++) {
        const tm_port *ports = gives ? (*s)->outputs : (*s)->inputs;
        for (size_t i = 0; i < TM_MAX_PORTS && ports[i].name; i++) {
            if (((*s)->traits & TM_INTERNAL) || !ports[i].type || strcmp(ports[i].type, t->name) != 0)
                continue;
            json_array_append_new(
                list, json_sprintf("%s%s%s", (*s)->name, ports[i].name[0] ? "." : "", ports[i].name));
        }
    }
    return list;
}

static void print_names(const char *title, const json_t *names)
{
    size_t i;
    json_t *name;
    if (json_array_size(names)) printf("\n%s\n", title);
    json_array_foreach (names, i, name) printf("  tm.%s\n", json_string_value(name));
}

static int describe_type(const tm_cli *cli, const tm_type *t)
{
    static const char *const kinds[] = {[TM_COL_BYTES] = "text",
                                        [TM_COL_I64] = "whole number",
                                        [TM_COL_F64] = "number",
                                        [TM_COL_U32S] = "list of ids"};
    json_t *gives = stages_with(t, true), *takes = stages_with(t, false), *cols = json_array();
    for (size_t i = 0; i < t->n_cols; i++)
        json_array_append_new(
            cols, json_pack("{s:s, s:s}", "name", t->cols[i].name, "kind", kinds[t->cols[i].kind]));
    if (cli->json) {
        tm_cli_print(cli, json_pack("{s:s, s:s, s:s, s:b, s:O, s:O, s:O}", "name", t->name, "brief", t->brief,
                                    "entry", t->entry, "tree", t->tree, "columns", cols, "given_by", gives,
                                    "taken_by", takes));
    } else {
        printf("%s (a type of port)\n%s\n", t->name, t->brief);
        for (size_t i = 0; i < t->n_cols; i++)
            printf("%s  %-18s %s\n", i ? "" : "\ncolumns\n", t->cols[i].name, kinds[t->cols[i].kind]);
        print_names("given by", gives);
        print_names("taken by", takes);
    }
    json_decref(gives);
    json_decref(takes);
    json_decref(cols);
    return TM_EXIT_OK;
}

// The members of a family of values ("schedule") or of stages ("curate"); false if there is no such family.
static bool describe_family(const tm_cli *cli, const char *name)
{
    json_t *values = json_array(), *stages = json_array(), *all[] = {values, stages}, *one;
    for (const tm_value *const *v = tm_values; *v; v++)
        if (strcmp((*v)->family, name) == 0)
            json_array_append_new(values, json_pack("{s:s, s:s}", "name", (*v)->name, "brief", (*v)->brief));
    for (const tm_stage *const *s = tm_stages; *s; s++)
        if (!((*s)->traits & TM_INTERNAL) && strcmp((*s)->family, name) == 0)
            json_array_append_new(stages, json_pack("{s:s, s:s}", "name", (*s)->name, "brief", (*s)->brief));
    bool found = json_array_size(values) || json_array_size(stages);
    if (found && cli->json)
        tm_cli_print(cli, json_pack("{s:s, s:O, s:O}", "family", name, "values", values, "stages", stages));
    for (int i = 0; found && !cli->json && i < 2; i++) {
        size_t k;
        if (json_array_size(all[i])) printf("%s (a family of %s)\n", name, i ? "stages" : "values");
        json_array_foreach(all[i], k, one)
            printf("  tm.%-18s %s\n", json_string_value(json_object_get(one, "name")),
                   json_string_value(json_object_get(one, "brief")));
    }
    json_decref(values);
    json_decref(stages);
    return found;
}

// False if the language has no such function.
static bool describe_function(const tm_cli *cli, const char *name)
{
    tm_buf story = {0};
    bool found = tm_definition_story(name, &story) && story.data;
    if (found && cli->json)
        tm_cli_print(cli, json_pack("{s:s, s:s%}", "name", name, "help", story.data, story.size));
    else if (found)
        printf("tm.%s (a function of the language; see docs/graphs.md)\n%s", name, story.data);
    tm_buf_clear(&story);
    return found;
}

static int exec(tm_cli *cli)
{
    const char *name = cli->args[0], *names[256];
    size_t n = 0;
    size_t size = strlen(name);
    bool graph = cli->n_args == 2 || (size > 4 && strcmp(name + size - 4, ".lua") == 0);
    if (graph) return tm_own_graph_describe(cli);
    if (strncmp(name, "tm.", 3) == 0) name += 3;
    if (tm_stage_find(name)) return describe_stage(cli, tm_stage_find(name));
    if (tm_value_find(name)) return describe_value(cli, tm_value_find(name));
    if (tm_type_find(name)) return describe_type(cli, tm_type_find(name));
    if (describe_function(cli, name) || describe_family(cli, name)) return TM_EXIT_OK;
    for (size_t i = 0; tm_type_at(i) && n < 40; i++) names[n++] = tm_type_at(i)->name;
    for (const tm_stage *const *s = tm_stages; *s && n < 200; s++)
        if (!((*s)->traits & TM_INTERNAL)) names[n++] = (*s)->name;
    for (const tm_value *const *v = tm_values; *v && n < 255; v++) names[n++] = (*v)->name;
    names[n] = NULL;
    tm_error err = {0};
    const char *near = tm_nearest(name, names);
    tm_fail_as(&err, TM_ENOENT, "TM0007", "there is no stage, value, type or family \"%s\"", name);
    if (near) tm_hint(&err, "did you mean \"%s\"?", near);
    else tm_hint(&err, "`tidemill stages` lists them");
    return tm_cli_fail(cli, &err);
}

const tm_command tm_command_describe = {
    .name = "describe",
    .brief = "Tell all about a stage, a value or a type; of a graph what it takes and has, or of one node.",
    .usage = "NAME | GRAPH [NAME]",
    .example = "tidemill describe fuzzy_dedup",
    .min = 1,
    .max = 2,
    .flags = flags,
    .exec = exec,
};
