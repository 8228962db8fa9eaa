// SPDX-License-Identifier: Apache-2.0
// `tidemill describe GRAPH NAME`: a stage that a graph file makes with tm.stage and uses in a node.
#pragma once

#include "engine/graph.h"
#include "lua/cli/cli.h"

// NULL if the graph makes no such stage.
const tm_node *tm_own_stage_find(const tm_graph *graph, const char *name);
// The exit status of the command.
int tm_own_stage_describe(const tm_cli *cli, const tm_node *node);

// What was declared with tm.int and its like ("kind" "default" "min" "max" "choices" "doc"), on stdout.
void tm_own_declaration_print(const char *name, const json_t *declaration);
