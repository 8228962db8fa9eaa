// SPDX-License-Identifier: Apache-2.0
// Roots, globs and identities of sources.
#include "stages/format/corpus.h"

#include <stdio.h>

#include "engine/base/hash.h"
#include "engine/base/nearest.h"
#include "engine/base/utf8.h"

static bool has_glob(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (strchr("*?[", text[i])) return true;
    return false;
}

tm_status tm_corpus_parse(tm_corpus *corpus, const char *folder, const char *path, const char *match,
                          tm_error *err)
{
    *corpus = (tm_corpus){0};
    snprintf(corpus->shown, sizeof corpus->shown, "%s", path);
    corpus->n_folder = path[0] == '/' ? 0 : strlen(folder);
    snprintf(corpus->match, sizeof corpus->match, "%s", match ? match : "");
    size_t n = strlen(path), root = n;
    if (has_glob(path, n)) {
        // Up to the last slash before the first component with a glob.
        size_t start = 0;
        for (size_t i = 0; i <= n; i++) {
            if (path[i] && path[i] != '/') continue;
            if (has_glob(path + start, i - start)) break;
            start = i + 1;
        }
        root = start ? start - 1 : 0;
        if (corpus->match[0])
            return tm_fail(err, TM_EINVAL, "\"%s\" has a pattern already: leave `match` out", path);
        snprintf(corpus->match, sizeof corpus->match, "%s", path + start);
    }
    bool absolute = path[0] == '/';
    if (root == 0 && absolute) return tm_path(corpus->root, err, "/");
    if (root == 0) return tm_path(corpus->root, err, "%s", folder);
    return tm_path(corpus->root, err, "%s%s%.*s", absolute ? "" : folder, absolute ? "" : "/", (int)root,
                   path);
}

// JSON takes no name that is not UTF-8; the hash keeps two such names apart.
static void add_key(const char *name, tm_buf *key)
{
    if (tm_utf8_clean(tm_view_str(name), key))
        tm_buf_fmt(key, "#%016llx", (unsigned long long)tm_hash64(name, strlen(name), 0));
}

static tm_status add_file(const char *path, const char *name, tm_file_memory *memory, json_t *files,
                          tm_error *err)
{
    tm_hash hash;
    tm_buf key = {0};
    char hex[TM_HASH_HEX];
    TM_TRY(tm_file_hash(path, memory, &hash, err));
    tm_hash_hex(hash, hex);
    add_key(name, &key);
    tm_status status = tm_buf_status(&key, err);
    if (status >= 0 && json_object_set_new(files, key.data, json_string(hex)))
        status = tm_fail(err, TM_ENOMEM, "no memory for %s", name);
    tm_buf_clear(&key);
    return status;
}

static tm_status walk(const tm_corpus *corpus, const char *folder, const char *prefix, tm_file_memory *memory,
                      json_t *files, tm_error *err)
{
    tm_names names = {0};
    TM_TRY(tm_dir_list(folder, &names, err));
    tm_status status = TM_OK;
    for (size_t i = 0; status >= 0 && i < names.count; i++) {
        char path[TM_PATH_MAX], name[TM_PATH_MAX];
        struct stat info;
        status = tm_path(path, err, "%s/%s", folder, names.names[i]);
        if (status >= 0) status = tm_path(name, err, "%s%s%s", prefix, prefix[0] ? "/" : "", names.names[i]);
        if (status < 0 || tm_sys.lstat(path, &info) || names.names[i][0] == '.') continue;
        if (S_ISDIR(info.st_mode)) status = walk(corpus, path, name, memory, files, err);
        else if (S_ISREG(info.st_mode)) status = add_file(path, name, memory, files, err);
    }
    tm_names_clear(&names);
    return status;
}

static void tell_near(const tm_corpus *corpus, tm_error *err)
{
    char near[TM_PATH_MAX], folder[TM_PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", (int)corpus->n_folder, corpus->root);
    if (tm_nearest_path(folder, corpus->shown, near, sizeof near))
        tm_hint(err, "did you mean \"%.300s\"?", near);
    else
        tm_hint(err, corpus->shown[0] == '/' ? "put it there, or give another path"
                                     : "paths are relative to the graph file");
}

static tm_status not_there(const tm_corpus *corpus, tm_error *err)
{
    struct stat info;
    if (tm_sys.lstat(corpus->root, &info) == 0) {
        tm_fail(err, TM_ENOENT, "\"%s\" is a link to what is not there", corpus->shown);
        tm_hint(err, "put there what it points to, or give another path");
        return TM_ENOENT;
    }
    tm_fail(err, TM_ENOENT, "\"%s\" is not there (looked at %s)", corpus->shown, corpus->root);
    tell_near(corpus, err);
    return TM_ENOENT;
}

typedef struct links {
    size_t n;
    char first[200];
} links;

static void count_link(void *user, const char *path, bool there)
{
    links *found = user;
    (void)there;
    if (!found->n++) snprintf(found->first, sizeof found->first, "%s", path);
}

static tm_status no_files(const tm_corpus *corpus, tm_error *err)
{
    links found = {0};
    tm_archive_options how = {.match = corpus->match, .skipped = count_link, .user = &found};
    tm_archive *archive = NULL;
    if (!how.match[0]) how.match = NULL;
    if (tm_archive_open(&archive, corpus->root, &tm_files_disk, &how, NULL) >= 0) tm_archive_close(archive);
    tm_fail(err, TM_ENOENT, "\"%s\" holds no files", corpus->shown);
    if (found.n)
        tm_why(err, "it holds %zu link%s (%s%s), and links in a folder are not followed", found.n,
               found.n == 1 ? "" : "s", found.first, found.n == 1 ? "" : ", ...");
    tm_hint(err, "name a folder with documents in it, a file, or an archive");
    return TM_ENOENT;
}

// An archive among the files may hold matches, so a glob leaves out only plain files that it does not match;
// telling them apart would mean opening all, and a file too many in the identity costs no more than a rerun.
tm_status tm_corpus_identity(const tm_corpus *corpus, tm_file_memory *memory, json_t *files, tm_error *err)
{
    struct stat info;
    if (tm_sys.stat(corpus->root, &info)) return not_there(corpus, err);
    const char *slash = strrchr(corpus->root, '/');
    if (!S_ISDIR(info.st_mode))
        return add_file(corpus->root, slash ? slash + 1 : corpus->root, memory, files, err);
    TM_TRY(walk(corpus, corpus->root, "", memory, files, err));
    return json_object_size(files) ? TM_OK : no_files(corpus, err);
}

bool tm_corpus_empty(const tm_corpus *corpus, const json_t *files)
{
    struct stat info;
    const char *name;
    json_t *hash;
    tm_member member;
    tm_error err = {0};
    tm_archive *archive = NULL;
    tm_archive_options how = {.match = corpus->match};
    if (!corpus->match[0] || tm_sys.stat(corpus->root, &info) || !S_ISDIR(info.st_mode)) return false;
    json_object_foreach((json_t *)files, name, hash)
        if (tm_glob_match(corpus->match, name)) return false;
    tm_status status = tm_archive_open(&archive, corpus->root, &tm_files_disk, &how, &err);
    if (status >= 0) status = tm_archive_next(archive, &member, &err);
    tm_archive_close(archive);
    return status == TM_DONE;
}
