// SPDX-License-Identifier: Apache-2.0
// The process of tm.exec: its arguments and environment, and what its end means.
#pragma once

#include <jansson.h>

#include "engine/base/io.h"
#include "engine/stage.h"

#define TM_PROCESS_ENV 64    // variables that a node may declare
#define TM_PROCESS_RETRY 75  // exit status: try again (EX_TEMPFAIL of sysexits.h)

typedef struct tm_process {
    const tm_string_list *program;  // program and arguments; {in} and {out} stand for the paths below
    const json_t *env;              // name -> text or {"$secret": NAME}; or NULL
    const char *in, *out;           // paths, or NULL: nothing is put in
} tm_process;

// The file that an argument names, seen from the folder of the graph. False if there is none.
bool tm_process_file(const char *folder, const char *argument, char path[TM_PATH_MAX]);
// Whether PATH finds a program of this name.
bool tm_process_in_path(const char *name);

// Run it in the folder of the graph; `input` is its standard input, standard output is added to `output`
// (NULL: to the node's log, where standard error goes). TM_OK: it ended with 0. TM_ERETRY: with 75.
// TM_EFAILED: with anything else; the error has the last lines that it said. TM_ESTOPPED: Ctrl-C.
tm_status tm_process_run(tm_work *work, const tm_process *process, tm_view input, tm_buf *output,
                         tm_error *err);
