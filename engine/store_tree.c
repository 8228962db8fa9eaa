// SPDX-License-Identifier: Apache-2.0
// Trees: manifests, and folders made of them.
#include "engine/store_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include "engine/store_impl.h"

static const char magic[] = "tidemill-tree 1\n";
enum { MAGIC = sizeof magic - 1 };

// --- Manifests ---------------------------------------------------------------------------------------------
static bool safe_name(const char *name)
{
    if (tm_utf8_valid(tm_view_str(name)) != strlen(name)) return false;
    for (const char *part = name;; part++) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part += n;
        if (!*part) return strlen(name) < 1024;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const tm_tree_file *)a)->name, ((const tm_tree_file *)b)->name);
}

// The files in order of their names, or NULL without memory.
static tm_tree_file *sorted(const tm_tree *tree)
{
    tm_tree_file *files = tm_alloc(tree->count * sizeof *files);
    if (!files) return NULL;
    if (tree->count) memcpy(files, tree->files, tree->count * sizeof *files);
    qsort(files, tree->count, sizeof *files, by_name);
    return files;
}

static tm_status check_names(const tm_tree_file *files, size_t count, tm_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!safe_name(files[i].name))
            return tm_fail(err, TM_EFORMAT, "\"%.80s\" is not a name for a file in a tree", files[i].name);
        if (i > 0 && strcmp(files[i - 1].name, files[i].name) == 0)
            return tm_fail(err, TM_EFORMAT, "a tree has two files named \"%.80s\"", files[i].name);
    }
    return TM_OK;
}

// Appending or setting NULL fails, so a value that found no memory is noticed there (json_pack may drop it).
static bool add_row(json_t *rows, const tm_tree_file *file)
{
    char hex[TM_HASH_HEX];
    tm_hash_hex(file->hash, hex);
    json_t *row = json_array();
    return json_array_append_new(rows, row) == 0 &&
           json_array_append_new(row, json_string(file->name)) == 0 &&
           json_array_append_new(row, json_string(hex)) == 0 &&
           json_array_append_new(row, json_integer((json_int_t)file->bytes)) == 0;
}

static char *manifest_text(const tm_tree *tree, const tm_tree_file *files)
{
    json_t *all = json_object(), *rows = json_array();
    bool good = json_object_set_new(all, "files", rows) == 0;
    for (size_t i = 0; i < tree->count && good; i++) good = add_row(rows, &files[i]);
    if (good && tree->attributes) good = json_object_set(all, "attributes", tree->attributes) == 0;
    else if (good) good = json_object_set_new(all, "attributes", json_object()) == 0;
    char *text = good ? json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(all);
    return text;
}

static tm_status write_manifest(const tm_tree *tree, tm_buf *out, tm_error *err)
{
    tm_tree_file *files = sorted(tree);
    if (!files) return tm_fail(err, TM_ENOMEM, "out of memory for a tree of %zu files", tree->count);
    tm_status status = check_names(files, tree->count, err);
    char *text = status == TM_OK ? manifest_text(tree, files) : NULL;
    tm_free(files);
    if (status == TM_OK && !text) status = tm_fail(err, TM_ENOMEM, "out of memory for a tree's manifest");
    if (status == TM_OK) {
        tm_buf_add(out, magic, MAGIC);
        tm_buf_str(out, text);
        status = tm_buf_status(out, err);
    }
    tm_json_free(text);
    return status;
}

tm_status tm_tree_put(tm_store *store, const tm_tree *tree, tm_hash *hash, tm_error *err)
{
    for (size_t i = 0; i < tree->count; i++) {
        char path[TM_PATH_MAX];
        TM_TRY(tm_store_path(store, tree->files[i].hash, path, err));
    }
    tm_buf text = {0};
    tm_status status = write_manifest(tree, &text, err);
    if (status == TM_OK) status = tm_store_put(store, text.data, text.size, 0, hash, err);
    tm_buf_clear(&text);
    return status;
}

static tm_status read_row(json_t *row, tm_tree_file *file, tm_error *err)
{
    const char *name = json_string_value(json_array_get(row, 0)),
               *hex = json_string_value(json_array_get(row, 1));
    json_int_t bytes = json_integer_value(json_array_get(row, 2));
    if (!name || !hex || json_array_size(row) != 3 || !json_is_integer(json_array_get(row, 2)) || bytes < 0 ||
        strlen(hex) != 32 || !tm_hash_parse(hex, &file->hash))
        return tm_fail(err, TM_EFORMAT, "a tree's manifest has a row that is not [name, hash, bytes]");
    file->bytes = (uint64_t)bytes;
    file->name = tm_strdup(name);
    return file->name ? TM_OK : tm_fail(err, TM_ENOMEM, "out of memory reading a tree");
}

static tm_status read_manifest(tm_blob blob, tm_tree *tree, tm_error *err)
{
    if (blob.size < MAGIC || memcmp(blob.data, magic, MAGIC) != 0)
        return tm_fail(err, TM_EFORMAT, "the object is not a tree");
    json_t *all;
    TM_TRY(tm_json_parse(tm_view_of(blob.data + MAGIC, blob.size - MAGIC), &all, err));
    json_t *files = json_object_get(all, "files");
    tree->attributes = json_incref(json_object_get(all, "attributes"));
    if (!json_is_object(tree->attributes) || !json_is_array(files)) {
        json_decref(all);
        return tm_fail(err, TM_EFORMAT, "a tree's manifest is not as it should be");
    }
    size_t count = json_array_size(files);
    tm_status status = TM_OK;
    tree->files = tm_calloc(count, sizeof *tree->files);
    if (!tree->files) status = tm_fail(err, TM_ENOMEM, "out of memory for a tree of %zu files", count);
    for (size_t i = 0; i < count && status == TM_OK; i++) {
        status = read_row(json_array_get(files, i), &tree->files[i], err);
        if (status == TM_OK) tree->count++;
    }
    if (status == TM_OK) status = check_names(tree->files, tree->count, err);
    json_decref(all);
    return status;
}

tm_status tm_tree_get(tm_store *store, tm_hash hash, tm_tree *tree, tm_error *err)
{
    tm_blob blob;
    *tree = (tm_tree){0};
    TM_TRY(tm_store_get(store, hash, &blob, err));
    tm_status status = read_manifest(blob, tree, err);
    tm_blob_clear(&blob);
    if (status < 0) tm_tree_clear(tree);
    return status;
}

void tm_tree_clear(tm_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) tm_free(tree->files[i].name);
    tm_free(tree->files);
    json_decref(tree->attributes);
    *tree = (tm_tree){0};
}

static tm_status look_for_files(tm_store *store, const tm_tree *tree, bool *complete, tm_error *err)
{
    for (size_t i = 0; i < tree->count; i++) {
        char path[TM_PATH_MAX];
        bool packed;
        struct stat info;
        tm_status status = tm_object_find(store, tree->files[i].hash, path, &packed, &info, err);
        if (status == TM_ENOENT) return TM_OK;
        TM_TRY(status);
    }
    *complete = true;
    return TM_OK;
}

tm_status tm_tree_look(tm_store *store, tm_hash hash, bool *complete, tm_error *err)
{
    tm_tree tree;
    *complete = false;
    tm_status status = tm_tree_get(store, hash, &tree, err);
    if (status == TM_ENOENT || status == TM_ECORRUPT) return TM_OK;
    TM_TRY(status);
    status = look_for_files(store, &tree, complete, err);
    tm_tree_clear(&tree);
    return status;
}

bool tm_tree_complete(tm_store *store, tm_hash hash)
{
    bool complete;
    return tm_tree_look(store, hash, &complete, NULL) == TM_OK && complete;
}

// --- Taking a folder ---------------------------------------------------------------------------------------
typedef struct found {
    tm_tree tree;
    size_t capacity;
} found;

static tm_status add_file(tm_store *store, found *f, const char *path, const char *name, tm_error *err)
{
    if (f->tree.count == f->capacity) {
        size_t capacity = f->capacity ? 2 * f->capacity : 16;
        tm_tree_file *grown = tm_realloc(f->tree.files, capacity * sizeof *grown);
        if (!grown) return tm_fail(err, TM_ENOMEM, "out of memory taking %s", path);
        f->tree.files = grown;
        f->capacity = capacity;
    }
    tm_tree_file *file = &f->tree.files[f->tree.count];
    file->name = tm_strdup(name);
    if (!file->name) return tm_fail(err, TM_ENOMEM, "out of memory taking %s", path);
    f->tree.count++;
    return tm_store_put_file(store, path, true, &file->hash, &file->bytes, err);
}

// `inside` is the path of the folder within the tree, "" or ending in '/'.
static tm_status take_folder(tm_store *store, found *f, const char *folder, const char *inside, tm_error *err)
{
    tm_names names;
    TM_TRY(tm_dir_list(folder, &names, err));
    tm_status status = TM_OK;
    for (size_t i = 0; i < names.count && status == TM_OK; i++) {
        struct stat info;
        tm_buf path = {0}, name = {0};
        tm_buf_fmt(&path, "%s/%s", folder, names.names[i]);
        tm_buf_fmt(&name, "%s%s", inside, names.names[i]);
        if (path.failed || name.failed) status = tm_fail(err, TM_ENOMEM, "out of memory taking %s", folder);
        else if (tm_sys.lstat(path.data, &info) != 0)
            status = tm_fail_errno(err, "cannot stat %s", path.data);
        else if (!S_ISDIR(info.st_mode)) status = add_file(store, f, path.data, name.data, err);
        else {
            tm_buf_char(&name, '/');
            status = tm_buf_status(&name, err);
            if (status == TM_OK) status = take_folder(store, f, path.data, name.data, err);
        }
        tm_buf_clear(&path);
        tm_buf_clear(&name);
    }
    tm_names_clear(&names);
    return status;
}

tm_status tm_tree_put_folder(tm_store *store, const char *folder, json_t *attributes, tm_entry *entry,
                             tm_error *err)
{
    found f = {0};
    *entry = (tm_entry){.rows = 1};
    tm_status status = take_folder(store, &f, folder, "", err);
    f.tree.attributes = attributes;
    if (status == TM_OK) status = tm_tree_put(store, &f.tree, &entry->hash, err);
    for (size_t i = 0; i < f.tree.count; i++) entry->bytes += f.tree.files[i].bytes;
    f.tree.attributes = NULL;
    tm_tree_clear(&f.tree);
    return status == TM_OK ? tm_dir_remove(folder, err) : status;
}

// --- Making a folder ---------------------------------------------------------------------------------------
static tm_status make_parents(const char *root, const char *name, tm_error *err)
{
    char path[TM_PATH_MAX];
    const char *slash = strrchr(name, '/');
    if (!slash) return TM_OK;
    TM_TRY(tm_path(path, err, "%s/%.*s", root, (int)(slash - name), name));
    return tm_dir_make(path, err);
}

static tm_status place_file(const char *from, const char *to, bool link, bool durable, tm_error *err)
{
    if (link && tm_sys.link(from, to) == 0) return TM_OK;
    if (link && errno != EXDEV && errno != EMLINK && errno != EPERM && errno != EOPNOTSUPP)
        return tm_fail_errno(err, "cannot link %s to %s", from, to);
    TM_TRY(tm_file_copy(from, to, link ? 0444 : 0644, err));
    int fd;
    if (!durable) return TM_OK;
    TM_TRY(tm_fd_open(to, 0, 0, &fd, err));
    tm_status status = tm_fd_sync(fd, false, to, err);
    tm_sys.close(fd);
    return status;
}

// All files of the tree, checked, in a new folder.
static tm_status fill(tm_store *store, const tm_tree *tree, const char *folder, bool link, bool durable,
                      tm_error *err)
{
    char from[TM_PATH_MAX], to[TM_PATH_MAX];
    TM_TRY(tm_dir_make(folder, err));
    for (size_t i = 0; i < tree->count; i++) {
        const tm_tree_file *file = &tree->files[i];
        TM_TRY(tm_store_check(store, file->hash, err));
        TM_TRY(tm_store_path(store, file->hash, from, err));
        TM_TRY(tm_path(to, err, "%s/%s", folder, file->name));
        TM_TRY(make_parents(folder, file->name, err));
        TM_TRY(place_file(from, to, link, durable, err));
    }
    return TM_OK;
}

// Whether a folder in trees/ still is this tree: every file good, and the very file that the store has.
static tm_status still_good(tm_store *store, const tm_tree *tree, const char *folder, bool *good,
                            tm_error *err)
{
    char from[TM_PATH_MAX], to[TM_PATH_MAX];
    *good = false;
    for (size_t i = 0; i < tree->count; i++) {
        struct stat a, b;
        TM_TRY(tm_store_check(store, tree->files[i].hash, err));
        TM_TRY(tm_store_path(store, tree->files[i].hash, from, err));
        TM_TRY(tm_path(to, err, "%s/%s", folder, tree->files[i].name));
        if (tm_sys.stat(from, &a) != 0 || tm_sys.stat(to, &b) != 0) return TM_OK;
        if (a.st_size != b.st_size || (a.st_ino != b.st_ino && a.st_nlink < 60000)) return TM_OK;
    }
    *good = true;
    return TM_OK;
}

static tm_status build(tm_store *store, const tm_tree *tree, const char *path, tm_error *err)
{
    char tmp[TM_PATH_MAX];
    TM_TRY(tm_store_tmp(store, tmp, err));
    tm_status status = fill(store, tree, tmp, true, false, err);
    if (status == TM_OK && tm_sys.rename_new(tmp, path) != 0) {
        if (errno == EEXIST) status = TM_AGAIN;  // another process was faster
        else status = tm_fail_errno(err, "cannot rename %s to %s", tmp, path);
    }
    if (status != TM_OK) tm_dir_remove(tmp, NULL);
    return status;
}

static tm_status folder_of(tm_store *store, const tm_tree *tree, const char *path, tm_error *err)
{
    for (int attempt = 0; attempt < 3; attempt++) {
        bool good = false;
        if (tm_file_exists(path)) {
            TM_TRY(still_good(store, tree, path, &good, err));
            if (good) return TM_OK;
            char old[TM_PATH_MAX];
            TM_TRY(tm_store_tmp(store, old, err));
            if (tm_sys.rename(path, old) == 0) tm_dir_remove(old, NULL);
        }
        tm_status status = build(store, tree, path, err);
        if (status != TM_AGAIN) return status;
    }
    return tm_fail(err, TM_ERETRY, "the folder %s keeps changing", path);
}

// Where nothing may be written the folder is one of symbolic links elsewhere, until the handle is closed.
static tm_status folder_elsewhere(tm_store *store, const tm_tree *tree, const char *hex,
                                  char path[TM_PATH_MAX], tm_error *err)
{
    char from[TM_PATH_MAX], to[TM_PATH_MAX];
    const char *tmp = getenv("TMPDIR");
    if (!store->scratch[0]) {
        snprintf(store->scratch, sizeof store->scratch, "%.200s/tidemill-XXXXXX",
                 tmp && *tmp && strlen(tmp) <= 200 ? tmp : "/tmp");
        if (!mkdtemp(store->scratch)) {
            tm_status status = tm_fail_errno(err, "cannot make folder %s", store->scratch);
            store->scratch[0] = 0;
            return status;
        }
    }
    TM_TRY(tm_path(path, err, "%s/%s", store->scratch, hex));
    if (tm_file_exists(path)) return TM_OK;
    TM_TRY(tm_dir_make(path, err));
    for (size_t i = 0; i < tree->count; i++) {
        TM_TRY(tm_store_check(store, tree->files[i].hash, err));
        TM_TRY(tm_store_path(store, tree->files[i].hash, from, err));
        TM_TRY(tm_path(to, err, "%s/%s", path, tree->files[i].name));
        TM_TRY(make_parents(path, tree->files[i].name, err));
        char *absolute = realpath(from, NULL);
        int failed = absolute ? symlink(absolute, to) : -1;
        free(absolute);
        if (failed) return tm_fail_errno(err, "cannot link %s to %s", to, from);
    }
    return TM_OK;
}

static tm_status must_be_whole(tm_store *store, tm_hash hash, tm_error *err)
{
    char hex[TM_HASH_HEX];
    bool whole;
    tm_hash_hex(hash, hex);
    TM_TRY(tm_tree_look(store, hash, &whole, err));
    if (whole || !tm_store_has(store, hash)) return TM_OK;
    tm_fail_as(err, TM_ENOENT, "TM0509", "the bytes of the snapshot %s are not in the store any more", hex);
    tm_hint(err, "`keep` freed them, or they were damaged: run the graph again to have them made anew");
    return TM_ENOENT;
}

tm_status tm_tree_folder(tm_store *store, tm_hash hash, char path[TM_PATH_MAX], tm_error *err)
{
    char hex[TM_HASH_HEX];
    tm_tree tree;
    tm_hash_hex(hash, hex);
    TM_TRY(tm_store_at(store, path, err, "trees/%s", hex));
    TM_TRY(must_be_whole(store, hash, err));
    TM_TRY(tm_tree_get(store, hash, &tree, err));
    bool reads = store->flags & TM_STORE_READ_ONLY;
    tm_status status = reads ? folder_elsewhere(store, &tree, hex, path, err)
                             : folder_of(store, &tree, path, err);
    tm_tree_clear(&tree);
    return status;
}

// --- Placing for people ------------------------------------------------------------------------------------
static tm_status put_in_place(const char *made, const char *folder, bool replace, tm_error *err)
{
    if (tm_sys.rename_new(made, folder) == 0) return TM_OK;
    if (errno == EINVAL && !tm_file_exists(folder)) errno = tm_sys.rename(made, folder) == 0 ? 0 : errno;
    if (errno == 0) return TM_OK;
    if (errno != EEXIST) return tm_fail_errno(err, "cannot rename %s to %s", made, folder);
    if (tm_sys.rmdir(folder) == 0 && tm_sys.rename_new(made, folder) == 0) return TM_OK;  // it was empty
    if (!replace) {
        tm_fail(err, TM_EEXIST, "%s exists", folder);
        tm_hint(err, "choose another place, or remove it first");
        return TM_EEXIST;
    }
    if (tm_sys.rename_swap(made, folder) != 0)
        return tm_fail_errno(err, "cannot exchange %s and %s", made, folder);
    return tm_dir_remove(made, err);
}

static tm_status sync_parent(const char *folder, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_path(path, err, "%s", folder));
    char *slash = strrchr(path, '/');
    if (slash) slash[slash == path] = 0;
    return tm_dir_sync(slash ? path : ".", err);
}

tm_status tm_tree_place(tm_store *store, tm_hash hash, const char *folder, unsigned flags, tm_error *err)
{
    tm_tree tree;
    char made[TM_PATH_MAX], parent[TM_PATH_MAX];
    TM_TRY(must_be_whole(store, hash, err));
    TM_TRY(tm_path(parent, err, "%s", folder));
    size_t n = strlen(parent);
    while (n > 1 && parent[n - 1] == '/') parent[--n] = 0;
    TM_TRY(tm_path(made, err, "%s.%016llx.tmp", parent, (unsigned long long)tm_time_ns()));
    TM_TRY(tm_tree_get(store, hash, &tree, err));
    tm_status status = fill(store, &tree, made, flags & TM_PLACE_LINK, true, err);
    if (status == TM_OK) status = put_in_place(made, parent, flags & TM_PLACE_REPLACE, err);
    if (status < 0) tm_dir_remove(made, NULL);
    tm_tree_clear(&tree);
    return status == TM_OK ? sync_parent(parent, err) : status;
}
