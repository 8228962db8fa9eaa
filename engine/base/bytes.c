// SPDX-License-Identifier: Apache-2.0
// Growing buffers and the allocator under them.
#include "engine/base/bytes.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "formats here are little-endian");

static atomic_uint_fast64_t n_allocs, fail_at;
static atomic_bool fail_persistent;

uint64_t tm_alloc_fail_at(uint64_t n, bool persistent)
{
    uint64_t done = atomic_exchange(&n_allocs, 0);
    atomic_store(&fail_persistent, persistent);
    atomic_store(&fail_at, n);
    return done;
}

static bool refused(void)
{
    uint64_t i = atomic_fetch_add_explicit(&n_allocs, 1, memory_order_relaxed) + 1;
    uint64_t at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    return at && (i == at || (i > at && atomic_load(&fail_persistent)));
}

void *tm_alloc(size_t size)
{
    return refused() ? NULL : malloc(size ? size : 1);
}

void *tm_calloc(size_t count, size_t size)
{
    return refused() ? NULL : calloc(count ? count : 1, size ? size : 1);
}

void *tm_realloc(void *old, size_t size)
{
    return refused() ? NULL : realloc(old, size ? size : 1);
}

char *tm_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = tm_alloc(n);
    if (copy) memcpy(copy, text, n);
    return copy;
}

void tm_free(void *memory)
{
    free(memory);
}

void tm_buf_clear(tm_buf *buf)
{
    tm_free(buf->data);
    *buf = (tm_buf){0};
}

void tm_buf_reset(tm_buf *buf)
{
    buf->size = 0;
    buf->failed = false;
    if (buf->data) buf->data[0] = 0;
}

bool tm_buf_reserve(tm_buf *buf, size_t more)
{
    if (buf->failed) return false;
    if (more < buf->capacity && buf->size < buf->capacity - more) return true;
    size_t want = buf->size + more + 1;
    size_t capacity = buf->capacity ? buf->capacity : 64;
    while (capacity < want && capacity < SIZE_MAX / 2) capacity *= 2;
    char *data = want > buf->size && capacity >= want ? tm_realloc(buf->data, capacity) : NULL;
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void tm_buf_add(tm_buf *buf, const void *data, size_t size)
{
    if (!tm_buf_reserve(buf, size)) return;
    if (size) memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    buf->data[buf->size] = 0;
}

void tm_buf_str(tm_buf *buf, const char *text)
{
    tm_buf_add(buf, text, strlen(text));
}

void tm_buf_char(tm_buf *buf, char c)
{
    tm_buf_add(buf, &c, 1);
}

void tm_buf_fmt(tm_buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n >= 0 && tm_buf_reserve(buf, (size_t)n)) {
        vsnprintf(buf->data + buf->size, (size_t)n + 1, format, again);
        buf->size += (size_t)n;
    }
    va_end(again);
}

void tm_buf_le32(tm_buf *buf, uint32_t value)
{
    tm_buf_add(buf, &value, 4);
}

void tm_buf_le64(tm_buf *buf, uint64_t value)
{
    tm_buf_add(buf, &value, 8);
}

tm_status tm_buf_status(const tm_buf *buf, tm_error *err)
{
    return buf->failed ? tm_fail(err, TM_ENOMEM, "out of memory after %zu bytes", buf->size) : TM_OK;
}
