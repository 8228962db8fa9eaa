// SPDX-License-Identifier: Apache-2.0
// A store's life in one function.
#include "tests/fault/scenario.h"

#include <stdio.h>

#include "engine/base/random.h"
#include "engine/journal.h"
#include "engine/lease.h"
#include "engine/memo.h"
#include "engine/store_artifact.h"
#include "engine/store_free.h"
#include "engine/store_gc.h"
#include "engine/store_log.h"
#include "engine/store_tree.h"

enum { BIG = 5000, TEXT = 3000 };

static tm_hash name_of(const char *text)
{
    return tm_hash_of(text, strlen(text));
}

static void fill(char *bytes, size_t size, uint64_t seed, unsigned letters)
{
    for (size_t i = 0; i < size; i++) bytes[i] = (char)('a' + tm_random_below(seed, 0, i, letters));
}

typedef struct life {
    const char *folder;
    tm_store *store;
    promises *done;
    void (*told)(const promises *, void *);
    void *arg;
    tm_entry chunks[3];  // plain, compressed, in pieces
    tm_entry snapshot;
    tm_hash data, model;  // artifacts
    tm_log *log;
    tm_memo *memo;
    tm_journal *journal;
    tm_lease *lease;
} life;

static void promise(life *l, bool *which)
{
    *which = true;
    if (l->told) l->told(l->done, l->arg);
}

// --- The parts ---------------------------------------------------------------------------------------------
static tm_status put_chunks(life *l, tm_error *err)
{
    char big[BIG], text[TEXT];
    tm_store_writer *w;
    fill(big, BIG, 1, 26);
    fill(text, TEXT, 2, 2);
    TM_TRY(tm_store_put(l->store, "a small chunk", 13, 0, &l->chunks[0].hash, err));
    TM_TRY(tm_store_put(l->store, text, TEXT, TM_PUT_COMPRESS, &l->chunks[1].hash, err));
    TM_TRY(tm_store_writer_new(l->store, BIG, &w, err));
    tm_status status = tm_store_writer_add(w, big, BIG / 2, err);
    if (status == TM_OK) status = tm_store_writer_add(w, big + BIG / 2, BIG - BIG / 2, err);
    if (status < 0) {
        tm_store_writer_abort(w);
        return status;
    }
    TM_TRY(tm_store_writer_commit(w, &l->chunks[2].hash, &l->chunks[2].bytes, err));
    l->chunks[0].bytes = 13;
    l->chunks[1].bytes = TEXT;
    return TM_OK;
}

static tm_status put_snapshot(life *l, tm_error *err)
{
    char folder[TM_PATH_MAX], file[TM_PATH_MAX];
    TM_TRY(tm_store_tmp(l->store, folder, err));
    TM_TRY(tm_path(file, err, "%s/deep", folder));
    TM_TRY(tm_dir_make(file, err));
    TM_TRY(tm_path(file, err, "%s/deep/weights", folder));
    TM_TRY(tm_file_write(file, "weights", 7, false, err));
    TM_TRY(tm_path(file, err, "%s/config.json", folder));
    TM_TRY(tm_file_write(file, "{}", 2, false, err));
    return tm_tree_put_folder(l->store, folder, NULL, &l->snapshot, err);
}

static tm_status put_objects(life *l, tm_error *err)
{
    char folder[TM_PATH_MAX];
    TM_TRY(put_chunks(l, err));
    TM_TRY(put_snapshot(l, err));
    TM_TRY(tm_artifact_put(l->store, "text", false, l->chunks, 3, &l->data, err));
    TM_TRY(tm_artifact_put(l->store, "model", true, &l->snapshot, 1, &l->model, err));
    TM_TRY(tm_store_pin(l->store, l->data, err));
    TM_TRY(tm_store_pin(l->store, l->model, err));
    TM_TRY(tm_tree_folder(l->store, l->snapshot.hash, folder, err));
    TM_TRY(tm_store_sync(l->store, err));
    promise(l, &l->done->objects);
    return TM_OK;
}

static tm_status keep_log(life *l, tm_error *err)
{
    TM_TRY(tm_log_open(l->store, name_of("recipe"), "out", &l->log, err));
    if (tm_log_count(l->log) < 1) TM_TRY(tm_log_append(l->log, l->chunks[0], "{\"row\":1}", err));
    if (tm_log_count(l->log) < 2) TM_TRY(tm_log_append(l->log, l->chunks[1], "{\"row\":2}", err));
    TM_TRY(tm_log_sync(l->log, err));
    promise(l, &l->done->log);
    TM_TRY(tm_memo_open(l->store, name_of("group"), 1, &l->memo, err));
    TM_TRY(tm_memo_add(l->memo, name_of("input"), &(tm_memo_port){l->chunks, 2}, err));
    TM_TRY(tm_memo_sync(l->memo, err));
    promise(l, &l->done->memo);
    return TM_OK;
}

static tm_status bind_key(life *l, tm_error *err)
{
    tm_key_port ports[2] = {{"data", l->data}, {"model", l->model}};
    tm_record r = {.own = name_of("own"),
                   .recipe = name_of("recipe"),
                   .content = name_of("content"),
                   .epoch = tm_lease_epoch(l->lease),
                   .ports = ports,
                   .n_ports = 2,
                   .json = "{\"node\":\"x\"}"};
    tm_bind_outcome outcome;
    TM_TRY(tm_key_bind(l->store, &r, false, &outcome, err));
    if (outcome == TM_BIND_DIFFERENT) return tm_fail(err, TM_EFAILED, "the artifacts are not the same");
    TM_TRY(tm_store_sync(l->store, err));
    promise(l, &l->done->key);
    return TM_OK;
}

static tm_status work(life *l, tm_error *err)
{
    char run[32];
    TM_TRY(tm_journal_create(l->store, run, &l->journal, err));
    TM_TRY(tm_journal_append(l->journal, "start", NULL, err));
    TM_TRY(tm_lease_try(l->store, name_of("recipe"), run, &l->lease, NULL, err));
    TM_TRY(put_objects(l, err));
    TM_TRY(keep_log(l, err));
    TM_TRY(bind_key(l, err));
    TM_TRY(tm_journal_append(l->journal, "node", NULL, err));
    TM_TRY(tm_journal_sync(l->journal, err));
    memcpy(l->done->run, run, sizeof run);
    promise(l, &l->done->journal);
    return TM_OK;
}

// A training state goes while the snapshot with which it shares a file stays.
static tm_status free_state(tm_store *store, tm_error *err)
{
    tm_tree_file files[2] = {{.name = (char *)"moments", .bytes = 7},
                             {.name = (char *)"weights", .bytes = 7}};
    tm_hash state;
    TM_TRY(tm_store_put(store, "moments", 7, TM_PUT_FILE, &files[0].hash, err));
    TM_TRY(tm_store_put(store, "weights", 7, TM_PUT_FILE, &files[1].hash, err));
    TM_TRY(tm_tree_put(store, &(tm_tree){.files = files, .count = 2}, &state, err));
    tm_free_list list = {.trees = &state, .n_trees = 1, .recipe = name_of("training"), .grace_ms = -1000};
    TM_TRY(tm_store_free(store, &list, err));
    return tm_store_has(store, state) ? tm_fail(err, TM_EFAILED, "the state is still there") : TM_OK;
}

static tm_status collect(tm_store *store, tm_error *err)
{
    tm_hash garbage;
    tm_gc_report report;
    tm_gc_policy policy = {.keep_ms = 3600000, .grace_ms = -1000};
    tm_key_port none = {.name = "none", .artifact = name_of("no such artifact")};
    tm_record old = {.content = name_of("an old record"), .time_ms = 1, .ports = &none, .n_ports = 1};
    tm_bind_outcome outcome;
    TM_TRY(free_state(store, err));
    TM_TRY(tm_store_put(store, "garbage", 7, 0, &garbage, err));
    TM_TRY(tm_key_bind(store, &old, false, &outcome, err));
    TM_TRY(tm_store_gc(store, &policy, false, NULL, NULL, &report, err));
    return report.records_dropped == 1 ? TM_OK : tm_fail(err, TM_EFAILED, "gc left the old record");
}

tm_status scenario_run(const char *folder, unsigned parts, promises *done,
                       void (*told)(const promises *, void *), void *arg, tm_error *err)
{
    life l = {.folder = folder, .done = done, .told = told, .arg = arg};
    TM_TRY(tm_store_open(folder, TM_STORE_CREATE, &l.store, err));
    tm_status status = parts & RUN_WORK ? work(&l, err) : TM_OK;
    if (status == TM_OK && parts & RUN_GC) status = collect(l.store, err);
    tm_log_close(l.log);
    tm_memo_close(l.memo);
    tm_journal_close(l.journal);
    tm_lease_release(l.lease);
    tm_store_close(l.store);
    return status;
}

// --- Looking at what is left -------------------------------------------------------------------------------
static bool holds(tm_store *s, tm_hash hash, size_t size, tm_error *err)
{
    tm_blob blob;
    if (tm_store_get(s, hash, &blob, err) < 0) return false;
    bool good = blob.size == size;
    tm_blob_clear(&blob);
    return good;
}

static bool keeps_objects(tm_store *s, tm_error *err)
{
    char big[BIG], text[TEXT], path[TM_PATH_MAX];
    tm_hash model;
    fill(big, BIG, 1, 26);
    fill(text, TEXT, 2, 2);
    if (!holds(s, name_of("a small chunk"), 13, err) || !holds(s, tm_hash_of(text, TEXT), TEXT, err) ||
        !holds(s, tm_hash_of(big, BIG), BIG, err) || !holds(s, name_of("weights"), 7, err))
        return false;
    tm_tree_file files[2] = {{"config.json", name_of("{}"), 2}, {"deep/weights", name_of("weights"), 7}};
    tm_entry snapshot = {.rows = 1, .bytes = 9};
    if (tm_tree_put(s, &(tm_tree){.files = files, .count = 2}, &snapshot.hash, err) < 0) return false;
    model = tm_artifact_hash("model", true, &snapshot, 1);
    return tm_artifact_complete(s, model) && tm_tree_folder(s, snapshot.hash, path, err) == TM_OK;
}

static bool keeps_key(tm_store *s, bool objects)
{
    const tm_record *r = tm_key_by_content(s, name_of("content"));
    if (!r || r->n_ports != 2 || strcmp(r->json, "{\"node\":\"x\"}") != 0) return false;
    return !objects ||
           (tm_artifact_complete(s, r->ports[0].artifact) && tm_artifact_complete(s, r->ports[1].artifact));
}

static bool keeps_log(tm_store *s, tm_error *err)
{
    tm_log *log;
    if (tm_log_open(s, name_of("recipe"), "out", &log, err) < 0) return false;
    bool good = tm_log_count(log) == 2 && strcmp(tm_log_cursor(log, 1), "{\"row\":2}") == 0 &&
                tm_hash_eq(tm_log_entry(log, 0).hash, name_of("a small chunk"));
    tm_log_close(log);
    return good;
}

static bool keeps_memo(tm_store *s, tm_error *err)
{
    tm_memo *memo;
    if (tm_memo_open(s, name_of("group"), 1, &memo, err) < 0) return false;
    const tm_memo_port *p = tm_memo_find(memo, name_of("input"));
    bool good = p && p->count == 2 && tm_hash_eq(p->entries[0].hash, name_of("a small chunk"));
    tm_memo_close(memo);
    return good;
}

static bool keeps_journal(tm_store *s, const char *run, tm_error *err)
{
    tm_journal_reader *r;
    json_t *record;
    char events[64] = "";
    if (tm_journal_reader_open(s, run, &r, err) < 0) return false;
    while (tm_journal_reader_next(r, &record, err) == TM_OK) {
        const char *event = json_string_value(json_object_get(record, "event"));
        size_t n = strlen(events);
        snprintf(events + n, sizeof events - n, "%s ", event ? event : "?");
        json_decref(record);
    }
    bool good = strcmp(events, "start node ") == 0 && tm_journal_reader_bad(r) == 0;
    tm_journal_reader_close(r);
    return good;
}

bool scenario_kept(const char *folder, const promises *made, const char **what, tm_error *err)
{
    tm_store *s;
    *what = NULL;
    if (!made->objects && !made->key && !made->log && !made->memo && !made->journal) return true;
    if (err) err->text[0] = 0;
    if (tm_store_open(folder, 0, &s, err) < 0) {
        *what = "the store";
        return false;
    }
    if (made->objects && !keeps_objects(s, err)) *what = "the objects";
    else if (made->key && !keeps_key(s, made->objects)) *what = "the key";
    else if (made->log && !keeps_log(s, err)) *what = "the log";
    else if (made->memo && !keeps_memo(s, err)) *what = "the memo";
    else if (made->journal && !keeps_journal(s, made->run, err)) *what = "the journal";
    tm_store_close(s);
    return *what == NULL;
}

static bool part_empty(const char *folder, const char *part)
{
    char path[TM_PATH_MAX];
    tm_names names;
    if (tm_path(path, NULL, "%s/%s", folder, part) < 0 || tm_dir_list(path, &names, NULL) < 0) return false;
    bool empty = names.count == 0;
    tm_names_clear(&names);
    return empty;
}

bool scenario_clean(const char *folder, const char **what, tm_error *err)
{
    tm_store *s;
    tm_verify_report found;
    tm_gc_report report;
    tm_gc_policy policy = {.keep_ms = 3600000, .grace_ms = -1000};
    *what = "opening";
    if (tm_store_open(folder, 0, &s, err) < 0) return false;
    *what = NULL;
    if (tm_store_verify(s, NULL, NULL, &found, err) < 0) *what = "verify";
    else if (found.corrupt) *what = "a corrupt object";
    else if (found.incomplete) *what = "an incomplete record";
    else if (found.bad_bytes) *what = "bad bytes among the keys";
    else if (tm_store_gc(s, &policy, false, NULL, NULL, &report, err) < 0) *what = "gc";
    tm_store_close(s);
    if (!*what && (!part_empty(folder, "tmp") || !part_empty(folder, "trash") || !part_empty(folder, "pins")))
        *what = "remainders in tmp, trash or pins";
    return *what == NULL;
}
