// SPDX-License-Identifier: Apache-2.0
// Why a node ran, or did not: its work in a run compared with that in an earlier one, and what differs
// followed upstream to where it began. As JSON:
//
//   {"node", "run", "state", "seconds", "before": run or null, "was": its state there, "plan": as planned,
//    "because": [{"depth", "node", "field", "text", "from", "through": [nodes], "rows": [n, m],
//                 "new", "above"}],
//    "same": [names of inputs and options], "then": {node: state}}
//
// "from" and "rows" are there where the field is an input: the node that gives it, and its records then and
// now. "through" are the nodes in between that only pass on.
#pragma once

#include "lua/past/past.h"

// `before` may be NULL; else both with results.
json_t *tm_cause(const tm_past *now, const tm_past *before, const tm_past_node *node);
