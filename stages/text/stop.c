// SPDX-License-Identifier: Apache-2.0
// Looking for stop strings in a text that grows.
#include "stages/text/stop.h"

// Where the first whole stop string begins in the held text, or its size.
static size_t find(tm_stop *s)
{
    size_t first = s->held.size;
    for (size_t k = 0; k < s->n_strings; k++) {
        const char *at = memmem(s->held.data, s->held.size, s->strings[k], strlen(s->strings[k]));
        if (!at || (size_t)(at - s->held.data) >= first) continue;
        first = (size_t)(at - s->held.data);
        s->found = s->strings[k];
    }
    return first;
}

// How many bytes at the end of the held text may begin a stop string.
static size_t pending(const tm_stop *s)
{
    size_t most = 0;
    for (size_t k = 0; k < s->n_strings; k++) {
        size_t n = strlen(s->strings[k]) - 1;
        if (n > s->held.size) n = s->held.size;
        while (n > most && memcmp(s->held.data + s->held.size - n, s->strings[k], n) != 0) n--;
        if (n > most) most = n;
    }
    return most;
}

static void let_through(tm_stop *s, size_t n, tm_buf *out)
{
    tm_buf_add(out, s->held.data, n);
    s->held.size -= n;
    memmove(s->held.data, s->held.data + n, s->held.size);
}

void tm_stop_put(tm_stop *s, tm_view piece, tm_buf *out)
{
    if (s->found || !piece.size) return;
    tm_buf_add(&s->held, piece.data, piece.size);
    if (s->held.failed) out->failed = true;
    if (out->failed) return;
    size_t before = find(s);
    let_through(s, s->found ? before : s->held.size - pending(s), out);
}

void tm_stop_end(tm_stop *s, tm_buf *out)
{
    if (!s->found && s->held.size) let_through(s, s->held.size, out);
}

void tm_stop_clear(tm_stop *s)
{
    tm_buf_clear(&s->held);
}
