// SPDX-License-Identifier: Apache-2.0
// What git says of a folder: which commit is there, and what was changed since.
//
// The `git` program is asked, without hooks, locks or helpers of the repository and for three seconds at
// most; where there is none the files in .git tell the commit alone. Nothing here fails: what is not known is
// left out.
//
//   {"commit": "40 digits", "branch": "main",           the branch is absent when none is checked out
//    "changed": 3, "files": ["a.lua", ...],             tracked files that differ, 40 of them named
//    "graph": ["graph.lua"]}                            those of the graph that the commit does not have so
//
// "changed", "files" and "graph" are absent where only the commit is known. Paths start at the root of the
// work tree.
#pragma once

#include <stdbool.h>

#include <jansson.h>

// A new reference; NULL: no work tree around the folder, or one without a commit. `files` is what the graph
// consists of: [{"path": relative to `folder`}, ...].
json_t *tm_git_state(const char *folder, const json_t *files);

// Something of the graph, or any tracked file, is not as it was committed.
bool tm_git_dirty(const json_t *git);
// "1a2b3c4", with a "+" when it is dirty; "" for NULL. Gives `text`.
const char *tm_git_short(const json_t *git, char text[16]);
// In words, "commit 1a2b3c4 and 3 changed files, the graph among them"; "" for NULL. Gives `text`.
const char *tm_git_text(const json_t *git, char *text, size_t size);
