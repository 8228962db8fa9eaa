// SPDX-License-Identifier: Apache-2.0
// Garbage collection: mark from the roots, sweep in batches under the lock.
#include "engine/store_gc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>

#include "engine/store_gc_impl.h"
#include "engine/store_log.h"

enum { BATCH = 256 };

static void tell_of(tm_gc *g, const char *what, const char *name, uint64_t bytes)
{
    if (g->tell) g->tell(what, name, bytes, g->arg);
}

static tm_status no_memory(tm_error *err)
{
    return tm_fail(err, TM_ENOMEM, "out of memory collecting garbage");
}

// --- Roots: records ----------------------------------------------------------------------------------------
static bool always_kept(const tm_gc *g, const tm_record *record)
{
    return record->time_ms >= g->now - g->policy->keep_ms ||
           (g->policy->keep && g->policy->keep(record, g->policy->arg));
}

// A record that may go.
typedef struct other {
    size_t index;
    double worth;
} other;

// Of the most worth first, then the youngest.
static int by_worth(const void *a, const void *b)
{
    const other *x = a, *y = b;
    if (x->worth != y->worth) return x->worth > y->worth ? -1 : 1;
    return x->index > y->index ? -1 : 1;
}

static tm_status tell_what_goes(tm_gc *g, const other *others, size_t n, tm_error *err)
{
    const tm_record **records = tm_calloc(n + 1, sizeof *records);
    uint64_t *bytes = tm_calloc(n + 1, sizeof *bytes);
    tm_status status = records && bytes ? TM_OK : no_memory(err);
    for (size_t i = 0; i < n && status >= 0; i++) records[i] = tm_key_at(g->store, others[i].index);
    if (status >= 0) status = tm_mark_apart(&g->marks, records, n, bytes, err);
    for (size_t i = n; i-- > 0 && status >= 0;) g->policy->goes(records[i], bytes[i], g->policy->arg);
    tm_free((void *)records);
    tm_free(bytes);
    return status;
}

// What does not fit is passed over: of the rest may be small ones that do. Those that go stay in `others`.
static tm_status keep_what_fits(tm_gc *g, other *others, size_t n, tm_error *err)
{
    size_t going = 0;
    for (size_t i = 0; i < n; i++) {
        const tm_record *record = tm_key_at(g->store, others[i].index);
        bool fits = g->policy->max_bytes > 0;
        if (fits) TM_TRY(tm_mark_trial(&g->marks, record, g->policy->max_bytes, &fits, err));
        g->keep[others[i].index] = fits;
        if (!fits) others[going++] = others[i];
    }
    return g->policy->goes ? tell_what_goes(g, others, going, err) : TM_OK;
}

static tm_status choose_others(tm_gc *g, tm_error *err)
{
    size_t n = 0;
    other *others = tm_calloc(g->n_records + 1, sizeof *others);
    if (!others) return no_memory(err);
    for (size_t i = 0; i < g->n_records; i++) {
        if (g->keep[i]) continue;
        others[n++].index = i;
        if (g->policy->worth)
            others[n - 1].worth = g->policy->worth(tm_key_at(g->store, i), g->policy->arg);
    }
    qsort(others, n, sizeof *others, by_worth);
    tm_status status = keep_what_fits(g, others, n, err);
    tm_free(others);
    return status;
}

static tm_status choose_records(tm_gc *g, tm_error *err)
{
    TM_TRY(tm_key_refresh(g->store, err));
    g->generation = g->store->keys.generation;
    g->n_records = tm_key_count(g->store);
    g->keep = tm_calloc(g->n_records, sizeof *g->keep);
    if (!g->keep) return no_memory(err);
    for (size_t i = 0; i < g->n_records; i++) {
        const tm_record *record = tm_key_at(g->store, i);
        g->keep[i] = always_kept(g, record);
        if (g->keep[i]) TM_TRY(tm_mark_record(&g->marks, record, err));
    }
    return g->policy->max_bytes > 0 || g->policy->goes ? choose_others(g, err) : TM_OK;
}

static void count_records(tm_gc *g)
{
    for (size_t i = 0; i < g->n_records; i++) {
        char hex[TM_HASH_HEX];
        g->report->records_kept += g->keep[i];
        g->report->records_dropped += !g->keep[i];
        tm_hash_hex(tm_key_at(g->store, i)->content, hex);
        if (!g->keep[i]) tell_of(g, "record", hex, 0);
    }
}

// Records bound since we looked are kept, and are roots. With the lock of the ledger.
static tm_status keep_news(tm_gc *g, tm_error *err)
{
    if (g->generation != g->store->keys.generation) {  // somebody dropped records: the numbers are others now
        tm_free(g->keep);
        g->keep = NULL;
        return choose_records(g, err);
    }
    size_t count = tm_key_count(g->store);
    bool *grown = tm_realloc(g->keep, count * sizeof *grown);
    if (!grown) return no_memory(err);
    g->keep = grown;
    for (; g->n_records < count; g->n_records++) {
        g->keep[g->n_records] = true;
        TM_TRY(tm_mark_record(&g->marks, tm_key_at(g->store, g->n_records), err));
    }
    return TM_OK;
}

static tm_status drop_records(tm_gc *g, tm_error *err)
{
    TM_TRY(tm_ledger_lock(g->store->keys.ledger, err));
    tm_status status = keep_news(g, err);
    if (status == TM_OK) count_records(g);
    if (status == TM_OK && !g->dry_run && g->report->records_dropped)
        status = tm_keys_compact(g->store, g->keep, err);
    tm_ledger_unlock(g->store->keys.ledger);
    return status;
}

// After the drop every record is a root.
static tm_status mark_records(tm_gc *g, tm_error *err)
{
    if (g->dry_run) return TM_OK;
    TM_TRY(tm_key_refresh(g->store, err));
    for (size_t i = 0; i < tm_key_count(g->store); i++)
        TM_TRY(tm_mark_record(&g->marks, tm_key_at(g->store, i), err));
    return TM_OK;
}

// --- Roots: pins -------------------------------------------------------------------------------------------
static tm_status mark_pins(tm_gc *g, int fd, const char *path, tm_error *err)
{
    tm_hash hashes[256];
    size_t got = sizeof hashes;
    for (off_t at = 0; got == sizeof hashes; at += (off_t)got) {
        TM_TRY(tm_fd_pread(fd, hashes, sizeof hashes, at, &got, path, err));
        for (size_t i = 0; i < got / sizeof *hashes; i++)
            if (!tm_hash_none(hashes[i])) TM_TRY(tm_mark_any(&g->marks, hashes[i], err));
    }
    return TM_OK;
}

// A session's file is locked while its process lives; otherwise it is a remainder.
static tm_status visit_session(tm_gc *g, const char *name, tm_error *err)
{
    char path[TM_PATH_MAX];
    int fd;
    TM_TRY(tm_store_at(g->store, path, err, "pins/%s", name));
    tm_status status = tm_fd_open(path, O_RDWR, 0, &fd, err);
    if (status == TM_ENOENT) return TM_OK;
    TM_TRY(status);
    status = tm_fd_try_lock(fd, LOCK_EX, path, err);
    if (status == TM_EBUSY) status = mark_pins(g, fd, path, err);
    else if (status == TM_OK && !g->dry_run) status = tm_file_remove(path, err);
    tm_sys.close(fd);
    return status;
}

// With the lock, because a session begins under it.
static tm_status visit_sessions(tm_gc *g, tm_error *err)
{
    char path[TM_PATH_MAX];
    tm_names names;
    TM_TRY(tm_store_at(g->store, path, err, "pins"));
    TM_TRY(tm_dir_list(path, &names, err));
    tm_status status = TM_OK;
    for (size_t i = 0; i < names.count && status == TM_OK; i++)
        status = visit_session(g, names.names[i], err);
    tm_names_clear(&names);
    return status;
}

// --- Roots: open logs --------------------------------------------------------------------------------------
static bool lease_held(tm_gc *g, const char *hex)
{
    char path[TM_PATH_MAX];
    int fd;
    if (tm_store_at(g->store, path, NULL, "leases/%s", hex) < 0) return true;
    tm_status status = tm_fd_open(path, O_RDWR, 0, &fd, NULL);
    if (status < 0) return status != TM_ENOENT;
    bool held = tm_fd_try_lock(fd, LOCK_EX, path, NULL) != TM_OK;  // in doubt, yes
    tm_sys.close(fd);
    return held;
}

static int64_t log_ms(const tm_gc *g)
{
    return g->policy->keep_log_ms ? g->policy->keep_log_ms : g->policy->keep_ms;
}

static tm_status mark_log(tm_gc *g, tm_hash recipe, const char *port, tm_error *err)
{
    tm_log *log;
    TM_TRY(tm_log_open(g->store, recipe, port, &log, err));
    tm_status status = TM_OK;
    for (size_t i = 0; i < tm_log_count(log) && status == TM_OK; i++) {
        status = tm_mark_any(&g->marks, tm_log_entry(log, i).hash, err);
        if (status == TM_OK) status = tm_mark_refs(&g->marks, tm_log_cursor(log, i), err);
    }
    tm_log_close(log);
    return status;
}

// The latest change of anything in a folder, or of the file itself.
static int64_t changed_ms(const char *path)
{
    struct stat info;
    tm_names names;
    if (tm_sys.lstat(path, &info) != 0) return 0;
    int64_t latest = (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
    if (!S_ISDIR(info.st_mode) || tm_dir_list(path, &names, NULL) < 0) return latest;
    for (size_t i = 0; i < names.count; i++) {
        char inside[TM_PATH_MAX];
        int64_t t = tm_path(inside, NULL, "%s/%s", path, names.names[i]) == TM_OK ? changed_ms(inside) : 0;
        if (t > latest) latest = t;
    }
    tm_names_clear(&names);
    return latest;
}

// Rename into trash, which is emptied at the end.
tm_status tm_gc_discard(tm_gc *g, const char *path, const char *name, tm_error *err)
{
    char to[TM_PATH_MAX];
    TM_TRY(tm_store_at(g->store, to, err, "trash/%s-%lld", name, (long long)tm_time_ns()));
    if (tm_sys.rename(path, to) == 0 || errno == ENOENT) return TM_OK;
    return tm_fail_errno(err, "cannot move %s to %s", path, to);
}

static tm_status mark_ports(tm_gc *g, const char *folder, tm_hash recipe, tm_error *err)
{
    tm_names names;
    tm_status status = tm_dir_list(folder, &names, err);
    if (status == TM_ENOENT) return TM_OK;  // sealed meanwhile
    for (size_t i = 0; i < names.count && status == TM_OK; i++)
        status = mark_log(g, recipe, names.names[i], err);
    tm_names_clear(&names);
    return status;
}

tm_status tm_gc_visit_log(tm_gc *g, const char *name, tm_error *err)
{
    char path[TM_PATH_MAX];
    tm_hash recipe;
    if (strlen(name) != 32 || !tm_hash_parse(name, &recipe)) return TM_OK;
    TM_TRY(tm_store_at(g->store, path, err, "logs/%s", name));
    if (lease_held(g, name) || changed_ms(path) >= g->now - log_ms(g))
        return mark_ports(g, path, recipe, err);
    g->report->logs_removed++;
    tell_of(g, "log", name, 0);
    return g->dry_run ? TM_OK : tm_gc_discard(g, path, name, err);
}

// Call a function for every name in a part of the store.
tm_status tm_gc_for_names(tm_gc *g, const char *part, tm_status (*visit)(tm_gc *, const char *, tm_error *),
                          tm_error *err)
{
    char path[TM_PATH_MAX];
    tm_names names;
    TM_TRY(tm_store_at(g->store, path, err, "%s", part));
    TM_TRY(tm_dir_list(path, &names, err));
    tm_status status = TM_OK;
    for (size_t i = 0; i < names.count && status == TM_OK; i++) status = visit(g, names.names[i], err);
    tm_names_clear(&names);
    return status;
}

// --- Sweeping ----------------------------------------------------------------------------------------------
static bool old_enough(const tm_gc *g, const struct stat *info)
{
    return (int64_t)info->st_mtim.tv_sec * 1000 + info->st_mtim.tv_nsec / 1000000 <
           g->now - g->policy->grace_ms;
}

static tm_status sweep_one(tm_gc *g, const tm_gc_candidate *c, tm_error *err)
{
    char path[TM_PATH_MAX], hex[TM_HASH_HEX];
    struct stat info;
    TM_TRY(tm_object_path(g->store, c->hash, c->packed, path, err));
    if (tm_sys.stat(path, &info) != 0) return TM_OK;
    if (tm_marked(&g->marks, c->hash) || !old_enough(g, &info)) {  // somebody found a use for it
        g->report->objects_kept++;
        g->report->bytes_kept += (uint64_t)info.st_size;
        return TM_OK;
    }
    tm_hash_hex(c->hash, hex);
    tell_of(g, "object", hex, (uint64_t)info.st_size);
    g->report->objects_removed++;
    g->report->bytes_removed += (uint64_t)info.st_size;
    return g->dry_run ? TM_OK : tm_gc_discard(g, path, hex, err);
}

static tm_status empty_trash(tm_gc *g, tm_error *err);

// With the lock: nobody pins, binds or reuses between the look at the new roots and the renames.
tm_status tm_gc_sweep(tm_gc *g, const tm_gc_candidate *list, size_t count, tm_error *err)
{
    int fd;
    if (count == 0) return TM_OK;
    TM_TRY(tm_store_enter(g->store, LOCK_EX, &fd, err));
    tm_status status = mark_records(g, err);
    if (status == TM_OK) status = visit_sessions(g, err);
    for (size_t i = 0; i < count && status == TM_OK; i++) status = sweep_one(g, &list[i], err);
    tm_store_leave(fd);
    return status == TM_OK && !g->dry_run ? empty_trash(g, err) : status;
}

static bool object_name(const char *prefix, const char *name, tm_gc_candidate *c)
{
    char hex[TM_HASH_HEX];
    size_t n = strlen(name);
    c->packed = n == 32 && strcmp(name + 30, ".z") == 0;
    if (n != 30 && !c->packed) return false;
    snprintf(hex, sizeof hex, "%.2s%.30s", prefix, name);
    return tm_hash_parse(hex, &c->hash);
}

static tm_status sweep_names(tm_gc *g, const char *prefix, const char *folder, const tm_names *names,
                             tm_error *err)
{
    tm_gc_candidate list[BATCH];
    size_t count = 0;
    for (size_t i = 0; i < names->count; i++) {
        char path[TM_PATH_MAX];
        struct stat info;
        if (!object_name(prefix, names->names[i], &list[count])) continue;
        TM_TRY(tm_path(path, err, "%s/%s", folder, names->names[i]));
        if (tm_sys.stat(path, &info) != 0) continue;
        if (tm_marked(&g->marks, list[count].hash) || !old_enough(g, &info)) {
            g->report->objects_kept++;
            g->report->bytes_kept += (uint64_t)info.st_size;
        } else if (++count == BATCH) {
            TM_TRY(tm_gc_sweep(g, list, count, err));
            count = 0;
        }
    }
    return tm_gc_sweep(g, list, count, err);
}

static tm_status sweep_prefix(tm_gc *g, const char *prefix, tm_error *err)
{
    char folder[TM_PATH_MAX];
    tm_names names;
    TM_TRY(tm_store_at(g->store, folder, err, "objects/%s", prefix));
    TM_TRY(tm_dir_list(folder, &names, err));
    tm_status status = sweep_names(g, prefix, folder, &names, err);
    tm_names_clear(&names);
    return status;
}

// --- The rest of the folders -------------------------------------------------------------------------------
static tm_status visit_tree(tm_gc *g, const char *name, tm_error *err)
{
    char path[TM_PATH_MAX];
    tm_hash hash;
    if (strlen(name) != 32 || !tm_hash_parse(name, &hash) || tm_marked(&g->marks, hash)) return TM_OK;
    TM_TRY(tm_store_at(g->store, path, err, "trees/%s", name));
    if (changed_ms(path) >= g->now - g->policy->grace_ms) return TM_OK;
    g->report->trees_removed++;
    tell_of(g, "tree", name, 0);
    return g->dry_run ? TM_OK : tm_gc_discard(g, path, name, err);
}

// tmp/SESSION-N, where SESSION has no file in pins/ any more.
static tm_status visit_tmp(tm_gc *g, const char *name, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_store_at(g->store, path, err, "pins/%.*s", (int)strcspn(name, "-"), name));
    if (tm_file_exists(path)) return TM_OK;
    TM_TRY(tm_store_at(g->store, path, err, "tmp/%s", name));
    g->report->tmp_removed++;
    tell_of(g, "tmp", name, 0);
    return g->dry_run ? TM_OK : tm_gc_discard(g, path, name, err);
}

static tm_status visit_lease(tm_gc *g, const char *name, tm_error *err)
{
    char path[TM_PATH_MAX], log[TM_PATH_MAX];
    int fd;
    TM_TRY(tm_store_at(g->store, path, err, "leases/%s", name));
    TM_TRY(tm_store_at(g->store, log, err, "logs/%s", name));
    if (g->dry_run || tm_file_exists(log) || changed_ms(path) >= g->now - log_ms(g)) return TM_OK;
    TM_TRY(tm_fd_open(path, O_RDWR, 0, &fd, err));
    tm_status status = tm_fd_try_lock(fd, LOCK_EX, path, err);
    if (status == TM_OK) status = tm_file_remove(path, err);
    tm_sys.close(fd);
    return status == TM_EBUSY ? TM_OK : status;
}

// A memo goes when it is old and nothing that it names is kept.
typedef struct memo_look {
    tm_gc *g;
    bool used;
} memo_look;

static tm_status look_at_memo(tm_view p, void *arg, tm_error *err)
{
    memo_look *look = arg;
    size_t at = 16;
    while (p.data && at + 4 <= p.size) {
        size_t n = tm_le32(p.data + at);
        for (at += 4; n > 0 && at + 32 <= p.size; n--, at += 32) {
            tm_hash hash;
            memcpy(hash.bytes, p.data + at, 16);
            look->used |= tm_marked(&look->g->marks, hash);
        }
    }
    return TM_OK;
}

static tm_status visit_memo(tm_gc *g, const char *name, tm_error *err)
{
    char path[TM_PATH_MAX];
    memo_look look = {g, false};
    tm_ledger *ledger;
    TM_TRY(tm_store_at(g->store, path, err, "memo/%s", name));
    if (changed_ms(path) >= g->now - log_ms(g)) return TM_OK;
    tm_status status = tm_ledger_open(path, "memo", look_at_memo, &look, &ledger, err);
    if (status < 0) return status == TM_ENOENT || status == TM_EFORMAT ? TM_OK : status;
    tm_ledger_close(ledger);
    if (look.used) return TM_OK;
    tell_of(g, "memo", name, 0);
    return g->dry_run ? TM_OK : tm_gc_discard(g, path, name, err);
}

static tm_status visit_trash(tm_gc *g, const char *name, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_store_at(g->store, path, err, "trash/%s", name));
    return tm_dir_remove(path, err);
}

static tm_status empty_trash(tm_gc *g, tm_error *err)
{
    return tm_gc_for_names(g, "trash", visit_trash, err);
}

// --- All of it ---------------------------------------------------------------------------------------------
static tm_status mark_roots(tm_gc *g, tm_error *err)
{
    int fd;
    for (size_t i = 0; i < g->policy->n_roots; i++) TM_TRY(tm_mark_any(&g->marks, g->policy->roots[i], err));
    TM_TRY(tm_store_enter(g->store, LOCK_EX, &fd, err));
    tm_status status = visit_sessions(g, err);
    tm_store_leave(fd);
    TM_TRY(status);
    return choose_records(g, err);
}

static tm_status clear_tmp(tm_gc *g, tm_error *err)
{
    int fd;
    TM_TRY(tm_store_enter(g->store, LOCK_EX, &fd, err));
    tm_status status = tm_gc_for_names(g, "tmp", visit_tmp, err);
    tm_store_leave(fd);
    return status;
}

static tm_status collect(tm_gc *g, tm_error *err)
{
    TM_TRY(tm_gc_for_names(g, "logs", tm_gc_visit_log, err));
    TM_TRY(mark_roots(g, err));
    TM_TRY(drop_records(g, err));
    TM_TRY(tm_gc_for_names(g, "trees", visit_tree, err));
    TM_TRY(tm_gc_for_names(g, "objects", sweep_prefix, err));
    TM_TRY(tm_gc_for_names(g, "memo", visit_memo, err));
    TM_TRY(tm_gc_for_names(g, "leases", visit_lease, err));
    TM_TRY(clear_tmp(g, err));
    return g->dry_run ? TM_OK : empty_trash(g, err);
}

// One gc at a time.
tm_status tm_gc_alone(tm_store *store, int *fd, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_store_at(store, path, err, "gc-lock"));
    TM_TRY(tm_fd_open(path, O_RDWR | O_CREAT, 0666, fd, err));
    tm_status status = tm_fd_try_lock(*fd, LOCK_EX, path, err);
    if (status == TM_EBUSY) tm_fail(err, TM_EBUSY, "another gc of %s is at work", store->folder);
    if (status < 0) tm_sys.close(*fd);
    return status;
}

tm_status tm_store_gc(tm_store *store, const tm_gc_policy *policy, bool dry_run, tm_gc_tell tell, void *arg,
                      tm_gc_report *report, tm_error *err)
{
    *report = (tm_gc_report){0};
    int fd;
    TM_TRY(tm_store_writable(store, err));
    if (!store->keys.ledger) return tm_fail(err, TM_EINVAL, "the store was opened without its keys");
    TM_TRY(tm_gc_alone(store, &fd, err));
    tm_gc g = {.store = store, .policy = policy, .dry_run = dry_run, .tell = tell, .arg = arg,
               .report = report, .now = tm_time_ms()};
    g.marks = (tm_marks){.store = store, .counting = policy->max_bytes > 0 || policy->goes};
    tm_status status = collect(&g, err);
    tm_marks_clear(&g.marks);
    tm_free(g.keep);
    tm_sys.close(fd);
    return status;
}
