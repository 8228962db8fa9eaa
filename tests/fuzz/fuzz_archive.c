// SPDX-License-Identifier: Apache-2.0
// Archives: any bytes are read to an end or an error, within limits, and every file opened is closed.
#include "stages/format/archive.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

typedef struct memory {
    const uint8_t *data;
    size_t size, at;
    int opened;
} memory;

static tm_status memory_kind(void *self, const char *path, tm_file_kind *kind, tm_error *err)
{
    (void)self, (void)path, (void)err;
    *kind = TM_FILE_PLAIN;
    return TM_OK;
}

static tm_status memory_open(void *self, const char *path, void **file, tm_error *err)
{
    (void)path, (void)err;
    memory *m = *file = self;
    m->at = 0;
    m->opened++;
    return TM_OK;
}

static tm_status memory_read(void *file, void *data, size_t size, size_t *got, tm_error *err)
{
    (void)err;
    memory *m = file;
    size_t left = m->at < m->size ? m->size - m->at : 0;
    *got = left < size ? left : size;
    if (*got) memcpy(data, m->data + m->at, *got);
    m->at += *got;
    return TM_OK;
}

static tm_status memory_seek(void *file, uint64_t offset, tm_error *err)
{
    (void)err;
    ((memory *)file)->at = (size_t)offset;
    return TM_OK;
}

static tm_status memory_size(void *file, uint64_t *size, tm_error *err)
{
    (void)err;
    *size = ((memory *)file)->size;
    return TM_OK;
}

static void memory_close(void *file)
{
    ((memory *)file)->opened--;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memory m = {data, size, 0, 0};
    tm_files files = {&m,          memory_kind, NULL,        memory_open,
                      memory_read, memory_seek, memory_size, memory_close};
    tm_archive_options options = {.member_bytes = 1 << 20, .total_bytes = 4 << 20, .n_members = 100};
    tm_archive *in;
    tm_member member;
    tm_buf bytes = {0};
    if (tm_archive_open(&in, "x", &files, &options, NULL) < 0) return 0;
    while (tm_archive_next(in, &member, NULL) == TM_OK) {
        tm_buf_reset(&bytes);
        if (tm_archive_read_all(in, &bytes, NULL) < 0) break;
    }
    tm_archive_close(in);
    if (m.opened) abort();
    tm_buf_clear(&bytes);
    return 0;
}
