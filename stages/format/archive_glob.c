// SPDX-License-Identifier: Apache-2.0
// Globs over member paths, as a set of states that moves once per character: no pattern makes it backtrack.
#include "stages/format/archive.h"

#include <string.h>

#define MAX_ITEMS 512

typedef enum { ITEM_CHAR, ITEM_ONE, ITEM_SET, ITEM_STAR, ITEM_DEEP, ITEM_FOLDERS, ITEM_INSIDE } item_kind;

typedef struct item {
    item_kind kind;
    char c;          // ITEM_CHAR
    const char *set; // ITEM_SET: after the bracket
    const char *end; // ITEM_SET: the closing bracket
} item;

// The closing bracket of a set, NULL when there is none (then `[` is itself).
static const char *set_end(const char *at)
{
    if (*at == '!' || *at == '^') at++;
    if (*at == ']') at++;
    return strchr(at, ']');
}

static bool set_has(const item *set, char c)
{
    const char *at = set->set;
    bool negated = *at == '!' || *at == '^';
    bool found = false;
    if (c == '/') return false;
    for (at += negated; at < set->end; at++) {
        unsigned char low = (unsigned char)*at, high = low;
        if (at + 2 < set->end && at[1] == '-') {
            high = (unsigned char)at[2];
            at += 2;
        }
        found |= (unsigned char)c >= low && (unsigned char)c <= high;
    }
    return found != negated;
}

// Reads one item of the pattern into items[n] (`**/` takes two) and returns how many were written.
static size_t parse_item(const char **pattern, item *items)
{
    const char *p = *pattern;
    const char *end = NULL;
    if (p[0] == '*' && p[1] == '*' && p[2] == '/') {
        items[0] = (item){.kind = ITEM_FOLDERS};
        items[1] = (item){.kind = ITEM_INSIDE};
        *pattern = p + 3;
        return 2;
    }
    if (p[0] == '*' && p[1] == '*') {
        items[0] = (item){.kind = ITEM_DEEP};
        *pattern = p + 2;
    } else if (p[0] == '*' || p[0] == '?') {
        items[0] = (item){.kind = p[0] == '*' ? ITEM_STAR : ITEM_ONE};
        *pattern = p + 1;
    } else if (p[0] == '[' && (end = set_end(p + 1))) {
        items[0] = (item){.kind = ITEM_SET, .set = p + 1, .end = end};
        *pattern = end + 1;
    } else {
        bool escaped = p[0] == '\\' && p[1];
        items[0] = (item){.kind = ITEM_CHAR, .c = p[escaped]};
        *pattern = p + 1 + escaped;
    }
    return 1;
}

// Items that may match nothing let their successor in as well.
static void close_states(const item *items, size_t n, bool *in)
{
    for (size_t i = 0; i < n; i++) {
        if (!in[i]) continue;
        if (items[i].kind == ITEM_STAR || items[i].kind == ITEM_DEEP) in[i + 1] = true;
        if (items[i].kind == ITEM_FOLDERS) in[i + 2] = true;
    }
}

static void step(const item *items, size_t n, const bool *in, char c, bool *out)
{
    for (size_t i = 0; i < n; i++) {
        if (!in[i]) continue;
        switch (items[i].kind) {
        case ITEM_CHAR: out[i + 1] |= items[i].c == c; break;
        case ITEM_ONE: out[i + 1] |= c != '/'; break;
        case ITEM_SET: out[i + 1] |= set_has(&items[i], c); break;
        case ITEM_STAR: out[i] |= c != '/'; break;
        case ITEM_DEEP: out[i] = true; break;
        case ITEM_FOLDERS: out[c == '/' ? i : i + 1] = true; break;
        case ITEM_INSIDE: out[c == '/' ? i - 1 : i] = true; break;
        }
    }
    close_states(items, n, out);
}

bool tm_glob_match(const char *pattern, const char *path)
{
    item items[MAX_ITEMS + 2];
    bool states[2][MAX_ITEMS + 3] = {{false}};
    size_t n = 0;
    if (!strchr(pattern, '/') && strrchr(path, '/')) path = strrchr(path, '/') + 1;
    while (*pattern && n < MAX_ITEMS) n += parse_item(&pattern, &items[n]);
    if (*pattern) return false;
    bool *now = states[0], *then = states[1];
    now[0] = true;
    close_states(items, n, now);
    for (; *path; path++) {
        memset(then, 0, n + 1);
        step(items, n, now, *path, then);
        bool *swap = now;
        now = then;
        then = swap;
    }
    return now[n];
}
