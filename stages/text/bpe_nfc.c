// SPDX-License-Identifier: Apache-2.0
// NFC one cluster at a time: a character that never joins the one before it, and what follows that may.
#include "stages/text/bpe_nfc.h"

#include <stdlib.h>

#include <utf8proc.h>

#include "stages/text/pretokenize_classes.h"

typedef const uint8_t *bytes;

typedef struct mark {
    int32_t code;
    uint64_t order;  // combining class, then place
} mark;

typedef struct cluster {
    int32_t *codes;
    mark *marks;
    size_t n, capacity;
} cluster;

static bool may_change(uint32_t code)
{
    if (code < 0x300 || code == UINT32_MAX) return false;
    size_t low = 0, high = tm_nfc_n_ranges;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (code > tm_nfc_ranges[mid][1])
            low = mid + 1;
        else
            high = mid;
    }
    return low < tm_nfc_n_ranges && code >= tm_nfc_ranges[low][0];
}

// The first character at or after `p` that may change; `*base` is where the one before it begins (or it
// does).
static bytes find_change(bytes p, bytes end, bytes *base)
{
    *base = p;
    while (p < end) {
        uint32_t code;
        size_t n = tm_char_decode(p, end, &code);
        if (may_change(code)) return p;
        *base = code == UINT32_MAX ? p + n : p;
        p += n;
    }
    return end;
}

bool tm_nfc_is_normal(tm_view text)
{
    bytes base, end = (bytes)text.data + text.size;
    return find_change((bytes)text.data, end, &base) == end;
}

static bool push(cluster *c, uint32_t code)
{
    if (c->capacity - c->n < 8) {
        size_t capacity = c->capacity ? c->capacity * 2 : 64;
        int32_t *codes = tm_realloc(c->codes, capacity * sizeof *codes);
        if (codes) c->codes = codes;
        mark *marks = codes ? tm_realloc(c->marks, capacity * sizeof *marks) : NULL;
        if (!marks) return false;
        c->marks = marks;
        c->capacity = capacity;
    }
    int boundary = 0;
    utf8proc_ssize_t n =
        utf8proc_decompose_char((int32_t)code, c->codes + c->n, 8, UTF8PROC_DECOMPOSE, &boundary);
    if (n < 0 || n > 8) {
        c->codes[c->n] = (int32_t)code;
        n = 1;
    }
    c->n += (size_t)n;
    return true;
}

static int by_order(const void *a, const void *b)
{
    uint64_t x = ((const mark *)a)->order, y = ((const mark *)b)->order;
    return (x > y) - (x < y);
}

// The canonical order: within a run of marks by combining class, stable.
static void sort_marks(cluster *c)
{
    for (size_t i = 0; i < c->n;) {
        size_t j = i;
        for (; j < c->n; j++) {
            uint64_t class = (uint64_t)utf8proc_get_property(c->codes[j])->combining_class;
            if (!class || !may_change((uint32_t)c->codes[j])) break;
            c->marks[j] = (mark){c->codes[j], class << 56 | (j - i)};
        }
        if (j - i > 1) qsort(c->marks + i, j - i, sizeof *c->marks, by_order);
        for (size_t k = i; j - i > 1 && k < j; k++) c->codes[k] = c->marks[k].code;
        i = j + 1;
    }
}

static tm_status add_cluster(cluster *c, tm_buf *normal, tm_error *err)
{
    sort_marks(c);
    utf8proc_ssize_t n =
        utf8proc_normalize_utf32(c->codes, (utf8proc_ssize_t)c->n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n < 0) return tm_fail(err, TM_EFAILED, "utf8proc: %s", utf8proc_errmsg(n));
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        uint8_t utf8[4];
        tm_buf_add(normal, utf8, (size_t)utf8proc_encode_char(c->codes[i], utf8));
    }
    return tm_buf_status(normal, err);
}

// Decompose from `p` to the next character that stands alone; NULL without memory.
static bytes gather(cluster *c, bytes p, bytes end)
{
    c->n = 0;
    for (bool first = true; p < end; first = false) {
        uint32_t code;
        size_t n = tm_char_decode(p, end, &code);
        if (code == UINT32_MAX || (!first && !may_change(code))) break;
        if (!push(c, code)) return NULL;
        p += n;
    }
    return p;
}

tm_status tm_nfc_add(tm_view text, tm_buf *normal, tm_error *err)
{
    bytes p = (bytes)text.data, end = p + text.size;
    cluster c = {0};
    tm_status status = TM_OK;
    while (status == TM_OK && p < end) {
        bytes base;
        bytes change = find_change(p, end, &base);
        if (change == end) base = end;
        tm_buf_add(normal, p, (size_t)(base - p));
        p = base;
        if (p == end) break;
        p = gather(&c, p, end);
        status =
            p ? add_cluster(&c, normal, err) : tm_fail(err, TM_ENOMEM, "out of memory to normalize a text");
    }
    if (status == TM_OK) status = tm_buf_status(normal, err);
    tm_free(c.codes);
    tm_free(c.marks);
    return status;
}
