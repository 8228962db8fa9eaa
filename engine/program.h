// SPDX-License-Identifier: Apache-2.0
// Programs of the user: bytes in, bytes out, lines of what they say; nothing of them outlives the worker.
//
// A program runs in a process group of its own under a guard, which is this program started with
// TM_PROGRAM_GUARD. The guard holds one end of a pipe, the worker the other: when the worker ends, however it
// ends, the guard kills the group. It does so too when the program itself has ended, so that what it left
// running in the background goes with it. There is no shell.
#pragma once

#include "engine/base/bytes.h"

#define TM_PROGRAM_GUARD "--guard"

typedef struct tm_program {
    char *const *argv;       // NULL-terminated; argv[0] is a path, or a name that PATH of `env` finds
    char *const *env;        // "NAME=VALUE", NULL-terminated: the whole environment
    const char *folder;      // where it runs
    tm_view input;           // for its standard input
    size_t max_output;       // bytes
    void (*line)(void *user, const char *line);  // what it says on standard error, or NULL
    bool (*stop)(void *user);                    // asked several times a second, or NULL
    void *user;
} tm_program;

typedef struct tm_program_end {
    int status;      // of exit, or -1
    int signal;      // that ended it, or 0
    char last[600];  // its last lines on standard error
} tm_program_end;

// Run it to its end. Standard output is added to `output`; NULL: it is told like standard error. Reads and
// writes as the program does, so neither waits for the other. TM_ESTOPPED: `stop` said so. TM_EFAILED: it
// gave more than max_output. How the program itself ended is in `end`.
tm_status tm_program_run(const tm_program *program, tm_buf *output, tm_program_end *end, tm_error *err);

// Called by main when the first argument is TM_PROGRAM_GUARD; the others are the program's.
int tm_program_guard(int argc, char **argv);
