// SPDX-License-Identifier: Apache-2.0
// The inputs of a node as files in a folder, for people to look at and try things on: documents and their kin
// as JSON lines, models, tokenizers and folders as folders. All are copies: nothing done to them reaches the
// store.
//
//   input.jsonl or input/     the main input            node.json   stage and options, as planned
//   PORT.jsonl or PORT/       the others                error.txt   what went wrong, if it did
//   rerun.sh                  the command that runs the node again
#pragma once

#include "lua/past/past.h"

// Into `folder`, which is there and empty. Gives {"node", "run", "state", "folder", "rerun", "error",
// "inputs": [{"port", "from", "type", "path", "rows", "bytes", "note"}]}; an input that is not in the store
// has no "path" and a "note" that says why.
tm_status tm_node_files_lay(tm_store *store, const tm_past *past, const tm_past_node *node,
                            const char *folder, json_t **layout, tm_error *err);
