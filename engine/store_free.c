// SPDX-License-Identifier: Apache-2.0
// Garbage collection of a few trees: the marks of all, the sweep of these.
#include "engine/store_free.h"

#include "engine/store_gc_impl.h"
#include "engine/store_tree.h"

enum { BATCH = 256 };

typedef struct freer {
    tm_gc gc;  // first: what the visitors get
    const tm_free_list *list;
} freer;

static tm_status visit_log(tm_gc *g, const char *name, tm_error *err)
{
    char own[TM_HASH_HEX];
    tm_hash_hex(((const freer *)g)->list->recipe, own);
    return strcmp(name, own) == 0 ? TM_OK : tm_gc_visit_log(g, name, err);
}

static tm_status mark_all(freer *f, tm_error *err)
{
    TM_TRY(tm_key_refresh(f->gc.store, err));
    for (size_t i = 0; i < tm_key_count(f->gc.store); i++)
        TM_TRY(tm_mark_record(&f->gc.marks, tm_key_at(f->gc.store, i), err));
    for (size_t i = 0; i < f->list->n_keep; i++) TM_TRY(tm_mark_any(&f->gc.marks, f->list->keep[i], err));
    return tm_gc_for_names(&f->gc, "logs", visit_log, err);
}

static bool young(const freer *f, tm_hash hash)
{
    char path[TM_PATH_MAX];
    bool packed;
    struct stat info;
    if (tm_object_find(f->gc.store, hash, path, &packed, &info, NULL) != TM_OK) return false;
    int64_t ms = (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
    return ms >= f->gc.now - f->list->grace_ms;
}

// Readers may have made a folder of it, with hard links to the files.
static tm_status free_folder(freer *f, tm_hash hash, tm_error *err)
{
    char hex[TM_HASH_HEX], path[TM_PATH_MAX];
    bool whole;
    TM_TRY(tm_tree_look(f->gc.store, hash, &whole, err));
    if (whole) return TM_OK;
    tm_hash_hex(hash, hex);
    TM_TRY(tm_store_at(f->gc.store, path, err, "trees/%s", hex));
    return tm_gc_discard(&f->gc, path, hex, err);
}

static tm_status free_tree(freer *f, tm_hash hash, bool manifest, tm_error *err)
{
    tm_gc_candidate list[BATCH];
    tm_tree tree = {0};
    size_t n = 0;
    if ((manifest && tm_marked(&f->gc.marks, hash)) || young(f, hash)) return TM_OK;
    tm_status status = tm_tree_get(f->gc.store, hash, &tree, err);
    if (status < 0) return status == TM_ENOENT || status == TM_ECORRUPT ? TM_OK : status;
    // Its manifest last, so that what is left after a kill is found again.
    for (size_t i = 0; i < tree.count && status >= 0; i++) {
        list[n++] = (tm_gc_candidate){.hash = tree.files[i].hash};
        if (n == BATCH) status = tm_gc_sweep(&f->gc, list, n, err);
        n %= BATCH;
    }
    tm_tree_clear(&tree);
    if (status >= 0) status = tm_gc_sweep(&f->gc, list, n, err);
    if (status >= 0) status = free_folder(f, hash, err);
    list[0] = (tm_gc_candidate){.hash = hash};
    return status < 0 || !manifest ? status : tm_gc_sweep(&f->gc, list, 1, err);
}

tm_status tm_store_free(tm_store *store, const tm_free_list *list, tm_error *err)
{
    tm_gc_policy policy = {.keep_ms = INT64_MAX / 2, .grace_ms = list->grace_ms};
    tm_gc_report report = {0};
    int fd;
    TM_TRY(tm_store_writable(store, err));
    TM_TRY(tm_gc_alone(store, &fd, err));
    freer f = {.list = list};
    f.gc = (tm_gc){.store = store, .policy = &policy, .report = &report, .now = tm_time_ms()};
    f.gc.marks.store = store;
    tm_status status = mark_all(&f, err);
    for (size_t i = 0; i < list->n_trees && status >= 0; i++)
        status = free_tree(&f, list->trees[i], true, err);
    for (size_t i = 0; i < list->n_hollow && status >= 0; i++)
        status = free_tree(&f, list->hollow[i], false, err);
    tm_marks_clear(&f.gc.marks);
    tm_sys.close(fd);
    return status;
}
