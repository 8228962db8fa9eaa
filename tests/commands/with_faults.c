// SPDX-License-Identifier: Apache-2.0
// The program with a table of system calls that refuses what its environment says, in all of its processes:
//
//   TIDEMILL_TEST_FAULT="open EACCES corpus/07.txt"  every open of a path with these characters fails so
//
// Calls: open (also of folders), write (and to make room), make (new files and folders, links, names). So
// what is said of a disk that is full and of places that are closed can be tested by whoever runs the tests.
// "spoil - objects/" fails nothing, but what is read of such files begins with another byte than it should.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/io.h"

static struct {
    char call[8], path[200];
    int error;
    tm_io real;
} fault;

static bool refused(const char *call, const char *path)
{
    if (strcmp(call, fault.call) != 0 || !strstr(path, fault.path)) return false;
    errno = fault.error;
    return true;
}

static bool refused_file(const char *call, int fd)
{
    char link[40], path[TM_PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return false;
    path[n] = 0;
    return refused(call, path);
}

static int faulty_open(const char *path, int flags, mode_t mode)
{
    bool makes = (flags & O_CREAT) != 0;
    if (refused("open", path) || (makes && refused("make", path))) return -1;
    return fault.real.open(path, flags, mode);
}

static DIR *faulty_opendir(const char *path)
{
    return refused("open", path) ? NULL : fault.real.opendir(path);
}

static ssize_t faulty_pread(int fd, void *data, size_t size, off_t offset)
{
    ssize_t n = fault.real.pread(fd, data, size, offset);
    if (n > 0 && offset == 0 && refused_file("spoil", fd)) *(char *)data ^= 1;
    return n;
}

static ssize_t faulty_write(int fd, const void *data, size_t size)
{
    return refused_file("write", fd) ? -1 : fault.real.write(fd, data, size);
}

static ssize_t faulty_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return refused_file("write", fd) ? -1 : fault.real.pwrite(fd, data, size, offset);
}

static int faulty_fallocate(int fd, int mode, off_t offset, off_t size)
{
    return refused_file("write", fd) ? -1 : fault.real.fallocate(fd, mode, offset, size);
}

static int faulty_mkdir(const char *path, mode_t mode)
{
    return refused("make", path) ? -1 : fault.real.mkdir(path, mode);
}

static int faulty_link(const char *from, const char *to)
{
    return refused("make", to) ? -1 : fault.real.link(from, to);
}

static int faulty_rename(const char *from, const char *to)
{
    return refused("make", to) ? -1 : fault.real.rename(from, to);
}

static int faulty_rename_new(const char *from, const char *to)
{
    return refused("make", to) ? -1 : fault.real.rename_new(from, to);
}

__attribute__((constructor)) static void set_table(void)
{
    char error[12];
    const char *text = getenv("TIDEMILL_TEST_FAULT");
    if (!text || sscanf(text, "%7s %11s %199s", fault.call, error, fault.path) != 3) return;
    static const struct {
        const char *name;
        int error;
    } errors[] = {{"EACCES", EACCES}, {"EROFS", EROFS}, {"ENOSPC", ENOSPC}};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (strcmp(errors[i].name, error) == 0) fault.error = errors[i].error;
    fault.real = tm_sys;
    tm_sys.open = faulty_open;
    tm_sys.opendir = faulty_opendir;
    tm_sys.pread = faulty_pread;
    tm_sys.write = faulty_write;
    tm_sys.pwrite = faulty_pwrite;
    tm_sys.fallocate = faulty_fallocate;
    tm_sys.mkdir = faulty_mkdir;
    tm_sys.link = faulty_link;
    tm_sys.rename = faulty_rename;
    tm_sys.rename_new = faulty_rename_new;
}
