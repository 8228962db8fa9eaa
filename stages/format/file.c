// SPDX-License-Identifier: Apache-2.0
// Whole files over the system's calls.
#include "stages/format/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

tm_status tm_file_map(const char *path, tm_view *bytes, tm_error *err)
{
    *bytes = (tm_view){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return tm_fail_errno(err, "cannot open %s", path);
    struct stat st;
    tm_status status = TM_OK;
    if (fstat(fd, &st) < 0)
        status = tm_fail_errno(err, "cannot read %s", path);
    else if (!S_ISREG(st.st_mode))
        status = tm_fail(err, TM_EINVAL, "%s is not a file", path);
    else if (st.st_size > 0) {
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
            status = tm_fail_errno(err, "cannot map %s", path);
        else
            *bytes = tm_view_of(map, (size_t)st.st_size);
    }
    close(fd);
    return status;
}

void tm_file_unmap(tm_view bytes)
{
    if (bytes.size) munmap((void *)bytes.data, bytes.size);
}

static tm_status write_piece(int fd, tm_view piece, const char *path, tm_error *err)
{
    while (piece.size > 0) {
        size_t most = piece.size < (1u << 30) ? piece.size : 1u << 30;
        ssize_t n = write(fd, piece.data, most);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return tm_fail_errno(err, "cannot write %s", path);
        piece = tm_view_of(piece.data + n, piece.size - (size_t)n);
    }
    return TM_OK;
}

static tm_status write_all(int fd, const tm_view *pieces, size_t n, const char *path, tm_error *err)
{
    for (size_t i = 0; i < n; i++) TM_TRY(write_piece(fd, pieces[i], path, err));
    if (fsync(fd) < 0) return tm_fail_errno(err, "cannot sync %s", path);
    return TM_OK;
}

tm_status tm_file_write(const char *path, const tm_view *pieces, size_t n_pieces, tm_error *err)
{
    char tmp[PATH_MAX];
    if (snprintf(tmp, sizeof tmp, "%s.tmp", path) >= (int)sizeof tmp)
        return tm_fail(err, TM_EINVAL, "path too long: %.200s...", path);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return tm_fail_errno(err, "cannot create %s", tmp);
    tm_status status = write_all(fd, pieces, n_pieces, tmp, err);
    if (close(fd) < 0 && status == TM_OK) status = tm_fail_errno(err, "cannot write %s", tmp);
    if (status == TM_OK && rename(tmp, path) < 0) status = tm_fail_errno(err, "cannot rename %s", tmp);
    if (status < 0) unlink(tmp);
    return status;
}
