// SPDX-License-Identifier: Apache-2.0
// Putting objects: bytes from memory, in pieces, from files.
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include <zstd.h>

#include "engine/store_impl.h"

enum { PACK_LEVEL = 1, PIECE = 1 << 20 };

// --- Publishing --------------------------------------------------------------------------------------------
static bool pending_room(tm_store *store)
{
    if (store->n_pending < store->pending_capacity) return true;
    size_t capacity = store->pending_capacity ? 2 * store->pending_capacity : 64;
    tm_pending *grown = tm_realloc(store->pending, capacity * sizeof *grown);
    if (!grown) return false;
    store->pending = grown;
    store->pending_capacity = capacity;
    return true;
}

tm_status tm_pending_add(tm_store *store, tm_pending object, tm_error *err)
{
    pthread_mutex_lock(&store->mutex);
    bool there = tm_hash_map_get(&store->is_pending, object.hash, NULL);
    bool ok = there || (pending_room(store) && tm_hash_map_put(&store->is_pending, object.hash, 1));
    if (ok && !there) store->pending[store->n_pending++] = object;
    pthread_mutex_unlock(&store->mutex);
    return ok ? TM_OK : tm_fail(err, TM_ENOMEM, "out of memory noting an object for the next sync");
}

// Use what is there already: young again for gc, good, and to be made durable. TM_ENOENT: it is not (any
// more).
static tm_status reuse(tm_store *store, tm_hash hash, unsigned flags, tm_error *err)
{
    char path[TM_PATH_MAX];
    bool packed;
    struct stat info;
    int fd;
    TM_TRY(tm_object_find(store, hash, path, &packed, &info, err));
    if (packed && flags & TM_PUT_FILE) return TM_ENOENT;
    TM_TRY(tm_store_enter(store, LOCK_SH, &fd, err));
    bool touched = tm_sys.touch(path) == 0;
    tm_status status = touched ? TM_OK : tm_fail_errno(err, "cannot touch %s", path);
    tm_store_leave(fd);
    if (status == TM_OK) status = tm_store_check(store, hash, err);
    if (status == TM_ECORRUPT) return TM_ENOENT;
    return status == TM_OK ? tm_pending_add(store, (tm_pending){hash, packed, true}, err) : status;
}

static tm_status rename_into(tm_store *store, const char *tmp, tm_hash hash, bool packed, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_object_path(store, hash, packed, path, err));
    if (tm_sys.rename_new(tmp, path) == 0) return TM_OK;
    if (errno == ENOENT) {
        char *slash = strrchr(path, '/');
        *slash = 0;
        TM_TRY(tm_dir_make(path, err));
        *slash = '/';
        if (tm_sys.rename_new(tmp, path) == 0) return TM_OK;
    }
    if (errno == EEXIST) return TM_EEXIST;
    return tm_fail_errno(err, "cannot rename %s to %s", tmp, path);
}

// A file of our name is there. When its bytes are bad it goes to trash and ours takes its place.
static tm_status publish_beside(tm_store *store, const char *tmp, tm_hash hash, bool packed, tm_error *err)
{
    char path[TM_PATH_MAX];
    struct stat info;
    tm_status status = reuse(store, hash, packed ? 0 : TM_PUT_FILE, err);
    if (status != TM_ENOENT) {
        tm_sys.unlink(tmp);
        return status;
    }
    // Empty where it must not be: nothing has condemned it yet.
    TM_TRY(tm_object_path(store, hash, packed, path, err));
    if (tm_sys.stat(path, &info) == 0) tm_object_condemn(store, hash, path, NULL);
    status = rename_into(store, tmp, hash, packed, err);
    if (status == TM_EEXIST) status = tm_fail(err, TM_EIO, "cannot replace the damaged %s", path);
    return status == TM_OK ? tm_pending_add(store, (tm_pending){hash, packed, false}, err) : status;
}

tm_status tm_object_publish(tm_store *store, const char *tmp, tm_hash hash, bool packed, tm_error *err)
{
    tm_status status = rename_into(store, tmp, hash, packed, err);
    if (status == TM_EEXIST) status = publish_beside(store, tmp, hash, packed, err);
    else if (status == TM_OK) status = tm_pending_add(store, (tm_pending){hash, packed, false}, err);
    if (status < 0) tm_sys.unlink(tmp);
    return status;
}

// --- Putting -----------------------------------------------------------------------------------------------
static tm_status write_tmp(const char *tmp, const void *data, size_t size, tm_error *err)
{
    int fd;
    TM_TRY(tm_fd_open(tmp, O_WRONLY | O_CREAT | O_EXCL, 0444, &fd, err));
    tm_status status = tm_fd_write(fd, data, size, tmp, err);
    tm_status closed = tm_fd_close(fd, tmp, status == TM_OK ? err : NULL);
    if (status == TM_OK) status = closed;
    if (status < 0) tm_sys.unlink(tmp);
    return status;
}

// The bytes in a zstd frame; NULL when that saves less than a tenth, or without memory.
static char *pack(const void *data, size_t size, size_t *packed_size)
{
    size_t room = ZSTD_compressBound(size);
    char *packed = tm_alloc(room);
    if (!packed) return NULL;
    *packed_size = ZSTD_compress(packed, room, data, size, PACK_LEVEL);
    if (!ZSTD_isError(*packed_size) && *packed_size < size - size / 10) return packed;
    tm_free(packed);
    return NULL;
}

tm_status tm_store_put(tm_store *store, const void *data, size_t size, unsigned flags, tm_hash *hash,
                       tm_error *err)
{
    char tmp[TM_PATH_MAX];
    *hash = tm_hash_of(data, size);
    TM_TRY(tm_store_tmp(store, tmp, err));
    tm_status status = reuse(store, *hash, flags, err);
    if (status != TM_ENOENT) return status;
    bool may_pack = flags & TM_PUT_COMPRESS && !(flags & TM_PUT_FILE) && size > 64 && size <= TM_PACK_UP_TO;
    size_t packed_size;
    char *packed = may_pack ? pack(data, size, &packed_size) : NULL;
    status = write_tmp(tmp, packed ? packed : data, packed ? packed_size : size, err);
    if (status == TM_OK) status = tm_object_publish(store, tmp, *hash, packed != NULL, err);
    tm_free(packed);
    return status;
}

// --- Putting in pieces -------------------------------------------------------------------------------------
struct tm_store_writer {
    tm_store *store;
    char tmp[TM_PATH_MAX];
    int fd;
    uint64_t expected, written;
    tm_hasher *hasher;
};

static void free_writer(tm_store_writer *writer)
{
    if (writer->hasher) tm_hasher_free(writer->hasher);
    tm_free(writer);
}

static tm_status begin_writer(tm_store_writer *writer, tm_error *err)
{
    writer->hasher = tm_hasher_new();
    if (!writer->hasher) return tm_fail(err, TM_ENOMEM, "out of memory beginning an object");
    TM_TRY(tm_store_tmp(writer->store, writer->tmp, err));
    TM_TRY(tm_fd_open(writer->tmp, O_WRONLY | O_CREAT | O_EXCL, 0444, &writer->fd, err));
    if (writer->expected == 0) return TM_OK;
    int rc;
    do rc = tm_sys.fallocate(writer->fd, 0, 0, (off_t)writer->expected);
    while (rc != 0 && errno == EINTR);
    if (rc == 0 || errno == EOPNOTSUPP || errno == ENOSYS) return TM_OK;
    return tm_fail_errno(err, "cannot reserve %llu bytes for %s", (unsigned long long)writer->expected,
                         writer->tmp);
}

tm_status tm_store_writer_new(tm_store *store, uint64_t expected, tm_store_writer **writer, tm_error *err)
{
    *writer = NULL;
    tm_store_writer *w = tm_calloc(1, sizeof *w);
    if (!w) return tm_fail(err, TM_ENOMEM, "out of memory beginning an object");
    w->store = store;
    w->expected = expected;
    w->fd = -1;
    tm_status status = begin_writer(w, err);
    if (status < 0) tm_store_writer_abort(w);
    else *writer = w;
    return status;
}

tm_status tm_store_writer_add(tm_store_writer *writer, const void *data, size_t size, tm_error *err)
{
    tm_hasher_add(writer->hasher, data, size);
    writer->written += size;
    return tm_fd_write(writer->fd, data, size, writer->tmp, err);
}

static tm_status end_writer(tm_store_writer *writer, tm_error *err)
{
    tm_status status = TM_OK;
    if (writer->written < writer->expected && tm_sys.ftruncate(writer->fd, (off_t)writer->written) != 0)
        status = tm_fail_errno(err, "cannot cut %s", writer->tmp);
    tm_status closed = tm_fd_close(writer->fd, writer->tmp, status == TM_OK ? err : NULL);
    writer->fd = -1;
    return status == TM_OK ? closed : status;
}

tm_status tm_store_writer_commit(tm_store_writer *writer, tm_hash *hash, uint64_t *bytes, tm_error *err)
{
    *hash = tm_hasher_end(writer->hasher);
    if (bytes) *bytes = writer->written;
    tm_status status = end_writer(writer, err);
    if (status < 0) {
        tm_store_writer_abort(writer);
        return status;
    }
    status = tm_object_publish(writer->store, writer->tmp, *hash, false, err);
    free_writer(writer);
    return status;
}

void tm_store_writer_abort(tm_store_writer *writer)
{
    if (!writer) return;
    if (writer->fd >= 0) tm_sys.close(writer->fd);
    if (writer->tmp[0]) tm_sys.unlink(writer->tmp);
    free_writer(writer);
}

// --- Putting files -----------------------------------------------------------------------------------------
static tm_status hash_file(const char *path, tm_hash *hash, uint64_t *bytes, tm_error *err)
{
    int fd;
    TM_TRY(tm_fd_open(path, O_RDONLY, 0, &fd, err));
    tm_hasher *hasher = tm_hasher_new();
    char *piece = tm_alloc(PIECE);
    tm_status status = hasher && piece ? TM_OK : tm_fail(err, TM_ENOMEM, "out of memory hashing %s", path);
    size_t got = PIECE;
    for (*bytes = 0; status == TM_OK && got == PIECE; *bytes += got) {
        status = tm_fd_pread(fd, piece, PIECE, (off_t)*bytes, &got, path, err);
        if (status == TM_OK) tm_hasher_add(hasher, piece, got);
    }
    if (status == TM_OK) *hash = tm_hasher_end(hasher);
    if (hasher) tm_hasher_free(hasher);
    tm_free(piece);
    tm_sys.close(fd);
    return status;
}

// The bytes of `path` as a read-only file at `tmp`.
static tm_status bring(const char *path, const char *tmp, bool take, tm_error *err)
{
    if (take && tm_sys.rename(path, tmp) == 0) {
        if (tm_sys.chmod(tmp, 0444) == 0) return TM_OK;
        tm_status status = tm_fail_errno(err, "cannot make %s read-only", tmp);
        tm_sys.unlink(tmp);
        return status;
    }
    TM_TRY(tm_file_copy(path, tmp, 0444, err));
    return take ? tm_file_remove(path, err) : TM_OK;
}

tm_status tm_store_put_file(tm_store *store, const char *path, bool take, tm_hash *hash, uint64_t *bytes,
                            tm_error *err)
{
    char tmp[TM_PATH_MAX];
    uint64_t size = 0;
    struct stat info;
    if (tm_sys.lstat(path, &info) != 0) return tm_fail_errno(err, "cannot stat %s", path);
    if (!S_ISREG(info.st_mode)) return tm_fail(err, TM_EINVAL, "%s is not a file", path);
    TM_TRY(tm_store_tmp(store, tmp, err));
    TM_TRY(bring(path, tmp, take, err));
    tm_status status = hash_file(tmp, hash, &size, err);
    if (status == TM_OK) status = tm_object_publish(store, tmp, *hash, false, err);
    else tm_sys.unlink(tmp);
    if (bytes) *bytes = size;
    return status;
}
