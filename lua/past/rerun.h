// SPDX-License-Identifier: Apache-2.0
// The command line that runs a node of a past run again, for people to type.
#pragma once

#include "engine/base/bytes.h"
#include "lua/past/past.h"

// "tidemill run GRAPH NODE --set .. --store STORE", quoted for a shell. `store`: its folder, or NULL where
// the program finds it by itself.
void tm_rerun_add(tm_buf *out, const tm_past *past, const tm_past_node *node, const char *store);
