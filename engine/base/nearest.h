// SPDX-License-Identifier: Apache-2.0
// "Did you mean ...?": the name that a misspelled word is nearest to.
#pragma once

// The name in `names` (NULL-terminated) nearest to `word` by edit distance, if near enough to suggest; or
// NULL.
const char *tm_nearest(const char *word, const char *const *names);
