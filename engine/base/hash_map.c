// SPDX-License-Identifier: Apache-2.0
// Open addressing with linear probing, at most three quarters full.
#include "engine/base/hash_map.h"

typedef struct tm_hash_slot {
    tm_hash key;
    uint64_t value;
    bool used;
} slot;

static slot *find(slot *slots, size_t capacity, tm_hash key)
{
    size_t i = tm_le64(key.bytes) & (capacity - 1);
    while (slots[i].used && !tm_hash_eq(slots[i].key, key)) i = (i + 1) & (capacity - 1);
    return &slots[i];
}

static bool grow(tm_hash_map *map)
{
    size_t capacity = map->capacity ? 2 * map->capacity : 16;
    slot *slots = tm_calloc(capacity, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].used) *find(slots, capacity, map->slots[i].key) = map->slots[i];
    tm_free(map->slots);
    map->slots = slots;
    map->capacity = capacity;
    return true;
}

bool tm_hash_map_put(tm_hash_map *map, tm_hash key, uint64_t value)
{
    if (4 * (map->count + 1) > 3 * map->capacity && !grow(map)) return false;
    slot *s = find(map->slots, map->capacity, key);
    map->count += !s->used;
    *s = (slot){key, value, true};
    return true;
}

bool tm_hash_map_get(const tm_hash_map *map, tm_hash key, uint64_t *value)
{
    if (map->count == 0) return false;
    const slot *s = find(map->slots, map->capacity, key);
    if (s->used && value) *value = s->value;
    return s->used;
}

void tm_hash_map_clear(tm_hash_map *map)
{
    tm_free(map->slots);
    *map = (tm_hash_map){0};
}
