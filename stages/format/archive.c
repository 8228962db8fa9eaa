// SPDX-License-Identifier: Apache-2.0
// Walks a root and reads archives with libarchive, through callbacks and within limits.
//
//   next -> enter (open file, sniff) -> plain
//                                    -> outer [-> inner: data.tar of a Debian package]
#include "stages/format/archive.h"

#include <errno.h>
#include <stdlib.h>

#include <archive.h>
#include <archive_entry.h>

#include "stages/format/gunzip.h"

#define BLOCK (64 * 1024)
#define HEAD 512
#define RATIO_FROM (10u << 20)
#define DAMAGED "the file is damaged or was not fetched whole: put a sound copy in its place"

typedef enum { SHAPE_PLAIN, SHAPE_TAR, SHAPE_ZIP, SHAPE_AR, SHAPE_PACKED } file_shape;

struct tm_archive {
    const tm_files *files;
    tm_archive_options limits;
    char *root;
    bool root_is_file;
    char **paths; // relative to the root, sorted; one empty path when the root is a file
    size_t n_paths, capacity, next_path;

    tm_buf path, match_path, member; // path of the open file; what the glob sees; name of the member
    void *file;                      // the open file, NULL between files
    uint64_t file_size;              // UINT64_MAX when not known
    char head[HEAD];                 // first bytes, read to tell the shape
    size_t head_size, head_at;
    uint64_t at; // offset in the file, for seeking
    file_shape shape;
    bool plain_given;
    struct archive *outer, *inner, *now; // now: the one whose members are given
    char *block, *inner_block;
    char *unpacked;                      // a block of what `gunzip` gave
    tm_gunzip *gunzip, *inner_gunzip;    // where the file, or the inner tar, is gzip
    tm_error failed; // what a callback could not return

    bool in_member;
    uint64_t member_bytes, total_bytes, n_members;
};

// ---- the walk ----

typedef struct walk {
    tm_archive *archive;
    const char *folder; // relative path, "" for the root
    tm_buf folders;     // NUL-separated relative paths still to visit
} walk;

static tm_status add_path(tm_archive *archive, const char *path, tm_error *err)
{
    if (archive->n_paths == archive->capacity) {
        size_t capacity = archive->capacity ? archive->capacity * 2 : 64;
        char **paths = tm_realloc(archive->paths, capacity * sizeof *paths);
        if (!paths) return tm_fail(err, TM_ENOMEM, "%s: out of memory for file names", archive->root);
        archive->paths = paths;
        archive->capacity = capacity;
    }
    char *copy = tm_strdup(path);
    if (!copy) return tm_fail(err, TM_ENOMEM, "%s: out of memory for file names", archive->root);
    archive->paths[archive->n_paths++] = copy;
    return TM_OK;
}

static void full_path(const tm_archive *archive, const char *relative, tm_buf *path)
{
    tm_buf_reset(path);
    tm_buf_str(path, archive->root);
    if (!relative[0]) return;
    if (path->size && path->data && path->data[path->size - 1] != '/') tm_buf_char(path, '/');
    tm_buf_str(path, relative);
}

static tm_status tell_link(tm_archive *archive, const char *relative, tm_error *err)
{
    const tm_archive_options *how = &archive->limits;
    if (!how->skipped || (how->match && !tm_glob_match(how->match, relative))) return TM_OK;
    tm_buf full = {0};
    tm_file_kind kind;
    full_path(archive, relative, &full);
    tm_status status = tm_buf_status(&full, err);
    if (status >= 0) {
        bool there = archive->files->kind(archive->files->self, full.data, &kind, NULL) >= 0;
        how->skipped(how->user, relative, there);
    }
    tm_buf_clear(&full);
    return status;
}

static tm_status walk_entry(void *to, const char *name, tm_file_kind kind, tm_error *err)
{
    walk *w = to;
    if (name[0] == '.' || kind == TM_FILE_OTHER) return TM_OK;
    tm_buf path = {0};
    tm_buf_str(&path, w->folder);
    if (w->folder[0]) tm_buf_char(&path, '/');
    tm_buf_str(&path, name);
    tm_status status = tm_buf_status(&path, err);
    if (status >= 0 && kind == TM_FILE_PLAIN) status = add_path(w->archive, path.data, err);
    if (status >= 0 && kind == TM_FILE_LINK) status = tell_link(w->archive, path.data, err);
    if (status >= 0 && kind == TM_FILE_FOLDER) {
        tm_buf_add(&w->folders, path.data, path.size + 1);
        status = tm_buf_status(&w->folders, err);
    }
    tm_buf_clear(&path);
    return status;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// The folders still to visit are a stack, so that the depth of a tree costs no C stack.
static tm_status walk_root(tm_archive *archive, tm_error *err)
{
    walk w = {.archive = archive};
    tm_buf relative = {0}, full = {0};
    tm_status status = TM_OK;
    tm_buf_add(&w.folders, "", 1);
    while (w.folders.size && status >= 0) {
        size_t start = w.folders.size - 1;
        while (start > 0 && w.folders.data[start - 1]) start--;
        tm_buf_reset(&relative);
        tm_buf_str(&relative, w.folders.data + start);
        w.folders.size = start;
        status = tm_buf_status(&relative, err);
        if (status < 0) break;
        w.folder = relative.data ? relative.data : "";
        full_path(archive, w.folder, &full);
        status = tm_buf_status(&full, err);
        if (status >= 0) status = archive->files->list(archive->files->self, full.data, walk_entry, &w, err);
    }
    tm_buf_clear(&w.folders);
    tm_buf_clear(&relative);
    tm_buf_clear(&full);
    if (status >= 0 && archive->n_paths)
        qsort(archive->paths, archive->n_paths, sizeof *archive->paths, by_bytes);
    return status;
}

// ---- reading one file ----

static tm_status file_read(tm_archive *archive, void *data, size_t size, size_t *got, tm_error *err)
{
    if (archive->head_at < archive->head_size) {
        size_t left = archive->head_size - archive->head_at;
        *got = left < size ? left : size;
        memcpy(data, archive->head + archive->head_at, *got);
        archive->head_at += *got;
    } else {
        TM_TRY(archive->files->read(archive->file, data, size, got, err));
    }
    archive->at += *got;
    return TM_OK;
}

static la_ssize_t failed(tm_archive *archive, struct archive *reader)
{
    archive_set_error(reader, archive->failed.sys, "%s", archive->failed.text);
    return ARCHIVE_FATAL;
}

static tm_status pull_block(void *self, const void **data, size_t *size, tm_error *err)
{
    tm_archive *archive = self;
    *data = archive->block;
    return file_read(archive, archive->block, BLOCK, size, err);
}

// The next block out of a gzip stream.
static la_ssize_t unpack(tm_archive *archive, struct archive *reader, tm_gunzip *gunzip, const void **data)
{
    size_t got = 0;
    *data = archive->unpacked;
    tm_status status = tm_gunzip_read(gunzip, archive->unpacked, BLOCK, &got, &archive->failed);
    if (status >= 0) return (la_ssize_t)got;
    if (status == TM_EFORMAT) {
        tm_error why = archive->failed;
        tm_fail(&archive->failed, TM_EFORMAT, "%s: %s%sat byte %llu: %s", archive->path.data,
                archive->member.size ? archive->member.data : "", archive->member.size ? " " : "",
                (unsigned long long)tm_gunzip_at(gunzip), why.text);
        tm_hint(&archive->failed, DAMAGED);
    }
    return failed(archive, reader);
}

static la_ssize_t on_read(struct archive *reader, void *self, const void **data)
{
    tm_archive *archive = self;
    size_t got = 0;
    if (archive->gunzip) return unpack(archive, reader, archive->gunzip, data);
    if (pull_block(archive, data, &got, &archive->failed) < 0) return failed(archive, reader);
    return (la_ssize_t)got;
}

static la_int64_t on_seek(struct archive *reader, void *self, la_int64_t offset, int whence)
{
    tm_archive *archive = self;
    int64_t base = 0, target;
    if (whence == SEEK_CUR) base = (int64_t)archive->at;
    if (whence == SEEK_END) base = (int64_t)archive->file_size;
    if (__builtin_add_overflow(base, offset, &target) || target < 0) return ARCHIVE_FATAL;
    archive->head_at = archive->head_size;
    if (archive->files->seek(archive->file, (uint64_t)target, &archive->failed) < 0)
        return failed(archive, reader);
    archive->at = (uint64_t)target;
    return target;
}

// An error of libarchive, with file, member and offset.
static tm_status corrupt(tm_archive *archive, struct archive *reader, tm_error *err)
{
    if (archive->failed.status < 0) {
        if (err) *err = archive->failed;
        return archive->failed.status;
    }
    const char *why = archive_error_string(reader);
    tm_status status = archive_errno(reader) == ENOMEM ? TM_ENOMEM : TM_EFORMAT;
    const char *member = archive->member.size ? archive->member.data : "";
    long long at = (long long)archive_filter_bytes(archive->outer, -1);
    char place[40] = "";
    if (at > 0) snprintf(place, sizeof place, "%sat byte %lld", member[0] ? " " : "", at);
    tm_fail(err, status, "%s: %s%s%s%s", archive->path.data, member, place, member[0] || place[0] ? ": " : "",
            why ? why : "damaged archive");
    if (status == TM_EFORMAT) tm_hint(err, DAMAGED);
    return status;
}

static tm_status pull_inner(void *self, const void **data, size_t *size, tm_error *err)
{
    tm_archive *archive = self;
    la_ssize_t got = archive_read_data(archive->outer, archive->inner_block, BLOCK);
    if (got < 0) return corrupt(archive, archive->outer, err);
    *data = archive->inner_block;
    *size = (size_t)got;
    return TM_OK;
}

static la_ssize_t on_inner_read(struct archive *reader, void *self, const void **data)
{
    tm_archive *archive = self;
    if (archive->inner_gunzip) return unpack(archive, reader, archive->inner_gunzip, data);
    *data = archive->inner_block;
    la_ssize_t got = archive_read_data(archive->outer, archive->inner_block, BLOCK);
    if (got < 0) {
        archive_set_error(reader, archive_errno(archive->outer), "%s", archive_error_string(archive->outer));
        return ARCHIVE_FATAL;
    }
    return got;
}

static bool begins(const tm_archive *archive, size_t offset, const char *magic, size_t size)
{
    return archive->head_size >= offset + size && !memcmp(archive->head + offset, magic, size);
}

static file_shape shape_of(const tm_archive *archive)
{
    if (begins(archive, 0, "!<arch>\n", 8)) return SHAPE_AR;
    if (begins(archive, 0, "PK\3\4", 4) || begins(archive, 0, "PK\5\6", 4)) return SHAPE_ZIP;
    if (begins(archive, 257, "ustar", 5)) return SHAPE_TAR;
    if (begins(archive, 0, "\x1f\x8b", 2) ||
        begins(archive, 0,
               "\xfd"
               "7zXZ\0",
               6) ||
        begins(archive, 0, "\x28\xb5\x2f\xfd", 4) || begins(archive, 0, "BZh", 3))
        return SHAPE_PACKED;
    return SHAPE_PLAIN;
}

static tm_status sniff(tm_archive *archive, tm_error *err)
{
    archive->head_size = archive->head_at = 0;
    while (archive->head_size < HEAD) {
        size_t got = 0;
        TM_TRY(archive->files->read(archive->file, archive->head + archive->head_size,
                                    HEAD - archive->head_size, &got, err));
        if (!got) break;
        archive->head_size += got;
    }
    archive->at = 0;
    archive->shape = shape_of(archive);
    return TM_OK;
}

// gzip is unpacked before libarchive sees it.
static void support_filters(struct archive *reader)
{
    archive_read_support_filter_xz(reader);
    archive_read_support_filter_zstd(reader);
    archive_read_support_filter_bzip2(reader);
}

static void support_shape(struct archive *reader, file_shape shape, bool seekable)
{
    switch (shape) {
    case SHAPE_AR: archive_read_support_format_ar(reader); break;
    case SHAPE_ZIP:
        if (seekable)
            archive_read_support_format_zip_seekable(reader);
        else
            archive_read_support_format_zip_streamable(reader);
        break;
    case SHAPE_TAR: archive_read_support_format_tar(reader); break;
    default:
        support_filters(reader);
        archive_read_support_format_tar(reader);
        archive_read_support_format_raw(reader);
        break;
    }
}

static tm_status open_outer(tm_archive *archive, tm_error *err)
{
    bool seekable = archive->files->seek && archive->file_size != UINT64_MAX;
    archive->outer = archive->now = archive_read_new();
    if (!archive->outer) return tm_fail(err, TM_ENOMEM, "%s: out of memory", archive->path.data);
    if (begins(archive, 0, "\x1f\x8b", 2))
        TM_TRY(tm_gunzip_new(&archive->gunzip, pull_block, archive, err));
    support_shape(archive->outer, archive->shape, seekable);
    archive_read_set_read_callback(archive->outer, on_read);
    if (seekable && archive->shape == SHAPE_ZIP) archive_read_set_seek_callback(archive->outer, on_seek);
    archive_read_set_callback_data(archive->outer, archive);
    if (archive_read_open1(archive->outer) < ARCHIVE_WARN) return corrupt(archive, archive->outer, err);
    return TM_OK;
}

// The outer archive stands at the data.tar member of a Debian package.
static tm_status open_inner(tm_archive *archive, tm_error *err)
{
    if (!archive->inner_block) archive->inner_block = tm_alloc(BLOCK);
    archive->inner = archive_read_new();
    if (!archive->inner || !archive->inner_block)
        return tm_fail(err, TM_ENOMEM, "%s: out of memory", archive->path.data);
    if (archive->member.size > 3 && !strcmp(archive->member.data + archive->member.size - 3, ".gz"))
        TM_TRY(tm_gunzip_new(&archive->inner_gunzip, pull_inner, archive, err));
    support_filters(archive->inner);
    archive_read_support_format_tar(archive->inner);
    archive_read_set_read_callback(archive->inner, on_inner_read);
    archive_read_set_callback_data(archive->inner, archive);
    if (archive_read_open1(archive->inner) < ARCHIVE_WARN) return corrupt(archive, archive->inner, err);
    archive->now = archive->inner;
    return TM_OK;
}

static void leave(tm_archive *archive)
{
    if (archive->inner) archive_read_free(archive->inner);
    if (archive->outer) archive_read_free(archive->outer);
    if (archive->file) archive->files->close(archive->file);
    tm_gunzip_free(archive->gunzip);
    tm_gunzip_free(archive->inner_gunzip);
    archive->gunzip = archive->inner_gunzip = NULL;
    archive->inner = archive->outer = archive->now = NULL;
    archive->file = NULL;
    archive->in_member = archive->plain_given = false;
    archive->member_bytes = archive->total_bytes = archive->n_members = 0;
    archive->failed = (tm_error){0};
    tm_buf_reset(&archive->member);
}

// The path that the glob and the user see for a file: relative to the root, or the root's own name.
static const char *shown_path(const tm_archive *archive, const char *relative)
{
    if (!archive->root_is_file) return relative;
    const char *slash = strrchr(archive->root, '/');
    return slash && slash[1] ? slash + 1 : archive->root;
}

// A file whose name promises an archive and whose first bytes are none: damaged, not a text.
static tm_status check_name(const tm_archive *archive, tm_error *err)
{
    static const char *const suffixes[] = {".tar", ".tgz", ".gz", ".xz", ".zst", ".bz2", ".zip", ".deb"};
    const char *name = archive->match_path.data;
    if (archive->shape != SHAPE_PLAIN) return TM_OK;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t n = strlen(suffixes[i]);
        if (archive->match_path.size <= n || strcmp(name + archive->match_path.size - n, suffixes[i]))
            continue;
        tm_fail(err, TM_EFORMAT, "%s: it is named %s and is none", archive->path.data, suffixes[i]);
        tm_hint(err, DAMAGED);
        return TM_EFORMAT;
    }
    return TM_OK;
}

static tm_status enter(tm_archive *archive, tm_error *err)
{
    const char *relative = archive->paths[archive->next_path++];
    leave(archive);
    full_path(archive, relative, &archive->path);
    tm_buf_reset(&archive->match_path);
    tm_buf_str(&archive->match_path, shown_path(archive, relative));
    TM_TRY(tm_buf_status(&archive->path, err));
    TM_TRY(tm_buf_status(&archive->match_path, err));
    TM_TRY(archive->files->open(archive->files->self, archive->path.data, &archive->file, err));
    archive->file_size = UINT64_MAX;
    if (archive->files->size) TM_TRY(archive->files->size(archive->file, &archive->file_size, err));
    TM_TRY(sniff(archive, err));
    TM_TRY(check_name(archive, err));
    return archive->shape == SHAPE_PLAIN ? TM_OK : open_outer(archive, err);
}

// ---- members ----

static bool wanted(const tm_archive *archive, const char *path)
{
    return !archive->limits.match || tm_glob_match(archive->limits.match, path);
}

static tm_status over(const tm_archive *archive, tm_error *err, const char *what, uint64_t limit)
{
    tm_fail(err, TM_EFORMAT, "%s: %s: more than %llu %s", archive->path.data,
            archive->member.size ? archive->member.data : "?", (unsigned long long)limit, what);
    tm_hint(err, "raise the limit if the archive can be trusted");
    return TM_EFORMAT;
}

// The name of the single member of a compressed file: the file's, without .gz and the like.
static void name_packed(tm_archive *archive)
{
    static const char *const suffixes[] = {".gz", ".xz", ".zst", ".bz2"};
    tm_buf_str(&archive->member, archive->match_path.data);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t n = strlen(suffixes[i]);
        if (archive->member.size > n &&
            !strcmp(archive->member.data + archive->member.size - n, suffixes[i])) {
            archive->member.size -= n;
            archive->member.data[archive->member.size] = 0;
            return;
        }
    }
}

static tm_status name_member(tm_archive *archive, struct archive_entry *entry, tm_error *err)
{
    tm_buf_reset(&archive->member);
    if (archive->now == archive->outer && archive->shape == SHAPE_PACKED &&
        archive_format(archive->outer) == ARCHIVE_FORMAT_RAW) {
        name_packed(archive);
        return tm_buf_status(&archive->member, err);
    }
    const char *name = archive_entry_pathname_utf8(entry);
    if (!name) name = archive_entry_pathname(entry);
    if (!name) name = "?";
    while (name[0] == '.' && name[1] == '/') name += 2;
    if (strlen(name) > archive->limits.path_bytes)
        return over(archive, err, "bytes in a path", archive->limits.path_bytes);
    tm_buf_str(&archive->member, name);
    return tm_buf_status(&archive->member, err);
}

// A regular member with bytes of its own (a hard link has none, or somebody else's).
static bool is_plain_member(struct archive_entry *entry)
{
    return archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry);
}

static tm_status check_member(tm_archive *archive, struct archive_entry *entry, tm_error *err)
{
    if (archive_entry_is_encrypted(entry))
        return tm_fail(err, TM_EUNSUPPORTED, "%s: %s is encrypted", archive->path.data, archive->member.data);
    if (archive_entry_size_is_set(entry) &&
        (uint64_t)archive_entry_size(entry) > archive->limits.member_bytes)
        return over(archive, err, "bytes in a member", archive->limits.member_bytes);
    return TM_OK;
}

// The members of a Debian package's ar: go into data.tar, pass over the rest.
static tm_status enter_package(tm_archive *archive, bool *again, tm_error *err)
{
    *again = false;
    if (archive->now != archive->outer || archive->shape != SHAPE_AR) return TM_OK;
    bool package = begins(archive, 8, "debian-binary", 13);
    if (!package) return TM_OK;
    *again = true;
    if (!strncmp(archive->member.data, "data.tar", 8)) return open_inner(archive, err);
    return TM_OK;
}

// A tar ends before its gzip stream does: read on to where the checksum stands.
static tm_status drain(tm_archive *archive, tm_error *err)
{
    tm_gunzip *gunzip = archive->now == archive->inner ? archive->inner_gunzip : archive->gunzip;
    const void *data;
    la_ssize_t got = 1;
    while (gunzip && got > 0) got = unpack(archive, archive->now, gunzip, &data);
    return gunzip && got < 0 ? corrupt(archive, archive->now, err) : TM_DONE;
}

// The next header of the open archive: TM_OK a member to give, TM_AGAIN one to pass over, TM_DONE the end.
static tm_status next_header(tm_archive *archive, struct archive_entry **entry, tm_error *err)
{
    archive->in_member = false;
    int code = archive_read_next_header(archive->now, entry);
    if (code == ARCHIVE_EOF) return drain(archive, err);
    if (code < ARCHIVE_WARN) return corrupt(archive, archive->now, err);
    if (++archive->n_members > archive->limits.n_members)
        return over(archive, err, "members", archive->limits.n_members);
    TM_TRY(name_member(archive, *entry, err));
    bool again = false;
    TM_TRY(enter_package(archive, &again, err));
    if (again || !is_plain_member(*entry) || !wanted(archive, archive->member.data)) return TM_AGAIN;
    TM_TRY(check_member(archive, *entry, err));
    archive->member_bytes = 0;
    archive->in_member = true;
    return TM_OK;
}

static tm_status next_packed(tm_archive *archive, tm_member *member, tm_error *err)
{
    struct archive_entry *entry = NULL;
    tm_status status;
    do status = next_header(archive, &entry, err);
    while (status == TM_AGAIN);
    if (status == TM_OK)
        *member = (tm_member){.file = archive->path.data,
                              .path = archive->member.data,
                              .packed = true,
                              .size = archive_entry_size_is_set(entry) ? (uint64_t)archive_entry_size(entry)
                                                                       : UINT64_MAX};
    return status;
}

static tm_status next_plain(tm_archive *archive, tm_member *member, tm_error *err)
{
    (void)err;
    if (archive->plain_given || !wanted(archive, archive->match_path.data)) return TM_DONE;
    archive->plain_given = archive->in_member = true;
    *member =
        (tm_member){.file = archive->path.data, .path = archive->match_path.data, .size = archive->file_size};
    return TM_OK;
}

tm_status tm_archive_next(tm_archive *archive, tm_member *member, tm_error *err)
{
    for (;;) {
        tm_status status = TM_DONE;
        if (archive->file)
            status = archive->shape == SHAPE_PLAIN ? next_plain(archive, member, err)
                                                   : next_packed(archive, member, err);
        if (status == TM_OK) return TM_OK;
        leave(archive);
        if (status < 0) return status;
        if (archive->next_path == archive->n_paths) return TM_DONE;
        status = enter(archive, err);
        if (status < 0) {
            leave(archive);
            return status;
        }
    }
}

// ---- bytes ----

static tm_status count_bytes(tm_archive *archive, uint64_t got, tm_error *err)
{
    archive->member_bytes += got;
    archive->total_bytes += got;
    uint64_t packed = archive->gunzip ? archive->at : (uint64_t)archive_filter_bytes(archive->outer, -1);
    if (archive->member_bytes > archive->limits.member_bytes)
        return over(archive, err, "bytes in a member", archive->limits.member_bytes);
    if (archive->total_bytes > archive->limits.total_bytes)
        return over(archive, err, "bytes in an archive", archive->limits.total_bytes);
    if (archive->total_bytes > RATIO_FROM && archive->total_bytes / archive->limits.ratio > packed)
        return over(archive, err, "times as many bytes as are packed", archive->limits.ratio);
    return TM_OK;
}

tm_status tm_archive_read(tm_archive *archive, void *data, size_t size, size_t *got, tm_error *err)
{
    *got = 0;
    if (!archive->in_member || !size) return TM_OK;
    if (archive->shape == SHAPE_PLAIN) return file_read(archive, data, size, got, err);
    la_ssize_t n = archive_read_data(archive->now, data, size);
    tm_status status = TM_OK;
    if (n < 0)
        status = corrupt(archive, archive->now, err);
    else if (n > 0)
        status = count_bytes(archive, (uint64_t)n, err);
    if (status < 0)
        leave(archive);
    else
        *got = (size_t)n;
    return status;
}

tm_status tm_archive_read_all(tm_archive *archive, tm_buf *bytes, tm_error *err)
{
    size_t got = 1;
    while (got) {
        if (!tm_buf_reserve(bytes, BLOCK)) return tm_buf_status(bytes, err);
        TM_TRY(tm_archive_read(archive, bytes->data + bytes->size, BLOCK, &got, err));
        bytes->size += got;
        bytes->data[bytes->size] = 0;
    }
    return TM_OK;
}

// ---- open and close ----

static void set_defaults(tm_archive_options *limits)
{
    if (!limits->member_bytes) limits->member_bytes = 1ull << 30;
    if (!limits->total_bytes) limits->total_bytes = 1ull << 40;
    if (!limits->n_members) limits->n_members = 10000000;
    if (!limits->ratio) limits->ratio = 200;
    if (!limits->path_bytes) limits->path_bytes = 4096;
}

static tm_status prepare(tm_archive *archive, tm_error *err)
{
    tm_file_kind kind;
    TM_TRY(archive->files->kind(archive->files->self, archive->root, &kind, err));
    archive->root_is_file = kind != TM_FILE_FOLDER;
    return archive->root_is_file ? add_path(archive, "", err) : walk_root(archive, err);
}

tm_status tm_archive_open(tm_archive **out, const char *root, const tm_files *files,
                          const tm_archive_options *options, tm_error *err)
{
    *out = NULL;
    tm_archive *archive = tm_calloc(1, sizeof *archive);
    if (!archive) return tm_fail(err, TM_ENOMEM, "%s: out of memory", root);
    archive->files = files;
    if (options) archive->limits = *options;
    set_defaults(&archive->limits);
    archive->root = tm_strdup(root);
    archive->block = tm_alloc(BLOCK);
    archive->unpacked = tm_alloc(BLOCK);
    tm_status status = archive->root && archive->block && archive->unpacked ? prepare(archive, err)
                                                       : tm_fail(err, TM_ENOMEM, "%s: out of memory", root);
    if (status < 0) {
        tm_archive_close(archive);
        return status;
    }
    *out = archive;
    return TM_OK;
}

void tm_archive_close(tm_archive *archive)
{
    if (!archive) return;
    leave(archive);
    for (size_t i = 0; i < archive->n_paths; i++) tm_free(archive->paths[i]);
    tm_free(archive->paths);
    tm_buf_clear(&archive->path);
    tm_buf_clear(&archive->match_path);
    tm_buf_clear(&archive->member);
    tm_free(archive->root);
    tm_free(archive->block);
    tm_free(archive->unpacked);
    tm_free(archive->inner_block);
    tm_free(archive);
}
