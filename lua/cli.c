// SPDX-License-Identifier: Apache-2.0
// Parsing of the command line, help from the rows, and how failures are shown.
#include "lua/cli.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/option.h"

static const tm_flag common[] = {
    {"--json", 0, NULL, "the result as one JSON object on stdout"},
    {"--store", 0, "DIR", "the store (default: the nearest .tidemill upward, else at the git root)"},
    {"--help", 'h', NULL, "this text"},
    {0},
};

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

int tm_cli_fail(const tm_cli *cli, const tm_error *err)
{
    if (cli && cli->json) {
        json_t *error = json_pack("{s:{s:s, s:s, s:s}}", "error", "code", tm_status_name(err->status),
                                  "message", err->text, "fix", err->hint);
        tm_cli_print(cli, error);
    } else {
        fprintf(stderr, "tidemill: %s\n", err->text);
        if (err->hint[0]) fprintf(stderr, "fix    %s\n", err->hint);
    }
    return exit_of(err->status);
}

int tm_cli_usage(const tm_cli *cli, const char *format, ...)
{
    va_list args;
    char text[512], fix[64];
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(fix, sizeof fix, "see `tidemill %s --help`", cli->command->name);
    if (cli->json)
        tm_cli_print(cli,
                     json_pack("{s:{s:s, s:s, s:s}}", "error", "code", "usage", "message", text, "fix", fix));
    else fprintf(stderr, "tidemill %s: %s\nfix    %s\n", cli->command->name, text, fix);
    return TM_EXIT_USAGE;
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

const char *tm_cli_size(uint64_t bytes, char text[16])
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", NULL};
    double n = (double)bytes;
    int unit = 0;
    for (; n >= 999.5 && units[unit + 1]; unit++) n /= 1000;
    snprintf(text, 16, "%.*f %s", unit && n < 9.95 ? 1 : 0, n, units[unit]);
    return text;
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
    print_flags(common);
    if (c->example) printf("\nexample: %s\n", c->example);
    return TM_EXIT_OK;
}

static int print_overview(void)
{
    printf("tidemill: language models from a graph file\n\nusage: tidemill COMMAND [ARGUMENTS]\n\n");
    for (const tm_command *const *c = tm_commands; *c; c++) printf("  %-10s %s\n", (*c)->name, (*c)->brief);
    printf("\n`tidemill COMMAND --help` tells more. Exit status:");
#define ROW(name, code, text) printf("\n  %3d  %s", code, text);
    TM_EXIT_LIST(ROW)
#undef ROW
    printf("\n  128+n  ended by signal n (130: Ctrl-C)\n");
    return TM_EXIT_OK;
}

// ---- parsing ----

static const tm_flag *find_flag(const tm_flag *flags, const char *word, size_t n)
{
    for (const tm_flag *f = flags; f && f->name; f++) {
        if (strlen(f->name) == n && strncmp(f->name, word, n) == 0) return f;
        if (f->letter && n == 2 && word[0] == '-' && word[1] == f->letter) return f;
    }
    return NULL;
}

static int unknown_flag(const tm_cli *cli, const char *word)
{
    const char *names[64];
    size_t n = 0;
    for (const tm_flag *f = cli->command->flags; f && f->name && n < 60; f++) names[n++] = f->name;
    for (const tm_flag *f = common; f->name; f++) names[n++] = f->name;
    names[n] = NULL;
    const char *near = tm_nearest(word, names);
    if (near) return tm_cli_usage(cli, "there is no flag %s; did you mean %s?", word, near);
    return tm_cli_usage(cli, "there is no flag %s", word);
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
        if (!f) f = find_flag(common, word, n);
        if (!f) return unknown_flag(cli, word);
        const char *value = "";
        if (f->arg && word[n] && (!is_long || word[n] == '=')) value = word + n + is_long;
        else if (f->arg && i + 1 < argc) value = argv[++i];
        else if (f->arg) return tm_cli_usage(cli, "%s needs %s", f->name, f->arg);
        else if (word[n]) return tm_cli_usage(cli, "%s takes no value", f->name);
        cli->given[2 * cli->n_given] = f->name;
        cli->given[2 * cli->n_given++ + 1] = value;
    }
    return TM_EXIT_OK;
}

static int unknown_command(const char *word)
{
    const char *names[64];
    size_t n = 0;
    for (const tm_command *const *c = tm_commands; *c && n < 63; c++) names[n++] = (*c)->name;
    names[n] = NULL;
    const char *near = tm_nearest(word, names);
    fprintf(stderr, "tidemill: there is no command \"%s\"\n", word);
    if (near) fprintf(stderr, "fix    did you mean `tidemill %s`?\n", near);
    else fprintf(stderr, "fix    see `tidemill --help`\n");
    return TM_EXIT_USAGE;
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
        else if (cli->n_args < cli->command->min)
            code = tm_cli_usage(cli, "usage: tidemill %s %s", cli->command->name, cli->command->usage);
        else if (cli->command->max >= 0 && cli->n_args > cli->command->max)
            code = tm_cli_usage(cli, "too many arguments: %s", cli->args[cli->command->max]);
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
    if (strcmp(word, "--version") == 0) {
        printf("tidemill %s\n", TM_VERSION);
        return TM_EXIT_OK;
    }
    if (help && argc > 2) word = argv[2];
    else if (help) return argc > 1 ? print_overview() : (print_overview(), TM_EXIT_USAGE);
    for (const tm_command *const *c = tm_commands; *c; c++) {
        tm_cli cli = {.command = *c, .stderr_tty = isatty(2) && !getenv("NO_COLOR")};
        if (strcmp((*c)->name, word) != 0) continue;
        return help ? print_help(*c) : run_command(&cli, argc - 2, argv + 2);
    }
    return unknown_command(word);
}
