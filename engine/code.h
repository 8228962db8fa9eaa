// SPDX-License-Identifier: Apache-2.0
// Functions of a graph file as data: the value of an option of kind TM_OPT_CODE.
//
//   {"$code": {"each": {"file": "graph.lua", "line": 12, "text": "(doc, o, emit) ... end",
//                       "tokens": ["(", "doc", ...], "lines": [12, 12, ...],
//                       "uses": {"limit": 3, "rate": {"float": 0.5}, "clean": {"function": "clean"},
//                                "floor": {"library": "math.floor"}}},
//              "clean": {...}}}
//
// Each function has the name under which the first one that uses it knows it. What a function *is* are its
// tokens and what it uses: comments, layout and place do not count. Tokens and lines are parallel.
#pragma once

#include <jansson.h>

#include "engine/base/status.h"

#include <stdbool.h>

bool tm_code_is(const json_t *value);

// What stands in the document of a key: without the text, which the tokens repeat. A new reference.
json_t *tm_code_for_document(const json_t *code);
// What is hashed of that: without the places.
void tm_code_strip(json_t *code);

// The first difference between two codes in words: `changed, line 12: upper -> lower`, `limit 3 -> 4`. False
// when they are the same function.
bool tm_code_difference(const json_t *before, const json_t *after, char *text, size_t size);
