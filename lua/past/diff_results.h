// SPDX-License-Identifier: Apache-2.0
// What is different between two results of one type: records by their ids, or the files of two snapshots.
//
//   {"addresses": [a, b], "type", "rows": [n, m], "same": n,
//    "added": n, "removed": n, "changed": n,
//    "examples": {"added": [record], "removed": [record], "changed": [record with "before" and "edits"]}}
//
// A record of an example is {"id", "source", "text"} of documents, else {"id"}. Of snapshots "files" are
// {name: [bytes, bytes]} of those that differ, null where there is none, and there are no examples.
#pragma once

#include "lua/cli/address.h"

// At most `examples` of each kind. TM_EINVAL: types that differ, or that have no ids.
tm_status tm_diff_results(tm_store *store, const char *a, const char *b, size_t examples, json_t **diff,
                          tm_error *err);
