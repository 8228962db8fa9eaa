// SPDX-License-Identifier: Apache-2.0
// Views of bytes, and a buffer that grows.
//
// A tm_buf remembers a failed allocation (`failed`) and ignores what is added after it, so a writer checks
// once, at the end, with tm_buf_status().
#pragma once

#include <string.h>

#include "engine/base/status.h"

// Bytes that belong to somebody else; not NUL-terminated.
typedef struct tm_view {
    const char *data;
    size_t size;
} tm_view;

static inline tm_view tm_view_of(const void *data, size_t size)
{
    return (tm_view){data, size};
}

static inline tm_view tm_view_str(const char *text)
{
    return (tm_view){text, strlen(text)};
}

static inline bool tm_view_eq(tm_view a, tm_view b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

// Memory that tests can make fail; free with tm_free. NULL on failure (or for size 0 never).
void *tm_alloc(size_t size);              // not cleared
void *tm_calloc(size_t count, size_t size);  // cleared; checks the multiplication
void *tm_realloc(void *old, size_t size);
char *tm_strdup(const char *text);
void tm_free(void *memory);

// For tests: let the n-th allocation from now fail (0: none), once or from then on; returns how many happened
// since the last call.
uint64_t tm_alloc_fail_at(uint64_t n, bool persistent);

typedef struct tm_buf {
    char *data;  // NUL-terminated after every add (the NUL is not counted), or NULL while empty
    size_t size;
    size_t capacity;
    bool failed;
} tm_buf;

void tm_buf_clear(tm_buf *buf);  // frees; the buffer can be used again
void tm_buf_reset(tm_buf *buf);  // size 0, keeps memory
bool tm_buf_reserve(tm_buf *buf, size_t more);  // room for `more` bytes; false (and failed) without
void tm_buf_add(tm_buf *buf, const void *data, size_t size);
void tm_buf_str(tm_buf *buf, const char *text);
void tm_buf_char(tm_buf *buf, char c);
void tm_buf_fmt(tm_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tm_buf_le32(tm_buf *buf, uint32_t value);
void tm_buf_le64(tm_buf *buf, uint64_t value);
tm_status tm_buf_status(const tm_buf *buf, tm_error *err);  // TM_ENOMEM if an add failed
static inline tm_view tm_buf_view(const tm_buf *buf)
{
    return (tm_view){buf->data, buf->size};
}

// Little-endian reads from unaligned memory.
static inline uint32_t tm_le32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static inline uint64_t tm_le64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
