// SPDX-License-Identifier: Apache-2.0
// The one table of system calls, and files and folders on top of it.
//
// Everything the engine does to the file system, the clock and child processes goes through `tm_sys`, so that
// a test can make any call fail, stop the process at it, or write down the order of operations. The slots
// have the meaning and the errno of the calls they are named after; the helpers below deal with EINTR and
// short transfers and say in their errors which file was meant. A failed fsync is never tried again: the
// kernel may have thrown the bytes away (Rebello et al., USENIX ATC 2020), so the writer must write anew.
#pragma once

#include <dirent.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "engine/base/bytes.h"

#define TM_PATH_MAX 4096  // bytes of a path with its NUL; helpers refuse longer ones

typedef struct tm_io {
    int (*open)(const char *path, int flags, mode_t mode);
    int (*close)(int fd);
    ssize_t (*read)(int fd, void *data, size_t size);
    ssize_t (*pread)(int fd, void *data, size_t size, off_t offset);
    ssize_t (*write)(int fd, const void *data, size_t size);
    ssize_t (*pwrite)(int fd, const void *data, size_t size, off_t offset);
    int (*fsync)(int fd);
    int (*fdatasync)(int fd);
    int (*ftruncate)(int fd, off_t size);
    int (*fallocate)(int fd, int mode, off_t offset, off_t size);
    int (*rename)(const char *from, const char *to);      // replaces
    int (*rename_new)(const char *from, const char *to);  // EEXIST instead of replacing
    int (*rename_swap)(const char *a, const char *b);     // exchanges two names
    int (*link)(const char *from, const char *to);
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path, mode_t mode);
    int (*rmdir)(const char *path);
    int (*stat)(const char *path, struct stat *info);
    int (*lstat)(const char *path, struct stat *info);
    int (*fstat)(int fd, struct stat *info);
    int (*chmod)(const char *path, mode_t mode);
    int (*touch)(const char *path);  // modification time := now
    DIR *(*opendir)(const char *path);
    struct dirent *(*readdir)(DIR *dir);
    int (*closedir)(DIR *dir);
    int (*flock)(int fd, int operation);
    void *(*mmap)(void *at, size_t size, int protection, int flags, int fd, off_t offset);
    int (*munmap)(void *at, size_t size);
    int (*clock)(clockid_t id, struct timespec *now);
    ssize_t (*random)(void *data, size_t size);
    int (*spawn)(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]);
    int (*kill)(pid_t pid, int signal);
    pid_t (*waitpid)(pid_t pid, int *status, int options);
} tm_io;

// The calls in use. Only tests assign to it (`tm_sys = tm_io_real()` puts it back), before threads exist.
extern tm_io tm_sys;
tm_io tm_io_real(void);

// --- Descriptors -------------------------------------------------------------------------------------------
// `path` only names the file in errors. All retry EINTR and continue short transfers.
tm_status tm_fd_open(const char *path, int flags, mode_t mode, int *fd, tm_error *err);  // adds O_CLOEXEC
tm_status tm_fd_write(int fd, const void *data, size_t size, const char *path, tm_error *err);
tm_status tm_fd_pwrite(int fd, const void *data, size_t size, off_t offset, const char *path, tm_error *err);
// Reads up to `size` bytes at `offset`; *got is less only at the end of the file.
tm_status tm_fd_pread(int fd, void *data, size_t size, off_t offset, size_t *got, const char *path,
                      tm_error *err);
tm_status tm_fd_sync(int fd, bool data_only, const char *path, tm_error *err);
tm_status tm_fd_lock(int fd, int operation, const char *path, tm_error *err);  // flock; waits
// TM_EBUSY (and no text) when another has it.
tm_status tm_fd_try_lock(int fd, int operation, const char *path, tm_error *err);
tm_status tm_fd_close(int fd, const char *path, tm_error *err);  // passes on what close() says; fd is gone

// --- Files -------------------------------------------------------------------------------------------------
// The whole file, added to `bytes`. TM_ENOENT when there is none.
tm_status tm_file_read(const char *path, tm_buf *bytes, tm_error *err);
// Write beside and rename over; with `durable` the file and its folder are synced before it returns.
tm_status tm_file_write(const char *path, const void *data, size_t size, bool durable, tm_error *err);
tm_status tm_file_copy(const char *from, const char *to, mode_t mode, tm_error *err);  // `to` must be new
bool tm_file_exists(const char *path);
tm_status tm_file_remove(const char *path, tm_error *err);  // a file that is not there is no error

// --- Folders -----------------------------------------------------------------------------------------------
tm_status tm_dir_make(const char *path, tm_error *err);  // with its parents; one that exists is no error
tm_status tm_dir_sync(const char *path, tm_error *err);
tm_status tm_dir_remove(const char *path, tm_error *err);  // with all inside, no links followed; absent: fine

// Names in a folder, without "." and "..", sorted by byte. TM_ENOENT when there is no folder.
typedef struct tm_names {
    char **names;
    size_t count;
    size_t capacity;
} tm_names;
tm_status tm_dir_list(const char *path, tm_names *names, tm_error *err);
void tm_names_clear(tm_names *names);

// --- Paths, time -------------------------------------------------------------------------------------------
// printf into a path buffer; TM_EINVAL when it does not fit.
tm_status tm_path(char path[TM_PATH_MAX], tm_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int64_t tm_time_ms(void);  // since 1970, UTC
int64_t tm_time_ns(void);  // monotonic, for intervals
