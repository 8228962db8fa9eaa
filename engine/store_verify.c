// SPDX-License-Identifier: Apache-2.0
// Verification: read and hash everything there is.
#include <stdio.h>

#include "engine/store_gc.h"
#include "engine/store_hollow.h"
#include "engine/store_impl.h"

typedef struct verify {
    tm_store *store;
    tm_gc_tell tell;
    void *arg;
    tm_verify_report *report;
} verify;

static void tell_of(verify *v, const char *what, const char *name, uint64_t bytes)
{
    if (v->tell) v->tell(what, name, bytes, v->arg);
}

static tm_status verify_object(verify *v, const char *prefix, const char *name, tm_error *err)
{
    char hex[TM_HASH_HEX], path[TM_PATH_MAX];
    tm_hash hash;
    struct stat info;
    tm_blob blob;
    snprintf(hex, sizeof hex, "%.2s%.30s", prefix, name);
    if (strlen(name) < 30 || !tm_hash_parse(hex, &hash)) return TM_OK;
    TM_TRY(tm_store_at(v->store, path, err, "objects/%s/%s", prefix, name));
    if (tm_sys.stat(path, &info) != 0) return TM_OK;  // gone meanwhile
    v->report->objects++;
    v->report->bytes += (uint64_t)info.st_size;
    tm_status status = tm_store_get(v->store, hash, &blob, err);
    tm_blob_clear(&blob);
    if (status == TM_ECORRUPT) {
        v->report->corrupt++;
        tell_of(v, "corrupt", hex, (uint64_t)info.st_size);
    }
    return status == TM_ECORRUPT || status == TM_ENOENT ? TM_OK : status;
}

static tm_status verify_folder(verify *v, const char *prefix, tm_error *err)
{
    char path[TM_PATH_MAX];
    tm_names names;
    TM_TRY(tm_store_at(v->store, path, err, "objects/%s", prefix));
    TM_TRY(tm_dir_list(path, &names, err));
    tm_status status = TM_OK;
    for (size_t i = 0; i < names.count && status == TM_OK; i++)
        status = verify_object(v, prefix, names.names[i], err);
    tm_names_clear(&names);
    return status;
}

static tm_status verify_objects(verify *v, tm_error *err)
{
    char path[TM_PATH_MAX];
    tm_names names;
    TM_TRY(tm_store_at(v->store, path, err, "objects"));
    TM_TRY(tm_dir_list(path, &names, err));
    tm_status status = TM_OK;
    for (size_t i = 0; i < names.count && status == TM_OK; i++)
        status = verify_folder(v, names.names[i], err);
    tm_names_clear(&names);
    return status;
}

static bool complete_record(verify *v, const tm_record *record)
{
    bool complete = true;
    for (size_t k = 0; k < record->n_ports && complete; k++)
        complete = tm_hollow_complete(v->store, record, k);
    return complete;
}

static void verify_records(verify *v)
{
    for (size_t i = 0; i < tm_key_count(v->store); i++) {
        const tm_record *record = tm_key_at(v->store, i);
        v->report->records++;
        if (complete_record(v, record)) continue;
        char hex[TM_HASH_HEX];
        tm_hash_hex(record->content, hex);
        v->report->incomplete++;
        tell_of(v, "incomplete", hex, 0);
    }
}

tm_status tm_store_verify(tm_store *store, tm_gc_tell tell, void *arg, tm_verify_report *report,
                          tm_error *err)
{
    *report = (tm_verify_report){0};
    verify v = {store, tell, arg, report};
    TM_TRY(verify_objects(&v, err));
    TM_TRY(tm_key_refresh(store, err));
    verify_records(&v);
    if (store->keys.ledger) report->bad_bytes = tm_ledger_bad_bytes(store->keys.ledger);
    return TM_OK;
}
