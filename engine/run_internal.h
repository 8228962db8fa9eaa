// SPDX-License-Identifier: Apache-2.0
// Private to the scheduler: its state. run.c is the loop, run_log.c the logs, run_group.c the life of a
// group, run_seal.c its end, run_durable.c what waits for the disk, run_worker.c the worker processes and
// their messages.
#pragma once

#include "engine/helper.h"
#include "engine/journal.h"
#include "engine/lease.h"
#include "engine/memo.h"
#include "engine/resume.h"
#include "engine/run.h"
#include "engine/store_log.h"
#include "engine/wire.h"

// The log of one output port while the run goes on.
typedef struct run_log {
    tm_entry *entries;
    int64_t *steps;     // of snapshots, else -1
    json_t **cursors;   // of trainers, else NULL
    size_t n, capacity;
    size_t durable;
    size_t again;       // entries that the present attempt gave (again)
    bool ended;
} run_log;

typedef enum {
    GROUP_WAITING,
    GROUP_ACTIVE,
    GROUP_SEALING,  // its workers have ended; what it gave is becoming durable and bound
    GROUP_DONE,    // outputs known; `cached` says whether it ran
    GROUP_FAILED,
    GROUP_SKIPPED,  // an input failed, or the run stopped
} group_state;

// One input entry of a map group, and what became of it.
typedef struct map_item {
    tm_hash memo_key;
    tm_entry in;
    char label[64];
    tm_entry *out;    // one per output port of every node, NULL until mapped
    int by;           // number of the worker that has it
    int tries;        // that asked for another
    bool dispatched, durable;
    bool remembered;  // from the memo
} map_item;

typedef struct run_maybe run_maybe;

typedef struct run_group {
    tm_group *plan;
    group_state state;
    bool cached;
    tm_lease *lease;
    int64_t lease_retry_ns;
    int lease_refusals;
    int64_t start_ns;
    int workers;      // assigned now
    bool followed;    // the journal says that another run works on it
    int deaths;       // of workers since it last got anywhere
    char death[256];  // of the last one, in words
    uint64_t attempt;  // grows when it is released
    run_maybe *maybe;  // earlier results that may come true
    bool certain;     // none can: it runs
    bool rolled_back;  // what it had read turned out to be other entries
    size_t *n_read;   // per link: entries given to its worker (not for map groups)
    bool ended;       // its workers are done; it is sealed when its inputs are
    // map groups
    tm_memo *memo;
    bool memo_syncing;  // what is added meanwhile is synced next
    map_item *items;
    size_t n_items, capacity, next_dispatch, next_emit;
    int n_outputs;    // ports of all nodes of the chain
    bool input_ended;
    // trainers
    tm_resume_point resume;
    bool has_resume;
    size_t looked_at;  // entries of the inputs when it was too early to tell from where to go on
    tm_log *open_logs[TM_MAX_PORTS];
    bool freeing;     // training states that are not needed any more
    tm_log *kept;
    json_t *counts;   // node -> name -> n
    int64_t memory;   // most that one of its workers had at once
    int most_cores;   // lent to its workers at once
} run_group;

typedef struct put_ref {
    bool map;
    size_t index;  // of the item, or of the entry
    int port;
} put_ref;

typedef struct run_worker {
    pid_t pid;
    int lifeline;     // write end
    tm_wire wire;
    int group;        // -1: idle
    int cores;        // lent; 0 while it waits for an entry
    int asked_cores;  // what it was asked to come down to, or 0
    bool hostile;     // never used again
    int64_t gone_ns;  // since when its socket is closed, or 0
    bool dead;
    json_t *question;  // unanswered "next" or "ready"
    put_ref *puts;     // of this group, in order
    size_t n_puts, puts_capacity, n_durable;
    int number;
} run_worker;

typedef struct run {
    tm_plan *plan;
    const tm_run_options *options;
    tm_run_result *result;
    tm_journal *journal;
    tm_helper *helper;  // does what may wait
    tm_store *binder;   // its handle of the store
    bool journal_syncing;
    run_log (*logs)[TM_MAX_PORTS];  // per plan node
    run_group *groups;              // parallel to plan->groups
    run_group **order;              // those that are not over, the deepest first
    size_t n_order;
    run_worker **workers;
    size_t n_workers, workers_capacity;
    int cores;
    int64_t memory;    // bytes, to be shared by the groups that run
    int signals;       // descriptor
    int stopping;      // number of stop signals seen
    bool failed;
    int64_t start_ns;
    int64_t tick_ns;   // of the next tick
    int n_spawned;
    int64_t journal_dirty_ns;  // since when the journal has lines that are not synced, or 0
    bool lease_soon;   // somebody may be looking at a lease just now: try it again at once
    bool lost_inputs;  // a group failed or was skipped: active consumers must know
} run;

// run.c
void run_event(run *r, const char *event, json_t *fields);  // steals `fields`; journal and watcher
void run_tell(run *r, const char *event, json_t *fields);   // steals `fields`; watcher alone
int run_free_cores(const run *r);
void run_ask_for_core(run *r);  // make an elastic worker give one up

// run_log.c
tm_status log_add(run_log *log, const tm_entry *entry, int64_t step, json_t *cursor, tm_error *err);
void log_cut(run_log *log, size_t n);  // forget entries from the n-th on
void log_clear(run_log *log);
run_log *log_of(run *r, const tm_link *link);
bool link_is_whole(const tm_link *link);  // nothing of it can be used before its producer has ended
// The i-th entry that a link gives: TM_OK, TM_AGAIN (not yet), TM_DONE (there are no more), or an error.
tm_status link_entry(run *r, const tm_link *link, size_t i, tm_entry *entry, tm_error *err);
// The same over all links of the main port of a map group, one after the other; `label` names the link.
tm_status main_entry(run *r, const run_group *g, size_t i, tm_entry *entry, char label[64], tm_error *err);
const tm_node *group_node(const run *r, const run_group *g, int i);
tm_plan_node *group_plan(const run *r, const run_group *g, int i);

// run_durable.c
void durable_journal(run *r);
// `kept` (stolen, may be NULL) is told as the event "kept" when the log is durable.
tm_status durable_log(run *r, run_group *g, tm_log *log, json_t *kept, tm_error *err);
tm_status durable_memo(run *r, run_group *g, tm_error *err);
// Objects that a dead worker left visible (the array is taken); `then` hears whether they are durable now.
void durable_claim(run *r, run_group *g, tm_hash *hashes, size_t n,
                   void (*then)(run *r, run_group *g, bool durable));
// What the workers of a map group gave is remembered, so that the next run need not make it again.
void durable_mapped(run *r, run_group *g);

// run_retain.c
// The first n snapshots of a trainer are durable: states and models that nobody needs go.
void retain(run *r, run_group *g, size_t n);
void retain_at_end(run *r);  // what was yet to be read before
json_t *kept_models(const run *r, const tm_plan_node *p);  // for the key record, or NULL: all
bool cursor_state(const json_t *cursor, tm_hash *state);  // the tree that a cursor names
bool cursor_stays(const run_log *log, size_t i);          // whether its state does, beside later snapshots

// run_seal.c
// The group must have ended, and its inputs must be known. It becomes GROUP_DONE or GROUP_FAILED by itself.
tm_status group_seal(run *r, run_group *g, tm_error *err);
// Nodes that are cached under other recipes (inputs made in another way, of the same bytes) are found under
// these, too.
void seal_aliases(run *r, const run_group *g);

// run_group.c
json_t *group_facts(const run *r, const run_group *g);
void groups_schedule(run *r);
void group_fail(run *r, run_group *g, const tm_error *error);
void group_fail_at(run *r, run_group *g, const char *node, const tm_error *error); // NULL: its last node
void group_release(run *r, run_group *g);
void group_worker_done(run *r, run_group *g);  // a worker of it said "done"
bool group_over(const run_group *g);
bool group_finished(const run_group *g);
tm_status groups_order(run *r, tm_error *err);  // once
tm_status group_emit(run *r, run_group *g, tm_error *err);  // mapped items, in order, to the logs
tm_status group_open(run *r, run_group *g, tm_error *err);
void group_clear(run_group *g);

// run_at.c
int group_cores(const run *r, const run_group *g);       // at most; 0: as many as there are
int group_retries(const run *r, const run_group *g);     // after the death of a worker
double group_timeout(const run *r, const run_group *g);  // seconds; 0: none
int64_t group_memory(const run *r, const run_group *g);  // bytes, said or estimated
bool group_fits(const run *r, const run_group *g);       // beside those that run

// run_diverge.c
// Entry i of an output port of a group: new, or given again after a restart.
tm_status log_put(run *r, run_group *g, const tm_node *node, int port, size_t i, const tm_entry *entry,
                  int64_t step, json_t *cursor, tm_error *err);
tm_status group_check_ends(run *r, run_group *g, tm_error *err);  // it ended: was there more before?

// run_maybe.c
bool group_may_be_cached(run *r, run_group *g);  // judged by what its inputs gave so far
void maybe_free(run_maybe *maybe);

// run_worker.c
void worker_lend(run *r, run_worker *w, int cores);  // so many from now on; it works on a group
tm_status worker_assign(run *r, run_group *g, int cores, tm_error *err);
void worker_serve(run *r, run_worker *w);     // answer its question if that is possible now
void worker_readable(run *r, run_worker *w);  // handle what it sent
void worker_reap(run *r, run_worker *w);      // one that has closed its socket
void worker_free(run_worker *w);
void worker_stop_all(run *r);
void worker_abandon(run *r, run_group *g);  // kill those that work on a group that is over
