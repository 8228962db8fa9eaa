// SPDX-License-Identifier: Apache-2.0
// Interpreters by the names of their programs.
#include "stages/format/interpreter.h"

#include <string.h>

typedef struct interpreter {
    const char *name;     // of the program, maybe with a version behind it
    const char *endings;  // of its scripts
    const char *instead;  // letters of options that stand for a script, or look for it elsewhere
} interpreter;

static const interpreter interpreters[] = {
    {"python", ".py", "cm"},
    {"pypy", ".py", "cm"},
    {"sh", ".sh", "cs"},
    {"bash", ".sh .bash", "cs"},
    {"dash", ".sh", "cs"},
    {"ksh", ".sh .ksh", "cs"},
    {"zsh", ".sh .zsh", "cs"},
    {"lua", ".lua", "el"},
    {"luajit", ".lua", "el"},
    {"perl", ".pl", "eES"},
    {"node", ".js .mjs .cjs", "epr"},
    {"nodejs", ".js .mjs .cjs", "epr"},
    {"ruby", ".rb", "erS"},
    {"Rscript", ".R .r", "e"},
    {"julia", ".jl", "eELm"},
    {"php", ".php", "drz"},
};

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const interpreter *find(const char *program)
{
    const char *name = last_part(program);
    for (size_t i = 0; i < sizeof interpreters / sizeof *interpreters; i++) {
        size_t n = strlen(interpreters[i].name);
        if (strncmp(name, interpreters[i].name, n) != 0) continue;
        if (name[n + strspn(name + n, "0123456789.-")] == 0) return &interpreters[i];
    }
    return NULL;
}

static bool ends_as(const char *argument, const char *endings)
{
    size_t size = strlen(argument);
    for (const char *at = endings; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        if (size > n && memcmp(argument + size - n, at, n) == 0) return true;
        at += n;
    }
    return false;
}

// `-c`, and `-uc` too. What a long option means is not known, so it may.
static bool is_instead(const char *option, const interpreter *known)
{
    return option[1] == '-' || option[1 + strcspn(option + 1, known->instead)] != 0;
}

size_t tm_interpreter_script(const tm_string_list *program)
{
    size_t i = 0;
    if (program->n && strcmp(last_part(program->items[0]), "env") == 0)
        for (i = 1; i < program->n && strchr(program->items[i], '='); i++) continue;  // NAME=value
    const interpreter *known = i < program->n ? find(program->items[i]) : NULL;
    if (!known) return 0;
    for (i++; i < program->n && program->items[i][0] == '-'; i++)
        if (is_instead(program->items[i], known)) return 0;
    if (i == program->n || strchr(program->items[i], '{')) return 0;
    return ends_as(program->items[i], known->endings) ? i : 0;
}
