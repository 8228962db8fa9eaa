// SPDX-License-Identifier: Apache-2.0
// "Did you mean ...?": the name that a misspelled word is nearest to.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

// The name in `names` (NULL-terminated) nearest to `word` by edit distance, if near enough to suggest; or
// NULL.
const char *tm_nearest(const char *word, const char *const *names);
// The key of a JSON object nearest to `word`, or NULL.
const char *tm_nearest_key(const json_t *object, const char *word);

// The path nearest to one that is not there: each part that is missing becomes the nearest name in its
// folder. Parts behind the last one that was looked up (a pattern, what an archive holds) stay. `path` may be
// relative to `folder` (NULL: to where the process is). False if nothing is near.
bool tm_nearest_path(const char *folder, const char *path, char *near, size_t size);
