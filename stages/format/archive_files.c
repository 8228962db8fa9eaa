// SPDX-License-Identifier: Apache-2.0
// The file system behind tm_files, through the table of system calls.
#include "stages/format/archive.h"

#include <fcntl.h>

#include "engine/base/io.h"

typedef struct disk_file {
    int fd;
    uint64_t at;
    char path[];
} disk_file;

static tm_file_kind kind_of(mode_t mode)
{
    if (S_ISREG(mode)) return TM_FILE_PLAIN;
    if (S_ISDIR(mode)) return TM_FILE_FOLDER;
    return S_ISLNK(mode) ? TM_FILE_LINK : TM_FILE_OTHER;
}

static tm_status disk_kind(void *self, const char *path, tm_file_kind *kind, tm_error *err)
{
    (void)self;
    struct stat info;
    if (tm_sys.stat(path, &info) < 0) return tm_fail_errno(err, "%s", path);
    *kind = kind_of(info.st_mode);
    return TM_OK;
}

static tm_status list_one(const char *folder, const char *name, tm_files_each *each, void *to, tm_error *err)
{
    char path[TM_PATH_MAX];
    struct stat info;
    TM_TRY(tm_path(path, err, "%s/%s", folder, name));
    if (tm_sys.lstat(path, &info) < 0) return tm_fail_errno(err, "%s", path);
    return each(to, name, kind_of(info.st_mode), err);
}

static tm_status disk_list(void *self, const char *path, tm_files_each *each, void *to, tm_error *err)
{
    (void)self;
    tm_names names = {0};
    tm_status status = tm_dir_list(path, &names, err);
    for (size_t i = 0; i < names.count && status >= 0; i++)
        status = list_one(path, names.names[i], each, to, err);
    tm_names_clear(&names);
    return status;
}

static tm_status disk_open(void *self, const char *path, void **handle, tm_error *err)
{
    (void)self;
    disk_file *file = tm_alloc(sizeof *file + strlen(path) + 1);
    if (!file) return tm_fail(err, TM_ENOMEM, "open %s: out of memory", path);
    memcpy(file->path, path, strlen(path) + 1);
    file->at = 0;
    tm_status status = tm_fd_open(path, O_RDONLY, 0, &file->fd, err);
    if (status < 0) {
        tm_free(file);
        return status;
    }
    *handle = file;
    return TM_OK;
}

static tm_status disk_read(void *handle, void *data, size_t size, size_t *got, tm_error *err)
{
    disk_file *file = handle;
    TM_TRY(tm_fd_pread(file->fd, data, size, (off_t)file->at, got, file->path, err));
    file->at += *got;
    return TM_OK;
}

static tm_status disk_seek(void *handle, uint64_t offset, tm_error *err)
{
    (void)err;
    ((disk_file *)handle)->at = offset;
    return TM_OK;
}

static tm_status disk_size(void *handle, uint64_t *size, tm_error *err)
{
    const disk_file *file = handle;
    struct stat info;
    if (tm_sys.fstat(file->fd, &info) < 0) return tm_fail_errno(err, "%s", file->path);
    *size = (uint64_t)info.st_size;
    return TM_OK;
}

static void disk_close(void *handle)
{
    disk_file *file = handle;
    (void)tm_fd_close(file->fd, file->path, NULL); // read only: nothing can be lost
    tm_free(file);
}

const tm_files tm_files_disk = {
    .kind = disk_kind,
    .list = disk_list,
    .open = disk_open,
    .read = disk_read,
    .seek = disk_seek,
    .size = disk_size,
    .close = disk_close,
};
