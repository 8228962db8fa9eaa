// SPDX-License-Identifier: Apache-2.0
// What must be durable before the loop goes on about it: syncs, in the helper's thread. Whatever belongs to a
// group is dropped when that was released meanwhile (its attempt is another one then).
#include "engine/run_internal.h"

#include <stdlib.h>

// ---- files that only grow: journal, open logs, memos ----

typedef enum { FILE_JOURNAL, FILE_LOG, FILE_MEMO } file_kind;

typedef struct file_task {
    tm_task task;
    run *r;
    file_kind kind;
    run_group *group;
    uint64_t attempt;
    tm_log *log;     // of the group
    size_t n;        // entries of the main output's log that are durable then
    json_t *kept;    // told when it is durable, or NULL
    tm_unsynced todo;
} file_task;

static tm_status sync_file(tm_task *task, tm_error *err)
{
    return tm_unsynced_sync(&((file_task *)task)->todo, err);
}

static bool still_there(const run_group *g, uint64_t attempt)
{
    return g->attempt == attempt;
}

static void file_done(tm_task *task, tm_status status, const tm_error *err)
{
    file_task *t = (file_task *)task;
    bool there = t->kind != FILE_JOURNAL && still_there(t->group, t->attempt);
    if (t->kind == FILE_JOURNAL) tm_journal_synced(t->r->journal, status);
    else if (there && t->kind == FILE_LOG) tm_log_synced(t->log, status);
    else if (there && t->group->memo) tm_memo_synced(t->group->memo, status);
    if (t->kind == FILE_JOURNAL) t->r->journal_syncing = false;
    if (there && t->kind == FILE_MEMO) t->group->memo_syncing = false;
    if (there && t->kind == FILE_MEMO && status >= 0) durable_memo(t->r, t->group, NULL);
    if (there && status < 0 && t->group->state == GROUP_ACTIVE) group_fail(t->r, t->group, err);
    if (there && t->kind == FILE_LOG && status >= 0) retain(t->r, t->group, t->n);
    if (t->kept && status >= 0) run_event(t->r, "kept", json_incref(t->kept));
    json_decref(t->kept);
    tm_free(t);
}

static file_task *file_task_new(run *r, file_kind kind, run_group *g, tm_error *err)
{
    file_task *t = tm_calloc(1, sizeof *t);
    if (!t) tm_fail(err, TM_ENOMEM, "no memory to make something durable");
    else *t = (file_task){.task = {.work = sync_file, .done = file_done}, .r = r, .kind = kind, .group = g,
                          .attempt = g ? g->attempt : 0};
    return t;
}

// `status` of noting what there is to sync.
static tm_status put_file(file_task *t, tm_status status)
{
    if (status == TM_OK) tm_helper_put(t->r->helper, &t->task);
    else {
        json_decref(t->kept);
        tm_free(t);
    }
    return status < 0 ? status : TM_OK;
}

void durable_journal(run *r)
{
    file_task *t = r->journal_syncing ? NULL : file_task_new(r, FILE_JOURNAL, NULL, NULL);
    if (!t) return;
    tm_status status = tm_journal_unsynced(r->journal, &t->todo, NULL);
    r->journal_syncing = status == TM_OK;
    put_file(t, status);
}

tm_status durable_log(run *r, run_group *g, tm_log *log, json_t *kept, tm_error *err)
{
    file_task *t = file_task_new(r, FILE_LOG, g, err);
    if (!t) json_decref(kept);
    if (!t) return TM_ENOMEM;
    t->log = log;
    t->n = log == g->open_logs[0] ? r->logs[group_node(r, g, 0)->index][0].durable : 0;
    t->kept = kept;
    return put_file(t, tm_log_unsynced(log, &t->todo, err));
}

tm_status durable_memo(run *r, run_group *g, tm_error *err)
{
    if (!g->memo || g->memo_syncing) return TM_OK;
    file_task *t = file_task_new(r, FILE_MEMO, g, err);
    if (!t) return TM_ENOMEM;
    tm_status status = tm_memo_unsynced(g->memo, &t->todo, err);
    g->memo_syncing = status == TM_OK;
    return put_file(t, status);
}

// ---- what a dead worker left visible ----

typedef struct claim_task {
    tm_task task;
    run *r;
    run_group *group;
    uint64_t attempt;
    tm_hash *hashes;
    size_t n;
    void (*then)(run *r, run_group *g, bool durable);
} claim_task;

static tm_status claim_all(tm_task *task, tm_error *err)
{
    claim_task *t = (claim_task *)task;
    TM_TRY(tm_store_claim(t->r->binder, t->hashes, t->n, err));
    return tm_store_sync(t->r->binder, err);
}

static void claim_done(tm_task *task, tm_status status, const tm_error *err)
{
    claim_task *t = (claim_task *)task;
    (void)err;
    if (still_there(t->group, t->attempt)) t->then(t->r, t->group, status >= 0);
    tm_free(t->hashes);
    tm_free(t);
}

void durable_claim(run *r, run_group *g, tm_hash *hashes, size_t n,
                   void (*then)(run *r, run_group *g, bool durable))
{
    claim_task *t = tm_calloc(1, sizeof *t);
    if (!t) {
        tm_free(hashes);
        then(r, g, false);
        return;
    }
    *t = (claim_task){.task = {.work = claim_all, .done = claim_done}, .r = r, .group = g,
                      .attempt = g->attempt, .hashes = hashes, .n = n, .then = then};
    tm_helper_put(r->helper, &t->task);
}

// ---- what the workers of a group that failed had mapped ----

typedef struct mapped_task {
    tm_task task;
    run *r;
    tm_memo *memo;    // these were the group's
    map_item *items;
    size_t n_items;
    int n_outputs;
} mapped_task;

static tm_status remember_mapped(tm_task *task, tm_error *err)
{
    mapped_task *t = (mapped_task *)task;
    tm_store *store = t->r->binder;
    for (size_t i = 0; i < t->n_items; i++)
        for (int k = 0; !t->items[i].durable && t->items[i].out && k < t->n_outputs; k++)
            if (tm_store_has(store, t->items[i].out[k].hash))
                tm_store_claim(store, &t->items[i].out[k].hash, 1, NULL);
    TM_TRY(tm_store_sync(store, err));
    for (size_t i = 0; i < t->n_items; i++) {
        tm_memo_port ports[TM_MAX_GROUP * TM_MAX_PORTS];
        if (t->items[i].durable || !t->items[i].out) continue;
        for (int k = 0; k < t->n_outputs; k++) ports[k] = (tm_memo_port){&t->items[i].out[k], 1};
        TM_TRY(tm_memo_add(t->memo, t->items[i].memo_key, ports, err));
    }
    return tm_memo_sync(t->memo, err);
}

static void mapped_done(tm_task *task, tm_status status, const tm_error *err)
{
    mapped_task *t = (mapped_task *)task;
    (void)status;
    (void)err;
    for (size_t i = 0; i < t->n_items; i++) tm_free(t->items[i].out);
    tm_free(t->items);
    tm_memo_close(t->memo);
    tm_free(t);
}

void durable_mapped(run *r, run_group *g)
{
    mapped_task *t = g->memo ? tm_calloc(1, sizeof *t) : NULL;
    if (!t) return;
    *t = (mapped_task){.task = {.work = remember_mapped, .done = mapped_done}, .r = r, .memo = g->memo,
                       .items = g->items, .n_items = g->n_items, .n_outputs = g->n_outputs};
    g->memo = NULL;
    g->items = NULL;
    g->n_items = g->capacity = g->next_dispatch = g->next_emit = 0;
    tm_helper_put(r->helper, &t->task);
}
