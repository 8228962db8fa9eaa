// SPDX-License-Identifier: Apache-2.0
// The program: the command line, and the hidden kinds of process it starts itself as.
#include <string.h>

#include "engine/program.h"
#include "engine/worker.h"
#include "lua/cli/cli.h"
#include "lua/load/child.h"

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], TM_WORKER_ARG) == 0) return tm_worker_main();
    if (argc > 2 && strcmp(argv[1], TM_PROGRAM_GUARD) == 0) return tm_program_guard(argc, argv);
    if (argc == 2 && strcmp(argv[1], TM_GRAPH_CHILD) == 0) return tm_graph_child();
    return tm_cli_main(argc, argv);
}
