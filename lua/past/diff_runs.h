// SPDX-License-Identifier: Apache-2.0
// What is different between two runs, as JSON: what `diff` prints.
//
//   {"runs": [a, b], "params": {name: [x, y]}, "environment": [differences as lua/past/differ.h has them],
//    "git": ["1a2b3c4", "1a2b3c4+"],
//    "code": {path: {"hashes": [x, y], "added", "removed", "lines": [{"kind": "+", "line", "text"}]}},
//    "inputs": {node: difference of files}, "nodes": {"added": [], "removed": [], "changed": {node: [..]}},
//    "records": {node: [n, m]},
//    "metrics": {NODE.METRIC: {"before", "after", "difference", "verdict"}}, "same_metrics": n,
//    "seconds": [x, y], "ran": [n, m], "cached": [n, m], "bytes": [n, m]}
//
// A run is {"run", "status", "note", "tags", "graph", "path", "started"}; a value of a metric {"value",
// "error", "step"}. A verdict is that of tm_verdict (fact.h), absent where no errors are known.
#pragma once

#include "lua/past/past.h"

// Both with their results. `all`: also metrics of training batches and their kin.
json_t *tm_diff_runs(const tm_past *a, const tm_past *b, bool all);
