// SPDX-License-Identifier: Apache-2.0
// Open addressing over 128-bit hashes, at most half full; the all-zero hash, which marks a free slot, is kept
// apart.
#include "stages/text/exact.h"

struct tm_exact {
    tm_hash *slots;
    size_t n_slots, count;
    bool has_zero;
};

static size_t home(const tm_exact *set, tm_hash hash)
{
    return (size_t)tm_le64(hash.bytes) & (set->n_slots - 1);
}

static void insert(tm_exact *set, tm_hash hash)
{
    size_t i = home(set, hash);
    while (!tm_hash_none(set->slots[i])) i = (i + 1) & (set->n_slots - 1);
    set->slots[i] = hash;
}

static bool grow(tm_exact *set)
{
    tm_exact old = *set;
    size_t n_slots = old.n_slots ? old.n_slots * 2 : 1024;
    tm_hash *slots = tm_calloc(n_slots, sizeof *slots);
    if (!slots) return false;
    set->slots = slots;
    set->n_slots = n_slots;
    for (size_t i = 0; i < old.n_slots; i++)
        if (!tm_hash_none(old.slots[i])) insert(set, old.slots[i]);
    tm_free(old.slots);
    return true;
}

tm_exact *tm_exact_new(void)
{
    return tm_calloc(1, sizeof(tm_exact));
}

void tm_exact_free(tm_exact *set)
{
    if (!set) return;
    tm_free(set->slots);
    tm_free(set);
}

size_t tm_exact_count(const tm_exact *set)
{
    return set->count + set->has_zero;
}

tm_status tm_exact_add_hash(tm_exact *set, tm_hash hash, bool *first, tm_error *err)
{
    if (tm_hash_none(hash)) {
        *first = !set->has_zero;
        set->has_zero = true;
        return TM_OK;
    }
    if (2 * set->count >= set->n_slots && !grow(set))
        return tm_fail(err, TM_ENOMEM, "exact duplicates: out of memory after %zu documents", set->count);
    size_t i = home(set, hash);
    while (!tm_hash_none(set->slots[i]) && !tm_hash_eq(set->slots[i], hash)) i = (i + 1) & (set->n_slots - 1);
    *first = tm_hash_none(set->slots[i]);
    if (!*first) return TM_OK;
    set->slots[i] = hash;
    set->count++;
    return TM_OK;
}

tm_status tm_exact_add(tm_exact *set, tm_view text, bool *first, tm_error *err)
{
    return tm_exact_add_hash(set, tm_hash_of(text.data, text.size), first, err);
}
