// SPDX-License-Identifier: Apache-2.0
// What a run's graph is called. It is known by where its file lay, however that was typed.
#pragma once

#include "lua/past/past.h"

// The path of its file; of runs that do not say it, what was typed. Never NULL.
const char *tm_graph_path(const json_t *record);
// How many folders tell two paths apart: names that their ends share, 0 if the paths are the same.
int tm_graph_apart(const char *path, const char *other);
// The end of a path: the file's name with that many of its folders.
const char *tm_graph_tail(const char *path, int folders);
// Whether somebody means this run's graph: the end of its path, as it was typed for the run, or a path from
// here.
bool tm_graph_is(const json_t *record, const char *name);
