// SPDX-License-Identifier: Apache-2.0
// pin: write down in tidemill.lock what a run was made of and what came out.
#include <stdio.h>

#include "lua/cli/session.h"
#include "lua/lock/git.h"
#include "lua/lock/lock.h"

static const tm_flag flags[] = {
    {"--output", 'o', "FILE", "write there instead of tidemill.lock beside the graph"},
    {0},
};

// The node that a run was of, where it was not of the whole graph, or NULL.
static const char *part_of_graph(const tm_past *past)
{
    static const char *const flags_of_parts[] = {"--only", "--until", NULL};
    size_t i;
    json_t *arg, *args = json_object_get(past->record, "args");
    const char *second = json_string_value(json_array_get(args, 1));
    if (second && second[0] != '-') return second;
    json_array_foreach(args, i, arg)
        for (int k = 0; flags_of_parts[k]; k++)
            if (strcmp(json_string_value(arg), flags_of_parts[k]) == 0)
                return json_string_value(json_array_get(args, i + 1));
    return NULL;
}

static tm_status pinnable(const tm_past *past, tm_error *err)
{
    const char *status = tm_past_status(past);
    if (!json_object_get(past->record, "path"))
        return tm_fail(err, TM_EFORMAT, "%s does not say which graph it ran", past->run);
    if (json_is_true(json_object_get(past->record, "smoke"))) {
        tm_fail(err, TM_EINVAL, "%s was a smoke run: nothing of it is a result", past->run);
        tm_hint(err, "name another run; `tidemill runs` lists them");
        return TM_EINVAL;
    }
    const char *part = part_of_graph(past);
    if (part) {
        tm_fail(err, TM_EINVAL, "%s was not of the whole graph, but of %s", past->run, part);
        tm_hint(err, "run the graph without naming nodes: what is there already costs nothing");
        return TM_EINVAL;
    }
    if (strcmp(status, "done") == 0) return TM_OK;
    tm_fail(err, TM_EINVAL, "%s did not come to its end (%s), so there is nothing whole to pin", past->run,
            status);
    tm_hint(err, "run the graph to its end, or name another run; `tidemill runs` lists them");
    return TM_EINVAL;
}

// Nodes as they are counted everywhere: those that are the same work are one.
static int count_nodes(const tm_past *past)
{
    int n = 0;
    for (size_t i = 0; i < past->n_nodes; i++) n += !past->nodes[i].same;
    return n;
}

// What is there already of other graphs stays.
static tm_status write_section(const char *path, const char *name, json_t *section, tm_error *err)
{
    json_t *lock = NULL;
    tm_status status = tm_lock_read(path, &lock, err);
    if (status == TM_ENOENT)
        lock = json_pack("{s:s, s:{}}", "format", TM_LOCK_FORMAT, "graphs");
    else if (status < 0) return status;
    json_object_set(json_object_get(lock, "graphs"), name, section);
    status = tm_lock_write(path, lock, err);
    json_decref(lock);
    return status;
}

// "3 inputs", with a comma before all but the first.
static void say_count(const json_t *section, const char *part, const char *word, const char *before)
{
    size_t n = json_object_size(json_object_get(section, part));
    printf("%s%zu %s%s", before, n, word, n == 1 ? "" : "s");
}

static void say(const tm_past *past, const char *path, const json_t *section)
{
    const json_t *git = json_object_get(past->record, "git");
    char folder[TM_PATH_MAX], text[320];
    const char *graph = json_string_value(json_object_get(past->record, "path"));
    int nodes = count_nodes(past);
    printf("%s: %s of %s: %d node%s", path, past->run, tm_lock_name(graph), nodes, nodes == 1 ? "" : "s");
    say_count(section, "inputs", "input file", ", ");
    say_count(section, "files", "file", ", ");
    say_count(section, "params", "parameter", " of the graph, ");
    putchar('\n');
    if (tm_git_dirty(git))
        fprintf(stderr, "note   %s was made of %s\n", past->run, tm_git_text(git, text, sizeof text));
    if (tm_path(folder, NULL, "%.*s.", (int)(tm_lock_name(graph) - graph), graph) < 0) return;
    json_t *changed = tm_lock_differences_files(section, folder);
    if (json_array_size(changed))
        fprintf(stderr, "note   %s was edited since %s, which is what is pinned\n",
                json_string_value(json_object_get(json_array_get(changed, 0), "name")), past->run);
    json_decref(changed);
}

static tm_status pin(const tm_cli *cli, const tm_past *past, tm_store *store, tm_file_memory *memory,
                     tm_error *err)
{
    char path[TM_PATH_MAX];
    json_t *section = NULL;
    const char *graph = json_string_value(json_object_get(past->record, "path"));
    TM_TRY(pinnable(past, err));
    TM_TRY(tm_lock_path(graph, tm_cli_flag(cli, "--output"), path, err));
    TM_TRY(tm_lock_of_past(past, store, memory, &section, err));
    tm_status status = write_section(path, tm_lock_name(graph), section, err);
    if (status >= 0 && cli->json)
        tm_cli_print(cli, json_pack("{s:s, s:s, s:s, s:O}", "run", past->run, "file", path, "graph",
                                    tm_lock_name(graph), "pinned", section));
    else if (status >= 0) say(past, path, section);
    json_decref(section);
    return status;
}

// Of the graph that ran last: its latest run that can be pinned, and why no later one; if there is none its
// latest run, smoke runs aside.
static void find_latest(tm_store *store, char run[32], tm_error *why)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    char first[32] = "";
    json_t *graph = NULL;
    bool found = false;
    run[0] = 0;
    if (tm_run_list(store, &numbers, &n, NULL) < 0) return;
    while (n-- > 0 && !found) {
        tm_past past = {0};
        tm_error err = {0};
        snprintf(run, 32, "r%llu", (unsigned long long)numbers[n]);
        if (tm_past_read(store, run, &past, NULL) < 0) continue;
        json_t *path = json_object_get(past.record, "path");
        if (!graph) graph = json_incref(path);
        bool of_graph = !graph || json_equal(path, graph);
        found = of_graph && pinnable(&past, &err) >= 0;
        if (!found && of_graph && why->status >= 0) *why = err;
        bool smoke = json_is_true(json_object_get(past.record, "smoke"));
        if (of_graph && !first[0] && !smoke) snprintf(first, 32, "%s", run);
        tm_past_clear(&past);
    }
    if (!found) snprintf(run, 32, "%s", first);
    if (!found) *why = (tm_error){0};
    json_decref(graph);
    tm_free(numbers);
}

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    tm_past past = {0};
    tm_error err = {0};
    char path[TM_PATH_MAX];
    int code = tm_session_store(&session, cli, 0);
    if (code != TM_EXIT_OK) return code;
    if (tm_path(path, NULL, "%s/files", tm_store_folder(session.store)) >= 0)
        tm_file_memory_open(path, &session.memory, NULL);
    char run[32];
    if (cli->n_args) snprintf(run, sizeof run, "%s", cli->args[0]);
    else find_latest(session.store, run, &err);
    if (err.status < 0) fprintf(stderr, "note   %s; taken instead: %s\n", err.text, run);
    err = (tm_error){0};
    tm_status status = tm_past_read(session.store, run[0] ? run : NULL, &past, &err);
    if (status >= 0) status = tm_past_results(&past, session.store, &err);
    if (status >= 0) status = pin(cli, &past, session.store, session.memory, &err);
    if (status < 0) code = tm_cli_fail(cli, &err);
    tm_past_clear(&past);
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_pin = {
    .name = "pin",
    .brief = "Write what a run was made of, and what came out, to tidemill.lock (default: the latest"
             " whole run of the graph that ran last).",
    .usage = "[RUN]",
    .example = "tidemill pin",
    .max = 1,
    .flags = flags,
    .exec = exec,
};
