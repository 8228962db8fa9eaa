// SPDX-License-Identifier: Apache-2.0
// Shortest edit scripts.
#include "lua/cli/edit.h"

#include <ctype.h>

#include "engine/base/hash.h"

enum { MAX_EDITS = 2000 };

typedef struct pieces {
    tm_view *at;
    uint64_t *hash;
    size_t n;
} pieces;

static size_t piece_size(tm_view rest, bool words)
{
    size_t n = 0;
    if (!words) {
        const char *end = memchr(rest.data, '\n', rest.size);
        return end ? (size_t)(end - rest.data) + 1 : rest.size;
    }
    while (n < rest.size && !isspace((unsigned char)rest.data[n])) n++;
    while (n < rest.size && isspace((unsigned char)rest.data[n])) n++;
    return n;
}

// The end of the last line, or the blanks behind the last word, make no difference.
static uint64_t piece_hash(tm_view piece)
{
    while (piece.size && isspace((unsigned char)piece.data[piece.size - 1])) piece.size--;
    return tm_hash64(piece.data, piece.size, 0);
}

static tm_status cut(tm_view text, bool words, pieces *out, tm_error *err)
{
    size_t capacity = 0;
    *out = (pieces){0};
    for (size_t at = 0; at < text.size;) {
        tm_view rest = {text.data + at, text.size - at};
        if (out->n == capacity) {
            capacity = capacity ? 2 * capacity : 256;
            tm_view *views = tm_realloc(out->at, capacity * sizeof *views);
            if (views) out->at = views;
            uint64_t *hashes = tm_realloc(out->hash, capacity * sizeof *hashes);
            if (hashes) out->hash = hashes;
            if (!views || !hashes) return tm_fail(err, TM_ENOMEM, "no memory to compare two texts");
        }
        tm_view piece = {rest.data, piece_size(rest, words)};
        out->hash[out->n] = piece_hash(piece);
        out->at[out->n++] = piece;
        at += piece.size;
    }
    return TM_OK;
}

// ---- Myers: the furthest x on each diagonal k = x - y, with 0, 1, 2 .. edits ----

typedef struct search {
    const pieces *a, *b;
    size_t head;               // pieces that both begin with
    int n, m, edits;           // what is between, and the number of edits found; -1: too many
    int *steps[MAX_EDITS + 1]; // furthest x by diagonal, from -d to d
} search;

static bool equal(const search *s, int x, int y)
{
    return s->a->hash[s->head + (size_t)x] == s->b->hash[s->head + (size_t)y];
}

// Whether diagonal k is reached from above (a piece comes in) rather than from the left (one goes).
static bool comes_in(const int *last, int d, int k)
{
    return k == -d || (k != d && last[k - 1 + d - 1] < last[k + 1 + d - 1]);
}

static bool one_step(search *s, int d)
{
    const int *last = d ? s->steps[d - 1] : NULL;
    for (int k = -d; k <= d; k += 2) {
        int x = 0;
        if (d) x = comes_in(last, d, k) ? last[k + 1 + d - 1] : last[k - 1 + d - 1] + 1;
        int y = x - k;
        while (x < s->n && y >= 0 && y < s->m && equal(s, x, y)) {
            x++;
            y++;
        }
        s->steps[d][k + d] = x;
        if (x >= s->n && y >= s->m) return true;
    }
    return false;
}

static tm_status find(search *s, tm_error *err)
{
    for (int d = 0; d <= MAX_EDITS; d++) {
        s->steps[d] = tm_alloc((2 * (size_t)d + 3) * sizeof(int));
        if (!s->steps[d]) return tm_fail(err, TM_ENOMEM, "no memory to compare two texts");
        for (int i = 0; i < 2 * d + 3; i++) s->steps[d][i] = -1;
        s->edits = d;
        if (one_step(s, d)) return TM_OK;
    }
    s->edits = -1;
    return TM_OK;
}

// ---- the script, from its end ----

typedef struct script {
    tm_edit *edits;
    size_t first; // filled from here
} script;

static void say(script *out, const search *s, tm_edit_kind kind, int x, int y)
{
    const pieces *from = kind == TM_EDIT_OUT ? s->a : s->b;
    size_t i = s->head + (size_t)(kind == TM_EDIT_OUT ? x : y);
    out->edits[--out->first] = (tm_edit){.kind = kind, .piece = from->at[i], .line = i + 1};
}

static void walk_back(const search *s, script *out)
{
    int x = s->n, y = s->m;
    for (int d = s->edits; d >= 0; d--) {
        int k = x - y;
        bool in = d && comes_in(s->steps[d - 1], d, k);
        int from_k = in ? k + 1 : k - 1, from_x = d ? s->steps[d - 1][from_k + d - 1] : 0;
        int start = d ? (in ? from_x : from_x + 1) : 0;
        for (; x > start; x--, y--) say(out, s, TM_EDIT_SAME, x - 1, y - 1);
        if (d && in)
            say(out, s, TM_EDIT_IN, x, --y);
        else if (d)
            say(out, s, TM_EDIT_OUT, --x, y);
    }
}

static void replace_all(const search *s, script *out)
{
    for (int y = s->m; y-- > 0;) say(out, s, TM_EDIT_IN, 0, y);
    for (int x = s->n; x-- > 0;) say(out, s, TM_EDIT_OUT, x, 0);
}

static tm_status compare(search *s, tm_edit **edits, size_t *n, tm_error *err)
{
    const pieces *a = s->a, *b = s->b;
    size_t tail = 0;
    while (s->head < a->n && s->head < b->n && a->hash[s->head] == b->hash[s->head]) s->head++;
    while (tail < a->n - s->head && tail < b->n - s->head &&
           a->hash[a->n - tail - 1] == b->hash[b->n - tail - 1])
        tail++;
    s->n = (int)(a->n - s->head - tail);
    s->m = (int)(b->n - s->head - tail);
    TM_TRY(find(s, err));
    script out = {.edits = tm_calloc(a->n + b->n + 1, sizeof *out.edits), .first = a->n + b->n};
    if (!out.edits) return tm_fail(err, TM_ENOMEM, "no memory to compare two texts");
    for (size_t i = 0; i < tail; i++) say(&out, s, TM_EDIT_SAME, 0, s->m + (int)(tail - i) - 1);
    if (s->edits >= 0)
        walk_back(s, &out);
    else
        replace_all(s, &out);
    for (size_t i = s->head; i-- > 0;) out.edits[--out.first] = (tm_edit){TM_EDIT_SAME, b->at[i], i + 1};
    *n = a->n + b->n - out.first;
    memmove(out.edits, out.edits + out.first, *n * sizeof *out.edits);
    *edits = out.edits;
    return TM_OK;
}

tm_status tm_edit_texts(tm_view before, tm_view after, bool words, tm_edit **edits, size_t *n, tm_error *err)
{
    pieces a = {0}, b = {0};
    *edits = NULL;
    *n = 0;
    search *s = tm_calloc(1, sizeof *s);
    tm_status status = s ? cut(before, words, &a, err) : tm_fail(err, TM_ENOMEM, "no memory for a search");
    if (status >= 0) status = cut(after, words, &b, err);
    if (status >= 0) {
        s->a = &a;
        s->b = &b;
        status = compare(s, edits, n, err);
    }
    for (int d = 0; s && d <= MAX_EDITS; d++) tm_free(s->steps[d]);
    tm_free(s);
    tm_free(a.at);
    tm_free(a.hash);
    tm_free(b.at);
    tm_free(b.hash);
    return status;
}
