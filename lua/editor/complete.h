// SPDX-License-Identifier: Apache-2.0
// What could stand at the end of a command line: for the completion of shells, from the rows of the commands.
//
// A row's usage and the arguments of its flags name kinds of words (GRAPH, NODE, ADDRESS, any|same); each
// kind is completed in its own way, so a new command needs nothing here. Nodes and parameters come from the
// graph file on the line, else from the latest run. Nothing is ever printed, and faults complete nothing.
#pragma once

#include "lua/cli/cli.h"

typedef enum { TM_FILES_NONE, TM_FILES_GRAPHS, TM_FILES_ALL, TM_FILES_FOLDERS } tm_files;

typedef struct tm_completion {
    json_t *words;   // [{"word", "about"}], each begins with the last word of the line
    tm_files files;  // files may stand there too: the shell knows them best
} tm_completion;

// `words`: the line so far, from the name of the program to the word under the cursor, which may be "".
void tm_complete(const char *const *words, int n, tm_completion *completion);
