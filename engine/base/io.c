// SPDX-License-Identifier: Apache-2.0
// The table of system calls and what stands on it.
#include "engine/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

// --- The real calls ----------------------------------------------------------------------------------------
static int real_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

static int real_rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
    // File systems without the flag (NFS): a second name, then the first one goes. Not for folders.
    if (link(from, to) != 0) return -1;
    return unlink(from);
}

static int real_rename_swap(const char *a, const char *b)
{
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

static int real_touch(const char *path)
{
    return utimensat(AT_FDCWD, path, NULL, 0);
}

static ssize_t real_random(void *data, size_t size)
{
    return getrandom(data, size, 0);
}

#define REAL_CALLS                                                                                           \
    {                                                                                                        \
        .open = real_open, .close = close, .read = read, .pread = pread, .write = write, .pwrite = pwrite,   \
        .fsync = fsync, .fdatasync = fdatasync, .ftruncate = ftruncate, .fallocate = fallocate,              \
        .rename = rename, .rename_new = real_rename_new, .rename_swap = real_rename_swap, .link = link,      \
        .unlink = unlink, .mkdir = mkdir, .rmdir = rmdir, .stat = stat, .lstat = lstat, .fstat = fstat,      \
        .chmod = chmod, .touch = real_touch, .opendir = opendir, .readdir = readdir, .closedir = closedir,   \
        .flock = flock, .mmap = mmap, .munmap = munmap, .clock = clock_gettime, .random = real_random,       \
        .spawn = posix_spawn, .kill = kill, .waitpid = waitpid                                               \
    }

tm_io tm_sys = REAL_CALLS;

tm_io tm_io_real(void)
{
    return (tm_io)REAL_CALLS;
}

// --- Descriptors -------------------------------------------------------------------------------------------
tm_status tm_fd_open(const char *path, int flags, mode_t mode, int *fd, tm_error *err)
{
    do *fd = tm_sys.open(path, flags | O_CLOEXEC, mode);
    while (*fd < 0 && errno == EINTR);
    return *fd < 0 ? tm_fail_errno(err, "cannot open %s", path) : TM_OK;
}

tm_status tm_fd_write(int fd, const void *data, size_t size, const char *path, tm_error *err)
{
    const char *p = data;
    while (size > 0) {
        ssize_t n = tm_sys.write(fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ENOSPC;
        if (n <= 0) return tm_fail_errno(err, "cannot write %s", path);
        p += n;
        size -= (size_t)n;
    }
    return TM_OK;
}

tm_status tm_fd_pwrite(int fd, const void *data, size_t size, off_t offset, const char *path, tm_error *err)
{
    const char *p = data;
    while (size > 0) {
        ssize_t n = tm_sys.pwrite(fd, p, size, offset);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ENOSPC;
        if (n <= 0) return tm_fail_errno(err, "cannot write %s at %lld", path, (long long)offset);
        p += n;
        offset += n;
        size -= (size_t)n;
    }
    return TM_OK;
}

tm_status tm_fd_pread(int fd, void *data, size_t size, off_t offset, size_t *got, const char *path,
                      tm_error *err)
{
    char *p = data;
    *got = 0;
    while (*got < size) {
        ssize_t n = tm_sys.pread(fd, p + *got, size - *got, offset + (off_t)*got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return tm_fail_errno(err, "cannot read %s", path);
        if (n == 0) break;
        *got += (size_t)n;
    }
    return TM_OK;
}

tm_status tm_fd_sync(int fd, bool data_only, const char *path, tm_error *err)
{
    int rc;
    do rc = data_only ? tm_sys.fdatasync(fd) : tm_sys.fsync(fd);
    while (rc != 0 && errno == EINTR);  // interrupted before it began, not failed
    return rc != 0 ? tm_fail_errno(err, "cannot make %s durable", path) : TM_OK;
}

tm_status tm_fd_lock(int fd, int operation, const char *path, tm_error *err)
{
    int rc;
    do rc = tm_sys.flock(fd, operation);
    while (rc != 0 && errno == EINTR);
    return rc != 0 ? tm_fail_errno(err, "cannot lock %s", path) : TM_OK;
}

tm_status tm_fd_try_lock(int fd, int operation, const char *path, tm_error *err)
{
    int rc;
    do rc = tm_sys.flock(fd, operation | LOCK_NB);
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno == EWOULDBLOCK) return TM_EBUSY;
    return rc != 0 ? tm_fail_errno(err, "cannot lock %s", path) : TM_OK;
}

tm_status tm_fd_close(int fd, const char *path, tm_error *err)
{
    // Linux frees the descriptor even when close() is interrupted.
    if (tm_sys.close(fd) != 0 && errno != EINTR) return tm_fail_errno(err, "cannot close %s", path);
    return TM_OK;
}

// --- Files -------------------------------------------------------------------------------------------------
static tm_status read_rest(int fd, const char *path, tm_buf *bytes, tm_error *err)
{
    struct stat info;
    if (tm_sys.fstat(fd, &info) != 0) return tm_fail_errno(err, "cannot stat %s", path);
    size_t room = info.st_size > 0 ? (size_t)info.st_size : 0;
    for (;;) {
        // One byte more than expected, so that the end is seen without growing.
        if (!tm_buf_reserve(bytes, room + 1))
            return tm_fail(err, TM_ENOMEM, "out of memory for %zu bytes of %s", room, path);
        ssize_t n = tm_sys.read(fd, bytes->data + bytes->size, bytes->capacity - bytes->size - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return tm_fail_errno(err, "cannot read %s", path);
        bytes->size += (size_t)n;
        bytes->data[bytes->size] = 0;
        if (n == 0) return TM_OK;
        room = room > (size_t)n ? room - (size_t)n : 4096;
    }
}

tm_status tm_file_read(const char *path, tm_buf *bytes, tm_error *err)
{
    int fd;
    TM_TRY(tm_fd_open(path, O_RDONLY, 0, &fd, err));
    tm_status status = read_rest(fd, path, bytes, err);
    tm_fd_close(fd, path, NULL);
    return status;
}

static tm_status write_new(const char *path, const void *data, size_t size, bool durable, tm_error *err)
{
    int fd;
    TM_TRY(tm_fd_open(path, O_WRONLY | O_CREAT | O_EXCL, 0666, &fd, err));
    tm_status status = tm_fd_write(fd, data, size, path, err);
    if (status == TM_OK && durable) status = tm_fd_sync(fd, false, path, err);
    tm_status closed = tm_fd_close(fd, path, status == TM_OK ? err : NULL);
    return status != TM_OK ? status : closed;
}

static void parent_of(const char *path, char parent[TM_PATH_MAX])
{
    snprintf(parent, TM_PATH_MAX, "%s", path);
    size_t n = strlen(parent);
    while (n > 1 && parent[n - 1] == '/') n--;
    while (n > 0 && parent[n - 1] != '/') n--;
    while (n > 1 && parent[n - 1] == '/') n--;
    parent[n] = 0;
    if (n == 0) strcpy(parent, ".");
}

tm_status tm_file_write(const char *path, const void *data, size_t size, bool durable, tm_error *err)
{
    char tmp[TM_PATH_MAX], parent[TM_PATH_MAX];
    uint64_t tag = 0;
    if (tm_sys.random(&tag, sizeof tag) < 0) tag = (uint64_t)tm_time_ns() ^ (uint64_t)getpid() << 40;
    TM_TRY(tm_path(tmp, err, "%s.%016llx.tmp", path, (unsigned long long)tag));
    tm_status status = write_new(tmp, data, size, durable, err);
    if (status == TM_OK && tm_sys.rename(tmp, path) != 0)
        status = tm_fail_errno(err, "cannot rename %s to %s", tmp, path);
    if (status != TM_OK) {
        tm_sys.unlink(tmp);
        return status;
    }
    if (!durable) return TM_OK;
    parent_of(path, parent);
    return tm_dir_sync(parent, err);
}

static tm_status copy_bytes(int in, int out, const char *from, const char *to, tm_error *err)
{
    enum { PIECE = 1 << 20 };
    char *piece = tm_alloc(PIECE);
    if (!piece) return tm_fail(err, TM_ENOMEM, "out of memory copying %s", from);
    tm_status status = TM_OK;
    size_t got = PIECE;
    for (off_t at = 0; status == TM_OK && got == PIECE; at += PIECE) {
        status = tm_fd_pread(in, piece, PIECE, at, &got, from, err);
        if (status == TM_OK) status = tm_fd_write(out, piece, got, to, err);
    }
    tm_free(piece);
    return status;
}

tm_status tm_file_copy(const char *from, const char *to, mode_t mode, tm_error *err)
{
    int in, out;
    TM_TRY(tm_fd_open(from, O_RDONLY, 0, &in, err));
    tm_status status = tm_fd_open(to, O_WRONLY | O_CREAT | O_EXCL, mode, &out, err);
    if (status == TM_OK) {
        status = copy_bytes(in, out, from, to, err);
        tm_status closed = tm_fd_close(out, to, status == TM_OK ? err : NULL);
        if (status == TM_OK) status = closed;
        if (status != TM_OK) tm_sys.unlink(to);
    }
    tm_fd_close(in, from, NULL);
    return status;
}

bool tm_file_exists(const char *path)
{
    struct stat info;
    return tm_sys.stat(path, &info) == 0;
}

tm_status tm_file_remove(const char *path, tm_error *err)
{
    if (tm_sys.unlink(path) == 0 || errno == ENOENT) return TM_OK;
    return tm_fail_errno(err, "cannot remove %s", path);
}

// --- Folders -----------------------------------------------------------------------------------------------
static tm_status must_be_folder(const char *path, tm_error *err)
{
    struct stat info;
    if (tm_sys.stat(path, &info) != 0) return tm_fail_errno(err, "cannot stat %s", path);
    if (!S_ISDIR(info.st_mode)) return tm_fail(err, TM_EEXIST, "%s exists and is not a folder", path);
    return TM_OK;
}

tm_status tm_dir_make(const char *path, tm_error *err)
{
    if (tm_sys.mkdir(path, 0777) == 0) return TM_OK;
    if (errno == EEXIST) return must_be_folder(path, err);
    if (errno != ENOENT) return tm_fail_errno(err, "cannot make folder %s", path);
    char parent[TM_PATH_MAX];
    parent_of(path, parent);
    if (strcmp(parent, path) == 0) return tm_fail_errno(err, "cannot make folder %s", path);
    TM_TRY(tm_dir_make(parent, err));
    if (tm_sys.mkdir(path, 0777) == 0) return TM_OK;
    if (errno == EEXIST) return must_be_folder(path, err);
    return tm_fail_errno(err, "cannot make folder %s", path);
}

tm_status tm_dir_sync(const char *path, tm_error *err)
{
    int fd;
    TM_TRY(tm_fd_open(path, O_RDONLY | O_DIRECTORY, 0, &fd, err));
    tm_status status = tm_fd_sync(fd, false, path, err);
    tm_fd_close(fd, path, NULL);
    return status;
}

static bool add_name(tm_names *names, const char *name)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 32;
        char **grown = tm_realloc(names->names, capacity * sizeof *grown);
        if (!grown) return false;
        names->names = grown;
        names->capacity = capacity;
    }
    char *copy = tm_strdup(name);
    if (copy) names->names[names->count++] = copy;
    return copy != NULL;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static tm_status list_into(DIR *dir, const char *path, tm_names *names, tm_error *err)
{
    for (;;) {
        errno = 0;
        struct dirent *entry = tm_sys.readdir(dir);
        if (!entry && errno == EINTR) continue;
        if (!entry && errno) return tm_fail_errno(err, "cannot list %s", path);
        if (!entry) break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (!add_name(names, entry->d_name)) return tm_fail(err, TM_ENOMEM, "out of memory listing %s", path);
    }
    if (names->count) qsort(names->names, names->count, sizeof *names->names, by_bytes);
    return TM_OK;
}

tm_status tm_dir_list(const char *path, tm_names *names, tm_error *err)
{
    *names = (tm_names){0};
    DIR *dir;
    do dir = tm_sys.opendir(path);
    while (!dir && errno == EINTR);
    if (!dir) return tm_fail_errno(err, "cannot list %s", path);
    tm_status status = list_into(dir, path, names, err);
    tm_sys.closedir(dir);
    if (status != TM_OK) tm_names_clear(names);
    return status;
}

void tm_names_clear(tm_names *names)
{
    for (size_t i = 0; i < names->count; i++) tm_free(names->names[i]);
    tm_free(names->names);
    *names = (tm_names){0};
}

static tm_status remove_inside(const char *path, tm_error *err)
{
    tm_names names;
    tm_status status = tm_dir_list(path, &names, err);
    if (status == TM_ENOENT) return TM_OK;  // somebody else was faster
    for (size_t i = 0; i < names.count && status == TM_OK; i++) {
        tm_buf inside = {0};
        tm_buf_fmt(&inside, "%s/%s", path, names.names[i]);
        status = tm_buf_status(&inside, err);
        if (status == TM_OK) status = tm_dir_remove(inside.data, err);
        tm_buf_clear(&inside);
    }
    tm_names_clear(&names);
    return status;
}

tm_status tm_dir_remove(const char *path, tm_error *err)
{
    struct stat info;
    if (tm_sys.lstat(path, &info) != 0)
        return errno == ENOENT ? TM_OK : tm_fail_errno(err, "cannot stat %s", path);
    if (!S_ISDIR(info.st_mode)) return tm_file_remove(path, err);
    TM_TRY(remove_inside(path, err));
    if (tm_sys.rmdir(path) == 0 || errno == ENOENT) return TM_OK;
    return tm_fail_errno(err, "cannot remove folder %s", path);
}

// --- Paths, time -------------------------------------------------------------------------------------------
tm_status tm_path(char path[TM_PATH_MAX], tm_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(path, TM_PATH_MAX, format, args);
    va_end(args);
    if (n < 0 || n >= TM_PATH_MAX)
        return tm_fail(err, TM_EINVAL, "path of %d bytes is too long (%d at most): %.60s...", n,
                       TM_PATH_MAX - 1, path);
    return TM_OK;
}

static struct timespec now_of(clockid_t id)
{
    struct timespec now = {0};
    tm_sys.clock(id, &now);
    return now;
}

int64_t tm_time_ms(void)
{
    struct timespec now = now_of(CLOCK_REALTIME);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t tm_time_ns(void)
{
    struct timespec now = now_of(CLOCK_MONOTONIC);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
