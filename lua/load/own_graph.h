// SPDX-License-Identifier: Apache-2.0
// `tidemill describe GRAPH [NAME]`: the parameters and nodes of a graph file, or one node with its options,
// or a stage that the file makes. Files that the graph reads need not be there.
#pragma once

#include "lua/cli/cli.h"

// The exit status of the command whose arguments these are.
int tm_own_graph_describe(const tm_cli *cli);
