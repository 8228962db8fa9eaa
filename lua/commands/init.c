// SPDX-License-Identifier: Apache-2.0
// init: a starter graph that runs, and what an editor needs to help with it.
//
// Nothing is overwritten: where a file of the starter is there already, nothing is written at all. The
// definitions are the program's own and are always written anew; .luarc.json is kept if it is there;
// .gitignore gets the lines that it lacks.
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/called.h"
#include "engine/base/io.h"
#include "engine/base/nearest.h"
#include "lua/cli/session.h"
#include "lua/editor/definitions.h"
#include "lua/editor/starter.h"

#define DEFINITIONS ".luals/tidemill.lua"

static const tm_flag flags[] = {
    {"--list", 'l', NULL, "list the starters"},
    {"--definitions", 0, NULL, "write nothing but the definitions for editors, as after an update"},
    {0},
};

// What an editor's Lua is told: which Lua it is, what of it graph files do not have, where the definitions
// are.
static const char luarc[] = "{\n"
                            "  \"runtime.version\": \"Lua 5.4\",\n"
                            "  \"runtime.builtin\": { \"io\": \"disable\", \"os\": \"disable\", \"debug\": "
                            "\"disable\", \"package\": \"disable\" },\n"
                            "  \"workspace.library\": [\".luals\"],\n"
                            "  \"workspace.ignoreDir\": [\".tidemill\", \"dist\"],\n"
                            "  \"workspace.checkThirdParty\": false\n"
                            "}\n";

typedef struct writing {
    const char *folder;
    json_t *written, *kept;
    bool unknown;  // a .luarc.json is there that does not know the definitions
} writing;

static tm_status write_file(writing *w, const char *name, const char *text, size_t size, tm_error *err)
{
    char path[TM_PATH_MAX], *slash;
    TM_TRY(tm_path(path, err, "%s/%s", w->folder, name));
    slash = strrchr(path, '/');
    *slash = 0;
    TM_TRY(tm_dir_make(path, err));
    *slash = '/';
    TM_TRY(tm_file_write(path, text, size, false, err));
    json_array_append_new(w->written, json_string(name));
    return TM_OK;
}

static bool is_there(const writing *w, const char *name)
{
    char path[TM_PATH_MAX];
    return tm_path(path, NULL, "%s/%s", w->folder, name) == TM_OK && tm_file_exists(path);
}

static tm_status write_definitions(writing *w, tm_error *err)
{
    tm_buf text = {0};
    tm_status status = tm_definitions(&text, err);
    if (status == TM_OK) status = write_file(w, DEFINITIONS, text.data, text.size, err);
    tm_buf_clear(&text);
    return status;
}

static tm_status write_luarc(writing *w, tm_error *err)
{
    char path[TM_PATH_MAX];
    tm_buf text = {0};
    if (!is_there(w, ".luarc.json")) return write_file(w, ".luarc.json", luarc, strlen(luarc), err);
    json_array_append_new(w->kept, json_string(".luarc.json"));
    TM_TRY(tm_path(path, err, "%s/.luarc.json", w->folder));
    tm_status status = tm_file_read(path, &text, err);
    w->unknown = status == TM_OK && !(text.size && strstr(text.data, ".luals"));
    tm_buf_clear(&text);
    return status;
}

static bool has_line(const tm_buf *text, const char *line)
{
    size_t n = strlen(line);
    for (const char *at = text->data; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, line, n) == 0 && (!at[n] || strchr("\n/\r", at[n]))) return true;
    return false;
}

// Where the store will be: the folder, or the root of the git work tree around it.
static tm_status home_of(const char *folder, char home[TM_PATH_MAX], tm_error *err)
{
    char store[TM_PATH_MAX];
    char *real = realpath(folder, NULL);
    if (!real) return tm_fail_errno(err, "cannot find %s", folder);
    tm_session_find_store(real, store);
    *strrchr(store, '/') = 0;
    tm_status status = tm_path(home, err, "%s", strcmp(store, real) == 0 ? folder : store);
    free(real);
    return status;
}

// What runs leave is no part of the project: the store, what is placed, what other programs are sent.
static bool add_ignored(tm_buf *text)
{
    static const char *const names[] = {".tidemill", "dist", "mlruns", "wandb", "tensorboard"};
    bool added = false;
    if (text->size && text->data[text->size - 1] != '\n') tm_buf_char(text, '\n');
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (text->size && has_line(text, names[i])) continue;
        tm_buf_fmt(text, "%s/\n", names[i]);
        added = true;
    }
    if (has_line(text, "*.trace.json")) return added;
    tm_buf_str(text, "*.trace.json\n");
    return true;
}

static tm_status write_gitignore(writing *w, tm_error *err)
{
    char home[TM_PATH_MAX], path[TM_PATH_MAX];
    tm_buf text = {0};
    TM_TRY(home_of(w->folder, home, err));
    TM_TRY(tm_path(path, err, "%s/.gitignore", home));
    const char *shown = strcmp(home, w->folder) == 0 ? ".gitignore" : path;
    tm_status status = tm_file_exists(path) ? tm_file_read(path, &text, err) : TM_OK;
    bool added = status == TM_OK && add_ignored(&text);
    if (status == TM_OK) status = tm_buf_status(&text, err);
    if (status == TM_OK && added) status = tm_file_write(path, text.data, text.size, false, err);
    if (status == TM_OK) json_array_append_new(added ? w->written : w->kept, json_string(shown));
    tm_buf_clear(&text);
    return status;
}

static bool is_written(const tm_starter_file *f, const char *starter)
{
    return strcmp(f->starter, starter) == 0 && strcmp(f->path, "next.txt") != 0;
}

// Files of the starter that are there already: the first one and how many.
static size_t in_the_way(const writing *w, const char *starter, const char **first)
{
    size_t n = 0;
    for (const tm_starter_file *f = tm_starter_files; f->path; f++)
        if (is_written(f, starter) && is_there(w, f->path) && n++ == 0) *first = f->path;
    return n;
}

static tm_status write_starter(writing *w, const char *starter, tm_error *err)
{
    const char *first = NULL;
    char more[48] = "";
    size_t n = in_the_way(w, starter, &first);
    if (n > 1) snprintf(more, sizeof more, " and %zu more file%s are", n - 1, n == 2 ? "" : "s");
    if (n) {
        tm_fail(err, TM_EEXIST, "%s/%s%s there already; nothing was written", w->folder, first,
                n > 1 ? more : " is");
        tm_hint(err, "name a folder that is new: tidemill init %s FOLDER", starter);
        return TM_EEXIST;
    }
    for (const tm_starter_file *f = tm_starter_files; f->path; f++)
        if (is_written(f, starter)) TM_TRY(write_file(w, f->path, f->text, strlen(f->text), err));
    return TM_OK;
}

static tm_status write_all(writing *w, const char *starter, tm_error *err)
{
    if (starter) TM_TRY(write_starter(w, starter, err));
    TM_TRY(write_luarc(w, err));
    TM_TRY(write_definitions(w, err));
    return starter ? write_gitignore(w, err) : TM_OK;
}

static int list(const tm_cli *cli)
{
    const char *names[32];
    char brief[128];
    json_t *all = json_array();
    tm_starter_names(names, 32);
    for (int i = 0; names[i]; i++) {
        tm_starter_brief(names[i], brief);
        if (!cli->json) printf("%-8s %s\n", names[i], brief);
        json_array_append_new(all, json_pack("{s:s, s:s}", "name", names[i], "brief", brief));
    }
    if (cli->json) return tm_cli_print(cli, json_pack("{s:o}", "starters", all));
    json_decref(all);
    return TM_EXIT_OK;
}

static int no_starter(const tm_cli *cli, const char *name)
{
    const char *names[32];
    tm_error err = {0};
    tm_starter_names(names, 32);
    const char *near = tm_nearest(name, names);
    tm_fail_as(&err, TM_ENOENT, "TM0007", "there is no starter \"%s\"", name);
    if (near) tm_hint(&err, "did you mean `tidemill init %s`?", near);
    else tm_hint(&err, "`tidemill init --list` lists them; with a folder: tidemill init text %s", name);
    return tm_cli_fail(cli, &err);
}

// Files of the folder, those of a folder in it as one: "wrote graph.lua, samples/ (18 files)".
static void print_list(const char *title, const json_t *names)
{
    const char *before = title;
    for (size_t i = 0, n = json_array_size(names); i < n; before = ",") {
        const char *name = json_string_value(json_array_get(names, i)), *slash = strchr(name, '/');
        size_t folder = slash ? (size_t)(slash + 1 - name) : strlen(name) + 1, same = 0;
        while (i < n && strncmp(json_string_value(json_array_get(names, i)), name, folder) == 0) same++, i++;
        if (same > 1) printf("%s %.*s (%zu files)", before, (int)folder, name, same);
        else printf("%s %s", before, name);
    }
    if (json_array_size(names)) printf("\n");
}

// In another folder ./mill is not there: from here on its whole path is said.
static void stay_called(void)
{
    char path[PATH_MAX];
    const char *name = tm_called();
    if (strchr(name, '/') && name[0] != '/' && realpath(name, path)) setenv("MILL_NAME", path, 1);
}

static void print_next(const writing *w, const char *starter)
{
    const char *next = tm_starter_text(starter, "next.txt");
    printf("next\n");
    if (strcmp(w->folder, ".") != 0) {
        printf("  cd %s\n", w->folder);
        stay_called();
    }
    while (next && *next) {
        size_t n = strcspn(next, "\n");
        tm_called_print(stdout, "  %.*s\n", (int)n, next);
        next += n + (next[n] == '\n');
    }
}

static int exec(tm_cli *cli)
{
    bool definitions = tm_cli_flag(cli, "--definitions") != NULL;
    if (tm_cli_flag(cli, "--list")) return list(cli);
    if (definitions && cli->n_args > 1) return tm_cli_usage(cli, "--definitions takes a folder at most");
    const char *starter = definitions ? NULL : cli->n_args ? cli->args[0] : "text";
    const char *folder = definitions ? cli->args[0] : cli->n_args > 1 ? cli->args[1] : NULL;
    if (starter && !tm_starter_text(starter, "graph.lua")) return no_starter(cli, starter);
    writing w = {.folder = folder ? folder : ".", .written = json_array(), .kept = json_array()};
    tm_error err = {0};
    int code = TM_EXIT_OK;
    if (write_all(&w, starter, &err) < 0) {
        code = tm_cli_fail(cli, &err);
    } else if (cli->json) {
        tm_cli_print(cli, json_pack("{s:s, s:O, s:O}", "folder", w.folder, "written", w.written, "kept",
                                    w.kept));
    } else {
        print_list("wrote", w.written);
        print_list("kept", w.kept);
        if (w.unknown) printf("add to .luarc.json: \"workspace.library\": [\".luals\"]\n");
        if (starter) print_next(&w, starter);
    }
    json_decref(w.written);
    json_decref(w.kept);
    return code;
}

const tm_command tm_command_init = {
    .name = "init",
    .brief = "Write a starter graph that runs, and definitions that make an editor help with it.",
    .usage = "[STARTER] [FOLDER]",
    .example = "tidemill init text my-model",
    .max = 2,
    .flags = flags,
    .exec = exec,
};
