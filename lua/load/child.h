// SPDX-License-Identifier: Apache-2.0
// The graph process: evaluates a graph file in the closed Lua and hands plain data back.
#pragma once

// First argument with which the program starts itself as the graph process.
#define TM_GRAPH_CHILD "--graph-child"

// main() of that process. It talks over descriptor 0 (frame.h), writes where it is to the page behind
// descriptor 3 (tm_trail), and never returns to anything else: the caller exits with what it gives.
int tm_graph_child(void);
