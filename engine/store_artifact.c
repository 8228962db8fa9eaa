// SPDX-License-Identifier: Apache-2.0
// Sealed logs as objects.
#include "engine/store_artifact.h"

#include "engine/store_tree.h"

static const char magic[] = "tidemill-artifact 1\n";
enum { MAGIC = sizeof magic - 1, ENTRY = 32, HAS_TREES = 1 };

static tm_status encode(tm_buf *out, const char *kind, bool trees, const tm_entry *entries, size_t count,
                        tm_error *err)
{
    tm_buf_add(out, magic, MAGIC);
    tm_buf_le32(out, (uint32_t)strlen(kind));
    tm_buf_str(out, kind);
    tm_buf_le32(out, trees ? HAS_TREES : 0);
    tm_buf_le64(out, count);
    for (size_t i = 0; i < count; i++) {
        tm_buf_add(out, entries[i].hash.bytes, 16);
        tm_buf_le64(out, entries[i].rows);
        tm_buf_le64(out, entries[i].bytes);
    }
    return tm_buf_status(out, err);
}

tm_hash tm_artifact_hash(const char *kind, bool trees, const tm_entry *entries, size_t count)
{
    tm_buf bytes = {0};
    tm_hash hash = {{0}};
    if (encode(&bytes, kind, trees, entries, count, NULL) == TM_OK) hash = tm_hash_of(bytes.data, bytes.size);
    tm_buf_clear(&bytes);
    return hash;
}

tm_status tm_artifact_put(tm_store *store, const char *kind, bool trees, const tm_entry *entries,
                          size_t count, tm_hash *hash, tm_error *err)
{
    if (strlen(kind) >= sizeof((tm_artifact *)0)->kind)
        return tm_fail(err, TM_EINVAL, "artifact kind \"%s\" is too long", kind);
    tm_buf bytes = {0};
    tm_status status = encode(&bytes, kind, trees, entries, count, err);
    if (status == TM_OK) status = tm_store_put(store, bytes.data, bytes.size, 0, hash, err);
    tm_buf_clear(&bytes);
    return status;
}

static tm_status decode(tm_view bytes, tm_artifact *a, tm_error *err)
{
    const char *p = bytes.data;
    size_t length = bytes.size >= MAGIC + 4 && memcmp(p, magic, MAGIC) == 0 ? tm_le32(p + MAGIC) : SIZE_MAX;
    if (length >= sizeof a->kind || bytes.size < MAGIC + 4 + length + 12)
        return tm_fail(err, TM_EFORMAT, "the object is not an artifact");
    p += MAGIC + 4;
    memcpy(a->kind, p, length);
    p += length;
    a->trees = tm_le32(p) & HAS_TREES;
    uint64_t count = tm_le64(p + 4);
    p += 12;
    size_t left = bytes.size - (size_t)(p - bytes.data);
    if (count > left / ENTRY || count * ENTRY != left)
        return tm_fail(err, TM_EFORMAT, "the artifact's %zu bytes are not %llu entries", left,
                       (unsigned long long)count);
    a->entries = tm_alloc(count * sizeof *a->entries);
    if (!a->entries)
        return tm_fail(err, TM_ENOMEM, "out of memory for %llu entries", (unsigned long long)count);
    for (a->count = 0; a->count < count; a->count++, p += ENTRY) {
        tm_entry *e = &a->entries[a->count];
        memcpy(e->hash.bytes, p, 16);
        e->rows = tm_le64(p + 16);
        e->bytes = tm_le64(p + 24);
        a->rows += e->rows;
        a->bytes += e->bytes;
    }
    return TM_OK;
}

tm_status tm_artifact_get(tm_store *store, tm_hash hash, tm_artifact *artifact, tm_error *err)
{
    tm_blob blob;
    *artifact = (tm_artifact){0};
    TM_TRY(tm_store_get(store, hash, &blob, err));
    tm_status status = decode(tm_view_of(blob.data, blob.size), artifact, err);
    tm_blob_clear(&blob);
    if (status < 0) tm_artifact_clear(artifact);
    return status;
}

void tm_artifact_clear(tm_artifact *artifact)
{
    tm_free(artifact->entries);
    *artifact = (tm_artifact){0};
}

bool tm_artifact_complete(tm_store *store, tm_hash hash)
{
    tm_artifact a;
    if (tm_artifact_get(store, hash, &a, NULL) < 0) return false;
    bool all = true;
    for (size_t i = 0; i < a.count && all; i++)
        all = a.trees ? tm_tree_complete(store, a.entries[i].hash) : tm_store_has(store, a.entries[i].hash);
    tm_artifact_clear(&a);
    return all;
}
