// SPDX-License-Identifier: Apache-2.0
// Edit distance between a word and the names there are.
#include "engine/base/nearest.h"

#include <stdbool.h>
#include <string.h>

static size_t min2(size_t a, size_t b)
{
    return a < b ? a : b;
}

// Insertions, deletions, replacements and exchanges of neighbours (Damerau; optimal string alignment).
static size_t edit_distance(const char *a, const char *b)
{
    enum { MAX = 63 };
    size_t n = strlen(b), rows[3][MAX + 1], *before = rows[0], *last = rows[1], *row = rows[2];
    if (n >= MAX || strlen(a) >= MAX) return 99;
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            row[j] = min2(min2(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = min2(row[j], before[j - 2] + 1);
        }
    }
    return row[n];
}

const char *tm_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t limit = (strlen(word) + 1) / 3, best_distance = limit + 1;
    for (; *names; names++) {
        size_t d = edit_distance(word, *names);
        bool prefix = strlen(word) >= 3 && strncmp(*names, word, strlen(word)) == 0;
        if (prefix && d > limit) d = limit;
        if (d < best_distance) {
            best = *names;
            best_distance = d;
        }
    }
    return best;
}
