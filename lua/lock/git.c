// SPDX-License-Identifier: Apache-2.0
// The state of a git work tree.
#include "lua/lock/git.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/io.h"
#include "engine/program.h"

#define PATIENCE_NS 3000000000
#define MAX_NAMED 40
#define MAX_GRAPH_FILES 64

typedef struct tree {
    char root[TM_PATH_MAX];    // of the work tree
    char prefix[TM_PATH_MAX];  // from there to the graph's folder: "" or "a/b/"
    int64_t until_ns;
    bool late;
} tree;

static bool find_tree(const char *folder, tree *t)
{
    char *real = realpath(folder, NULL), git[TM_PATH_MAX];
    bool found = false;
    snprintf(t->root, sizeof t->root, "%s", real ? real : "");
    while (t->root[0] && !found) {
        found = tm_path(git, NULL, "%s/.git", t->root) >= 0 && tm_file_exists(git);
        if (!found) *strrchr(t->root, '/') = 0;
    }
    const char *rest = found ? real + strlen(t->root) : "";
    if (*rest) snprintf(t->prefix, sizeof t->prefix, "%s/", rest + 1);
    free(real);
    return found;
}

// ---- the program ----

static bool too_late(void *user)
{
    tree *t = user;
    t->late = tm_time_ns() > t->until_ns;
    return t->late;
}

static char *from_environment(const char *name, const char *otherwise)
{
    tm_buf text = {0};
    const char *value = getenv(name);
    if (value || otherwise) tm_buf_fmt(&text, "%s=%s", name, value ? value : otherwise);
    return text.data;
}

// What git puts out, with a NUL behind the last byte; false when it could not or would not say.
static bool ask(tree *t, const char *const *args, size_t n, tm_buf *out)
{
    static const char *const calm[] = {"git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
                                       "--no-optional-locks", "--literal-pathspecs"};
    size_t n_calm = sizeof calm / sizeof *calm, at = 0;
    char *env[] = {from_environment("PATH", "/usr/bin:/bin"), (char[]){"LC_ALL=C"},
                   from_environment("HOME", "/"), NULL};
    const char **argv = tm_calloc(n_calm + n + 1, sizeof *argv);
    tm_program_end end;
    tm_program git = {.argv = (char *const *)argv, .env = env, .folder = t->root, .max_output = 64 << 20,
                      .stop = too_late, .user = t};
    for (size_t i = 0; argv && i < n_calm; i++) argv[at++] = calm[i];
    for (size_t i = 0; argv && i < n; i++) argv[at++] = args[i];
    tm_buf_reset(out);
    bool said = argv && env[0] && env[2] && tm_program_run(&git, out, &end, NULL) >= 0 && end.status == 0;
    tm_buf_char(out, 0);
    tm_free(argv);
    tm_free(env[0]);
    tm_free(env[2]);
    return said && !out->failed;
}

// A line of `git status --porcelain=v2`: "1 XY sub mH mI mW hH hI path", "2 ... X100 path" (and the path it
// had, apart), "u ... path". The path, or NULL for headers.
static const char *changed_path(const char *line)
{
    int fields = line[0] == '1' ? 8 : line[0] == '2' ? 9 : line[0] == 'u' ? 10 : 0;
    if (!fields) return NULL;
    for (; fields && line; fields--) {
        line = strchr(line, ' ');
        if (line) line++;
    }
    return line;
}

static void take_header(json_t *git, const char *line)
{
    if (strncmp(line, "# branch.oid ", 13) == 0 && line[13] != '(')
        json_object_set_new(git, "commit", json_string(line + 13));
    if (strncmp(line, "# branch.head ", 14) == 0 && line[14] != '(')
        json_object_set_new(git, "branch", json_string(line + 14));
}

static bool of_graph(const tree *t, const json_t *files, const char *path)
{
    size_t i, n = strlen(t->prefix);
    json_t *file;
    if (strncmp(path, t->prefix, n) != 0) return false;
    json_array_foreach(files, i, file)
        if (strcmp(json_string_value(json_object_get(file, "path")), path + n) == 0) return true;
    return false;
}

// Texts come one after the other, a NUL behind each.
static void take_status(const tree *t, const json_t *files, const tm_buf *out, json_t *git)
{
    json_int_t changed = 0;
    json_t *named = json_array(), *graph = json_array();
    for (const char *line = out->data; line < out->data + out->size && *line; line += strlen(line) + 1) {
        const char *path = changed_path(line);
        take_header(git, line);
        if (path && changed++ < MAX_NAMED) json_array_append_new(named, json_string(path));
        if (path && of_graph(t, files, path)) json_array_append_new(graph, json_string(path));
        if (line[0] == '2') line += strlen(line) + 1;
    }
    json_object_set_new(git, "changed", json_integer(changed));
    json_object_set_new(git, "files", named);
    json_object_set_new(git, "graph", graph);
}

static bool among(const tm_buf *out, const char *path)
{
    for (const char *at = out->data; at < out->data + out->size && *at; at += strlen(at) + 1)
        if (strcmp(at, path) == 0) return true;
    return false;
}

// Files of the graph that git does not follow are in no commit.
static void take_strangers(tree *t, const json_t *files, tm_buf *out, json_t *git)
{
    const char *args[MAX_GRAPH_FILES + 3] = {"ls-files", "-z", "--"};
    char *paths[MAX_GRAPH_FILES] = {0};
    size_t i, n = 0;
    json_t *file;
    json_array_foreach(files, i, file)
    {
        tm_buf path = {0};
        tm_buf_fmt(&path, "%s%s", t->prefix, json_string_value(json_object_get(file, "path")));
        if (path.data && n < MAX_GRAPH_FILES) args[3 + n] = paths[n] = path.data;
        else tm_buf_clear(&path);
        n += n < MAX_GRAPH_FILES && path.data;
    }
    bool said = n && ask(t, args, n + 3, out);
    for (i = 0; i < n; i++) {
        if (said && !among(out, paths[i]))
            json_array_append_new(json_object_get(git, "graph"), json_string(paths[i]));
        tm_free(paths[i]);
    }
}

static void ask_program(tree *t, const json_t *files, json_t *git)
{
    static const char *const status[] = {"status", "--porcelain=v2", "--branch", "-z",
                                         "--untracked-files=no"};
    tm_buf out = {0};
    if (ask(t, status, sizeof status / sizeof *status, &out)) {
        take_status(t, files, &out, git);
        take_strangers(t, files, &out, git);
    }
    tm_buf_clear(&out);
}

// ---- the files ----

// The first line of a file, without what follows its last visible sign.
static bool read_line(char text[TM_PATH_MAX], const char *folder, const char *name)
{
    char path[TM_PATH_MAX];
    tm_buf bytes = {0};
    bool there = tm_path(path, NULL, "%s/%s", folder, name) >= 0 && tm_file_read(path, &bytes, NULL) >= 0 &&
                 bytes.size;
    if (there) snprintf(text, TM_PATH_MAX, "%.*s", (int)strcspn(bytes.data, "\r\n"), bytes.data);
    tm_buf_clear(&bytes);
    return there;
}

// Where branches are: of a work tree beside its repository the folder that "commondir" names.
static bool find_common(const tree *t, char git[TM_PATH_MAX], char common[TM_PATH_MAX])
{
    char line[TM_PATH_MAX];
    if (tm_path(git, NULL, "%s/.git", t->root) < 0) return false;
    if (read_line(line, t->root, ".git") && strncmp(line, "gitdir: ", 8) == 0)
        snprintf(git, TM_PATH_MAX, "%.*s%s%s", line[8] == '/' ? 0 : TM_PATH_MAX / 2, t->root,
                 line[8] == '/' ? "" : "/", line + 8);
    snprintf(common, TM_PATH_MAX, "%s", git);
    if (read_line(line, git, "commondir"))
        snprintf(common, TM_PATH_MAX, "%.*s%s%s", line[0] == '/' ? 0 : TM_PATH_MAX / 2, git,
                 line[0] == '/' ? "" : "/", line);
    return true;
}

static bool is_commit(const char *text)
{
    size_t n = strspn(text, "0123456789abcdef");
    return text[n] == 0 && (n == 40 || n == 64);
}

static bool packed_commit(const char *common, const char *name, char commit[TM_PATH_MAX])
{
    char path[TM_PATH_MAX];
    tm_buf bytes = {0}, wanted = {0};
    bool found = false;
    tm_buf_fmt(&wanted, " %s\n", name);
    if (tm_path(path, NULL, "%s/packed-refs", common) >= 0 && tm_file_read(path, &bytes, NULL) >= 0 &&
        bytes.data && wanted.data) {
        const char *at = strstr(bytes.data, wanted.data), *start = at;
        while (start && start > bytes.data && start[-1] != '\n') start--;
        if (start) snprintf(commit, TM_PATH_MAX, "%.*s", (int)(at - start), start);
        found = start && is_commit(commit);
    }
    tm_buf_clear(&bytes);
    tm_buf_clear(&wanted);
    return found;
}

static void read_files(const tree *t, json_t *git)
{
    char folder[TM_PATH_MAX], common[TM_PATH_MAX], head[TM_PATH_MAX], commit[TM_PATH_MAX] = "";
    if (!find_common(t, folder, common) || !read_line(head, folder, "HEAD")) return;
    const char *name = strncmp(head, "ref: ", 5) == 0 ? head + 5 : NULL;
    if (!name) snprintf(commit, sizeof commit, "%s", head);
    else if (!read_line(commit, common, name) && !packed_commit(common, name, commit)) return;
    if (!is_commit(commit)) return;
    json_object_set_new(git, "commit", json_string(commit));
    if (name && strncmp(name, "refs/heads/", 11) == 0)
        json_object_set_new(git, "branch", json_string(name + 11));
}

// ---- both ----

json_t *tm_git_state(const char *folder, const json_t *files)
{
    tree t = {.until_ns = tm_time_ns() + PATIENCE_NS};
    if (!find_tree(folder, &t)) return NULL;
    json_t *git = json_object();
    ask_program(&t, files, git);
    if (!json_object_get(git, "commit")) read_files(&t, git);
    if (json_object_get(git, "commit")) return git;
    json_decref(git);
    return NULL;
}

bool tm_git_dirty(const json_t *git)
{
    return json_integer_value(json_object_get(git, "changed")) > 0 ||
           json_array_size(json_object_get(git, "graph")) > 0;
}

const char *tm_git_short(const json_t *git, char text[16])
{
    const char *commit = json_string_value(json_object_get(git, "commit"));
    snprintf(text, 16, "%.7s%s", commit ? commit : "", commit && tm_git_dirty(git) ? "+" : "");
    return text;
}

const char *tm_git_text(const json_t *git, char *text, size_t size)
{
    const char *commit = json_string_value(json_object_get(git, "commit"));
    long long changed = (long long)json_integer_value(json_object_get(git, "changed"));
    size_t graph = json_array_size(json_object_get(git, "graph"));
    const char *first = json_string_value(json_array_get(json_object_get(git, "graph"), 0));
    text[0] = 0;
    if (!commit) return text;
    int n = snprintf(text, size, "commit %.7s", commit);
    if (changed)
        n += snprintf(text + n, size - (size_t)n, " and %lld changed file%s", changed,
                      changed == 1 ? "" : "s");
    if (graph && n > 0 && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, "; %.200s%s not as committed", first,
                 graph > 1 ? " and others of the graph are" : " is");
    return text;
}
