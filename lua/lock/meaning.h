// SPDX-License-Identifier: Apache-2.0
// What a graph means, node by node, whatever its text looks like: comments, layout, names of Lua variables
// and unused lines do not count. As JSON, with the nodes in the graph's order:
//
//   {"base": {"stage": "pretrain", "options": {"lr": 0.003, ...}, "values": {"": {...}},
//             "inputs": {"data": "docs.train", "": "vocab", "model": "start best valid.loss"}}, ...}
//
// It is what keys are made of (engine/key.h) without what has a place of its own in a lock: versions,
// libraries, the files that sources read.
#pragma once

#include "lua/past/past.h"

struct tm_graph;

// New references. That of a past run lacks the places of functions, that of a graph has them to tell.
json_t *tm_meaning_of_graph(const struct tm_graph *graph);
json_t *tm_meaning_of_past(const tm_past *past);
// Appends [{"what": "node", "name", "field", "pinned", "now", "text"}, ...] to `list`: differences as `why`
// and `diff` tell them (lua/past/differ.h). A node that only one side has lacks "field"; "pinned" or "now" is
// its stage.
void tm_meaning_differ(const json_t *pinned, const json_t *now, json_t *list);
