// SPDX-License-Identifier: Apache-2.0
// A table from hashes to numbers. The keys are hashes already, so their first bytes pick the slot.
#pragma once

#include "engine/base/hash.h"

typedef struct tm_hash_map {
    struct tm_hash_slot *slots;
    size_t capacity;  // a power of two, or 0
    size_t count;
} tm_hash_map;

// Set the value of a key, new or not; false without memory (the map is as it was).
bool tm_hash_map_put(tm_hash_map *map, tm_hash key, uint64_t value);
bool tm_hash_map_get(const tm_hash_map *map, tm_hash key, uint64_t *value);  // value may be NULL
void tm_hash_map_clear(tm_hash_map *map);  // frees; the map can be used again
