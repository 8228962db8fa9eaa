// SPDX-License-Identifier: Apache-2.0
// XXH3-128 behind our own type.
#include "engine/base/hash.h"

#include <xxhash.h>

static tm_hash canonical(XXH128_hash_t h)
{
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, h);
    tm_hash hash;
    memcpy(hash.bytes, c.digest, 16);
    return hash;
}

tm_hash tm_hash_of(const void *data, size_t size)
{
    return canonical(XXH3_128bits(size ? data : "", size));
}

uint64_t tm_hash64(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(size ? data : "", size, seed);
}

void tm_hash_hex(tm_hash hash, char hex[TM_HASH_HEX])
{
    static const char digit[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        hex[2 * i] = digit[hash.bytes[i] >> 4];
        hex[2 * i + 1] = digit[hash.bytes[i] & 15];
    }
    hex[32] = 0;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

bool tm_hash_parse(const char *hex, tm_hash *hash)
{
    for (int i = 0; i < 16; i++) {
        int high = nibble(hex[2 * i]);
        int low = high < 0 ? -1 : nibble(hex[2 * i + 1]);
        if (low < 0) return false;
        hash->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

tm_hasher *tm_hasher_new(void)
{
    XXH3_state_t *state = XXH3_createState();
    if (state) XXH3_128bits_reset(state);
    return (tm_hasher *)state;
}

void tm_hasher_add(tm_hasher *hasher, const void *data, size_t size)
{
    if (size) XXH3_128bits_update((XXH3_state_t *)hasher, data, size);
}

tm_hash tm_hasher_end(tm_hasher *hasher)
{
    return canonical(XXH3_128bits_digest((XXH3_state_t *)hasher));
}

void tm_hasher_free(tm_hasher *hasher)
{
    XXH3_freeState((XXH3_state_t *)hasher);
}
