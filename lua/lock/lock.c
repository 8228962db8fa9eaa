// SPDX-License-Identifier: Apache-2.0
// Making, writing and comparing tidemill.lock.
#include "lua/lock/lock.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/machine.h"
#include "engine/key.h"
#include "lua/lock/environment.h"
#include "lua/lock/meaning.h"

#define FORMAT TM_LOCK_FORMAT
#define LEAF_DEPTH 4  // facts stand on a line of their own from this depth on

// ---- the file ----

const char *tm_lock_name(const char *graph)
{
    const char *slash = strrchr(graph, '/');
    return slash ? slash + 1 : graph;
}

tm_status tm_lock_path(const char *graph, const char *given, char path[TM_PATH_MAX], tm_error *err)
{
    if (given) return tm_path(path, err, "%s", given);
    return tm_path(path, err, "%.*stidemill.lock", (int)(tm_lock_name(graph) - graph), graph);
}

tm_status tm_lock_read(const char *path, json_t **lock, tm_error *err)
{
    tm_buf text = {0};
    json_error_t why;
    TM_TRY(tm_file_read(path, &text, err));
    *lock = json_loadb(text.data ? text.data : "", text.size, JSON_REJECT_DUPLICATES, &why);
    tm_buf_clear(&text);
    const char *format = json_string_value(json_object_get(*lock, "format"));
    if (format && strcmp(format, FORMAT) == 0) return TM_OK;
    if (!*lock) tm_fail(err, TM_EINVAL, "%s:%d: %s", path, why.line, why.text);
    else tm_fail(err, TM_EINVAL, "%s is no lock of this version (\"format\": \"%s\")", path, FORMAT);
    tm_hint(err, "take it from git again, or remove it and write it anew: tidemill pin --output %s", path);
    json_decref(*lock);
    *lock = NULL;
    return TM_EINVAL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Numbers as people wrote them where that is all of them, else with all their digits.
static void write_leaf(tm_buf *out, const json_t *value)
{
    size_t flags = JSON_ENCODE_ANY | JSON_SORT_KEYS;
    char *text = json_dumps(value, flags | JSON_REAL_PRECISION(15));
    json_t *back = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    if (!json_equal(back, value)) {
        free(text);
        text = json_dumps(value, flags | JSON_REAL_PRECISION(17));
    }
    tm_buf_str(out, text ? text : "null");
    json_decref(back);
    free(text);
}

static void write_value(tm_buf *out, const json_t *value, int depth)
{
    size_t n = 0, size = json_object_size(value);
    const char *name, **names = size && depth < LEAF_DEPTH ? tm_calloc(size, sizeof *names) : NULL;
    json_t *one;
    if (!names) {
        write_leaf(out, value);
        return;
    }
    json_object_foreach((json_t *)value, name, one) names[n++] = name;
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        json_t *key = json_string(names[i]);
        char *text = json_dumps(key, JSON_ENCODE_ANY);
        tm_buf_fmt(out, "%s\n%*s%s: ", i ? "," : "{", depth + 1, "", text ? text : "\"\"");
        write_value(out, json_object_get(value, names[i]), depth + 1);
        free(text);
        json_decref(key);
    }
    tm_buf_fmt(out, "\n%*s}", depth, "");
    tm_free(names);
}

tm_status tm_lock_write(const char *path, const json_t *lock, tm_error *err)
{
    tm_buf text = {0};
    write_value(&text, lock, 0);
    tm_buf_char(&text, '\n');
    tm_status status = tm_buf_status(&text, err);
    if (status >= 0) status = tm_file_write(path, text.data, text.size, false, err);
    tm_buf_clear(&text);
    return status;
}

// ---- what decides what comes out ----

static json_t *part(json_t *section, const char *name)
{
    json_t *found = json_object_get(section, name);
    if (!found) json_object_set_new(section, name, found = json_object());
    return found;
}

// The path of a file relative to the graph: `path` is what the stage was told to read, `name` the file as the
// identity has it.
static void add_input(json_t *section, const char *path, const char *name, json_t *hash, bool alone)
{
    char file[TM_PATH_MAX];
    size_t folder = path ? strcspn(path, "*?[{") : 0;
    bool glob = path && path[folder];
    while (glob && folder && path[folder - 1] != '/') folder--;
    const char *last = path ? tm_lock_name(path) : "";
    if (path && !glob && alone && strcmp(last, name) == 0) snprintf(file, sizeof file, "%s", path);
    else snprintf(file, sizeof file, "%.*s%s%s", (int)folder, path ? path : "",
                  folder && path[folder - 1] != '/' ? "/" : "", name);
    json_object_set_new(part(section, "inputs"), file, json_pack("{s:O}", "hash", hash));
}

static void add_inputs(json_t *section, const json_t *own)
{
    const char *name, *inner;
    json_t *value, *hash, *files = json_object_get(own, "files");
    const json_t *path = json_object_get(json_object_get(own, "options"), "path");
    json_object_foreach(files, name, value)
    {
        if (json_is_string(value)) {
            add_input(section, json_string_value(path), name, value, json_object_size(files) == 1);
            continue;
        }
        const char *one = json_string_value(json_array_get(path, (size_t)atoi(name) - 1));
        json_object_foreach(value, inner, hash)
            add_input(section, one, inner, hash, json_object_size(value) == 1);
    }
}

// "gumbo 0.10.1", and what numeric stages compute by.
static void add_libraries(json_t *section, const json_t *own)
{
    const char *library = json_string_value(json_object_get(own, "libraries"));
    const char *version = library ? strchr(library, ' ') : NULL;
    json_t *numerics = json_object_get(own, "numerics"), *all = part(section, "libraries");
    char name[64];
    if (numerics) json_object_set(all, "numerics", numerics);
    if (!version) return;
    snprintf(name, sizeof name, "%.*s", (int)(version - library), library);
    json_object_set_new(all, name, json_string(version + 1));
}

static void add_node(json_t *section, const json_t *own)
{
    const char *stage = json_string_value(json_object_get(own, "stage"));
    if (!stage) return;
    json_object_set(part(section, "stages"), stage, json_object_get(own, "version"));
    add_libraries(section, own);
    add_inputs(section, own);
}

static void set_text(const json_t *value, json_t *into, const char *name)
{
    char text[64], *dump = NULL;
    if (json_is_real(value)) {
        snprintf(text, sizeof text, "%.15g", json_real_value(value));
        if (strtod(text, NULL) != json_real_value(value))
            snprintf(text, sizeof text, "%.17g", json_real_value(value));
    } else if (!json_is_string(value)) {
        dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    }
    json_object_set_new(into, name, json_string(json_is_real(value)     ? text
                                                : json_is_string(value) ? json_string_value(value)
                                                : dump                  ? dump
                                                                        : ""));
    free(dump);
}

static void add_params(json_t *section, const json_t *params, const json_t *files)
{
    size_t i;
    json_t *one;
    json_array_foreach(params, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        json_t *value = json_object_get(one, "value");
        json_object_set(part(section, "params"), name, value);
        if (!json_equal(value, json_object_get(one, "default"))) set_text(value, part(section, "set"), name);
    }
    json_array_foreach(files, i, one)
        json_object_set(part(section, "files"), json_string_value(json_object_get(one, "path")),
                        json_object_get(one, "hash"));
}

static json_t *section_now(const tm_graph *graph)
{
    json_t *section = json_pack("{s:o}", "nodes", tm_meaning_of_graph(graph));
    add_params(section, graph->params, graph->files);
    for (size_t i = 0; i < graph->n_nodes; i++) {
        json_t *own = tm_key_own_doc(graph->nodes[i]);
        add_node(section, own);
        json_decref(own);
    }
    return section;
}

// ---- of a past run ----

// Inputs that are still what they were get their size.
static void add_sizes(json_t *inputs, const char *graph, tm_file_memory *memory)
{
    const char *name;
    json_t *one;
    json_object_foreach(inputs, name, one)
    {
        char path[TM_PATH_MAX], hex[TM_HASH_HEX];
        struct stat info;
        tm_hash hash;
        int folder = name[0] == '/' ? 0 : (int)(tm_lock_name(graph) - graph);
        if (tm_path(path, NULL, "%.*s%s", folder, graph, name) < 0 || tm_sys.stat(path, &info)) continue;
        if (tm_file_hash(path, memory, &hash, NULL) < 0) continue;
        tm_hash_hex(hash, hex);
        if (strcmp(hex, json_string_value(json_object_get(one, "hash"))) == 0)
            json_object_set_new(one, "bytes", json_integer((json_int_t)info.st_size));
    }
}

static void set_result(json_t *results, const char *node, const char *port, tm_hash artifact)
{
    char address[256], hex[TM_HASH_HEX];
    snprintf(address, sizeof address, "%s%s%s", node, port[0] ? "." : "", port);
    tm_hash_hex(artifact, hex);
    json_object_set_new(results, address, json_string(hex));
}

static tm_status add_results(const tm_past *past, tm_store *store, json_t *section, tm_error *err)
{
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_node *node = &past->nodes[i], *work = tm_past_work(past, node);
        const char *hex = json_string_value(json_object_get(work->plan, "recipe"));
        tm_hash recipe;
        const tm_record *record =
            hex && tm_hash_parse(hex, &recipe) ? tm_key_by_recipe(store, recipe) : NULL;
        if (!record || !work->n_ports) {
            tm_fail_as(err, TM_ENOENT, "TM0509", "%s of %s has no result that could be pinned", node->name,
                       past->run);
            tm_hint(err, "run the graph to its end, then pin that run");
            return TM_ENOENT;
        }
        char key[TM_HASH_HEX];
        tm_hash_hex(record->content, key);
        json_object_set_new(part(section, "keys"), node->name, json_string(key));
        for (size_t k = 0; k < work->n_ports; k++)
            set_result(part(section, "results"), node->name, work->ports[k].name, work->ports[k].artifact);
    }
    return TM_OK;
}

static json_t *short_git(const json_t *git)
{
    json_t *copy = json_deep_copy(git);
    json_object_del(copy, "files");
    json_object_del(copy, "branch");
    if (!json_array_size(json_object_get(copy, "graph"))) json_object_del(copy, "graph");
    return copy;
}

tm_status tm_lock_of_past(const tm_past *past, tm_store *store, tm_file_memory *memory, json_t **out,
                          tm_error *err)
{
    json_t *section = json_pack("{s:s}", "run", past->run), *record = past->record;
    json_t *git = json_object_get(record, "git"), *environment = json_object_get(record, "environment");
    const char *graph = json_string_value(json_object_get(record, "path"));
    if (git) json_object_set_new(section, "git", short_git(git));
    if (environment) json_object_set(section, "environment", environment);
    add_params(section, json_object_get(record, "params"), json_object_get(record, "files"));
    for (size_t i = 0; i < past->n_nodes; i++) add_node(section, json_object_get(past->nodes[i].plan, "own"));
    json_object_set_new(section, "nodes", tm_meaning_of_past(past));
    add_sizes(part(section, "inputs"), graph ? graph : "", memory);
    tm_status status = add_results(past, store, section, err);
    if (status < 0) json_decref(section);
    else *out = section;
    return status;
}

// ---- differences ----

static bool same_fact(const json_t *a, const json_t *b)
{
    const json_t *x = json_is_object(a) ? json_object_get(a, "hash") : NULL;
    const json_t *y = json_is_object(b) ? json_object_get(b, "hash") : NULL;
    if (x || y) return x && y && json_equal(x, y);
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

static void add_difference(json_t *list, const char *what, const char *name, json_t *pinned, json_t *now)
{
    json_t *one = json_pack("{s:s, s:s}", "what", what, "name", name);
    if (pinned) json_object_set(one, "pinned", pinned);
    if (now) json_object_set(one, "now", now);
    json_array_append_new(list, one);
}

static void compare_shared(json_t *list, const char *what, const json_t *pinned, const json_t *now)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)pinned, name, value)
    {
        json_t *is = json_object_get(now, name);
        if (is && !same_fact(value, is)) add_difference(list, what, name, value, is);
    }
}

static void compare_alone(json_t *list, const char *what, const json_t *pinned, const json_t *now)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)pinned, name, value)
        if (!json_object_get(now, name)) add_difference(list, what, name, value, NULL);
    json_object_foreach((json_t *)now, name, value)
        if (!json_object_get(pinned, name)) add_difference(list, what, name, NULL, value);
}

// A parameter that only one side has changes nothing but by nodes; of one that the pinned run set it is good
// to know.
static void compare_params(json_t *list, const json_t *section, const json_t *now)
{
    const json_t *pinned = json_object_get(section, "params"), *is = json_object_get(now, "params");
    const char *name;
    json_t *value;
    compare_shared(list, "param", pinned, is);
    json_object_foreach(json_object_get(section, "set"), name, value)
        if (!json_object_get(is, name))
            add_difference(list, "param", name, json_object_get(pinned, name), NULL);
}

json_t *tm_lock_differences(const json_t *section, const tm_graph *graph)
{
    json_t *list = json_array(), *now = section_now(graph);
    const json_t *inputs = json_object_get(section, "inputs"), *inputs_now = json_object_get(now, "inputs");
    const json_t *libraries = json_object_get(section, "libraries");
    const json_t *libraries_now = json_object_get(now, "libraries");
    compare_params(list, section, now);
    size_t params = json_array_size(list);
    tm_meaning_differ(json_object_get(section, "nodes"), json_object_get(now, "nodes"), list);
    bool same_nodes = json_array_size(list) == params;
    compare_shared(list, "input", inputs, inputs_now);
    compare_alone(list, "input", inputs, inputs_now);
    compare_shared(list, "version", json_object_get(section, "stages"), json_object_get(now, "stages"));
    compare_shared(list, "library", libraries, libraries_now);
    if (same_nodes) compare_alone(list, "library", libraries, libraries_now);  // else they are those nodes'
    json_decref(now);
    return list;
}

json_t *tm_lock_differences_files(const json_t *section, const char *folder)
{
    const char *name;
    json_t *value, *list = json_array();
    json_object_foreach(json_object_get(section, "files"), name, value)
    {
        char path[TM_PATH_MAX], hex[TM_HASH_HEX];
        tm_hash hash;
        bool there = tm_path(path, NULL, "%s/%s", folder, name) >= 0 &&
                     tm_file_hash(path, NULL, &hash, NULL) >= 0;
        if (there) tm_hash_hex(hash, hex);
        json_t *is = there ? json_string(hex) : NULL;
        if (!is || !json_equal(is, value)) add_difference(list, "graph", name, value, is);
        json_decref(is);
    }
    return list;
}

// What of an environment may change numbers, one name each.
static json_t *environment_items(const json_t *environment)
{
    const json_t *program = json_object_get(environment, "program");
    return json_pack("{s:O*, s:O*, s:O*, s:O*, s:O*, s:O*}", "processor",
                     json_object_get(json_object_get(environment, "cpu"), "kind"), "libc",
                     json_object_get(json_object_get(environment, "libraries"), "libc"), "compiler",
                     json_object_get(program, "compiler"), "program", json_object_get(program, "version"),
                     "machine", json_object_get(environment, "machine"), "switches",
                     json_object_get(environment, "switches"));
}

json_t *tm_lock_differences_environment(const json_t *section)
{
    json_t *list = json_array(), *environment = tm_environment();
    json_t *pinned = environment_items(json_object_get(section, "environment"));
    json_t *now = environment_items(environment);
    compare_shared(list, "environment", pinned, now);
    json_decref(pinned);
    json_decref(now);
    json_decref(environment);
    return list;
}

// ---- results ----

// Compare the ports of a node; true if one differs, with its address.
static bool node_differs(const json_t *results, const tm_plan_node *p, char address[256], json_t **pinned,
                         json_t **now)
{
    for (int port = 0; tm_stage_makes(p->node->stage, port); port++) {
        const char *name = p->node->stage->outputs[port].name;
        snprintf(address, 256, "%s%s%s", p->node->name, name[0] ? "." : "", name);
        *pinned = json_object_get(results, address);
        char hex[TM_HASH_HEX];
        tm_hash_hex(p->outputs[port], hex);
        if (!*pinned || strcmp(json_string_value(*pinned), hex) == 0) continue;
        *now = json_string(hex);
        return true;
    }
    return false;
}

json_t *tm_lock_differences_results(const json_t *section, const tm_plan *plan, int *same, int *behind)
{
    json_t *list = json_array(), *results = json_object_get(section, "results");
    json_t *pinned = NULL, *now = NULL;
    const json_t *cpu = json_object_get(json_object_get(section, "environment"), "cpu");
    const char *kind = json_string_value(json_object_get(cpu, "kind"));
    bool *differs = tm_calloc(plan->graph->n_nodes + 1, sizeof *differs);
    *same = *behind = 0;
    for (size_t i = 0; differs && i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = &plan->nodes[i];
        char address[256];
        bool of_different = false;
        if (p->same != (int)i || !p->wanted || !p->known) continue;
        for (size_t k = 0; k < p->node->n_links; k++)
            of_different |= differs[tm_plan_canonical(plan, p->node->links[k].from)->node->index];
        differs[i] = node_differs(results, p, address, &pinned, &now);
        *same += !differs[i];
        if (!differs[i]) continue;
        if (of_different) ++*behind;
        else {
            bool numeric = (p->node->stage->traits & TM_NUMERIC) && kind && strcmp(kind, tm_machine_cpu());
            add_difference(list, "result", address, pinned, now);
            json_t *last = json_array_get(list, json_array_size(list) - 1);
            if (numeric) json_object_set_new(last, "numeric", json_true());
        }
        json_decref(now);
    }
    tm_free(differs);
    return list;
}
