// SPDX-License-Identifier: Apache-2.0
// A set of byte strings, numbered from 0 in the order of their arrival.
#pragma once

#include "engine/base/bytes.h"

typedef struct tm_strings {  // starts as {0}
    struct tm_string {
        uint64_t hash;
        size_t at, size;  // in `chars`
    } * items;
    size_t n, capacity;
    uint32_t *slots;  // number + 1, or 0; open addressing
    size_t n_slots;   // a power of two
    tm_buf chars;
} tm_strings;

void tm_strings_clear(tm_strings *set);

// The number of a string, which is copied if it is new; UINT32_MAX without memory (the set is as before).
uint32_t tm_strings_add(tm_strings *set, tm_view string);
uint32_t tm_strings_find(const tm_strings *set, tm_view string);  // UINT32_MAX if it is not there

static inline tm_view tm_strings_get(const tm_strings *set, size_t i)
{
    return (tm_view){set->chars.data + set->items[i].at, set->items[i].size};
}
