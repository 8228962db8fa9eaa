// SPDX-License-Identifier: Apache-2.0
// Mapping and writing through the table of system calls.
#include "stages/format/content.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "engine/base/io.h"

static tm_status map_open(int fd, const char *path, tm_view *bytes, tm_error *err)
{
    struct stat st;
    if (tm_sys.fstat(fd, &st) < 0) return tm_fail_errno(err, "cannot read %s", path);
    if (!S_ISREG(st.st_mode)) return tm_fail(err, TM_EINVAL, "%s is not a file", path);
    if (st.st_size == 0) return TM_OK;
    void *map = tm_sys.mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) return tm_fail_errno(err, "cannot map %s", path);
    *bytes = tm_view_of(map, (size_t)st.st_size);
    return TM_OK;
}

tm_status tm_content_map(const char *path, tm_view *bytes, tm_error *err)
{
    int fd;
    *bytes = (tm_view){0};
    TM_TRY(tm_fd_open(path, O_RDONLY, 0, &fd, err));
    tm_status status = map_open(fd, path, bytes, err);
    tm_sys.close(fd);
    return status;
}

void tm_content_unmap(tm_view bytes)
{
    if (bytes.size) tm_sys.munmap((void *)bytes.data, bytes.size);
}

static tm_status write_all(int fd, const tm_view *pieces, size_t n, const char *path, tm_error *err)
{
    for (size_t i = 0; i < n; i++) TM_TRY(tm_fd_write(fd, pieces[i].data, pieces[i].size, path, err));
    return tm_fd_sync(fd, true, path, err);
}

tm_status tm_content_write(const char *path, const tm_view *pieces, size_t n_pieces, tm_error *err)
{
    char tmp[TM_PATH_MAX];
    int fd;
    TM_TRY(tm_path(tmp, err, "%s.tmp", path));
    TM_TRY(tm_fd_open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0666, &fd, err));
    tm_status status = write_all(fd, pieces, n_pieces, tmp, err);
    tm_status closed = tm_fd_close(fd, tmp, status < 0 ? NULL : err);
    if (status == TM_OK) status = closed;
    if (status == TM_OK && tm_sys.rename(tmp, path) < 0) status = tm_fail_errno(err, "cannot rename %s", tmp);
    if (status < 0) tm_sys.unlink(tmp);
    return status;
}
