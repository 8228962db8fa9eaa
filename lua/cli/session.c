// SPDX-License-Identifier: Apache-2.0
// Graph, store and plan of a command.
#include "lua/cli/session.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/load/load.h"
#include "lua/lock/locked.h"

#define MAX_LOOKED_AT 100 // runs, for the nodes of a graph

// From where a file came to its fault, if that is more than the line itself.
static void show_calls(const char *traceback)
{
    const char *line = strchr(traceback, '\n');
    for (; line && line[1]; line = strchr(line + 1, '\n'))
        fprintf(stderr, "from   %.*s\n", (int)strcspn(line + 1, "\n"), line + 1);
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void folder_of(const char *path, char *folder, size_t size)
{
    const char *slash = strrchr(path, '/');
    if (!slash) snprintf(folder, size, ".");
    else snprintf(folder, size, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static bool has_param(const tm_graph_param *params, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(params[i].name, name) == 0) return true;
    return false;
}

// The --set flags: NAME=VALUE each; then those of `set` that they do not name.
static int read_params(const tm_cli *cli, const json_t *set, tm_graph_param *params, size_t capacity,
                       size_t *n, char **copies)
{
    const char *text, *name;
    json_t *value;
    for (int i = 0; (text = tm_cli_flag_at(cli, "--set", i)); i++) {
        char *equals = NULL;
        if (*n < capacity) copies[*n] = strdup(text);
        if (*n < capacity && copies[*n]) equals = strchr(copies[*n], '=');
        if (!equals) return tm_cli_usage(cli, "--set takes NAME=VALUE, not \"%s\"", text);
        *equals = 0;
        params[*n] = (tm_graph_param){.name = copies[*n], .text = equals + 1};
        ++*n;
    }
    json_object_foreach((json_t *)set, name, value)
        if (*n < capacity && !has_param(params, *n, name))
            params[(*n)++] = (tm_graph_param){name, json_string_value(value), .maybe = true};
    return TM_EXIT_OK;
}

// What the graph file prints is seen as it comes, also of a file that fails.
static void print_line(void *user, const char *line)
{
    (void)user;
    fprintf(stderr, "%s\n", line);
}

static int evaluate(const tm_cli *cli, const tm_session *session, const char *path, json_t **out)
{
    tm_graph_param params[64];
    char *copies[64] = {0}, folder[TM_PATH_MAX];
    size_t n = 0;
    tm_lua_fault *fault = calloc(1, sizeof *fault);
    tm_error err = {0};
    int code = fault ? read_params(cli, session->set, params, 64, &n, copies) : TM_EXIT_RESOURCES;
    json_t *catalogue = tm_catalogue();
    char *text = json_dumps(catalogue, JSON_COMPACT);
    tm_graph_source source = {
        .path = path, .text = session->text, .params = params, .n_params = n, .print = print_line};
    folder_of(path, folder, sizeof folder);
    if (code == TM_EXIT_OK) {
        tm_status status = tm_graph_eval(&source, text, out, fault, &err);
        if (status == TM_EGRAPH) {
            tm_diags diags = {.n = 1, .buffer = session->text, .buffer_file = name_of(path)};
            diags.items[0] = fault->diag;
            for (size_t i = 0; i < fault->n_more; i++) diags.items[diags.n++] = fault->more[i];
            code = tm_cli_diags(cli, &diags, folder);
            if (!cli->json) show_calls(fault->traceback);
        } else if (status < 0) {
            code = tm_cli_fail(cli, &err);
        }
    }
    for (size_t i = 0; i < 64; i++) free(copies[i]);
    free(text);
    json_decref(catalogue);
    free(fault);
    return code;
}

// The nearest folder from `start` upward that holds `name`; false if there is none.
static bool find_upward(const char *start, const char *name, char path[TM_PATH_MAX], char found[TM_PATH_MAX])
{
    char folder[TM_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", start);
    for (;;) {
        snprintf(path, TM_PATH_MAX, "%.*s/%s", TM_PATH_MAX - 16, folder, name);
        snprintf(found, TM_PATH_MAX, "%s", folder);
        if (tm_file_exists(path)) return true;
        char *slash = strrchr(folder, '/');
        if (!slash || slash == folder) return false;
        *slash = 0;
    }
}

// A store above the work tree belongs to something else.
void tm_session_find_store(const char *start, char path[TM_PATH_MAX])
{
    char folder[TM_PATH_MAX], root[TM_PATH_MAX], unused[TM_PATH_MAX];
    bool git = find_upward(start, ".git", unused, root);
    if (find_upward(start, ".tidemill", path, folder) && (!git || strlen(folder) >= strlen(root))) return;
    const char *at = git ? root : start;
    snprintf(path, TM_PATH_MAX, "%.*s/.tidemill", TM_PATH_MAX - 16, strcmp(at, "/") == 0 ? "" : at);
}

// Where the store is that belongs to a folder.
static void find_home(tm_session *session, const tm_cli *cli, const char *folder)
{
    char *absolute = realpath(folder, NULL);
    if (cli->store) snprintf(session->home, sizeof session->home, "%s", cli->store);
    else if (absolute) tm_session_find_store(absolute, session->home);
    free(absolute);
}

// Without it files are read: nothing depends on it.
static void open_memory(tm_session *session, const tm_cli *cli, const char *folder)
{
    char path[TM_PATH_MAX];
    find_home(session, cli, folder);
    if (tm_path(path, NULL, "%s/files", session->home) >= 0)
        tm_file_memory_open(path, &session->memory, NULL);
}

static void save_memory(const tm_session *session)
{
    char path[TM_PATH_MAX];
    if (!session->memory || tm_path(path, NULL, "%s/format", session->home) < 0) return;
    if (tm_file_exists(path)) tm_file_memory_save(session->memory, NULL);
}

int tm_session_graph(tm_session *session, const tm_cli *cli, const char *path)
{
    json_t *data = NULL;
    tm_error err = {0};
    int code = tm_locked_begin(session, cli, path);
    if (code == TM_EXIT_OK) code = evaluate(cli, session, path, &data);
    if (code != TM_EXIT_OK) return code;
    if (tm_cli_flag(cli, "--smoke")) json_object_set_new(data, "smoke", json_true());
    if (session->absent) json_object_set_new(data, "absent", json_true());
    tm_diags *diags = calloc(1, sizeof *diags);
    char folder[TM_PATH_MAX];
    folder_of(path, folder, sizeof folder);
    open_memory(session, cli, folder);
    if (diags) {
        diags->buffer = session->text;
        diags->buffer_file = name_of(path);
    }
    tm_status status = diags ? tm_graph_build(data, path, session->memory, &session->graph, diags, &err)
                             : TM_ENOMEM;
    if (status == TM_EGRAPH)
        code = tm_cli_diags(cli, diags, folder);
    else if (status < 0) code = tm_cli_fail(cli, &err);
    free(diags);
    json_decref(data);
    return code == TM_EXIT_OK ? tm_locked_check(session, cli) : code;
}

static bool has_store(const char *folder, char path[TM_PATH_MAX])
{
    char format[TM_PATH_MAX];
    if (tm_path(path, NULL, "%s/.tidemill", folder) < 0) return false;
    return tm_path(format, NULL, "%s/format", path) >= 0 && tm_file_exists(format);
}

// Without git the store of a graph lies beside it: of a command that is called one folder above, this is it.
static void hint_below(tm_error *err)
{
    DIR *here = opendir(".");
    struct dirent *entry;
    char path[TM_PATH_MAX], found[TM_PATH_MAX];
    int n = 0;
    while (here && (entry = readdir(here))) {
        if (entry->d_name[0] == '.' || !has_store(entry->d_name, path)) continue;
        if (n++ == 0 || strcmp(path, found) < 0) snprintf(found, sizeof found, "%s", path);
    }
    if (here) closedir(here);
    if (n == 1) tm_hint(err, "there is one in a folder here: add --store %s, or go to that folder", found);
    if (n > 1)
        tm_hint(err, "%d folders here have one: add --store %s, or that of another", n, found);
}

int tm_session_store(tm_session *session, const tm_cli *cli, unsigned flags)
{
    tm_error err = {0};
    if (!session->graph) find_home(session, cli, ".");
    tm_status status = tm_store_open(session->home, flags, &session->store, &err);
    if (status == TM_ENOENT && !cli->store && !session->graph) hint_below(&err);
    return status < 0 ? tm_cli_fail(cli, &err) : TM_EXIT_OK;
}

// Nodes of an earlier run that later ones did not have.
static void add_earlier(json_t *nodes, const json_t *record, const char *run)
{
    const char *name;
    json_t *node;
    json_object_foreach(json_object_get(record, "nodes"), name, node)
    {
        if (json_object_get(nodes, name)) continue;
        json_object_set_new(node, "run", json_string(run));
        json_object_set(nodes, name, node);
    }
}

static bool has_all(const json_t *nodes, const tm_graph *graph)
{
    for (size_t i = 0; i < graph->n_nodes; i++)
        if (!json_object_get(nodes, graph->nodes[i]->name)) return false;
    return true;
}

// A run of some nodes knows only these: the others are looked for further back.
static json_t *last_run(const tm_session *session)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    json_t *found = NULL, *nodes = json_object();
    char *path = realpath(session->graph->file, NULL);
    if (tm_run_list(session->store, &numbers, &n, NULL) < 0) n = 0;
    for (int looked = 0; path && n-- > 0 && looked < MAX_LOOKED_AT && !has_all(nodes, session->graph);
         looked++) {
        char run[32];
        snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[n]);
        json_t *record = tm_run_record(session->store, run);
        const char *graph = json_string_value(json_object_get(record, "path"));
        bool smoke = json_is_true(json_object_get(record, "smoke"));
        if (graph && strcmp(graph, path) == 0 && smoke == session->graph->smoke) {
            add_earlier(nodes, record, run);
            if (!found) found = json_incref(record);
        }
        json_decref(record);
    }
    if (found) json_object_set(found, "nodes", nodes);
    json_decref(nodes);
    tm_free(numbers);
    free(path);
    return found;
}

// "steps=50" among the nodes is a parameter whose --set was forgotten; several choices at once would be none.
static int check_choice(const tm_session *session, const tm_cli *cli, const char *const *targets)
{
    static const char *const flags[] = {"--only", "--until"};
    char name[64];
    for (const char *const *t = targets; t && *t; t++) {
        const char *equals = strchr(*t, '=');
        snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - *t) : 0, *t);
        size_t i;
        json_t *param;
        if (!equals || tm_graph_find(session->graph, *t)) continue;
        json_array_foreach(session->graph->params, i, param)
            if (strcmp(json_string_value(json_object_get(param, "name")), name) == 0) {
                tm_error err = {0};
                tm_fail_as(&err, TM_EINVAL, "TM0506", "the graph has no node \"%s\", but a parameter %s", *t,
                           name);
                tm_hint(&err, "write: --set %s", *t);
                return tm_cli_fail(cli, &err);
            }
    }
    for (int i = 0; i < 2; i++)
        if (tm_cli_flag(cli, flags[i]) && targets && targets[0])
            return tm_cli_usage(cli, "%s says what to run, and so does \"%s\": give one of them", flags[i],
                                targets[0]);
    if (tm_cli_flag(cli, "--only") && (tm_cli_flag(cli, "--until") || tm_cli_flag(cli, "--from")))
        return tm_cli_usage(cli, "--only runs one node alone: give it without %s",
                            tm_cli_flag(cli, "--until") ? "--until" : "--from");
    return TM_EXIT_OK;
}

int tm_session_plan(tm_session *session, const tm_cli *cli, const char *const *targets)
{
    tm_error err = {0};
    const char *reuse = tm_cli_flag(cli, "--reuse");
    if (reuse && strcmp(reuse, "any") != 0 && strcmp(reuse, "same") != 0)
        return tm_cli_usage(cli, "--reuse takes any or same, not \"%s\"", reuse);
    int code = check_choice(session, cli, targets);
    if (code != TM_EXIT_OK) return code;
    session->before = last_run(session);
    tm_plan_options options = {
        .reuse_same = reuse && strcmp(reuse, "same") == 0,
        .targets = targets,
        .only = tm_cli_flag(cli, "--only"),
        .from = tm_cli_flag(cli, "--from"),
        .until = tm_cli_flag(cli, "--until"),
        .force = tm_cli_flag(cli, "--force"),
        .before = session->before,
    };
    tm_status status = tm_plan_make(session->graph, session->store, &options, &session->plan, &err);
    return status < 0 ? tm_cli_fail(cli, &err) : TM_EXIT_OK;
}

void tm_session_close(tm_session *session)
{
    save_memory(session);
    tm_file_memory_close(session->memory);
    tm_plan_free(session->plan);
    tm_graph_free(session->graph);
    tm_store_close(session->store);
    json_decref(session->before);
    json_decref(session->locked);
    json_decref(session->set);
    *session = (tm_session){0};
}

int tm_session_in_store(const tm_cli *cli, tm_status (*work)(const tm_cli *, tm_store *, tm_error *))
{
    tm_session session = {0};
    tm_error err = {0};
    int code = tm_session_store(&session, cli, 0);
    if (code == TM_EXIT_OK && work(cli, session.store, &err) < 0) code = tm_cli_fail(cli, &err);
    tm_session_close(&session);
    return code;
}
