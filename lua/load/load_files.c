// SPDX-License-Identifier: Apache-2.0
// Reading of graph files: by descriptor, component by component, within bounds.
#include "lua/load/load_files.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/hash.h"
#include "engine/base/io.h"
#include "engine/base/nearest.h"

static tm_status read_all(int fd, const char *name, tm_buf *text, tm_error *err)
{
    struct stat info;
    if (fstat(fd, &info) < 0) return tm_fail_errno(err, "%s", name);
    if (S_ISDIR(info.st_mode)) return tm_fail(err, TM_EINVAL, "%s is a folder", name);
    if (!S_ISREG(info.st_mode)) return tm_fail(err, TM_EINVAL, "%s is no file", name);
    if (info.st_size > TM_GRAPH_FILE_MAX) return tm_fail(err, TM_EINVAL, "%s is bigger than 4 MiB", name);
    tm_buf_reset(text);
    while (text->size <= TM_GRAPH_FILE_MAX) {
        char block[16384];
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return tm_fail_errno(err, "%s", name);
        if (n == 0) return tm_buf_status(text, err);
        tm_buf_add(text, block, (size_t)n);
    }
    return tm_fail(err, TM_EINVAL, "%s is bigger than 4 MiB", name);
}

static tm_status add(tm_graph_files *files, const char *path, const tm_buf *text, tm_error *err)
{
    char hex[TM_HASH_HEX];
    files->bytes += text->size;
    if (++files->n > TM_GRAPH_FILES || files->bytes > TM_GRAPH_FILES_MAX)
        return tm_fail(err, TM_EINVAL, "the files of the graph are more than %d, or bigger than 16 MiB",
                       TM_GRAPH_FILES);
    tm_hash_hex(tm_hash_of(text->data, text->size), hex);
    json_t *row = json_pack("{s:s, s:s}", "path", path, "hash", hex);
    if (!row || json_array_append_new(files->list, row) < 0)
        return tm_fail(err, TM_ENOMEM, "no memory for %s", path);
    return TM_OK;
}

static tm_status not_opened(const char *path, tm_error *err)
{
    char near[TM_PATH_MAX];
    bool missing = errno == ENOENT;
    tm_status status = missing ? tm_fail(err, TM_ENOENT, "there is no file %.400s", path)
                               : tm_fail_errno(err, "%.400s cannot be read", path);
    snprintf(near, sizeof near, "%.*s.lua", TM_PATH_MAX - 8, path);
    if (missing && (tm_file_exists(near) || tm_nearest_path(NULL, path, near, sizeof near)))
        tm_hint(err, "did you mean %.400s?", near);
    else if (missing)
        tm_hint(err,
                "name a graph file, as seen from the folder you are in; `tidemill init` writes a first one");
    tm_error_class(err, "TM0100");
    return status;
}

static tm_status read_graph(const char *path, const char *given, tm_buf *text, tm_error *err)
{
    if (given && strlen(given) > TM_GRAPH_FILE_MAX)
        return tm_fail_as(err, TM_EINVAL, "TM0100", "%s is bigger than 4 MiB", path);
    if (given) {
        tm_buf_str(text, given);
        return tm_buf_status(text, err);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return not_opened(path, err);
    tm_status status = read_all(fd, path, text, err);
    close(fd);
    if (status < 0) tm_error_class(err, "TM0100");
    if (status == TM_EINVAL) tm_hint(err, "name a graph file: text in Lua, of at most 4 MiB");
    return status;
}

tm_status tm_graph_files_open(tm_graph_files *files, const char *path, const char *given, tm_buf *text,
                              tm_error *err)
{
    char folder[4096] = ".";
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    *files = (tm_graph_files){.folder = -1, .list = json_array()};
    snprintf(files->name, sizeof files->name, "%s", name);
    if (slash &&
        snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path) >= 4096)
        return tm_fail(err, TM_EINVAL, "%.200s...: the path is too long", path);
    TM_TRY(read_graph(path, given, text, err));
    files->folder = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (files->folder < 0) return tm_fail_errno(err, "%s", folder);
    return add(files, files->name, text, err);
}

// "lib.util" -> "lib/util.lua"
static tm_status path_of(const char *name, char path[256], tm_error *err)
{
    size_t n = strlen(name);
    bool part = false;
    if (n == 0 || n > 200) return tm_fail(err, TM_EINVAL, "this is no name of a file");
    for (size_t i = 0; i <= n; i++) {
        bool letter = isalnum((unsigned char)name[i]) || name[i] == '_' || name[i] == '-';
        bool end = i == n || name[i] == '.';
        if ((!letter && !end) || (end && !part))
            return tm_fail(err, TM_EINVAL,
                           "a name is letters, digits, '_' and '-', with '.' between folders");
        part = letter;
        path[i] = name[i] == '.' ? '/' : name[i];
    }
    memcpy(path + n, ".lua", 5);
    return TM_OK;
}

// Open below the folder, following no link.
static int open_below(int folder, const char *path)
{
    char part[256];
    int at = folder;
    for (const char *slash; (slash = strchr(path, '/')); path = slash + 1) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        int inner = openat(at, part, O_PATH | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW);
        int fault = errno;
        if (at != folder) close(at);
        errno = fault;
        if (inner < 0) return -1;
        at = inner;
    }
    int fd = openat(at, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    int fault = errno;
    if (at != folder) close(at);
    errno = fault;
    return fd;
}

tm_status tm_graph_files_require(tm_graph_files *files, const char *name, char path[256], tm_buf *text,
                                 tm_error *err)
{
    TM_TRY(path_of(name, path, err));
    int fd = open_below(files->folder, path);
    if (fd < 0 && errno == ELOOP)
        return tm_fail(err, TM_EINVAL, "%s is a link, and links are not followed", path);
    if (fd < 0 && errno == ENOENT) {
        char folder[64], near[256];
        snprintf(folder, sizeof folder, "/proc/self/fd/%d", files->folder);
        tm_fail(err, TM_ENOENT, "there is no %s beside the graph file", path);
        if (tm_nearest_path(folder, path, near, sizeof near)) tm_hint(err, "did you mean %s?", near);
        return TM_ENOENT;
    }
    if (fd < 0) return tm_fail_errno(err, "%s", path);
    tm_status status = read_all(fd, path, text, err);
    close(fd);
    return status < 0 ? status : add(files, path, text, err);
}

const char *tm_graph_files_name(const tm_graph_files *files)
{
    return files->name;
}

json_t *tm_graph_files_json(const tm_graph_files *files)
{
    return json_incref(files->list);
}

void tm_graph_files_close(tm_graph_files *files)
{
    if (files->folder >= 0) close(files->folder);
    json_decref(files->list);
    *files = (tm_graph_files){.folder = -1};
}
