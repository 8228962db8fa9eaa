// SPDX-License-Identifier: Apache-2.0
// Definitions for editors: what a graph file can say, as a file for lua-language-server (`---@meta`).
#pragma once

#include "engine/base/bytes.h"

// The whole file: definitions.lua beside this one, then a class and a function for every row.
tm_status tm_definitions(tm_buf *text, tm_error *err);
// What definitions.lua says of a function of the language that is no row ("sweep"): lines of words and code,
// appended to `out`. False if there is none of that name.
bool tm_definition_story(const char *function, tm_buf *out);
