// SPDX-License-Identifier: Apache-2.0
// What the safetensors files of a snapshot hold, for people and scripts.
#pragma once

#include <jansson.h>

#include "engine/store_tree.h"

// Appends {"name", "dtype", "shape": [...], "file"} for each tensor of each *.safetensors file, in the order
// of their data. Makes the folder of the tree (see tm_tree_folder).
tm_status tm_tensors_list(tm_store *store, tm_hash tree_hash, const tm_tree *tree, json_t *list,
                          tm_error *err);

// How many numbers the tensors of such a list have together.
uint64_t tm_tensors_size(const json_t *list);
