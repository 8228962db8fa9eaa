// SPDX-License-Identifier: Apache-2.0
// 128-bit hashes that name things: XXH3-128 of canonical bytes (github.com/Cyan4973/xxHash, XXH3 format).
//
// XXH3 is fast and has no accidental collisions worth fearing; it is not cryptographic. Bytes that cross a
// trust boundary need a SHA-256 as well.
#pragma once

#include <string.h>

#include "engine/base/bytes.h"

#define TM_HASH_HEX 33  // 32 hexadecimal digits and a NUL

typedef struct tm_hash {
    uint8_t bytes[16];  // big-endian (canonical) form
} tm_hash;

tm_hash tm_hash_of(const void *data, size_t size);
uint64_t tm_hash64(const void *data, size_t size, uint64_t seed);  // XXH3-64, for tables and checksums
void tm_hash_hex(tm_hash hash, char hex[TM_HASH_HEX]);
bool tm_hash_parse(const char *hex, tm_hash *hash);  // exactly 32 lower-case digits at the start of `hex`
static inline bool tm_hash_eq(tm_hash a, tm_hash b)
{
    return memcmp(a.bytes, b.bytes, 16) == 0;
}
static inline bool tm_hash_none(tm_hash a)
{
    return tm_hash_eq(a, (tm_hash){{0}});
}

// A hash of a sequence of bytes that arrive in pieces.
typedef struct tm_hasher tm_hasher;
tm_hasher *tm_hasher_new(void);  // NULL without memory
void tm_hasher_add(tm_hasher *hasher, const void *data, size_t size);
tm_hash tm_hasher_end(tm_hasher *hasher);  // the hash so far; more can be added
void tm_hasher_free(tm_hasher *hasher);
