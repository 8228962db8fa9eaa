// SPDX-License-Identifier: Apache-2.0
// The text of the files that a graph was made from, for the record of a run: small enough to be kept with it.
#pragma once

#include "engine/graph.h"

// path -> text of each file that still is what was evaluated, up to 256 KiB in all. NULL without memory.
json_t *tm_graph_texts(const tm_graph *graph);
