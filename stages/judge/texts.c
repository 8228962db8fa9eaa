// SPDX-License-Identifier: Apache-2.0
// Documents in memory, and what bzip2 makes of them.
#include "stages/judge/texts.h"

#include <stdlib.h>

#include <archive.h>
#include <archive_entry.h>

#define SMOKE_BYTES (32 << 10)

// Instead of a chunk its first rows: those that a smoke run still wants.
static tm_status shorten(tm_batch **chunk, const tm_texts *texts, tm_error *err)
{
    uint64_t n = texts->n_documents, bytes = texts->n_bytes;
    const tm_type *type = tm_type_find("documents");
    tm_batch *first = tm_batch_new(type->cols, type->n_cols);
    tm_status status = first ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for texts");
    for (size_t row = 0; status >= 0 && row < tm_batch_rows(*chunk); row++) {
        if (n++ >= TM_SMOKE_JUDGED || bytes >= SMOKE_BYTES) break;
        bytes += tm_docs_get(*chunk, row).text.size;
        status = tm_batch_copy_row(first, *chunk, row, err);
    }
    tm_batch_unref(*chunk);
    *chunk = first;
    return status;
}

tm_status tm_texts_take(tm_texts *texts, tm_work *work, const char *port, tm_error *err)
{
    *texts = (tm_texts){0};
    tm_batch *chunk;
    tm_status status;
    while ((status = tm_take(work, port, &chunk, err)) == TM_OK) {
        if (tm_work_smoke(work)) status = shorten(&chunk, texts, err);
        if (status < 0) {
            tm_batch_unref(chunk);
            return status;
        }
        tm_batch **chunks = tm_realloc(texts->chunks, (texts->n_chunks + 1) * sizeof *chunks);
        if (!chunks) {
            tm_batch_unref(chunk);
            return tm_fail(err, TM_ENOMEM, "no memory for texts");
        }
        texts->chunks = chunks;
        chunks[texts->n_chunks++] = chunk;
        texts->n_documents += tm_batch_rows(chunk);
        for (size_t row = 0; row < tm_batch_rows(chunk); row++)
            texts->n_bytes += tm_docs_get(chunk, row).text.size;
    }
    return status < 0 ? status : TM_OK;
}

tm_doc tm_texts_get(const tm_texts *texts, uint64_t i)
{
    size_t chunk = 0;
    while (i >= tm_batch_rows(texts->chunks[chunk])) i -= tm_batch_rows(texts->chunks[chunk++]);
    return tm_docs_get(texts->chunks[chunk], (size_t)i);
}

void tm_texts_clear(tm_texts *texts)
{
    for (size_t i = 0; i < texts->n_chunks; i++) tm_batch_unref(texts->chunks[i]);
    tm_free(texts->chunks);
    *texts = (tm_texts){0};
}

static la_ssize_t count_bytes(struct archive *archive, void *total, const void *data, size_t size)
{
    (void)archive;
    (void)data;
    *(uint64_t *)total += size;
    return (la_ssize_t)size;
}

static bool write_texts(struct archive *archive, const tm_texts *texts)
{
    for (size_t i = 0; i < texts->n_chunks; i++)
        for (size_t row = 0; row < tm_batch_rows(texts->chunks[i]); row++) {
            tm_view text = tm_docs_get(texts->chunks[i], row).text;
            if (archive_write_data(archive, text.data, text.size) < 0) return false;
        }
    return true;
}

tm_status tm_texts_bzip2(const tm_texts *texts, double *bits_per_byte, tm_error *err)
{
    uint64_t total = 0;
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    if (!archive || !entry) {
        archive_entry_free(entry);
        archive_write_free(archive);
        return tm_fail(err, TM_ENOMEM, "no memory for bzip2");
    }
    archive_write_add_filter_bzip2(archive);
    archive_write_set_filter_option(archive, "bzip2", "compression-level", "9");
    archive_write_set_format_raw(archive);
    archive_write_set_bytes_in_last_block(archive, 1);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_pathname(entry, "text");
    bool good = archive_write_open(archive, &total, NULL, count_bytes, NULL) == ARCHIVE_OK &&
                archive_write_header(archive, entry) == ARCHIVE_OK && write_texts(archive, texts) &&
                archive_write_close(archive) == ARCHIVE_OK;
    archive_entry_free(entry);
    archive_write_free(archive);
    if (!good) return tm_fail(err, TM_EIO, "bzip2 failed");
    *bits_per_byte = texts->n_bytes ? (double)total * 8 / (double)texts->n_bytes : 0;
    return TM_OK;
}
