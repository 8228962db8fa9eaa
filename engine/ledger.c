// SPDX-License-Identifier: Apache-2.0
// Append-only files of checksummed records.
#include "engine/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#include "engine/base/hash.h"

enum {
    FILE_HEAD = 24,
    HEAD = 16,         // of a frame
    WINDOW = 1 << 20,  // bytes read at once
    MAX_PAYLOAD = 1 << 26
};
static const uint32_t frame_magic = 0x4652474cu;  // "LGRF"
static const char file_magic[8] = "TMLEDGR1";

struct tm_ledger {
    char path[TM_PATH_MAX];
    char kind[8];
    tm_ledger_take take;
    void *arg;
    int fd;  // -1 while there is no file
    dev_t dev;
    ino_t ino;
    uint64_t end;  // behind the last good frame; 0 while nothing was read
    uint64_t bad;
    tm_buf window;
    bool locked;
    bool head_good;
    bool dirty;   // appended since the last sync
    bool placed;  // the folder was synced since the file was opened
    bool broken;  // an fsync failed: what is on disk is not known
};

static uint64_t padded(uint64_t size)
{
    return (size + 7) & ~(uint64_t)7;
}

// --- The file ----------------------------------------------------------------------------------------------
static void forget_file(tm_ledger *ledger)
{
    if (ledger->fd >= 0) tm_sys.close(ledger->fd);
    ledger->fd = -1;
    ledger->end = 0;
    ledger->placed = ledger->head_good = false;
}

static tm_status open_file(tm_ledger *ledger, bool create, tm_error *err)
{
    int flags = O_RDWR | (create ? O_CREAT : 0);
    tm_error first;
    tm_status status = tm_fd_open(ledger->path, flags, 0666, &ledger->fd, &first);
    if (status < 0 && !create && (first.sys == EACCES || first.sys == EROFS))
        status = tm_fd_open(ledger->path, O_RDONLY, 0, &ledger->fd, &first);
    if (status < 0) {
        ledger->fd = -1;
        if (err) *err = first;
        return status;
    }
    struct stat info;
    if (tm_sys.fstat(ledger->fd, &info) != 0) {
        status = tm_fail_errno(err, "cannot stat %s", ledger->path);
        forget_file(ledger);
        return status;
    }
    ledger->dev = info.st_dev;
    ledger->ino = info.st_ino;
    return TM_OK;
}

// Whether the name still leads to the file that is open.
static bool same_file(tm_ledger *ledger)
{
    struct stat info;
    return tm_sys.stat(ledger->path, &info) == 0 && info.st_ino == ledger->ino && info.st_dev == ledger->dev;
}

static tm_status file_size(tm_ledger *ledger, uint64_t *size, tm_error *err)
{
    struct stat info;
    if (tm_sys.fstat(ledger->fd, &info) != 0) return tm_fail_errno(err, "cannot stat %s", ledger->path);
    *size = (uint64_t)info.st_size;
    return TM_OK;
}

static tm_status tell_reset(tm_ledger *ledger, tm_error *err)
{
    return ledger->take((tm_view){0}, ledger->arg, err);
}

// --- Reading -----------------------------------------------------------------------------------------------
// Fill the window with the bytes at `at`, at least `need` of them if the file has them.
static tm_status load(tm_ledger *ledger, uint64_t at, size_t need, tm_error *err)
{
    size_t want = need > WINDOW ? need : WINDOW, got;
    tm_buf_reset(&ledger->window);
    if (!tm_buf_reserve(&ledger->window, want))
        return tm_fail(err, TM_ENOMEM, "out of memory reading %s", ledger->path);
    TM_TRY(tm_fd_pread(ledger->fd, ledger->window.data, want, (off_t)at, &got, ledger->path, err));
    ledger->window.size = got;
    return TM_OK;
}

// Is there a good frame at `at`, which is `from` in the window? *need says how many bytes the answer takes.
static bool good_frame(const tm_ledger *ledger, size_t from, uint64_t at, size_t *need, tm_view *payload)
{
    const char *p = ledger->window.data + from;
    size_t left = ledger->window.size - from;
    *need = HEAD;
    if (left < HEAD || tm_le32(p) != frame_magic) return false;
    size_t size = tm_le32(p + 4);
    if (size > MAX_PAYLOAD) return false;
    *need = HEAD + padded(size);
    if (left < *need) return false;
    *payload = tm_view_of(p + HEAD, size);
    return tm_hash64(p + HEAD, size, at) == tm_le64(p + 8);
}

// Pass on the good frames from ledger->end to `size`. Without `sure`, TM_AGAIN where bytes would have to be
// passed over: somebody may be writing them just now, so the caller takes the lock first.
static tm_status scan(tm_ledger *ledger, uint64_t size, bool sure, tm_error *err)
{
    uint64_t base = ledger->end, at = base;  // base: where the window begins
    TM_TRY(load(ledger, base, HEAD, err));
    while (at + HEAD <= size) {
        size_t need;
        tm_view payload;
        bool good = good_frame(ledger, at - base, at, &need, &payload);
        if (!good && at - base + need > ledger->window.size && at + need <= size && at > base) {
            base = at;
            TM_TRY(load(ledger, base, need, err));
            continue;
        }
        if (!good && at + need <= size && need > ledger->window.size) {
            TM_TRY(load(ledger, base, need, err));
            if (ledger->window.size >= need) continue;
        }
        if (!good) {
            at += 8;
            continue;
        }
        if (at > ledger->end && !sure) return TM_AGAIN;
        TM_TRY(ledger->take(payload, ledger->arg, err));
        ledger->bad += at - ledger->end;
        at += need;
        ledger->end = at;
    }
    return TM_OK;
}

static tm_status read_head(tm_ledger *ledger, uint64_t size, tm_error *err)
{
    char head[FILE_HEAD] = {0};
    size_t got;
    if (size < FILE_HEAD) return TM_OK;
    TM_TRY(tm_fd_pread(ledger->fd, head, FILE_HEAD, 0, &got, ledger->path, err));
    // A damaged head is written anew by the next append; the frames stand for themselves.
    ledger->head_good = memcmp(head, file_magic, 8) == 0 && tm_hash64(head, 16, 0) == tm_le64(head + 16);
    if (ledger->head_good && memcmp(head + 8, ledger->kind, 8) != 0)
        return tm_fail(err, TM_EFORMAT, "%s holds \"%.8s\" records, not \"%.8s\"", ledger->path, head + 8,
                       ledger->kind);
    ledger->end = FILE_HEAD;
    return TM_OK;
}

static tm_status read_new(tm_ledger *ledger, tm_error *err)
{
    uint64_t size = 0;
    TM_TRY(file_size(ledger, &size, err));
    if (size < ledger->end) {  // somebody truncated it: everything anew
        ledger->end = 0;
        TM_TRY(tell_reset(ledger, err));
    }
    if (ledger->end == 0) TM_TRY(read_head(ledger, size, err));
    if (ledger->end == 0 || size < ledger->end + HEAD) return TM_OK;
    tm_status status = scan(ledger, size, ledger->locked, err);
    if (status != TM_AGAIN) return status;
    TM_TRY(tm_fd_lock(ledger->fd, LOCK_SH, ledger->path, err));
    status = file_size(ledger, &size, err);
    if (status == TM_OK) status = scan(ledger, size, true, err);
    tm_sys.flock(ledger->fd, LOCK_UN);
    return status;
}

static tm_status reopen(tm_ledger *ledger, bool create, tm_error *err)
{
    bool had = ledger->end > 0;
    forget_file(ledger);
    if (had) TM_TRY(tell_reset(ledger, err));
    return open_file(ledger, create, err);
}

tm_status tm_ledger_refresh(tm_ledger *ledger, tm_error *err)
{
    if (ledger->fd < 0 || (!ledger->locked && !same_file(ledger))) {
        tm_status status = reopen(ledger, false, err);
        if (status == TM_ENOENT) return TM_OK;
        TM_TRY(status);
    }
    return read_new(ledger, err);
}

// --- Writing -----------------------------------------------------------------------------------------------
static tm_status must_be_whole(const tm_ledger *ledger, tm_error *err)
{
    if (!ledger->broken) return TM_OK;
    return tm_fail(err, TM_EIO, "%s could not be made durable before; start again", ledger->path);
}

tm_status tm_ledger_lock(tm_ledger *ledger, tm_error *err)
{
    tm_assert(!ledger->locked);
    TM_TRY(must_be_whole(ledger, err));
    for (;;) {
        if (ledger->fd < 0) TM_TRY(open_file(ledger, true, err));
        TM_TRY(tm_fd_lock(ledger->fd, LOCK_EX, ledger->path, err));
        if (same_file(ledger)) break;
        TM_TRY(reopen(ledger, true, err));
    }
    ledger->locked = true;
    tm_status status = read_new(ledger, err);
    if (status < 0) tm_ledger_unlock(ledger);
    return status;
}

void tm_ledger_unlock(tm_ledger *ledger)
{
    tm_assert(ledger->locked);
    if (ledger->fd >= 0) tm_sys.flock(ledger->fd, LOCK_UN);
    ledger->locked = false;
}

static void make_head(const tm_ledger *ledger, char head[FILE_HEAD])
{
    memcpy(head, file_magic, 8);
    memcpy(head + 8, ledger->kind, 8);
    uint64_t sum = tm_hash64(head, 16, 0);
    memcpy(head + 16, &sum, 8);
}

static void add_frame(tm_buf *out, const void *payload, size_t size, uint64_t at)
{
    tm_buf_le32(out, frame_magic);
    tm_buf_le32(out, (uint32_t)size);
    tm_buf_le64(out, tm_hash64(payload, size, at));
    tm_buf_add(out, payload, size);
    tm_buf_add(out, (char[8]){0}, padded(size) - size);
}

// The head again where it is damaged, and nothing behind the last good frame.
static tm_status mend(tm_ledger *ledger, tm_error *err)
{
    uint64_t size = 0;
    TM_TRY(file_size(ledger, &size, err));
    if (!ledger->head_good) {
        char head[FILE_HEAD];
        make_head(ledger, head);
        TM_TRY(tm_fd_pwrite(ledger->fd, head, FILE_HEAD, 0, ledger->path, err));
        ledger->head_good = true;
        if (ledger->end < FILE_HEAD) ledger->end = FILE_HEAD;
    }
    if (size > ledger->end && tm_sys.ftruncate(ledger->fd, (off_t)ledger->end) != 0)
        return tm_fail_errno(err, "cannot cut %s to %llu bytes", ledger->path,
                             (unsigned long long)ledger->end);
    return TM_OK;
}

static tm_status append_locked(tm_ledger *ledger, const void *payload, size_t size, tm_error *err)
{
    TM_TRY(mend(ledger, err));
    tm_buf_reset(&ledger->window);
    add_frame(&ledger->window, payload, size, ledger->end);
    TM_TRY(tm_buf_status(&ledger->window, err));
    tm_status status = tm_fd_pwrite(ledger->fd, ledger->window.data, ledger->window.size, (off_t)ledger->end,
                                    ledger->path, err);
    if (status < 0) {
        // Should this fail too: no reader takes the tail for a record, and the next append cuts it.
        (void)!tm_sys.ftruncate(ledger->fd, (off_t)ledger->end);
        return status;
    }
    ledger->end += ledger->window.size;
    ledger->dirty = true;
    return TM_OK;
}

tm_status tm_ledger_append(tm_ledger *ledger, const void *payload, size_t size, tm_error *err)
{
    if (size > MAX_PAYLOAD)
        return tm_fail(err, TM_EINVAL, "a record of %zu bytes is too big for %s (%d at most)", size,
                       ledger->path, MAX_PAYLOAD);
    if (ledger->locked) return append_locked(ledger, payload, size, err);
    TM_TRY(tm_ledger_lock(ledger, err));
    tm_status status = append_locked(ledger, payload, size, err);
    tm_ledger_unlock(ledger);
    return status;
}

static void folder_of(const tm_ledger *ledger, char folder[TM_PATH_MAX])
{
    strcpy(folder, ledger->path);
    char *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
    else strcpy(folder, ".");
}

static tm_status sync_folder(tm_ledger *ledger, tm_error *err)
{
    char folder[TM_PATH_MAX];
    folder_of(ledger, folder);
    return tm_dir_sync(folder, err);
}

tm_status tm_ledger_sync(tm_ledger *ledger, tm_error *err)
{
    TM_TRY(must_be_whole(ledger, err));
    if (!ledger->dirty) return TM_OK;
    tm_status status = tm_fd_sync(ledger->fd, true, ledger->path, err);
    if (status == TM_OK && !ledger->placed) status = sync_folder(ledger, err);
    ledger->dirty = status < 0;
    tm_ledger_synced(ledger, status);
    return status;
}

tm_status tm_ledger_unsynced(tm_ledger *ledger, tm_unsynced *todo, tm_error *err)
{
    TM_TRY(must_be_whole(ledger, err));
    if (!ledger->dirty) return TM_DONE;
    TM_TRY(tm_unsynced_note(todo, ledger->fd, ledger->path, err));
    if (!ledger->placed) folder_of(ledger, todo->folders[0]);
    ledger->dirty = false;
    return TM_OK;
}

void tm_ledger_synced(tm_ledger *ledger, tm_status outcome)
{
    ledger->broken |= outcome < 0;
    ledger->placed = outcome == TM_OK;
}

static tm_status write_copy(tm_ledger *ledger, const char *path, const tm_view *payloads, size_t count,
                            int *fd, tm_error *err)
{
    tm_buf all = {0};
    char head[FILE_HEAD];
    make_head(ledger, head);
    tm_buf_add(&all, head, FILE_HEAD);
    for (size_t i = 0; i < count; i++) add_frame(&all, payloads[i].data, payloads[i].size, all.size);
    tm_status status = tm_buf_status(&all, err);
    if (status == TM_OK) status = tm_fd_pwrite(*fd, all.data, all.size, 0, path, err);
    if (status == TM_OK) status = tm_fd_sync(*fd, false, path, err);
    // Locked before it has its name, so that whoever waits for the old file cannot append before us.
    if (status == TM_OK) status = tm_fd_lock(*fd, LOCK_EX, path, err);
    tm_buf_clear(&all);
    return status;
}

tm_status tm_ledger_replace(tm_ledger *ledger, const tm_view *payloads, size_t count, tm_error *err)
{
    tm_assert(ledger->locked);
    char path[TM_PATH_MAX];
    struct stat info;
    int fd;
    TM_TRY(tm_path(path, err, "%s.new", ledger->path));
    TM_TRY(tm_file_remove(path, err));
    TM_TRY(tm_fd_open(path, O_RDWR | O_CREAT | O_EXCL, 0666, &fd, err));
    tm_status status = write_copy(ledger, path, payloads, count, &fd, err);
    if (status == TM_OK && tm_sys.fstat(fd, &info) != 0) status = tm_fail_errno(err, "cannot stat %s", path);
    if (status == TM_OK && tm_sys.rename(path, ledger->path) != 0)
        status = tm_fail_errno(err, "cannot rename %s to %s", path, ledger->path);
    if (status < 0) {
        tm_sys.close(fd);
        tm_sys.unlink(path);
        return status;
    }
    forget_file(ledger);
    ledger->fd = fd;
    ledger->dev = info.st_dev;
    ledger->ino = info.st_ino;
    ledger->end = (uint64_t)info.st_size;
    ledger->head_good = true;
    ledger->dirty = false;
    return sync_folder(ledger, err);
}

// --- Handles -----------------------------------------------------------------------------------------------
tm_status tm_ledger_open(const char *path, const char *kind, tm_ledger_take take, void *arg,
                         tm_ledger **ledger, tm_error *err)
{
    *ledger = NULL;
    size_t length = strlen(kind);
    tm_assert(length <= 8);
    tm_ledger *l = tm_calloc(1, sizeof *l);
    if (!l) return tm_fail(err, TM_ENOMEM, "out of memory opening %s", path);
    l->fd = -1;
    l->take = take;
    l->arg = arg;
    memcpy(l->kind, kind, length);
    tm_status status = tm_path(l->path, err, "%s", path);
    if (status == TM_OK) status = tm_ledger_refresh(l, err);
    if (status < 0) {
        tm_ledger_close(l);
        return status;
    }
    *ledger = l;
    return TM_OK;
}

void tm_ledger_close(tm_ledger *ledger)
{
    if (!ledger) return;
    if (ledger->fd >= 0) tm_sys.close(ledger->fd);
    tm_buf_clear(&ledger->window);
    tm_free(ledger);
}

uint64_t tm_ledger_bad_bytes(const tm_ledger *ledger)
{
    return ledger->bad;
}

uint64_t tm_ledger_bytes(const tm_ledger *ledger)
{
    return ledger->end;
}
