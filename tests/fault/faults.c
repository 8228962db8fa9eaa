// SPDX-License-Identifier: Apache-2.0
// Calls that fail.
#include "tests/fault/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct {
    fault_plan plan;
    uint64_t count;
    bool struck;
    tm_io real;
} now;

// Whether this call is to go wrong.
static bool strike(unsigned call)
{
    if (!(now.plan.calls & call)) return false;
    now.count++;
    bool hit = now.plan.at && (now.count == now.plan.at || (now.count > now.plan.at && now.plan.persistent));
    now.struck |= hit;
    return hit;
}

// For calls that move no bytes. True: fail with errno set.
static bool refuse(unsigned call)
{
    if (!strike(call)) return false;
    if (now.plan.kind == FAULT_TORN_EXIT) _exit(FAULT_STATUS);
    errno = now.plan.error;
    return now.plan.kind == FAULT_ERROR;
}

// After the call, for FAULT_EXIT: it was this call's turn.
static void leave(unsigned call)
{
    if (now.plan.kind == FAULT_EXIT && now.plan.calls & call && now.count == now.plan.at) _exit(FAULT_STATUS);
}

#define PASS(type, call, expression)                                                                         \
    do {                                                                                                     \
        if (refuse(call)) return (type)-1;                                                                   \
        type rc_ = (expression);                                                                             \
        int errno_ = errno;                                                                                  \
        leave(call);                                                                                         \
        errno = errno_;                                                                                      \
        return rc_;                                                                                          \
    } while (0)

static int f_open(const char *path, int flags, mode_t mode)
{
    bool counts = now.plan.calls == CALLS_ALL || !(now.plan.calls & CALL_WRITE) || flags & O_CREAT;
    if (!counts) return now.real.open(path, flags, mode);
    PASS(int, CALL_OPEN, now.real.open(path, flags, mode));
}

static int f_close(int fd)
{
    if (!refuse(CALL_CLOSE)) return now.real.close(fd);
    int error = errno;
    now.real.close(fd);
    errno = error;
    return -1;
}

// How many bytes a transfer may move; -1: none, errno is set.
static ssize_t allowance(unsigned call, size_t size)
{
    if (!strike(call)) return (ssize_t)size;
    errno = now.plan.error;
    if (now.plan.kind == FAULT_ERROR) return -1;
    return (ssize_t)(now.plan.kind == FAULT_EXIT || size < 2 ? size : size / 2);
}

static void torn(bool was_struck)
{
    if (now.plan.kind == FAULT_TORN_EXIT && now.struck && !was_struck) _exit(FAULT_STATUS);
}

static ssize_t f_read(int fd, void *data, size_t size)
{
    ssize_t n = allowance(CALL_READ, size);
    return n < 0 ? n : now.real.read(fd, data, (size_t)n);
}

static ssize_t f_pread(int fd, void *data, size_t size, off_t at)
{
    ssize_t n = allowance(CALL_READ, size);
    return n < 0 ? n : now.real.pread(fd, data, (size_t)n, at);
}

static ssize_t f_write(int fd, const void *data, size_t size)
{
    bool before = now.struck;
    ssize_t n = allowance(CALL_WRITE, size);
    if (n >= 0) n = now.real.write(fd, data, (size_t)n);
    torn(before);
    leave(CALL_WRITE);
    return n;
}

static ssize_t f_pwrite(int fd, const void *data, size_t size, off_t at)
{
    bool before = now.struck;
    ssize_t n = allowance(CALL_WRITE, size);
    if (n >= 0) n = now.real.pwrite(fd, data, (size_t)n, at);
    torn(before);
    leave(CALL_WRITE);
    return n;
}

static int f_fsync(int fd)
{
    PASS(int, CALL_SYNC, now.real.fsync(fd));
}

static int f_fdatasync(int fd)
{
    PASS(int, CALL_SYNC, now.real.fdatasync(fd));
}

static int f_ftruncate(int fd, off_t size)
{
    PASS(int, CALL_TRUNCATE, now.real.ftruncate(fd, size));
}

static int f_fallocate(int fd, int mode, off_t at, off_t size)
{
    PASS(int, CALL_ALLOCATE, now.real.fallocate(fd, mode, at, size));
}

static int f_rename(const char *from, const char *to)
{
    PASS(int, CALL_RENAME, now.real.rename(from, to));
}

static int f_rename_new(const char *from, const char *to)
{
    PASS(int, CALL_RENAME, now.real.rename_new(from, to));
}

static int f_rename_swap(const char *a, const char *b)
{
    PASS(int, CALL_RENAME, now.real.rename_swap(a, b));
}

static int f_link(const char *from, const char *to)
{
    PASS(int, CALL_LINK, now.real.link(from, to));
}

static int f_unlink(const char *path)
{
    PASS(int, CALL_UNLINK, now.real.unlink(path));
}

static int f_rmdir(const char *path)
{
    PASS(int, CALL_UNLINK, now.real.rmdir(path));
}

static int f_mkdir(const char *path, mode_t mode)
{
    PASS(int, CALL_MKDIR, now.real.mkdir(path, mode));
}

static int f_stat(const char *path, struct stat *info)
{
    PASS(int, CALL_STAT, now.real.stat(path, info));
}

static int f_lstat(const char *path, struct stat *info)
{
    PASS(int, CALL_STAT, now.real.lstat(path, info));
}

static int f_fstat(int fd, struct stat *info)
{
    PASS(int, CALL_STAT, now.real.fstat(fd, info));
}

static int f_chmod(const char *path, mode_t mode)
{
    PASS(int, CALL_CHMOD, now.real.chmod(path, mode));
}

static int f_touch(const char *path)
{
    PASS(int, CALL_CHMOD, now.real.touch(path));
}

static DIR *f_opendir(const char *path)
{
    return refuse(CALL_LIST) ? NULL : now.real.opendir(path);
}

static struct dirent *f_readdir(DIR *dir)
{
    return refuse(CALL_LIST) ? NULL : now.real.readdir(dir);
}

static int f_flock(int fd, int operation)
{
    PASS(int, CALL_LOCK, now.real.flock(fd, operation));
}

static void *f_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    return refuse(CALL_MAP) ? MAP_FAILED : now.real.mmap(at, size, protection, flags, fd, offset);
}

static ssize_t f_random(void *data, size_t size)
{
    PASS(ssize_t, CALL_RANDOM, now.real.random(data, size));
}

void faults_begin(fault_plan plan)
{
    now.plan = plan;
    now.count = 0;
    now.struck = false;
    now.real = tm_sys;
    tm_sys = (tm_io){
        .open = f_open,
        .close = f_close,
        .read = f_read,
        .pread = f_pread,
        .write = f_write,
        .pwrite = f_pwrite,
        .fsync = f_fsync,
        .fdatasync = f_fdatasync,
        .ftruncate = f_ftruncate,
        .fallocate = f_fallocate,
        .rename = f_rename,
        .rename_new = f_rename_new,
        .rename_swap = f_rename_swap,
        .link = f_link,
        .unlink = f_unlink,
        .mkdir = f_mkdir,
        .rmdir = f_rmdir,
        .stat = f_stat,
        .lstat = f_lstat,
        .fstat = f_fstat,
        .chmod = f_chmod,
        .touch = f_touch,
        .opendir = f_opendir,
        .readdir = f_readdir,
        .closedir = now.real.closedir,
        .flock = f_flock,
        .mmap = f_mmap,
        .munmap = now.real.munmap,
        .clock = now.real.clock,
        .random = f_random,
        .spawn = now.real.spawn,
        .kill = now.real.kill,
        .waitpid = now.real.waitpid,
    };
}

uint64_t faults_end(bool *struck)
{
    tm_sys = now.real;
    if (struck) *struck = now.struck;
    return now.count;
}
