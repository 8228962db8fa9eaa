// SPDX-License-Identifier: Apache-2.0
// Unpacking gzip with its checksums. libarchive's own filter passes over them, so that a flipped bit in a
// corpus would go unnoticed.
//
// RFC 1952; several members one behind the other are one stream, and zeros or other bytes behind the last are
// left alone, as gzip does.
#pragma once

#include "engine/base/status.h"

typedef struct tm_gunzip tm_gunzip;

// Packed bytes for a stream: *size is 0 at their end only; valid until the next call.
typedef tm_status tm_gunzip_pull(void *from, const void **data, size_t *size, tm_error *err);

tm_status tm_gunzip_new(tm_gunzip **stream, tm_gunzip_pull *pull, void *from, tm_error *err);
void tm_gunzip_free(tm_gunzip *stream);  // NULL is fine

// Up to `size` unpacked bytes; *got is 0 at the end only. TM_EFORMAT: damaged, or cut short.
tm_status tm_gunzip_read(tm_gunzip *stream, void *data, size_t size, size_t *got, tm_error *err);
uint64_t tm_gunzip_at(const tm_gunzip *stream);  // packed bytes used so far
