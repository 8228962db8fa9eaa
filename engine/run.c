// SPDX-License-Identifier: Apache-2.0
// The scheduler's event loop: workers' sockets, signals, time.
#include "engine/run_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/machine.h"

#define TICK_MS 100
#define SOON_MS 2
// What happened is on record after this at the latest.
#define JOURNAL_NS 400000000

void run_tell(run *r, const char *event, json_t *fields)
{
    if (r->options->watch) r->options->watch(r->options->arg, event, fields);
    json_decref(fields);
}

void run_event(run *r, const char *event, json_t *fields)
{
    tm_journal_append(r->journal, event, fields, NULL);
    if (!r->journal_dirty_ns) r->journal_dirty_ns = tm_time_ns();
    run_tell(r, event, fields);
}

int run_free_cores(const run *r)
{
    int used = 0;
    for (size_t i = 0; i < r->n_workers; i++) used += r->workers[i]->cores;
    return r->cores - used;
}

void run_ask_for_core(run *r)
{
    for (size_t i = 0; i < r->n_workers; i++)
        if (r->workers[i]->asked_cores) return;  // one is on its way
    for (size_t i = 0; i < r->n_workers; i++) {
        run_worker *w = r->workers[i];
        if (w->group < 0 || w->cores < 2) continue;
        w->asked_cores = w->cores - 1;
        tm_wire_put(&w->wire, json_pack("{s:s, s:i}", "op", "cores", "n", w->asked_cores), NULL);
        return;
    }
}

static bool finished(const run *r)
{
    for (size_t i = 0; i < r->n_order; i++)
        if (!group_over(r->order[i]) && !(r->stopping && !r->order[i]->workers)) return false;
    return tm_helper_pending(r->helper) == 0;
}

// ---- signals ----

static tm_status open_signals(run *r, sigset_t *old, tm_error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTSTP);
    sigprocmask(SIG_BLOCK, &set, old);
    r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return r->signals < 0 ? tm_fail_errno(err, "signalfd") : TM_OK;
}

// Ctrl-Z: whoever draws on the terminal leaves it in order, and learns when the run goes on. Workers go on
// meanwhile, until they need an answer.
static void suspend(run *r)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    run_tell(r, "suspend", json_object());
    raise(SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &set, NULL);  // here it stops, and goes on
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static void on_signal(run *r)
{
    struct signalfd_siginfo info;
    while (tm_sys.read(r->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGTSTP) {
            suspend(r);
            continue;
        }
        r->stopping++;
        r->result->stopped = true;
        r->result->signal = (int)info.ssi_signo;
        run_event(r, "stopping", json_pack("{s:i, s:i}", "signal", r->result->signal, "times", r->stopping));
        worker_stop_all(r);
    }
}

// ---- one turn ----

static void drop_dead(run *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->n_workers; i++) {
        if (r->workers[i]->dead) worker_free(r->workers[i]);
        else r->workers[kept++] = r->workers[i];
    }
    r->n_workers = kept;
}

// Milliseconds that the loop may sleep.
static int patience(const run *r)
{
    bool soon = r->lease_soon;
    for (size_t i = 0; i < r->n_workers; i++) soon |= r->workers[i]->gone_ns != 0;
    return soon ? SOON_MS : TICK_MS;
}

static void wait_for_events(run *r)
{
    size_t n = r->n_workers;  // handling one worker's messages may start others
    struct pollfd *polls = tm_calloc(n + 2, sizeof *polls);
    if (!polls) return;
    for (size_t i = 0; i < n; i++) {
        short events = (short)(POLLIN | (r->workers[i]->wire.out.size ? POLLOUT : 0));
        polls[i] = (struct pollfd){.fd = r->workers[i]->gone_ns ? -1 : r->workers[i]->wire.fd,
                                   .events = events};
    }
    polls[n] = (struct pollfd){.fd = r->signals, .events = POLLIN};
    polls[n + 1] = (struct pollfd){.fd = tm_helper_fd(r->helper), .events = POLLIN};
    int ready = poll(polls, (nfds_t)n + 2, patience(r));
    r->lease_soon = false;
    if (ready > 0 && polls[n].revents) on_signal(r);
    if (ready > 0 && polls[n + 1].revents) tm_helper_collect(r->helper);
    for (size_t i = 0; i < n; i++) {
        if (r->workers[i]->gone_ns) worker_reap(r, r->workers[i]);
        else if (ready > 0 && polls[i].revents & (POLLIN | POLLHUP | POLLERR))
            worker_readable(r, r->workers[i]);
    }
    tm_free(polls);
}

static void flush(run *r)
{
    for (size_t i = 0; i < r->n_workers; i++)
        if (!r->workers[i]->dead) tm_wire_flush(&r->workers[i]->wire, NULL);
}

static void sync_journal(run *r)
{
    if (!r->journal_dirty_ns || r->journal_syncing || tm_time_ns() - r->journal_dirty_ns < JOURNAL_NS) return;
    durable_journal(r);
    r->journal_dirty_ns = 0;
}

static void tick(run *r)
{
    int64_t now = tm_time_ns();
    if (!r->options->tick || now < r->tick_ns) return;
    r->tick_ns = now + TICK_MS * 1000000;
    r->options->tick(r->options->arg, r);
}

size_t tm_run_workers(const tm_run_now *now, tm_run_worker *workers, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < now->n_workers; i++) {
        const run_worker *w = now->workers[i];
        if (w->group < 0 || w->dead) continue;
        const run_group *g = &now->groups[w->group];
        if (n < room)
            workers[n] = (tm_run_worker){w->pid, group_node(now, g, g->plan->n - 1)->index, w->cores};
        n++;
    }
    return n;
}

size_t tm_run_entries(const tm_run_now *now, int node, int port, const tm_entry **entries)
{
    const run_log *log = &now->logs[node][port];
    *entries = log->entries;
    return log->n;
}

static void loop(run *r)
{
    while (!finished(r)) {
        tick(r);
        groups_schedule(r);
        flush(r);
        if (finished(r)) break;
        wait_for_events(r);
        drop_dead(r);
        sync_journal(r);
    }
}

// ---- start and end ----

static tm_status open_run(run *r, tm_error *err)
{
    r->logs = tm_calloc(r->plan->graph->n_nodes + 1, sizeof *r->logs);
    r->groups = tm_calloc(r->plan->n_groups + 1, sizeof *r->groups);
    if (!r->logs || !r->groups) return tm_fail(err, TM_ENOMEM, "no memory for a run");
    for (size_t i = 0; i < r->plan->n_groups; i++) r->groups[i].plan = &r->plan->groups[i];
    TM_TRY(groups_order(r, err));
    TM_TRY(tm_store_open(tm_store_folder(r->plan->store), 0, &r->binder, err));
    TM_TRY(tm_helper_start(&r->helper, err));
    return tm_journal_create(r->plan->store, r->result->run, &r->journal, err);
}

static void begin_journal(run *r)
{
    json_t *fields = tm_plan_json(r->plan);
    if (r->options->facts) json_object_update(fields, (json_t *)r->options->facts);
    json_object_set_new(fields, "run", json_string(r->result->run));
    json_object_set_new(fields, "cores", json_integer(r->cores));
    run_event(r, "run", fields);
    tm_journal_sync(r->journal, NULL);
}

// `error`: that its results could not be settled.
static void end_journal(run *r, const tm_error *error)
{
    tm_run_result *result = r->result;
    bool unsettled = error->status < 0;
    result->seconds = (double)(tm_time_ns() - r->start_ns) * 1e-9;
    json_t *fields = json_pack("{s:s, s:i, s:i, s:i, s:i, s:f}", "status",
                               result->stopped          ? "stopped"
                               : r->failed || unsettled ? "failed"
                                                        : "done",
                               "done", result->done, "cached", result->cached, "failed", result->failed,
                               "not_run", result->skipped, "seconds", result->seconds);
    if (unsettled) json_object_set_new(fields, "error", json_string(error->text));
    run_event(r, "end", fields);
    tm_journal_sync(r->journal, NULL);
}

// Ask all workers to end, by the end of their socket, and wait for them.
static void end_workers(run *r)
{
    for (size_t i = 0; i < r->n_workers; i++) {
        run_worker *w = r->workers[i];
        if (w->group >= 0) tm_sys.kill(w->pid, SIGKILL);
        else shutdown(w->wire.fd, SHUT_RDWR);
    }
    for (size_t i = 0; i < r->n_workers; i++) {
        int status;
        while (tm_sys.waitpid(r->workers[i]->pid, &status, 0) < 0 && errno == EINTR) continue;
        worker_free(r->workers[i]);
    }
    tm_free(r->workers);
}

// What a stopped run has mapped so far is remembered.
static void keep_mapped(run *r)
{
    for (size_t i = 0; i < r->plan->n_groups; i++)
        if (r->groups[i].state == GROUP_ACTIVE) durable_mapped(r, &r->groups[i]);
    retain_at_end(r);
    tm_helper_stop(r->helper);
    r->helper = NULL;
}

static void close_run(run *r)
{
    tm_helper_stop(r->helper);
    tm_store_close(r->binder);
    for (size_t i = 0; r->groups && i < r->plan->n_groups; i++) group_clear(&r->groups[i]);
    for (size_t i = 0; r->logs && i < r->plan->graph->n_nodes; i++)
        for (int port = 0; port < TM_MAX_PORTS; port++) log_clear(&r->logs[i][port]);
    tm_free(r->logs);
    tm_free(r->groups);
    tm_free(r->order);
    tm_journal_close(r->journal);
    if (r->signals >= 0) close(r->signals);
}

tm_status tm_run_plan(tm_plan *plan, const tm_run_options *options, tm_run_result *result, tm_error *err)
{
    *result = (tm_run_result){0};
    run r = {.plan = plan, .options = options, .result = result, .signals = -1, .start_ns = tm_time_ns()};
    sigset_t old;
    r.memory = tm_machine_memory();
    r.cores = options->cores > 0 ? options->cores : tm_machine_cores();
    tm_status status = open_signals(&r, &old, err);
    if (status >= 0) status = open_run(&r, err);
    if (status >= 0) {
        begin_journal(&r);
        loop(&r);
        end_workers(&r);
        keep_mapped(&r);
        tm_error unsettled = {0};
        if (options->settle) status = options->settle(options->arg, &unsettled);
        end_journal(&r, &unsettled);
        if (status < 0 && err) *err = unsettled;
        if (r.failed) status = TM_EFAILED;
        else if (result->stopped) status = TM_ESTOPPED;
    }
    close_run(&r);
    sigprocmask(SIG_SETMASK, &old, NULL);
    if (status == TM_EFAILED && err) *err = result->error;
    return status;
}
