// SPDX-License-Identifier: Apache-2.0
// Files as a stream of members: plain files, folders, tar, zip, .deb and single compressed files look alike.
//
// A root path is walked in bytewise order of its relative paths; a file that is an archive gives its members
// in stored order, every other file is one member. Formats are told by content, not by name: tar (also inside
// gzip, xz, zstd, bzip2), zip, ar, and a compressed file of anything else, which is one member named without
// its suffix. A Debian package (an ar that begins with `debian-binary`) gives the members of its data.tar;
// nothing else is opened twice. Links, devices and other special members are skipped, and on disk
// files and folders whose name begins with a dot (a store beside its corpus is one). No path of an archive is
// ever created.
//
//     tm_archive *in;
//     tm_member m;
//     TM_TRY(tm_archive_open(&in, "corpus", &tm_files_disk, &options, err));
//     while ((status = tm_archive_next(in, &m, err)) == TM_OK) status = tm_archive_read_all(in, &bytes, err);
//     tm_archive_close(in);
#pragma once

#include "engine/base/bytes.h"

typedef enum { TM_FILE_PLAIN, TM_FILE_FOLDER, TM_FILE_LINK, TM_FILE_OTHER } tm_file_kind;

typedef tm_status tm_files_each(void *to, const char *name, tm_file_kind kind, tm_error *err);

// The calls that reading takes. All I/O of an archive goes through these; `self` is passed to open, kind and
// list.
typedef struct tm_files {
    void *self;
    // What `path` is, links followed.
    tm_status (*kind)(void *self, const char *path, tm_file_kind *kind, tm_error *err);
    // Calls `each` for every entry of a folder in any order, links not followed; `each` may fail.
    tm_status (*list)(void *self, const char *path, tm_files_each *each, void *to, tm_error *err);
    tm_status (*open)(void *self, const char *path, void **file, tm_error *err);
    // Up to `size` bytes; *got is 0 at the end only.
    tm_status (*read)(void *file, void *data, size_t size, size_t *got, tm_error *err);
    tm_status (*seek)(void *file, uint64_t offset, tm_error *err); // NULL: a stream
    tm_status (*size)(void *file, uint64_t *size, tm_error *err);  // NULL when seek is
    void (*close)(void *file);
} tm_files;

extern const tm_files tm_files_disk; // the file system, through tm_sys

// Limits against hostile archives; 0 takes the default. Beyond a limit reading fails with TM_EFORMAT.
typedef struct tm_archive_options {
    const char *match;     // glob over member paths, see tm_glob_match; NULL: all
    uint64_t member_bytes; // 1 GiB: of one member of an archive, unpacked
    uint64_t total_bytes;  // 1 TiB: of all members of one archive file
    uint64_t n_members;    // 10,000,000 in one archive file
    unsigned ratio;        // 200: unpacked to packed, once 10 MiB are unpacked
    unsigned path_bytes;   // 4096
    // Told, if it is not NULL, of every link in a folder on disk that would match; `there`: so is its target.
    void (*skipped)(void *user, const char *path, bool there);
    void *user;
} tm_archive_options;

typedef struct tm_member {
    const char *file; // path of the file on disk
    const char *path; // in the archive, or relative to the root; of a root that is a plain file, its name
    bool packed;      // the file is an archive
    uint64_t size;    // unpacked bytes, UINT64_MAX when not known before reading
} tm_member;          // borrowed until the next call of tm_archive_next or _close

typedef struct tm_archive tm_archive;

// Prepare to read `root` (a file or a folder). `files` must outlive the archive; `options` may be NULL.
// Fails with TM_ENOENT when the root does not exist. Nothing is opened but folders.
tm_status tm_archive_open(tm_archive **archive, const char *root, const tm_files *files,
                          const tm_archive_options *options, tm_error *err);

// The next member that matches; TM_DONE after the last. A corrupt archive fails with TM_EFORMAT and a text
// that names file, member and offset; calling again goes on with the next file.
tm_status tm_archive_next(tm_archive *archive, tm_member *member, tm_error *err);

// Bytes of the member; *got is 0 at its end only. What is not read is skipped by tm_archive_next.
tm_status tm_archive_read(tm_archive *archive, void *data, size_t size, size_t *got, tm_error *err);

// All that is left of the member, appended to `bytes`.
tm_status tm_archive_read_all(tm_archive *archive, tm_buf *bytes, tm_error *err);

void tm_archive_close(tm_archive *archive); // NULL is fine

// Whether a path matches a glob: `?` and `*` stay within a component, `**` crosses them, `**/` may be
// nothing,
// `[a-z]` `[!a-z]` is a set, `\` takes the next literally. A pattern without a slash is matched against the
// last component. Time is at most pattern length x path length.
bool tm_glob_match(const char *pattern, const char *path);
