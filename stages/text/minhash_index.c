// SPDX-License-Identifier: Apache-2.0
// Buckets by sorting one band at a time, clusters by union-find whose roots are the first documents.
#include "stages/text/minhash.h"

#define LEADERS 16
#define DIGIT_BITS 11
#define N_DIGITS 6 // 66 bits

struct tm_minhash_index {
    uint64_t *keys;      // [document][band]
    uint32_t *documents; // number of the document, per row of keys
    size_t count, n_rows, capacity;
};

typedef struct entry {
    uint64_t key;
    uint32_t document;
} entry;

typedef struct clustering {
    const tm_minhash_check *check;
    uint32_t *first; // parent of each document; a root is its own
} clustering;

tm_minhash_index *tm_minhash_index_new(void)
{
    return tm_calloc(1, sizeof(tm_minhash_index));
}

void tm_minhash_index_free(tm_minhash_index *index)
{
    if (!index) return;
    tm_free(index->keys);
    tm_free(index->documents);
    tm_free(index);
}

size_t tm_minhash_index_count(const tm_minhash_index *index)
{
    return index->count;
}

static bool grow(tm_minhash_index *index)
{
    size_t capacity = index->capacity + index->capacity / 2 + 1024;
    uint64_t *keys = tm_realloc(index->keys, capacity * TM_MINHASH_BANDS * sizeof *keys);
    if (keys) index->keys = keys;
    uint32_t *documents = tm_realloc(index->documents, capacity * sizeof *documents);
    if (documents) index->documents = documents;
    if (!keys || !documents) return false;
    index->capacity = capacity;
    return true;
}

tm_status tm_minhash_index_add(tm_minhash_index *index, const uint64_t keys[TM_MINHASH_BANDS], tm_error *err)
{
    if (index->count == UINT32_MAX - 1)
        return tm_fail(err, TM_EINVAL, "minhash: more than 2^32 - 2 documents");
    if (keys) {
        if (index->n_rows == index->capacity && !grow(index))
            return tm_fail(err, TM_ENOMEM, "minhash: out of memory after %zu documents", index->count);
        memcpy(index->keys + index->n_rows * TM_MINHASH_BANDS, keys, TM_MINHASH_BANDS * sizeof *keys);
        index->documents[index->n_rows++] = (uint32_t)index->count;
    }
    index->count++;
    return TM_OK;
}

// ---- sorting ----

static void sort_digit(const entry *from, entry *to, size_t n, unsigned shift)
{
    size_t at[1 << DIGIT_BITS] = {0};
    const uint64_t mask = (1u << DIGIT_BITS) - 1;
    for (size_t i = 0; i < n; i++) at[from[i].key >> shift & mask]++;
    for (size_t i = 0, sum = 0; i <= mask; i++) {
        size_t here = at[i];
        at[i] = sum;
        sum += here;
    }
    for (size_t i = 0; i < n; i++) to[at[from[i].key >> shift & mask]++] = from[i];
}

// By key; documents of one key stay in order. An even number of passes leaves the result in `entries`.
static void sort_entries(entry *entries, entry *other, size_t n)
{
    for (unsigned digit = 0; digit < N_DIGITS; digit++) {
        sort_digit(entries, other, n, digit * DIGIT_BITS);
        entry *swap = entries;
        entries = other;
        other = swap;
    }
}

// ---- clusters ----

static uint32_t find(uint32_t *first, uint32_t i)
{
    while (first[i] != i) {
        first[i] = first[first[i]];
        i = first[i];
    }
    return i;
}

static void join(uint32_t *first, uint32_t a, uint32_t b)
{
    a = find(first, a);
    b = find(first, b);
    if (a < b)
        first[b] = a;
    else
        first[a] = b;
}

static tm_status is_same(clustering *c, uint32_t a, uint32_t b, bool *same, tm_error *err)
{
    *same = !c->check || find(c->first, a) == find(c->first, b);
    return *same ? TM_OK : c->check->same(c->check->self, a, b, same, err);
}

static tm_status join_bucket(clustering *c, const entry *entries, size_t n, tm_error *err)
{
    uint32_t leaders[LEADERS];
    size_t n_leaders = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t document = entries[i].document;
        bool same = false;
        for (size_t k = 0; k < n_leaders && !same; k++) {
            TM_TRY(is_same(c, leaders[k], document, &same, err));
            if (same) join(c->first, leaders[k], document);
        }
        if (!same && n_leaders < LEADERS) leaders[n_leaders++] = document;
    }
    return TM_OK;
}

static tm_status join_band(const tm_minhash_index *index, size_t band, clustering *c, entry *entries,
                           tm_error *err)
{
    size_t n = index->n_rows;
    for (size_t i = 0; i < n; i++)
        entries[i] = (entry){index->keys[i * TM_MINHASH_BANDS + band], index->documents[i]};
    sort_entries(entries, entries + n, n);
    for (size_t i = 0, end; i < n; i = end) {
        end = i + 1;
        while (end < n && entries[end].key == entries[i].key) end++;
        if (end - i > 1) TM_TRY(join_bucket(c, entries + i, end - i, err));
    }
    return TM_OK;
}

tm_status tm_minhash_index_cluster(const tm_minhash_index *index, const tm_minhash_check *check,
                                   uint32_t *first, tm_error *err)
{
    clustering c = {.check = check, .first = first};
    entry *entries = tm_calloc(2 * index->n_rows + 1, sizeof *entries);
    if (!entries)
        return tm_fail(err, TM_ENOMEM, "minhash: out of memory to sort %zu documents", index->n_rows);
    for (size_t i = 0; i < index->count; i++) first[i] = (uint32_t)i;
    tm_status status = TM_OK;
    for (size_t band = 0; band < TM_MINHASH_BANDS && status >= 0; band++)
        status = join_band(index, band, &c, entries, err);
    tm_free(entries);
    if (status < 0) return status;
    for (size_t i = 0; i < index->count; i++) first[i] = find(first, (uint32_t)i);
    return TM_OK;
}
