// SPDX-License-Identifier: Apache-2.0
// From visible to durable: files, then their folders, then the keys.
#include <errno.h>
#include <fcntl.h>

#include "engine/store_artifact.h"
#include "engine/store_impl.h"
#include "engine/store_tree.h"

// What one sync works on; the handle collects the next batch meanwhile.
typedef struct batch {
    tm_pending *objects;
    size_t count;
    bool dirty[256];  // objects/ab has news
    size_t lost, later;
    tm_error first, not_now;  // why the first was lost, or put off
} batch;

static void take_batch(tm_store *store, batch *b)
{
    pthread_mutex_lock(&store->mutex);
    b->objects = store->pending;
    b->count = store->n_pending;
    store->pending = NULL;
    store->n_pending = store->pending_capacity = 0;
    tm_hash_map_clear(&store->is_pending);
    pthread_mutex_unlock(&store->mutex);
}

static tm_status sync_file(const char *path, bool *bad, tm_error *err)
{
    int fd;
    tm_status status = tm_fd_open(path, O_RDONLY, 0, &fd, err);
    *bad = status == TM_ENOENT;
    TM_TRY(status);
    status = tm_fd_sync(fd, false, path, err);
    *bad = status < 0;
    tm_sys.close(fd);
    return status;
}

// After a failed fsync the bytes on disk are not known, and asking again proves nothing. But the bytes in
// memory are, by their name: they go into a new file.
static tm_status write_anew(tm_store *store, const tm_pending *object, const char *path, tm_error *err)
{
    char tmp[TM_PATH_MAX];
    tm_blob blob;
    bool bad;
    TM_TRY(tm_store_get(store, object->hash, &blob, err));
    tm_blob_clear(&blob);
    TM_TRY(tm_store_tmp(store, tmp, err));
    TM_TRY(tm_file_copy(path, tmp, 0444, err));
    tm_status status = sync_file(tmp, &bad, err);
    if (status == TM_OK && tm_sys.rename(tmp, path) != 0)
        status = tm_fail_errno(err, "cannot rename %s to %s", tmp, path);
    if (status < 0) tm_sys.unlink(tmp);
    return status;
}

// Away with what could not be made durable, so that it is put again; but not with what others rely on.
static void lose(tm_store *store, batch *b, const tm_pending *object, const tm_error *why)
{
    char path[TM_PATH_MAX];
    if (b->lost++ == 0) b->first = *why;
    if (!object->reused && tm_object_path(store, object->hash, object->packed, path, NULL) == TM_OK)
        tm_sys.unlink(path);
}

// The file could not be opened just now (too many open files): it stays pending.
static void put_off(tm_store *store, batch *b, const tm_pending *object, const tm_error *why)
{
    tm_error none;
    if (tm_pending_add(store, *object, &none) < 0) lose(store, b, object, why);
    else if (b->later++ == 0) b->not_now = *why;
}

static void sync_files(tm_store *store, batch *b)
{
    char path[TM_PATH_MAX];
    for (size_t i = 0; i < b->count; i++) {
        tm_error why = {0};
        bool bad = false;
        const tm_pending *object = &b->objects[i];
        tm_status status = tm_object_path(store, object->hash, object->packed, path, &why);
        if (status == TM_OK) status = sync_file(path, &bad, &why);
        if (bad && status != TM_ENOENT) status = write_anew(store, object, path, NULL);
        if (status == TM_OK) b->dirty[object->hash.bytes[0]] = true;
        else if (bad) lose(store, b, object, &why);
        else put_off(store, b, object, &why);
    }
}

static void lose_folder(tm_store *store, batch *b, int prefix, const tm_error *why)
{
    for (size_t i = 0; i < b->count; i++)
        if (prefix < 0 || b->objects[i].hash.bytes[0] == prefix) lose(store, b, &b->objects[i], why);
}

static void sync_folders(tm_store *store, batch *b)
{
    char path[TM_PATH_MAX];
    bool new_folder = false;
    for (int prefix = 0; prefix < 256; prefix++) {
        tm_error why = {0};
        if (!b->dirty[prefix]) continue;
        tm_status status = tm_store_at(store, path, &why, "objects/%02x", prefix);
        if (status == TM_OK) status = tm_dir_sync(path, &why);
        if (status < 0) lose_folder(store, b, prefix, &why);
        else new_folder |= !store->placed[prefix];
    }
    tm_error why = {0};
    tm_status status = new_folder ? tm_store_at(store, path, &why, "objects") : TM_OK;
    if (new_folder && status == TM_OK) status = tm_dir_sync(path, &why);
    if (status < 0) lose_folder(store, b, -1, &why);
    else
        for (int prefix = 0; prefix < 256; prefix++) store->placed[prefix] |= b->dirty[prefix];
}

static tm_status sync_objects(tm_store *store, tm_error *err)
{
    batch b = {0};
    take_batch(store, &b);
    if (b.count == 0) return TM_OK;
    sync_files(store, &b);
    sync_folders(store, &b);
    tm_free(b.objects);
    if (b.lost == 0 && b.later == 0) return TM_OK;
    if (b.lost == 0) {
        if (err) *err = b.not_now;
        return b.not_now.status;
    }
    if (err) {
        *err = b.first;
        tm_error_prefix(err, "%zu of %zu new objects are lost", b.lost, b.count);
    }
    return b.first.status;
}

tm_status tm_store_sync(tm_store *store, tm_error *err)
{
    // A second caller waits, because the first may be at work on what the second has put.
    pthread_mutex_lock(&store->syncing);
    tm_status status = sync_objects(store, err);
    pthread_mutex_unlock(&store->syncing);
    if (status < 0) return status;
    return store->keys.ledger ? tm_ledger_sync(store->keys.ledger, err) : TM_OK;
}

// --- Claiming ----------------------------------------------------------------------------------------------
static tm_status claim(tm_store *store, tm_hash hash, tm_error *err)
{
    char path[TM_PATH_MAX];
    bool packed;
    struct stat info;
    TM_TRY(tm_object_find(store, hash, path, &packed, &info, err));
    return tm_pending_add(store, (tm_pending){hash, packed, true}, err);
}

static tm_status claim_tree(tm_store *store, tm_hash hash, tm_error *err)
{
    tm_tree tree;
    TM_TRY(tm_tree_get(store, hash, &tree, err));
    tm_status status = TM_OK;
    for (size_t i = 0; i < tree.count && status == TM_OK; i++) status = claim(store, tree.files[i].hash, err);
    tm_tree_clear(&tree);
    return status == TM_OK ? claim(store, hash, err) : status;
}

static tm_status claim_artifact(tm_store *store, tm_hash hash, tm_error *err)
{
    tm_artifact a;
    TM_TRY(tm_artifact_get(store, hash, &a, err));
    tm_status status = TM_OK;
    for (size_t i = 0; i < a.count && status == TM_OK; i++)
        status = (a.trees ? claim_tree : claim)(store, a.entries[i].hash, err);
    tm_artifact_clear(&a);
    return status == TM_OK ? claim(store, hash, err) : status;
}

tm_status tm_store_claim(tm_store *store, const tm_hash *hashes, size_t count, tm_error *err)
{
    TM_TRY(tm_store_writable(store, err));
    for (size_t i = 0; i < count; i++) {
        tm_object_kind kind;
        TM_TRY(tm_object_kind_of(store, hashes[i], &kind, err));
        if (kind == TM_OBJECT_ARTIFACT) TM_TRY(claim_artifact(store, hashes[i], err));
        else if (kind == TM_OBJECT_TREE) TM_TRY(claim_tree(store, hashes[i], err));
        else TM_TRY(claim(store, hashes[i], err));
    }
    return TM_OK;
}
