// SPDX-License-Identifier: Apache-2.0
// Open logs.
//
// Payload: u8 what, then for ENTRY: u64 index hash[16] u64 rows u64 bytes cursor; for CUT: u64 entries to
// keep. The index keeps the order when a record is damaged: what follows a gap is not read, and an entry that
// is there already was cut before.
#include "engine/store_log.h"

#include <errno.h>
#include <stdio.h>

#include "engine/store_impl.h"

enum { ENTRY = 1, CUT = 2, ENTRY_HEAD = 1 + 8 + 16 + 8 + 8 };

typedef struct item {
    tm_entry entry;
    char *cursor;
} item;

struct tm_log {
    tm_store *store;
    char folder[TM_PATH_MAX];
    tm_ledger *ledger;
    item *items;
    size_t count, capacity;
    uint64_t generation;
    bool placed;  // the folder was synced in logs/
};

static void keep_only(tm_log *log, size_t keep)
{
    if (keep >= log->count) return;
    for (size_t i = keep; i < log->count; i++) tm_free(log->items[i].cursor);
    log->count = keep;
    log->generation++;
}

static tm_status add(tm_log *log, tm_entry entry, tm_view cursor, tm_error *err)
{
    if (log->count == log->capacity) {
        size_t capacity = log->capacity ? 2 * log->capacity : 16;
        item *grown = tm_realloc(log->items, capacity * sizeof *grown);
        if (!grown) return tm_fail(err, TM_ENOMEM, "out of memory for an open log");
        log->items = grown;
        log->capacity = capacity;
    }
    char *copy = tm_alloc(cursor.size + 1);
    if (!copy) return tm_fail(err, TM_ENOMEM, "out of memory for an open log");
    if (cursor.size) memcpy(copy, cursor.data, cursor.size);
    copy[cursor.size] = 0;
    log->items[log->count++] = (item){entry, copy};
    return TM_OK;
}

static tm_status take(tm_view p, void *arg, tm_error *err)
{
    tm_log *log = arg;
    if (!p.data) {
        keep_only(log, 0);
        return TM_OK;
    }
    if (p.size == 9 && p.data[0] == CUT) keep_only(log, tm_le64(p.data + 1));
    if (p.size < ENTRY_HEAD || p.data[0] != ENTRY) return TM_OK;
    uint64_t index = tm_le64(p.data + 1);
    if (index > log->count) return TM_OK;
    keep_only(log, index);
    tm_entry entry = {.rows = tm_le64(p.data + 25), .bytes = tm_le64(p.data + 33)};
    memcpy(entry.hash.bytes, p.data + 9, 16);
    return add(log, entry, tm_view_of(p.data + ENTRY_HEAD, p.size - ENTRY_HEAD), err);
}

static tm_status open_in(tm_log *log, tm_hash recipe, const char *port, tm_error *err)
{
    char hex[TM_HASH_HEX], path[TM_PATH_MAX];
    tm_hash_hex(recipe, hex);
    if (!*port || strchr(port, '/') || port[0] == '.')
        return tm_fail(err, TM_EINVAL, "\"%.40s\" is not the name of a port", port);
    TM_TRY(tm_store_at(log->store, log->folder, err, "logs/%s", hex));
    TM_TRY(tm_store_at(log->store, path, err, "logs/%s/%s", hex, port));
    return tm_ledger_open(path, "log", take, log, &log->ledger, err);
}

tm_status tm_log_open(tm_store *store, tm_hash recipe, const char *port, tm_log **log, tm_error *err)
{
    *log = NULL;
    tm_log *l = tm_calloc(1, sizeof *l);
    if (!l) return tm_fail(err, TM_ENOMEM, "out of memory opening a log");
    l->store = store;
    tm_status status = open_in(l, recipe, port, err);
    if (status < 0) tm_log_close(l);
    else *log = l;
    return status;
}

void tm_log_close(tm_log *log)
{
    if (!log) return;
    keep_only(log, 0);
    tm_free(log->items);
    tm_ledger_close(log->ledger);
    tm_free(log);
}

size_t tm_log_count(const tm_log *log)
{
    return log->count;
}

tm_entry tm_log_entry(const tm_log *log, size_t index)
{
    tm_assert(index < log->count);
    return log->items[index].entry;
}

const char *tm_log_cursor(const tm_log *log, size_t index)
{
    tm_assert(index < log->count);
    return log->items[index].cursor;
}

uint64_t tm_log_generation(const tm_log *log)
{
    return log->generation;
}

static tm_status lock(tm_log *log, tm_error *err)
{
    TM_TRY(tm_store_writable(log->store, err));
    TM_TRY(tm_dir_make(log->folder, err));
    return tm_ledger_lock(log->ledger, err);
}

// Write it down, then read it as everybody will.
static tm_status append(tm_log *log, const tm_buf *payload, tm_error *err)
{
    TM_TRY(tm_buf_status(payload, err));
    TM_TRY(tm_ledger_append(log->ledger, payload->data, payload->size, err));
    return take(tm_buf_view(payload), log, err);
}

tm_status tm_log_append(tm_log *log, tm_entry entry, const char *cursor, tm_error *err)
{
    tm_buf bytes = {0};
    TM_TRY(lock(log, err));
    tm_buf_char(&bytes, ENTRY);
    tm_buf_le64(&bytes, log->count);
    tm_buf_add(&bytes, entry.hash.bytes, 16);
    tm_buf_le64(&bytes, entry.rows);
    tm_buf_le64(&bytes, entry.bytes);
    if (cursor) tm_buf_str(&bytes, cursor);
    tm_status status = append(log, &bytes, err);
    tm_ledger_unlock(log->ledger);
    tm_buf_clear(&bytes);
    return status;
}

tm_status tm_log_cut(tm_log *log, size_t keep, tm_error *err)
{
    tm_buf bytes = {0};
    if (keep >= log->count) return TM_OK;
    TM_TRY(lock(log, err));
    tm_buf_char(&bytes, CUT);
    tm_buf_le64(&bytes, keep);
    tm_status status = keep < log->count ? append(log, &bytes, err) : TM_OK;
    tm_ledger_unlock(log->ledger);
    tm_buf_clear(&bytes);
    return status;
}

tm_status tm_log_refresh(tm_log *log, tm_error *err)
{
    return tm_ledger_refresh(log->ledger, err);
}

tm_status tm_log_sync(tm_log *log, tm_error *err)
{
    TM_TRY(tm_ledger_sync(log->ledger, err));
    if (log->placed || !tm_file_exists(log->folder)) return TM_OK;
    char path[TM_PATH_MAX];
    TM_TRY(tm_store_at(log->store, path, err, "logs"));
    TM_TRY(tm_dir_sync(path, err));
    log->placed = true;
    return TM_OK;
}

tm_status tm_log_unsynced(tm_log *log, tm_unsynced *todo, tm_error *err)
{
    tm_status status = tm_ledger_unsynced(log->ledger, todo, err);
    if (status != TM_OK || log->placed) return status;
    return tm_store_at(log->store, todo->folders[1], err, "logs");
}

void tm_log_synced(tm_log *log, tm_status outcome)
{
    tm_ledger_synced(log->ledger, outcome);
    log->placed |= outcome == TM_OK;
}

tm_status tm_log_drop(tm_store *store, tm_hash recipe, tm_error *err)
{
    char hex[TM_HASH_HEX], path[TM_PATH_MAX], trash[TM_PATH_MAX];
    tm_hash_hex(recipe, hex);
    TM_TRY(tm_store_writable(store, err));
    TM_TRY(tm_store_at(store, path, err, "logs/%s", hex));
    TM_TRY(tm_store_tmp(store, trash, err));
    if (tm_sys.rename(path, trash) != 0)
        return errno == ENOENT ? TM_OK : tm_fail_errno(err, "cannot remove %s", path);
    return tm_dir_remove(trash, err);
}
