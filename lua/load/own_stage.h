// SPDX-License-Identifier: Apache-2.0
// `tidemill describe GRAPH NAME`: a stage that a graph file makes with tm.stage and uses in a node.
#pragma once

#include "lua/cli/cli.h"

// The exit status of the command whose two arguments these are.
int tm_own_stage_describe(tm_cli *cli);
