// SPDX-License-Identifier: Apache-2.0
// Opening a store: its folders, its session, its lock.
#include "engine/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "engine/store_impl.h"

static const char format_text[] = "tidemill store 1\n";
static const char *const parts[] = {"objects", "logs", "memo", "trees", "leases",
                                    "runs",    "pins", "tmp",  "trash"};
enum { N_PARTS = sizeof parts / sizeof *parts };

tm_status tm_store_at(const tm_store *store, char path[TM_PATH_MAX], tm_error *err, const char *format, ...)
{
    size_t n = strlen(store->folder);
    memcpy(path, store->folder, n);
    path[n++] = '/';
    va_list args;
    va_start(args, format);
    int more = vsnprintf(path + n, TM_PATH_MAX - n, format, args);
    va_end(args);
    if (more < 0 || (size_t)more >= TM_PATH_MAX - n)
        return tm_fail(err, TM_EINVAL, "a path in the store %s is too long", store->folder);
    return TM_OK;
}

// --- Making ------------------------------------------------------------------------------------------------
static bool ours(const char *name)
{
    for (int i = 0; i < N_PARTS; i++)
        if (strcmp(name, parts[i]) == 0) return true;
    return strcmp(name, "lock") == 0 || strcmp(name, "gc-lock") == 0 || strncmp(name, "format", 6) == 0;
}

// A folder with things in it that are not ours does not become a store.
static tm_status must_be_free(const char *folder, tm_error *err)
{
    tm_names names;
    TM_TRY(tm_dir_list(folder, &names, err));
    tm_status status = TM_OK;
    for (size_t i = 0; i < names.count && status == TM_OK; i++)
        if (!ours(names.names[i]))
            status = tm_fail_as(err, TM_EFORMAT, "TM0501", "%s is not a store, and not empty: it has \"%s\"",
                                folder, names.names[i]);
    if (status < 0) tm_hint(err, "name a store, or a new or empty folder, with --store");
    tm_names_clear(&names);
    return status;
}

static tm_status make(const tm_store *store, const char *format_path, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_dir_make(store->folder, err));
    TM_TRY(must_be_free(store->folder, err));
    for (int i = 0; i < N_PARTS; i++) {
        TM_TRY(tm_store_at(store, path, err, "%s", parts[i]));
        TM_TRY(tm_dir_make(path, err));
    }
    int fd;
    TM_TRY(tm_store_at(store, path, err, "lock"));
    TM_TRY(tm_fd_open(path, O_RDWR | O_CREAT, 0666, &fd, err));
    TM_TRY(tm_fd_close(fd, path, err));
    // With the format file all the rest is there: it gets its name after the other names are durable.
    TM_TRY(tm_dir_sync(store->folder, err));
    TM_TRY(tm_file_write(format_path, format_text, strlen(format_text), true, err));
    TM_TRY(tm_store_at(store, path, err, ".."));
    return tm_dir_sync(path, err);
}

static tm_status check_format(tm_store *store, tm_error *err)
{
    char path[TM_PATH_MAX];
    tm_buf text = {0};
    TM_TRY(tm_store_at(store, path, err, "format"));
    tm_status status = tm_file_read(path, &text, err);
    if (status == TM_EIO && err && err->sys == ENOTDIR) {
        tm_fail_as(err, TM_EINVAL, "TM0501", "%s is a file, or lies in one, and a store is a folder",
                   store->folder);
        tm_hint(err, "name a store, or a new or empty folder, with --store");
        return TM_EINVAL;
    }
    if (status == TM_ENOENT && store->flags & TM_STORE_CREATE) {
        tm_buf_clear(&text);
        return make(store, path, err);
    }
    if (status == TM_ENOENT && store->flags & TM_STORE_MAYBE) {
        tm_buf_clear(&text);
        store->flags |= TM_STORE_READ_ONLY;
        return TM_OK;
    }
    if (status == TM_ENOENT) {
        tm_fail_as(err, TM_ENOENT, "TM0501", "there is no store at %s", store->folder);
        tm_hint(err, "run a graph first, or name the store with --store");
    }
    if (status == TM_OK && !tm_view_eq(tm_buf_view(&text), tm_view_str(format_text))) {
        const char *has = text.data ? text.data : "";
        status = tm_fail_as(err, TM_EFORMAT, "TM0503", "the store %s is of another version", store->folder);
        tm_why(err, "%s says \"%.*s\", and this program knows \"%.16s\"", path,
               (int)(strcspn(has, "\n") < 40 ? strcspn(has, "\n") : 40), has, format_text);
        tm_hint(err, "use the program that made it, or another store: --store DIR");
    }
    tm_buf_clear(&text);
    return status;
}

// --- Handles -----------------------------------------------------------------------------------------------
static tm_status open_in(tm_store *store, const char *folder, tm_error *err)
{
    if (strlen(folder) > TM_PATH_MAX - 512)
        return tm_fail(err, TM_EINVAL, "the path of the store is too long: %.80s...", folder);
    TM_TRY(tm_path(store->folder, err, "%s", folder));
    TM_TRY(check_format(store, err));
    bool forbidden = faccessat(AT_FDCWD, store->folder, W_OK, AT_EACCESS) != 0;
    if (forbidden && !(store->flags & TM_STORE_CREATE)) store->flags |= TM_STORE_READ_ONLY;
    return store->flags & TM_STORE_NO_KEYS ? TM_OK : tm_keys_open(store, err);
}

tm_status tm_store_open(const char *folder, unsigned flags, tm_store **store, tm_error *err)
{
    *store = NULL;
    tm_store *s = tm_calloc(1, sizeof *s);
    if (!s) return tm_fail(err, TM_ENOMEM, "out of memory opening the store %s", folder);
    s->flags = flags;
    s->pin_fd = -1;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_mutex_init(&s->syncing, NULL);
    tm_status status = open_in(s, folder, err);
    if (status < 0) {
        tm_store_close(s);
        return status;
    }
    *store = s;
    return TM_OK;
}

static void end_session(tm_store *store)
{
    char path[TM_PATH_MAX];
    if (store->pin_fd < 0) return;
    if (tm_store_at(store, path, NULL, "pins/%s", store->session) == TM_OK) tm_sys.unlink(path);
    tm_sys.close(store->pin_fd);
}

void tm_store_close(tm_store *store)
{
    if (!store) return;
    if (store->scratch[0]) tm_dir_remove(store->scratch, NULL);
    end_session(store);
    tm_keys_close(store);
    tm_hash_map_clear(&store->pinned);
    tm_hash_map_clear(&store->is_pending);
    tm_hash_map_clear(&store->verified);
    tm_free(store->pending);
    pthread_mutex_destroy(&store->mutex);
    pthread_mutex_destroy(&store->syncing);
    tm_free(store);
}

const char *tm_store_folder(const tm_store *store)
{
    return store->folder;
}

// --- Lock, session, pins -----------------------------------------------------------------------------------
tm_status tm_store_enter(tm_store *store, int operation, int *fd, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_store_at(store, path, err, "lock"));
    TM_TRY(tm_fd_open(path, O_RDWR | O_CREAT, 0666, fd, err));
    tm_status status = tm_fd_lock(*fd, operation, path, err);
    if (status < 0) tm_sys.close(*fd);
    return status;
}

void tm_store_leave(int fd)
{
    tm_sys.close(fd);
}

tm_status tm_store_writable(const tm_store *store, tm_error *err)
{
    if (!(store->flags & TM_STORE_READ_ONLY)) return TM_OK;
    return tm_fail_as(err, TM_EINVAL, "TM0501", "the store %s was opened for reading only", store->folder);
}

static tm_status make_session(tm_store *store, tm_error *err)
{
    uint64_t id;
    char path[TM_PATH_MAX];
    if (tm_sys.random(&id, sizeof id) != sizeof id) return tm_fail_errno(err, "no random bytes");
    snprintf(store->session, sizeof store->session, "%016llx", (unsigned long long)id);
    TM_TRY(tm_store_at(store, path, err, "pins/%s", store->session));
    TM_TRY(tm_fd_open(path, O_RDWR | O_CREAT | O_EXCL, 0666, &store->pin_fd, err));
    tm_status status = tm_fd_lock(store->pin_fd, LOCK_EX, path, err);
    if (status < 0) {
        tm_sys.unlink(path);
        tm_sys.close(store->pin_fd);
        store->pin_fd = -1;
    }
    return status;
}

// With the mutex. The lock keeps gc from taking the file, not locked yet, for one of a dead process.
static tm_status session_locked(tm_store *store, tm_error *err)
{
    if (store->pin_fd >= 0) return TM_OK;
    int fd;
    TM_TRY(tm_store_writable(store, err));
    TM_TRY(tm_store_enter(store, LOCK_SH, &fd, err));
    tm_status status = make_session(store, err);
    tm_store_leave(fd);
    return status;
}

tm_status tm_store_session(tm_store *store, tm_error *err)
{
    pthread_mutex_lock(&store->mutex);
    tm_status status = session_locked(store, err);
    pthread_mutex_unlock(&store->mutex);
    return status;
}

// A pin in memory: how often it was pinned, and its place in the file, of 16 bytes.
enum { PIN_ONCE = 1 };
#define PIN_COUNT(value) ((uint32_t)(value))
#define PIN_SLOT(value) ((value) >> 32)

static tm_status write_pin(tm_store *store, uint64_t slot, tm_hash hash, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_store_at(store, path, err, "pins/%s", store->session));
    return tm_fd_pwrite(store->pin_fd, hash.bytes, sizeof hash.bytes, (off_t)(slot * sizeof hash.bytes), path,
                        err);
}

static tm_status new_pin(tm_store *store, uint64_t slot, tm_hash hash, tm_error *err)
{
    int fd;
    TM_TRY(tm_store_enter(store, LOCK_SH, &fd, err));
    tm_status status = write_pin(store, slot, hash, err);
    tm_store_leave(fd);
    if (status == TM_OK && slot == store->n_pins) store->n_pins++;
    return status;
}

static tm_status pin_locked(tm_store *store, tm_hash hash, tm_error *err)
{
    uint64_t pin = store->n_pins << 32;
    TM_TRY(session_locked(store, err));
    tm_hash_map_get(&store->pinned, hash, &pin);
    if (PIN_COUNT(pin) == 0) TM_TRY(new_pin(store, PIN_SLOT(pin), hash, err));
    if (tm_hash_map_put(&store->pinned, hash, pin + PIN_ONCE)) return TM_OK;
    return tm_fail(err, TM_ENOMEM, "out of memory pinning an object");
}

static tm_status unpin_locked(tm_store *store, tm_hash hash, tm_error *err)
{
    uint64_t pin = 0;
    if (!tm_hash_map_get(&store->pinned, hash, &pin) || PIN_COUNT(pin) == 0) return TM_OK;
    tm_hash_map_put(&store->pinned, hash, pin - PIN_ONCE);  // it has a place in the map already
    return PIN_COUNT(pin) > 1 ? TM_OK : write_pin(store, PIN_SLOT(pin), (tm_hash){{0}}, err);
}

tm_status tm_store_pin(tm_store *store, tm_hash hash, tm_error *err)
{
    if (store->flags & TM_STORE_READ_ONLY) return TM_OK;
    pthread_mutex_lock(&store->mutex);
    tm_status status = pin_locked(store, hash, err);
    pthread_mutex_unlock(&store->mutex);
    return status;
}

tm_status tm_store_unpin(tm_store *store, tm_hash hash, tm_error *err)
{
    if (store->flags & TM_STORE_READ_ONLY) return TM_OK;
    pthread_mutex_lock(&store->mutex);
    tm_status status = unpin_locked(store, hash, err);
    pthread_mutex_unlock(&store->mutex);
    return status;
}

tm_status tm_store_tmp(tm_store *store, char path[TM_PATH_MAX], tm_error *err)
{
    TM_TRY(tm_store_session(store, err));
    pthread_mutex_lock(&store->mutex);
    uint64_t n = store->n_tmp++;
    pthread_mutex_unlock(&store->mutex);
    return tm_store_at(store, path, err, "tmp/%s-%llu", store->session, (unsigned long long)n);
}
