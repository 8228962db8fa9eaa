// SPDX-License-Identifier: Apache-2.0
// A hash table of strings by linear probing, at most half full.
#include "stages/text/bpe_strings.h"

#include "engine/base/hash.h"

void tm_strings_clear(tm_strings *set)
{
    tm_free(set->items);
    tm_free(set->slots);
    tm_buf_clear(&set->chars);
    *set = (tm_strings){0};
}

// The slot of a string: the one that has it, or the empty one where it belongs.
static size_t slot_of(const tm_strings *set, tm_view string, uint64_t hash)
{
    size_t mask = set->n_slots - 1, i = hash & mask;
    for (; set->slots[i]; i = (i + 1) & mask) {
        uint32_t number = set->slots[i] - 1;
        if (set->items[number].hash == hash && tm_view_eq(tm_strings_get(set, number), string)) break;
    }
    return i;
}

static bool grow_slots(tm_strings *set)
{
    size_t n_slots = set->n_slots ? set->n_slots * 2 : 64;
    uint32_t *slots = tm_calloc(n_slots, sizeof *slots);
    if (!slots) return false;
    for (size_t number = 0; number < set->n; number++) {
        size_t i = set->items[number].hash & (n_slots - 1);
        while (slots[i]) i = (i + 1) & (n_slots - 1);
        slots[i] = (uint32_t)number + 1;
    }
    tm_free(set->slots);
    set->slots = slots;
    set->n_slots = n_slots;
    return true;
}

static bool grow_items(tm_strings *set)
{
    size_t capacity = set->capacity ? set->capacity * 2 : 64;
    struct tm_string *items = tm_realloc(set->items, capacity * sizeof *items);
    if (!items) return false;
    set->items = items;
    set->capacity = capacity;
    return true;
}

uint32_t tm_strings_add(tm_strings *set, tm_view string)
{
    uint64_t hash = tm_hash64(string.data, string.size, 0);
    if (set->n * 2 >= set->n_slots && !grow_slots(set)) return UINT32_MAX;
    size_t slot = slot_of(set, string, hash);
    if (set->slots[slot]) return set->slots[slot] - 1;
    if (set->n == UINT32_MAX - 1 || (set->n == set->capacity && !grow_items(set))) return UINT32_MAX;
    size_t at = set->chars.size;
    tm_buf_add(&set->chars, string.data, string.size);
    if (set->chars.failed) return set->chars.failed = false, UINT32_MAX;
    set->items[set->n] = (struct tm_string){hash, at, string.size};
    set->slots[slot] = (uint32_t)++set->n;
    return set->slots[slot] - 1;
}

uint32_t tm_strings_find(const tm_strings *set, tm_view string)
{
    if (!set->n) return UINT32_MAX;
    uint32_t found = set->slots[slot_of(set, string, tm_hash64(string.data, string.size, 0))];
    return found ? found - 1 : UINT32_MAX;
}
