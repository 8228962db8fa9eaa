// SPDX-License-Identifier: Apache-2.0
// What a record was before a node had it: the record of the same id in the node's main input, or, where that
// only flowed through, in the nearest input above it whose bytes are there.
#pragma once

#include "lua/cli/address.h"

// Of documents, as `inspect` shows them (objects with "id" and whole "text"): adds "before", the text, or
// null where the input has no such record, and "edits", [["same"|"out"|"in", text], ...], the way to it word
// by word. `from` receives the address of the input. TM_EINVAL: the node has no documents as input.
tm_status tm_before_add(tm_store *store, const tm_address *address, json_t *records, char from[300],
                        tm_error *err);
// "[-out-]{+in+}" as git writes it; the middle of long stretches is left out unless `full`.
void tm_before_print(const json_t *edits, bool full);
// [["same"|"out"|"in", text], ...], word by word.
json_t *tm_before_edits(const char *before, const char *after);
