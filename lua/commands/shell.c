// SPDX-License-Identifier: Apache-2.0
// shell: a folder with the inputs of a node as files, and a shell or a program in it.
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lua/cli/counts.h"
#include "lua/cli/session.h"
#include "lua/past/node_files.h"
#include "lua/past/past_find.h"

static const tm_flag flags[] = {
    {"--to", 0, "DIR", "put the files there (it must be empty or new); without it a folder in $TMPDIR"},
    {"--print", 0, NULL, "only lay the files out and say where they are"},
    {"--run", 'r', "RUN", "as it was in this run (default: the latest that has the node)"},
    {0},
};

// ---- the folder ----

static tm_status own_folder(const char *node, char folder[TM_PATH_MAX], tm_error *err)
{
    const char *tmp = getenv("TMPDIR");
    char name[60];
    snprintf(name, sizeof name, "%s", node);
    for (char *c = name; *c; c++)
        if (*c == '/') *c = '_';
    TM_TRY(tm_path(folder, err, "%s/tidemill-%s-XXXXXX", tmp && tmp[0] ? tmp : "/tmp", name));
    return mkdtemp(folder) ? TM_OK : tm_fail_errno(err, "cannot make the folder %s", folder);
}

static tm_status given_folder(const char *to, char folder[TM_PATH_MAX], tm_error *err)
{
    tm_names names = {0};
    TM_TRY(tm_dir_make(to, err));
    TM_TRY(tm_dir_list(to, &names, err));
    size_t n = names.count;
    tm_names_clear(&names);
    if (n) {
        tm_fail(err, TM_EEXIST, "%s is not empty", to);
        tm_hint(err, "choose another folder: nothing that is there is replaced");
        return TM_EEXIST;
    }
    char *real = realpath(to, NULL);
    tm_status status = tm_path(folder, err, "%s", real ? real : to);
    free(real);
    return status;
}

// ---- for people ----

static const char *string_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "";
}

static void print_input(const json_t *input, FILE *file)
{
    char size[16];
    const char *path = string_of(input, "path"), *note = string_of(input, "note"),
               *port = string_of(input, "port");
    const json_t *rows = json_object_get(input, "rows");
    bool folder = path[0] && !rows;
    fprintf(file, "  %-20s %s%s%s",
            path[0]   ? path
            : port[0] ? port
                      : "input",
            string_of(input, "from"), string_of(input, "type")[0] ? ", " : "", string_of(input, "type"));
    if (rows) fprintf(file, ", %lld record%s", (long long)json_integer_value(rows),
                      json_integer_value(rows) == 1 ? "" : "s");
    if (path[0] && !folder)
        fprintf(file, ", %s",
                tm_size_text((uint64_t)json_integer_value(json_object_get(input, "bytes")), size));
    fprintf(file, "%s%s\n", note[0] ? path[0] ? "; " : ": " : "", note);
}

static void print(const json_t *layout, FILE *file)
{
    size_t i;
    json_t *input;
    fprintf(file, "%s of %s: %s%s%s\n", string_of(layout, "node"), string_of(layout, "run"),
            string_of(layout, "state"), string_of(layout, "error")[0] ? ", " : "",
            string_of(layout, "error"));
    fprintf(file, "folder %s\n", string_of(layout, "folder"));
    json_array_foreach(json_object_get(layout, "inputs"), i, input) print_input(input, file);
    fprintf(file, "  %-20s %s\n", "node.json", "its stage and options");
    if (string_of(layout, "error")[0]) fprintf(file, "  %-20s %s\n", "error.txt", "what went wrong");
    fprintf(file, "rerun  %s\n", string_of(layout, "rerun"));
}

// A program may not look at what is not there.
static void print_missing(const json_t *layout)
{
    size_t i;
    json_t *input;
    json_array_foreach(json_object_get(layout, "inputs"), i, input)
    {
        const char *port = string_of(input, "port");
        if (!json_object_get(input, "path"))
            fprintf(stderr, "%s is missing, from %s: %s\n", port[0] ? port : "input",
                    string_of(input, "from"), string_of(input, "note"));
    }
}

// ---- programs ----

static void set_environment(const json_t *layout, tm_store *store)
{
    setenv("TIDEMILL_NODE", string_of(layout, "node"), 1);
    setenv("TIDEMILL_RUN", string_of(layout, "run"), 1);
    setenv("TIDEMILL_RERUN", string_of(layout, "rerun"), 1);
    char *folder = realpath(tm_store_folder(store), NULL);
    setenv("TIDEMILL_STORE", folder ? folder : tm_store_folder(store), 1);
    free(folder);
}

// Runs a program in the folder and gives its exit status; Ctrl-C is for it alone.
static tm_status start(char *const argv[], const char *folder, int *exit_status, tm_error *err)
{
    extern char **environ;
    posix_spawnattr_t attributes;
    sigset_t ours;
    pid_t pid;
    int status = 0;
    if (chdir(folder) != 0) return tm_fail_errno(err, "cannot go to %s", folder);
    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGQUIT);
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &ours);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    errno = posix_spawnp(&pid, argv[0], NULL, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    if (errno) return tm_fail_errno(err, "cannot start %s", argv[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    *exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return TM_OK;
}

// A program's folder goes with it, unless it was asked for; a shell's stays, for what was done in it.
static tm_status work(const tm_cli *cli, const json_t *layout, tm_store *store, int *code, tm_error *err)
{
    char shell[TM_PATH_MAX];
    const char *given = getenv("SHELL"), *folder = string_of(layout, "folder");
    snprintf(shell, sizeof shell, "%s", given && given[0] ? given : "/bin/sh");
    char *const only[] = {shell, NULL};
    bool program = cli->n_args > 1;
    set_environment(layout, store);
    if (program) print_missing(layout);
    else print(layout, stderr);
    tm_status status = start(program ? (char *const *)(cli->args + 1) : only, folder, code, err);
    if (program && !tm_cli_flag(cli, "--to")) tm_dir_remove(folder, NULL);
    else fprintf(stderr, "the files stay in %s\n", folder);
    return status;
}

// ---- the command ----

static tm_status shell(const tm_cli *cli, tm_store *store, int *code, tm_error *err)
{
    char folder[TM_PATH_MAX];
    const char *to = tm_cli_flag(cli, "--to");
    const tm_past_node *node;
    tm_past past = {0};
    json_t *layout = NULL;
    tm_status status = tm_past_find_node(store, cli->args[0], tm_cli_flag(cli, "--run"), &past, &node, err);
    if (status >= 0) status = to ? given_folder(to, folder, err) : own_folder(node->name, folder, err);
    if (status >= 0) {
        status = tm_node_files_lay(store, &past, node, folder, &layout, err);
        if (status < 0) tm_dir_remove(folder, NULL);
    }
    bool quiet = cli->json || tm_cli_flag(cli, "--print") || (cli->n_args == 1 && !isatty(0));
    if (status >= 0 && cli->json)
        tm_cli_print(cli, json_incref(layout));
    else if (status >= 0 && quiet)
        print(layout, stdout);
    else if (status >= 0)
        status = work(cli, layout, store, code, err);
    json_decref(layout);
    tm_past_clear(&past);
    return status;
}

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    tm_error err = {0};
    int code = tm_session_store(&session, cli, 0), exit_status = 0;
    if (code == TM_EXIT_OK)
        code = shell(cli, session.store, &exit_status, &err) < 0 ? tm_cli_fail(cli, &err) : exit_status;
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_shell = {
    .name = "shell",
    .brief = "Lay the inputs of a node out as files, and start a shell (or a program) beside them.",
    .usage = "[RUN:]NODE [-- PROGRAM...]",
    .example = "tidemill shell tuned -- head -n 1 data.jsonl",
    .min = 1,
    .max = -1,
    .flags = flags,
    .exec = exec,
};
