// SPDX-License-Identifier: Apache-2.0
// The command line: a table of commands, each one file in lua/commands/ that ends with its row.
//
// Results go to stdout, everything else to stderr. Every command takes --json (its result, or its errors, as
// one JSON object), --help, and --store DIR. Exit codes are one table, TM_EXIT_LIST.
#pragma once

#include <jansson.h>

#include "engine/base/bytes.h"
#include "engine/diag.h"

// name, code, meaning
#define TM_EXIT_LIST(X)                                             \
    X(OK, 0, "success")                                             \
    X(FAILED, 1, "a stage failed, or what was asked did not work")  \
    X(GRAPH, 2, "the graph, its options or its inputs are wrong")   \
    X(USAGE, 3, "the command line is wrong")                        \
    X(CORRUPT, 4, "the store has damaged bytes (they were set aside)") \
    X(RESOURCES, 5, "no space, no memory, or a package is missing") \
    X(BUSY, 6, "held by another run")                               \
    X(LOCKED, 8, "not what tidemill.lock pins")                     \
    X(RETRY, 75, "temporary; try again")

typedef enum {
#define TM_EXIT_ENUM(name, code, text) TM_EXIT_##name = code,
    TM_EXIT_LIST(TM_EXIT_ENUM)
#undef TM_EXIT_ENUM
} tm_exit;

typedef struct tm_flag {
    const char *name;   // "--set"
    char letter;        // 'k', or 0
    const char *arg;    // what follows ("NAME=VALUE"), NULL for a switch
    const char *help;
} tm_flag;

typedef struct tm_cli tm_cli;

typedef struct tm_command {
    const char *name;
    const char *brief;    // one sentence
    const char *usage;    // the positional arguments: "GRAPH [NODE...]"
    const char *example;  // one line
    int min, max;         // positional arguments; max -1: any number
    const tm_flag *flags;  // ends with a row without a name; NULL: none
    int (*exec)(tm_cli *cli);  // returns the exit status
} tm_command;

extern const tm_flag tm_common_flags[];         // of every command
extern const tm_command *const tm_commands[];  // made by the build, sorted by name

struct tm_cli {
    const tm_command *command;
    const char *const *args;  // positional, NULL behind the last
    int n_args;
    bool json;
    const char *store;  // --store, or NULL
    const char **given;  // name, value pairs of flags, in order
    int n_given;
    bool colour; // of what goes to stderr
};

// The value of a flag ("" for a switch), or NULL; the i-th of several.
const char *tm_cli_flag(const tm_cli *cli, const char *name);
const char *tm_cli_flag_at(const tm_cli *cli, const char *name, int i);

// A flag's number into *value, which keeps what it has if the flag is not given. Otherwise TM_EXIT_USAGE, and
// said so: it must be a number, from `min`.
int tm_cli_number(const tm_cli *cli, const char *name, double min, double *value);

// Print a failure and give the exit status that fits: as text to stderr, or to stdout as
// {"error": {...}, "errors": [{...}, ...]} of diagnostics (see engine/diag.h), the first of which is "error".
int tm_cli_fail(const tm_cli *cli, const tm_error *err);
int tm_cli_diags(const tm_cli *cli, const tm_diags *diags, const char *folder); // TM_EXIT_GRAPH
// A flag's value, or flags together, that cannot be: TM0004, TM_EXIT_USAGE.
int tm_cli_usage(const tm_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Print a result: JSON (stolen) to stdout, sorted, one line.
int tm_cli_print(const tm_cli *cli, json_t *result);

// main() without the hidden process kinds.
int tm_cli_main(int argc, char **argv);
