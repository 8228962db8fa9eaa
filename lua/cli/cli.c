// SPDX-License-Identifier: Apache-2.0
// Parsing of the command line, help from the rows, and how failures are shown.
#include "lua/cli/cli.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/utf8.h"
#include "engine/stage.h"
#include "lua/cli/again.h"

const tm_flag tm_common_flags[] = {
    {"--json", 0, NULL, "the result as one JSON object on stdout"},
    {"--store", 0, "DIR", "the store (default: the nearest .tidemill upward, else at the git root)"},
    {"--help", 'h', NULL, "this text"},
    {0},
};

static const tm_flag *find_flag(const tm_flag *flags, const char *word, size_t n)
{
    for (const tm_flag *f = flags; f && f->name; f++) {
        if (strlen(f->name) == n && strncmp(f->name, word, n) == 0) return f;
        if (f->letter && n == 2 && word[0] == '-' && word[1] == f->letter) return f;
    }
    return NULL;
}

const char *tm_cli_flag_at(const tm_cli *cli, const char *name, int i)
{
    for (int k = 0; k < cli->n_given; k++)
        if (strcmp(cli->given[2 * k], name) == 0 && i-- == 0) return cli->given[2 * k + 1];
    return NULL;
}

const char *tm_cli_flag(const tm_cli *cli, const char *name)
{
    return tm_cli_flag_at(cli, name, 0);
}

static bool colours(void)
{
    const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(2) && !(no && no[0]) && !(terminal && strcmp(terminal, "dumb") == 0);
}

static int exit_of(tm_status status)
{
    switch (status) {
    case TM_EGRAPH:
    case TM_ENOENT:
    case TM_EINVAL: return TM_EXIT_GRAPH;
    case TM_ECORRUPT: return TM_EXIT_CORRUPT;
    case TM_ENOSPC:
    case TM_ENOMEM: return TM_EXIT_RESOURCES;
    case TM_EBUSY: return TM_EXIT_BUSY;
    case TM_ERETRY: return TM_EXIT_RETRY;
    default: return TM_EXIT_FAILED;
    }
}

int tm_cli_diags(const tm_cli *cli, const tm_diags *diags, const char *folder)
{
    if (cli->json) {
        json_t *errors = tm_diags_json(diags, folder);
        tm_cli_print(cli, json_pack("{s:O, s:o}", "error", json_array_get(errors, 0), "errors", errors));
    } else {
        tm_diags_print(diags, folder, stderr, cli->colour);
    }
    return TM_EXIT_GRAPH;
}

int tm_cli_fail(const tm_cli *cli, const tm_error *err)
{
    tm_diags diags = {.n = 1};
    tm_diag_error(&diags.items[0], err);
    tm_again_store(cli, diags.items[0].fix, sizeof diags.items[0].fix);
    tm_cli_diags(cli, &diags, NULL);
    return exit_of(err->status);
}

__attribute__((format(printf, 4, 0))) static int misuse(const tm_cli *cli, const char *code, const char *fix,
                                                        const char *format, va_list args)
{
    tm_diags diags = {.n = 1};
    tm_diag *d = &diags.items[0];
    TM_DIAG(d->code, "%s", code);
    vsnprintf(d->what, sizeof d->what, format, args);
    tm_utf8_mend(d->what);
    TM_DIAG(d->fix, "%s", fix ? fix : "");
    if (cli->command)
        TM_DIAG(d->look, "tidemill %s --help", cli->command->name);
    else
        TM_DIAG(d->look, "tidemill --help");
    tm_cli_diags(cli, &diags, NULL);
    return TM_EXIT_USAGE;
}

__attribute__((format(printf, 4, 5))) static int wrong(const tm_cli *cli, const char *code, const char *fix,
                                                       const char *format, ...)
{
    va_list args;
    va_start(args, format);
    misuse(cli, code, fix, format, args);
    va_end(args);
    return TM_EXIT_USAGE;
}

// The value nearest to one that is none of a flag's choices ("any|same"), in `copy`.
static const char *nearest_choice(const char *choices, const char *given, char copy[128])
{
    const char *names[16];
    size_t n = 0;
    char *save = NULL;
    snprintf(copy, 128, "%s", choices);
    for (char *word = strtok_r(copy, "|", &save); word && n < 15; word = strtok_r(NULL, "|", &save))
        names[n++] = word;
    names[n] = NULL;
    return n > 1 && given ? tm_nearest(given, names) : NULL;
}

int tm_cli_usage(const tm_cli *cli, const char *format, ...)
{
    va_list args;
    char text[512], fix[256], choices[128];
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const tm_flag *f = find_flag(cli->command->flags, text, strcspn(text, " "));
    const char *near = f && f->arg ? nearest_choice(f->arg, tm_cli_flag(cli, f->name), choices) : NULL;
    if (near)
        snprintf(fix, sizeof fix, "did you mean %s %s?", f->name, near);
    else if (f && f->arg)
        snprintf(fix, sizeof fix, "%s %s: %s", f->name, f->arg, f->help);
    else
        snprintf(fix, sizeof fix, "for example: %s", cli->command->example);
    return wrong(cli, "TM0004", fix, "%s", text);
}

int tm_cli_print(const tm_cli *cli, json_t *result)
{
    (void)cli;
    json_dumpf(result, stdout, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));
    fputc('\n', stdout);
    json_decref(result);
    return TM_EXIT_OK;
}

int tm_cli_number(const tm_cli *cli, const char *name, double min, double *value)
{
    const char *text = tm_cli_flag(cli, name);
    char *end;
    if (!text) return TM_EXIT_OK;
    double given = strtod(text, &end);
    bool good = end > text && !*end && isfinite(given) && given >= min;
    if (!good) return tm_cli_usage(cli, "%s takes a number from %.10g, not \"%s\"", name, min, text);
    *value = given;
    return TM_EXIT_OK;
}

// ---- help ----

static void print_flags(const tm_flag *flags)
{
    for (const tm_flag *f = flags; f && f->name; f++) {
        char left[64];
        snprintf(left, sizeof left, "%s%c%s%s%s%s", f->letter ? "-" : "", f->letter ? f->letter : ' ',
                 f->letter ? ", " : "   ", f->name, f->arg ? " " : "", f->arg ? f->arg : "");
        printf("  %-26s %s\n", left, f->help);
    }
}

static int print_help(const tm_command *c)
{
    printf("tidemill %s %s\n\n%s\n\n", c->name, c->usage, c->brief);
    print_flags(c->flags);
    print_flags(tm_common_flags);
    if (c->example) printf("\nexample: %s\n", c->example);
    return TM_EXIT_OK;
}

static int print_overview(void)
{
    printf("tidemill: language models from a graph file\n\nusage: tidemill COMMAND [ARGUMENTS]\n"
           "A first graph that runs: tidemill init text my-model\n\n");
    for (const tm_command *const *c = tm_commands; *c; c++) printf("  %-10s %s\n", (*c)->name, (*c)->brief);
    printf("\n`tidemill COMMAND --help` tells more. Exit status:");
#define ROW(name, code, text) printf("\n  %3d  %s", code, text);
    TM_EXIT_LIST(ROW)
#undef ROW
    printf("\n  128+n  ended by signal n (130: Ctrl-C)\n");
    return TM_EXIT_OK;
}

// ---- parsing ----

static int unknown_flag(const tm_cli *cli, const char *word)
{
    const char *names[64], *equals = strchr(word, '=');
    char bare[64], fix[128];
    size_t n = 0;
    for (const tm_flag *f = cli->command->flags; f && f->name && n < 60; f++) names[n++] = f->name;
    for (const tm_flag *f = tm_common_flags; f->name; f++) names[n++] = f->name;
    names[n] = NULL;
    snprintf(bare, sizeof bare, "%.*s", equals ? (int)(equals - word) : 63, word);
    const char *near = tm_nearest(bare, names);
    if (near)
        snprintf(fix, sizeof fix, "did you mean %s?", near);
    else
        snprintf(fix, sizeof fix, "`tidemill %s --help` lists its flags", cli->command->name);
    return wrong(cli, "TM0002", fix, "%s has no flag %s", cli->command->name, word);
}

// What follows a flag may begin with '-', but is no other flag.
static bool is_flag(const tm_cli *cli, const char *word)
{
    size_t n = strcspn(word, "=");
    return strncmp(word, "--", 2) == 0 &&
           (find_flag(cli->command->flags, word, n) || find_flag(tm_common_flags, word, n));
}

static int no_value(const tm_cli *cli, const tm_flag *f)
{
    char fix[128];
    snprintf(fix, sizeof fix, "write %s %s", f->name, f->arg);
    return wrong(cli, "TM0003", fix, "%s needs a value: %s", f->name, f->arg);
}

static int parse(tm_cli *cli, int argc, char **argv, const char **positional)
{
    bool plain = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i], *equals = strchr(word, '=');
        if (plain || word[0] != '-' || !word[1]) {
            positional[cli->n_args++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            plain = true;
            continue;
        }
        bool is_long = word[1] == '-';
        size_t n = !is_long ? 2 : equals ? (size_t)(equals - word) : strlen(word);
        const tm_flag *f = find_flag(cli->command->flags, word, n);
        if (!f) f = find_flag(tm_common_flags, word, n);
        if (!f) return unknown_flag(cli, word);
        const char *value = "";
        if (f->arg && word[n] && (!is_long || word[n] == '=')) value = word + n + is_long;
        else if (f->arg && i + 1 < argc && !is_flag(cli, argv[i + 1]))
            value = argv[++i];
        else if (f->arg)
            return no_value(cli, f);
        else if (is_long && word[n])
            return wrong(cli, "TM0003", "leave out what is behind it",
                         "%s takes no value, and is given \"%s\"", f->name, word + n + 1);
        else if (word[n])
            return wrong(cli, "TM0003", "write one-letter flags apart: -q -k",
                         "%s takes no value, and is given \"%s\"", f->name, word + n);
        cli->given[2 * cli->n_given] = f->name;
        cli->given[2 * cli->n_given++ + 1] = value;
    }
    return TM_EXIT_OK;
}

static bool ends_with(const char *word, const char *end)
{
    size_t n = strlen(word), m = strlen(end);
    return n >= m && strcmp(word + n - m, end) == 0;
}

static int unknown_command(const char *word, bool json)
{
    const char *names[128];
    char fix[160];
    size_t n = 0;
    tm_cli cli = {.json = json, .colour = colours()};
    for (const tm_command *const *c = tm_commands; *c && n < 127; c++) names[n++] = (*c)->name;
    names[n] = NULL;
    const char *near = tm_nearest(word, names);
    if (near)
        snprintf(fix, sizeof fix, "did you mean `tidemill %s`?", near);
    else if (ends_with(word, ".lua"))
        snprintf(fix, sizeof fix, "to run a graph file: tidemill run %.80s", word);
    else if (tm_stage_find(word) || tm_value_find(word))
        snprintf(fix, sizeof fix, "it is a stage or value of graphs: tidemill describe %.60s", word);
    else if (strncmp(word, "TM", 2) == 0)
        snprintf(fix, sizeof fix, "for a code: tidemill explain %.60s", word);
    else
        snprintf(fix, sizeof fix, "`tidemill --help` lists the commands");
    return wrong(&cli, "TM0001", fix, "there is no command \"%s\"", word);
}

// How many arguments there are is wrong.
static int wrong_count(const tm_cli *cli)
{
    const tm_command *c = cli->command;
    char fix[256];
    snprintf(fix, sizeof fix, "for example: %s", c->example);
    if (cli->n_args < c->min)
        return wrong(cli, "TM0005", fix, "an argument is missing: tidemill %s %s", c->name, c->usage);
    return wrong(cli, "TM0005", fix, "\"%s\" is one argument too many: tidemill %s%s%s", cli->args[c->max],
                 c->name, c->usage[0] ? " " : "", c->usage);
}

static int run_command(tm_cli *cli, int argc, char **argv)
{
    const char **positional = calloc((size_t)argc + 1, sizeof *positional);
    cli->given = calloc(2 * (size_t)argc + 2, sizeof *cli->given);
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) cli->json |= strcmp(argv[i], "--json") == 0;
    int code = positional && cli->given ? parse(cli, argc, argv, positional) : TM_EXIT_RESOURCES;
    cli->args = positional;
    if (code == TM_EXIT_OK) {
        cli->store = tm_cli_flag(cli, "--store");
        if (tm_cli_flag(cli, "--help")) code = print_help(cli->command);
        else if (cli->n_args < cli->command->min ||
                 (cli->command->max >= 0 && cli->n_args > cli->command->max))
            code = wrong_count(cli);
        else code = cli->command->exec(cli);
    }
    free(positional);
    free(cli->given);
    return code;
}

int tm_cli_main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_DFL);
    const char *word = argc > 1 ? argv[1] : "--help";
    bool help = strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0 || strcmp(word, "-v") == 0) {
        printf("tidemill %s\n", TM_VERSION);
        return TM_EXIT_OK;
    }
    if (help && argc > 2) word = argv[2];
    else if (help) return argc > 1 ? print_overview() : (print_overview(), TM_EXIT_USAGE);
    for (const tm_command *const *c = tm_commands; *c; c++) {
        tm_cli cli = {.command = *c, .colour = colours()};
        if (strcmp((*c)->name, word) != 0) continue;
        return help ? print_help(*c) : run_command(&cli, argc - 2, argv + 2);
    }
    return unknown_command(word, argc > 2 && strcmp(argv[argc - 1], "--json") == 0);
}
