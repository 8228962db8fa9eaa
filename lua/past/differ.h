// SPDX-License-Identifier: Apache-2.0
// What is different between the work of a node in two runs, field by field: from their own documents
// (engine/key.h). What `why`, `diff` and a lock say.
#pragma once

#include <jansson.h>

// A new array of {"field", "before", "after", "text"}; the files that a source reads are one of
// {"field": "files", "added": [..], "removed": [..], "changed": [..], "text"}.
json_t *tm_differ_own(const json_t *before, const json_t *after);
// Names in both, "lr seed": fields that are equal, without the files.
json_t *tm_differ_same(const json_t *before, const json_t *after);
