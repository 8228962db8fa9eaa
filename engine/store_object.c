// SPDX-License-Identifier: Apache-2.0
// Objects: finding them, reading them, checking them against their names.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include <zstd.h>

#include "engine/store_impl.h"

enum { MAP_FROM = 8 << 20 };  // raw objects of this size and more are mapped, not read

// --- Where objects are -------------------------------------------------------------------------------------
tm_status tm_object_path(const tm_store *store, tm_hash hash, bool packed, char path[TM_PATH_MAX],
                         tm_error *err)
{
    char hex[TM_HASH_HEX];
    tm_hash_hex(hash, hex);
    return tm_store_at(store, path, err, "objects/%.2s/%s%s", hex, hex + 2, packed ? ".z" : "");
}

static tm_status missing(tm_hash hash, tm_error *err)
{
    char hex[TM_HASH_HEX];
    tm_hash_hex(hash, hex);
    return tm_fail_as(err, TM_ENOENT, "TM0509", "object %s is not in the store", hex);
}

tm_status tm_object_find(const tm_store *store, tm_hash hash, char path[TM_PATH_MAX], bool *packed,
                         struct stat *info, tm_error *err)
{
    for (int i = 0; i < 2; i++) {
        *packed = i == 1;
        TM_TRY(tm_object_path(store, hash, *packed, path, err));
        if (tm_sys.stat(path, info) == 0) {
            // A file that lost its bytes in a power cut is as good as none.
            if (info->st_size > 0 || tm_hash_eq(hash, tm_hash_of("", 0))) return TM_OK;
        } else if (errno != ENOENT) {
            return tm_fail_errno(err, "cannot stat %s", path);
        }
    }
    return missing(hash, err);
}

bool tm_store_has(tm_store *store, tm_hash hash)
{
    char path[TM_PATH_MAX];
    bool packed;
    struct stat info;
    return tm_object_find(store, hash, path, &packed, &info, NULL) == TM_OK;
}

tm_status tm_store_path(tm_store *store, tm_hash hash, char path[TM_PATH_MAX], tm_error *err)
{
    bool packed;
    struct stat info;
    TM_TRY(tm_object_find(store, hash, path, &packed, &info, err));
    if (!packed) return TM_OK;
    char hex[TM_HASH_HEX];
    tm_hash_hex(hash, hex);
    return tm_fail(err, TM_ENOENT, "object %s is compressed, so it has no path", hex);
}

tm_status tm_object_kind_of(const tm_store *store, tm_hash hash, tm_object_kind *kind, tm_error *err)
{
    char path[TM_PATH_MAX], head[20] = {0};
    size_t got = 0;
    int fd;
    *kind = TM_OBJECT_ABSENT;
    TM_TRY(tm_object_path(store, hash, false, path, err));
    tm_status status = tm_fd_open(path, O_RDONLY, 0, &fd, err);
    if (status == TM_ENOENT) {
        struct stat info;
        TM_TRY(tm_object_path(store, hash, true, path, err));
        if (tm_sys.stat(path, &info) == 0) *kind = TM_OBJECT_PLAIN;
        else if (errno != ENOENT) return tm_fail_errno(err, "cannot stat %s", path);
        return TM_OK;
    }
    TM_TRY(status);
    status = tm_fd_pread(fd, head, sizeof head, 0, &got, path, err);
    tm_sys.close(fd);
    if (memcmp(head, "tidemill-artifact 1\n", 20) == 0) *kind = TM_OBJECT_ARTIFACT;
    else if (memcmp(head, "tidemill-tree 1\n", 16) == 0) *kind = TM_OBJECT_TREE;
    else *kind = TM_OBJECT_PLAIN;
    return status;
}

// --- Reading -----------------------------------------------------------------------------------------------
tm_status tm_object_condemn(tm_store *store, tm_hash hash, const char *path, tm_error *err)
{
    char hex[TM_HASH_HEX], to[TM_PATH_MAX];
    tm_hash_hex(hash, hex);
    tm_fail(err, TM_ECORRUPT, "object %s does not match its name: %s", hex, path);
    tm_hint(err, "it was moved aside, and the next run makes it again; `tidemill verify` finds what else is "
                 "damaged");
    if (store->flags & TM_STORE_READ_ONLY) return TM_ECORRUPT;
    if (tm_store_at(store, to, NULL, "trash/%s-%lld", hex, (long long)tm_time_ns()) == TM_OK)
        tm_sys.rename(path, to);
    return TM_ECORRUPT;
}

static tm_status read_bytes(int fd, size_t size, const char *path, tm_blob *blob, tm_error *err)
{
    char *data = tm_alloc(size + 1);
    size_t got;
    if (!data) return tm_fail(err, TM_ENOMEM, "out of memory for %zu bytes of %s", size, path);
    tm_status status = tm_fd_pread(fd, data, size, 0, &got, path, err);
    if (status < 0) {
        tm_free(data);
        return status;
    }
    data[got] = 0;
    *blob = (tm_blob){data, got, false};
    return TM_OK;
}

static tm_status map_bytes(int fd, size_t size, const char *path, tm_blob *blob, tm_error *err)
{
    void *data = tm_sys.mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (data == MAP_FAILED) return tm_fail_errno(err, "cannot map %s", path);
    *blob = (tm_blob){data, size, true};
    return TM_OK;
}

static tm_status read_stored(const char *path, bool packed, tm_blob *blob, tm_error *err)
{
    int fd;
    struct stat info;
    TM_TRY(tm_fd_open(path, O_RDONLY, 0, &fd, err));
    tm_status status = TM_OK;
    if (tm_sys.fstat(fd, &info) != 0) status = tm_fail_errno(err, "cannot stat %s", path);
    else if (!packed && info.st_size >= MAP_FROM)
        status = map_bytes(fd, (size_t)info.st_size, path, blob, err);
    else status = read_bytes(fd, (size_t)info.st_size, path, blob, err);
    tm_sys.close(fd);
    return status;
}

// Replaces the stored bytes in `blob` by the canonical ones; TM_ECORRUPT (without text) when that fails.
static tm_status unpack(tm_blob *blob, tm_error *err)
{
    unsigned long long size = ZSTD_getFrameContentSize(blob->data, blob->size);
    if (size > TM_PACK_UP_TO) return TM_ECORRUPT;  // unknown and error are huge values
    char *data = tm_alloc(size + 1);
    if (!data) return tm_fail(err, TM_ENOMEM, "out of memory for %llu bytes of an object", size);
    if (ZSTD_decompress(data, size, blob->data, blob->size) != size) {
        tm_free(data);
        return TM_ECORRUPT;
    }
    data[size] = 0;
    tm_blob_clear(blob);
    *blob = (tm_blob){data, size, false};
    return TM_OK;
}

static tm_status get_at(tm_store *store, tm_hash hash, bool packed, tm_blob *blob, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_object_path(store, hash, packed, path, err));
    TM_TRY(read_stored(path, packed, blob, err));
    tm_status status = packed ? unpack(blob, err) : TM_OK;
    if (status == TM_OK && !tm_hash_eq(tm_hash_of(blob->data, blob->size), hash)) status = TM_ECORRUPT;
    if (status < 0) tm_blob_clear(blob);
    return status == TM_ECORRUPT ? tm_object_condemn(store, hash, path, err) : status;
}

tm_status tm_store_get(tm_store *store, tm_hash hash, tm_blob *blob, tm_error *err)
{
    *blob = (tm_blob){0};
    tm_status status = get_at(store, hash, false, blob, err);
    if (status == TM_ENOENT) status = get_at(store, hash, true, blob, err);
    return status == TM_ENOENT ? missing(hash, err) : status;
}

void tm_blob_clear(tm_blob *blob)
{
    if (blob->mapped) tm_sys.munmap((void *)blob->data, blob->size);
    else tm_free((void *)blob->data);
    *blob = (tm_blob){0};
}

// --- Checking ----------------------------------------------------------------------------------------------
static uint64_t stat_key(const struct stat *info)
{
    uint64_t parts[] = {info->st_dev, info->st_ino, (uint64_t)info->st_size, (uint64_t)info->st_mtim.tv_sec,
                        (uint64_t)info->st_mtim.tv_nsec};
    return tm_hash64(parts, sizeof parts, 0);
}

static void remember_good(tm_store *store, tm_hash hash, const struct stat *info)
{
    pthread_mutex_lock(&store->mutex);
    tm_hash_map_put(&store->verified, hash, stat_key(info));  // without memory it is only read again
    pthread_mutex_unlock(&store->mutex);
}

static bool known_good(tm_store *store, tm_hash hash, const struct stat *info)
{
    uint64_t key = 0;
    pthread_mutex_lock(&store->mutex);
    bool known = tm_hash_map_get(&store->verified, hash, &key) && key == stat_key(info);
    pthread_mutex_unlock(&store->mutex);
    return known;
}

tm_status tm_store_check(tm_store *store, tm_hash hash, tm_error *err)
{
    char path[TM_PATH_MAX];
    bool packed;
    struct stat info;
    tm_blob blob;
    TM_TRY(tm_object_find(store, hash, path, &packed, &info, err));
    if (known_good(store, hash, &info)) return TM_OK;
    TM_TRY(tm_store_get(store, hash, &blob, err));
    tm_blob_clear(&blob);
    remember_good(store, hash, &info);
    return TM_OK;
}
