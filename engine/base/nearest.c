// SPDX-License-Identifier: Apache-2.0
// Edit distance between a word and the names there are.
#include "engine/base/nearest.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/bytes.h"
#include "engine/base/io.h"

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
    size_t limit = (strlen(word) + 1) / 3, best_distance = limit + 1, best_whole = 0;
    for (; *names; names++) {
        size_t whole = edit_distance(word, *names), d = whole;
        bool prefix = strlen(word) >= 3 && strncmp(*names, word, strlen(word)) == 0;
        if (prefix && d > limit) d = limit;
        if (d < best_distance || (best && d == best_distance && whole < best_whole)) {
            best = *names;
            best_distance = d;
            best_whole = whole;
        }
    }
    return best;
}

// The nearest name in a folder to a part of a path.
static bool nearest_in(const char *folder, const char *part, char near[256])
{
    tm_names names = {0};
    if (tm_dir_list(folder, &names, NULL) < 0) return false;
    const char **all = tm_calloc(names.count + 1, sizeof *all);
    size_t n = 0;
    for (size_t i = 0; all && i < names.count; i++)
        if (names.names[i][0] != '.') all[n++] = names.names[i];
    const char *found = all ? tm_nearest(part, all) : NULL;
    if (found) snprintf(near, 256, "%s", found);
    tm_free((void *)all);
    tm_names_clear(&names);
    return found != NULL;
}

bool tm_nearest_path(const char *folder, const char *path, char *near, size_t size)
{
    tm_buf made = {0}, at = {0};
    bool whole = path[0] == '/', changed = false, good = true;
    while (good && *path) {
        size_t n = strspn(path, "/"), part = strcspn(path + n, "/");
        char name[256];
        if (strpbrk(path, "*?[") && strcspn(path, "*?[") < n + part) break;
        snprintf(name, sizeof name, "%.*s", (int)(part < 255 ? part : 255), path + n);
        tm_buf_reset(&at);
        tm_buf_fmt(&at, "%s%s%s%s%s", whole || !folder ? "" : folder, whole || !folder ? "" : "/",
                   made.size ? made.data : "", made.size && !made.failed ? "/" : "", "");
        char in[TM_PATH_MAX], full[TM_PATH_MAX];
        good = !at.failed &&
               tm_path(in, NULL, "%s",
                       at.size ? at.data
                       : whole ? "/"
                               : ".") >= 0 &&
               tm_path(full, NULL, "%s/%s", in, name) >= 0;
        if (good && part && !tm_file_exists(full)) good = changed = nearest_in(in, name, name);
        tm_buf_add(&made, path, n);
        tm_buf_str(&made, name);
        path += n + part;
    }
    tm_buf_str(&made, path);
    good = good && changed && !made.failed && made.size < size;
    if (good) snprintf(near, size, "%s", made.data);
    tm_buf_clear(&made);
    tm_buf_clear(&at);
    return good;
}

const char *tm_nearest_key(const json_t *object, const char *word)
{
    const char *name, *near = NULL;
    json_t *value;
    size_t n = 0;
    const char **names = tm_calloc(json_object_size(object) + 1, sizeof *names);
    if (!names) return NULL;
    json_object_foreach ((json_t *)object, name, value) names[n++] = name;
    near = tm_nearest(word, names);
    tm_free((void *)names);
    return near;
}
