// SPDX-License-Identifier: Apache-2.0
// Worker processes: spawning, the messages they send, and the answers they get.
#include "engine/run_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/machine.h"
#include "engine/worker.h"

extern char **environ;

// A worker without its socket is killed after this.
#define REAP_NS 1000000000

// ---- spawning ----

static int high(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 16);
    close(fd);
    return copy;
}

static tm_status open_pair(int *ours, int *theirs, int *lifeline, int *their_lifeline, tm_error *err)
{
    int pair[2], ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return tm_fail_errno(err, "socket for a worker");
    if (pipe2(ends, O_CLOEXEC)) {
        close(pair[0]);
        close(pair[1]);
        return tm_fail_errno(err, "lifeline of a worker");
    }
    *ours = high(pair[0]);
    *theirs = high(pair[1]);
    *their_lifeline = high(ends[0]);
    *lifeline = high(ends[1]);
    if (*ours >= 0 && *theirs >= 0 && *their_lifeline >= 0 && *lifeline >= 0) return TM_OK;
    return tm_fail_errno(err, "descriptors of a worker");
}

static tm_status spawn(run *r, run_worker *w, int socket, int lifeline, tm_error *err)
{
    char log[TM_PATH_MAX], folder[TM_PATH_MAX];
    TM_TRY(tm_run_folder(r->plan->store, r->result->run, folder, err));
    TM_TRY(tm_path(log, err, "%s/worker.%d.log", folder, w->number));
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_adddup2(&actions, socket, TM_WORKER_SOCKET);
    posix_spawn_file_actions_adddup2(&actions, lifeline, TM_WORKER_LIFELINE);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    char *const argv[] = {"tidemill", TM_WORKER_ARG, NULL};
    int error = tm_sys.spawn(&w->pid, "/proc/self/exe", &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    errno = error;
    return error ? tm_fail_errno(err, "start a worker") : TM_OK;
}

static tm_status worker_new(run *r, run_worker **out, tm_error *err)
{
    if (r->n_workers == r->workers_capacity) {
        size_t capacity = r->workers_capacity ? 2 * r->workers_capacity : 8;
        run_worker **workers = tm_realloc(r->workers, capacity * sizeof *workers);
        if (!workers) return tm_fail(err, TM_ENOMEM, "no memory for workers");
        r->workers = workers;
        r->workers_capacity = capacity;
    }
    run_worker *w = tm_calloc(1, sizeof *w);
    if (!w) return tm_fail(err, TM_ENOMEM, "no memory for a worker");
    int ours = -1, theirs = -1, their_lifeline = -1;
    w->group = w->lifeline = -1;
    w->number = ++r->n_spawned;
    tm_status status = open_pair(&ours, &theirs, &w->lifeline, &their_lifeline, err);
    tm_wire_init(&w->wire, ours);
    if (status >= 0) status = spawn(r, w, theirs, their_lifeline, err);
    if (theirs >= 0) close(theirs);
    if (their_lifeline >= 0) close(their_lifeline);
    if (status < 0) {
        worker_free(w);
        return status;
    }
    r->workers[r->n_workers++] = w;
    *out = w;
    return TM_OK;
}

void worker_free(run_worker *w)
{
    if (w->wire.fd >= 0) close(w->wire.fd);
    if (w->lifeline >= 0) close(w->lifeline);
    tm_wire_clear(&w->wire);
    json_decref(w->question);
    tm_free(w->puts);
    tm_free(w);
}

// ---- the message that sends a group ----

static json_t *node_message(const run *r, const run_group *g, int i)
{
    const tm_node *node = group_node(r, g, i);
    json_t *ports = json_array();
    for (size_t l = 0; l < node->n_links; l++)
        json_array_append_new(
            ports, json_pack("{s:s, s:s}", "port", node->links[l].port, "type", node->links[l].row->type));
    json_t *message = json_pack("{s:s, s:s, s:O, s:O, s:o}", "name", node->name, "stage", node->stage->name,
                                "options", node->options, "values", node->values, "ports", ports);
    if (node->identity) json_object_set(message, "identity", node->identity);
    if (node->smoke) json_object_set_new(message, "smoke", json_true());
    if (!g->has_resume) return message;
    char model[TM_HASH_HEX], state[TM_HASH_HEX];
    tm_hash_hex(g->resume.model, model);
    tm_hash_hex(g->resume.state, state);
    json_t *entries = json_array();
    for (int port = 0; port < TM_MAX_PORTS; port++)
        json_array_append_new(entries, json_integer((json_int_t)g->resume.n_entries[port]));
    json_object_set_new(message, "resume",
                        json_pack("{s:I, s:b, s:s, s:s, s:O*, s:o}", "step", (json_int_t)g->resume.step,
                                  "again", g->resume.again, "model", model, "state", state, "side",
                                  json_object_get(g->resume.cursor, "side"), "entries", entries));
    return message;
}

static json_t *group_message(const run *r, const run_group *g, int cores)
{
    json_t *nodes = json_array(), *stored = json_array();
    for (int i = 0; i < g->plan->n; i++) {
        json_array_append_new(nodes, node_message(r, g, i));
        const tm_plan_node *p = group_plan(r, g, i);
        for (int port = 0; tm_stage_makes(p->node->stage, port); port++)
            json_array_append_new(stored, json_boolean(tm_plan_stores(r->plan, p, port)));
    }
    return json_pack("{s:s, s:s, s:s, s:i, s:o, s:o}", "op", "work", "store", tm_store_folder(r->plan->store),
                     "folder", r->plan->graph->folder, "cores", cores, "nodes", nodes, "stored", stored);
}

static bool group_hostile(const run *r, const run_group *g)
{
    unsigned traits = 0;
    for (int i = 0; i < g->plan->n; i++) traits |= group_node(r, g, i)->stage->traits;
    return (traits & (TM_HOSTILE | TM_SCRIPT)) != 0;
}

void worker_lend(run *r, run_worker *w, int cores)
{
    int all = 0;
    run_group *g = &r->groups[w->group];
    w->cores = cores;
    for (size_t i = 0; i < r->n_workers; i++)
        if (r->workers[i]->group == w->group) all += r->workers[i]->cores;
    if (all > g->most_cores) g->most_cores = all;
}

tm_status worker_assign(run *r, run_group *g, int cores, tm_error *err)
{
    run_worker *w = NULL;
    bool hostile = group_hostile(r, g);
    for (size_t i = 0; i < r->n_workers && !w && !hostile; i++)
        if (r->workers[i]->group < 0 && !r->workers[i]->hostile && !r->workers[i]->dead) w = r->workers[i];
    if (!w) TM_TRY(worker_new(r, &w, err));
    w->hostile = hostile;
    w->group = (int)(g - r->groups);
    worker_lend(r, w, cores > 0 ? cores : 1);
    w->asked_cores = 0;
    w->n_puts = w->n_durable = 0;
    g->workers++;
    return tm_wire_put(&w->wire, group_message(r, g, w->cores), err);
}

// ---- answering questions ----

static bool get_core(run *r, run_worker *w)
{
    if (w->cores) return true;
    if (run_free_cores(r) < 1) {
        run_ask_for_core(r);
        return false;
    }
    worker_lend(r, w, 1);
    return true;
}

static void answer(run_worker *w, json_t *message)
{
    json_decref(w->question);
    w->question = NULL;
    tm_wire_put(&w->wire, message, NULL);
}

static tm_status item_new(run_group *g, map_item **item, tm_error *err)
{
    if (g->n_items == g->capacity) {
        size_t capacity = g->capacity ? 2 * g->capacity : 32;
        map_item *items = tm_realloc(g->items, capacity * sizeof *items);
        if (!items) return tm_fail(err, TM_ENOMEM, "no memory for entries");
        g->items = items;
        g->capacity = capacity;
    }
    *item = &g->items[g->n_items++];
    **item = (map_item){0};
    return TM_OK;
}

static tm_hash memo_key(const map_item *item)
{
    struct {
        tm_hash hash;
        char label[64];
    } both = {.hash = item->in.hash};
    if (!item->label[0]) return item->in.hash;
    memcpy(both.label, item->label, sizeof both.label);
    return tm_hash_of(&both, sizeof both);
}

// Take an earlier result of this entry if all its stored bytes are there.
static bool remember(run *r, run_group *g, map_item *item)
{
    const tm_memo_port *ports = g->memo ? tm_memo_find(g->memo, item->memo_key) : NULL;
    if (!ports) return false;
    int k = 0;
    for (int i = 0; i < g->plan->n; i++) {
        const tm_plan_node *p = group_plan(r, g, i);
        for (int port = 0; tm_stage_makes(p->node->stage, port); port++, k++) {
            if (ports[k].count != 1) return false;
            if (tm_plan_stores(r->plan, p, port) && !tm_store_has(r->plan->store, ports[k].entries[0].hash))
                return false;
        }
    }
    item->out = tm_calloc((size_t)g->n_outputs, sizeof *item->out);
    for (k = 0; item->out && k < g->n_outputs; k++) item->out[k] = ports[k].entries[0];
    item->remembered = item->dispatched = item->durable = item->out != NULL;
    return item->out != NULL;
}

// See which entries the input has by now; remembered ones need no worker.
static tm_status pull_items(run *r, run_group *g, tm_error *err)
{
    while (!g->input_ended) {
        map_item item = {0}, *slot = NULL;
        tm_status status = main_entry(r, g, g->n_items, &item.in, item.label, err);
        if (status == TM_DONE) g->input_ended = true;
        if (status != TM_OK) return status < 0 ? status : TM_OK;
        TM_TRY(item_new(g, &slot, err));
        *slot = item;
        slot->memo_key = memo_key(slot);
        remember(r, g, slot);
        // One entry ahead is enough: more would only be bookkeeping.
        if (!slot->out) return TM_OK;
    }
    return TM_OK;
}

static map_item *next_item(run_group *g)
{
    for (; g->next_dispatch < g->n_items; g->next_dispatch++)
        if (!g->items[g->next_dispatch].dispatched) return &g->items[g->next_dispatch];
    return NULL;
}

static void serve_ready(run *r, run_worker *w, run_group *g)
{
    tm_error err = {0};
    map_item *item = next_item(g);
    if (!item && (pull_items(r, g, &err) < 0 || group_emit(r, g, &err) < 0)) {
        group_fail(r, g, &err);
        return;
    }
    if (!item) item = next_item(g);
    if (r->stopping || g->state != GROUP_ACTIVE) {
        answer(w, json_pack("{s:s}", "op", "end"));
    } else if (item && get_core(r, w)) {
        json_t *message = json_pack("{s:s, s:I}", "op", "map", "i", (json_int_t)(item - g->items));
        tm_wire_entry(message, &item->in);
        if (item->label[0]) json_object_set_new(message, "label", json_string(item->label));
        item->dispatched = true;
        item->by = w->number;
        answer(w, message);
    } else if (!item && g->input_ended) {
        answer(w, json_pack("{s:s}", "op", "end"));
    } else if (!item && w->n_durable < w->n_puts) {
        answer(w, json_pack("{s:s}", "op", "sync"));  // nothing else to do
    } else if (!item) {
        w->cores = 0;
    }
}

static void note_read(run *r, run_group *g, const tm_link *link, size_t i)
{
    const tm_node *node = group_node(r, g, 0);
    if (!g->n_read) g->n_read = tm_calloc(node->n_links + 1, sizeof *g->n_read);
    size_t l = (size_t)(link - node->links);
    if (g->n_read && g->n_read[l] < i + 1) g->n_read[l] = i + 1;
}

static void serve_next(run *r, run_worker *w, run_group *g)
{
    tm_error err = {0};
    tm_entry entry;
    const char *port = json_string_value(json_object_get(w->question, "port"));
    size_t i = (size_t)json_integer_value(json_object_get(w->question, "i"));
    const tm_link *link = NULL;
    for (int k = 0; k < g->plan->n && !link && port; k++) link = tm_node_link(group_node(r, g, k), port);
    tm_status status = link ? link_entry(r, link, i, &entry, &err) : TM_DONE;
    if (status < 0) {
        group_fail(r, g, &err);
        answer(w, json_pack("{s:s}", "op", "end"));
    } else if (r->stopping || status == TM_DONE || g->state != GROUP_ACTIVE) {
        answer(w, json_pack("{s:s}", "op", "end"));
    } else if (status == TM_AGAIN) {
        w->cores = 0;
    } else if (get_core(r, w)) {
        note_read(r, g, link, i);
        json_t *message = json_pack("{s:s}", "op", "entry");
        tm_wire_entry(message, &entry);
        answer(w, message);
    }
}

void worker_serve(run *r, run_worker *w)
{
    if (!w->question || w->dead || w->group < 0) return;
    run_group *g = &r->groups[w->group];
    const char *op = json_string_value(json_object_get(w->question, "op"));
    if (op && strcmp(op, "ready") == 0) serve_ready(r, w, g);
    else serve_next(r, w, g);
}

// ---- what workers send ----

static tm_status note_put(run_worker *w, put_ref ref, tm_error *err)
{
    if (w->n_puts == w->puts_capacity) {
        size_t capacity = w->puts_capacity ? 2 * w->puts_capacity : 64;
        put_ref *puts = tm_realloc(w->puts, capacity * sizeof *puts);
        if (!puts) return tm_fail(err, TM_ENOMEM, "no memory for entries");
        w->puts = puts;
        w->puts_capacity = capacity;
    }
    w->puts[w->n_puts++] = ref;
    return TM_OK;
}

static tm_status on_mapped(run *r, run_worker *w, run_group *g, const json_t *message, tm_error *err)
{
    size_t i = (size_t)json_integer_value(json_object_get(message, "i"));
    const json_t *ports = json_object_get(message, "ports");
    if (i >= g->n_items || json_array_size(ports) != (size_t)g->n_outputs)
        return tm_fail(err, TM_EFORMAT, "a worker answered for entry %zu of %zu", i, g->n_items);
    TM_TRY(note_put(w, (put_ref){.map = true, .index = i}, err));
    map_item *item = &g->items[i];
    if (item->out) return TM_OK;
    item->out = tm_calloc((size_t)g->n_outputs, sizeof *item->out);
    if (!item->out) return tm_fail(err, TM_ENOMEM, "no memory for entries");
    for (int k = 0; k < g->n_outputs; k++)
        if (!tm_wire_read_entry(json_array_get(ports, (size_t)k), &item->out[k]))
            return tm_fail(err, TM_EFORMAT, "a worker answered without entries");
    return group_emit(r, g, err);
}

static void add_prefix(run *r, run_group *g, json_t *cursor, int64_t step)
{
    tm_hash prefix;
    char hex[TM_HASH_HEX];
    if (tm_resume_prefix(r->plan->graph, group_node(r, g, 0), step, cursor, &prefix, NULL) != TM_OK) return;
    tm_hash_hex(prefix, hex);
    json_object_set_new(cursor, "prefix", json_string(hex));
}

static tm_status on_put(run *r, run_worker *w, run_group *g, const json_t *message, tm_error *err)
{
    const tm_node *node = group_node(r, g, 0);
    const char *name = json_string_value(json_object_get(message, "port"));
    int port = name ? tm_stage_output(node->stage, name) : -1;
    tm_entry entry;
    if (port < 0 || !tm_wire_read_entry(message, &entry))
        return tm_fail(err, TM_EFORMAT, "a worker put no entry");
    run_log *log = &r->logs[node->index][port];
    size_t i = (size_t)json_integer_value(json_object_get(message, "i"));
    TM_TRY(note_put(w, (put_ref){.port = port, .index = i}, err));
    json_t *cursor = json_object_get(message, "cursor"), *step = json_object_get(message, "step");
    int64_t at = step ? json_integer_value(step) : -1;
    if (cursor && node->stage->prefix) add_prefix(r, g, cursor, at);
    if (cursor) json_object_set_new(cursor, "cpu", json_string(tm_machine_cpu()));
    bool again = i < log->n && tm_hash_eq(log->entries[i].hash, entry.hash);
    TM_TRY(log_put(r, g, node, port, i, &entry, at, cursor, err));
    if (again) return TM_OK;
    json_t *facts = json_pack("{s:s, s:s, s:I, s:I, s:I}", "node", node->name, "port", name, "i",
                              (json_int_t)i, "rows", (json_int_t)entry.rows, "bytes",
                              (json_int_t)entry.bytes);
    if (step) json_object_set(facts, "step", step);
    run_event(r, "entry", facts);
    return TM_OK;
}

static tm_status make_durable(run *r, run_group *g, const put_ref *ref, tm_error *err)
{
    if (ref->map) {
        map_item *item = &g->items[ref->index];
        if (item->durable) return TM_OK;
        item->durable = true;
        if (!g->memo) return TM_OK;
        tm_memo_port ports[TM_MAX_GROUP * TM_MAX_PORTS];
        for (int k = 0; k < g->n_outputs; k++) ports[k] = (tm_memo_port){&item->out[k], 1};
        return tm_memo_add(g->memo, item->memo_key, ports, err);
    }
    run_log *log = &r->logs[group_node(r, g, 0)->index][ref->port];
    if (ref->index < log->durable) return TM_OK;
    log->durable = ref->index + 1;
    if (!g->open_logs[ref->port]) return TM_OK;
    g->deaths = 0;
    char *cursor = log->cursors[ref->index] ? json_dumps(log->cursors[ref->index], JSON_COMPACT) : NULL;
    tm_status status = tm_log_append(g->open_logs[ref->port], log->entries[ref->index], cursor, err);
    free(cursor);
    return status;
}

static tm_status sync_logs(run *r, run_group *g, tm_error *err)
{
    for (int port = 0; port < TM_MAX_PORTS && g->open_logs[port]; port++)
        TM_TRY(durable_log(r, g, g->open_logs[port], NULL, err));
    return durable_memo(r, g, err);
}

static tm_status on_durable(run *r, run_worker *w, run_group *g, const json_t *message, tm_error *err)
{
    size_t n = (size_t)json_integer_value(json_object_get(message, "n"));
    for (; w->n_durable < n && w->n_durable < w->n_puts; w->n_durable++)
        TM_TRY(make_durable(r, g, &w->puts[w->n_durable], err));
    return sync_logs(r, g, err);
}

// The point to go on from after an interruption: the tree of the state holds the weights as well.
static tm_status on_keep(run *r, run_group *g, const json_t *message, tm_error *err)
{
    json_t *cursor = json_object_get(message, "cursor");
    const char *hex = json_string_value(json_object_get(cursor, "state"));
    tm_entry entry = {.rows = 1};
    if (!g->kept || !hex || !tm_hash_parse(hex, &entry.hash)) return TM_OK;
    json_object_set_new(cursor, "cpu", json_string(tm_machine_cpu()));
    char *text = json_dumps(cursor, JSON_COMPACT);
    tm_status status = text ? tm_log_append(g->kept, entry, text, err) : TM_ENOMEM;
    free(text);
    if (status < 0) return status;
    json_t *kept = json_pack("{s:s, s:O}", "node", group_node(r, g, 0)->name, "step",
                             json_object_get(cursor, "step"));
    return durable_log(r, g, g->kept, kept, err);
}

static void on_count(run_group *g, const json_t *message)
{
    const char *node = json_string_value(json_object_get(message, "node"));
    const char *name = json_string_value(json_object_get(message, "name"));
    if (!node || !name) return;
    json_t *counts = json_object_get(g->counts, node);
    if (!counts) json_object_set_new(g->counts, node, counts = json_object());
    json_int_t before = json_integer_value(json_object_get(counts, name));
    json_object_set_new(counts, name,
                        json_integer(before + json_integer_value(json_object_get(message, "n"))));
}

// A worker confirms every change; only the confirmation of a smaller lease frees something.
static void on_cores(run_worker *w, const json_t *message)
{
    int n = (int)json_integer_value(json_object_get(message, "n"));
    if (!w->asked_cores || n > w->asked_cores) return;
    if (w->cores > n) w->cores = n;
    w->asked_cores = 0;
}

static void release_worker(run *r, run_worker *w, const json_t *message)
{
    run_group *g = &r->groups[w->group];
    int64_t memory = json_integer_value(json_object_get(message, "memory"));
    if (memory > g->memory) g->memory = memory;
    w->group = -1;
    w->cores = w->asked_cores = 0;
    group_worker_done(r, g);
    if (w->hostile) shutdown(w->wire.fd, SHUT_WR);
}

static void give_back(run_group *g, const run_worker *w);
static void try_again(run *r, run_group *g, bool map);

// Whether work that asks for it (TM_ERETRY) may be tried again: an entry of a map group, or all of another.
static bool may_try_again(const run *r, run_group *g, const run_worker *w)
{
    int *tries = &g->deaths, most = group_retries(r, g);
    for (size_t i = 0; i < g->n_items; i++)
        if (!g->items[i].out && g->items[i].dispatched && g->items[i].by == w->number)
            tries = &g->items[i].tries;
    return ++*tries <= most;
}

static void take_text(char *to, size_t size, const json_t *message, const char *field)
{
    const char *text = json_string_value(json_object_get(message, field));
    snprintf(to, size, "%s", text ? text : "");
}

static void on_failed(run *r, run_worker *w, run_group *g, const json_t *message)
{
    tm_error error = {.status = (tm_status)json_integer_value(json_object_get(message, "status"))};
    take_text(error.code, sizeof error.code, message, "code");
    take_text(error.text, sizeof error.text, message, "text");
    take_text(error.hint, sizeof error.hint, message, "hint");
    take_text(error.why, sizeof error.why, message, "why");
    w->group = -1;
    w->cores = w->asked_cores = 0;
    g->workers--;
    if (w->hostile) shutdown(w->wire.fd, SHUT_WR);
    if (g->state != GROUP_ACTIVE) return;
    if (error.status == TM_ESTOPPED && r->stopping) return;
    const tm_node *node = group_node(r, g, g->plan->n - 1);
    if (error.status != TM_ERETRY || r->stopping || !may_try_again(r, g, w)) {
        const char *name = json_string_value(json_object_get(message, "node"));
        group_fail_at(r, g, name && name[0] ? name : NULL, &error);
        return;
    }
    run_event(r, "again", json_pack("{s:s, s:s}", "node", node->name, "text", error.text));
    if (node->stage->map) give_back(g, w);
    try_again(r, g, node->stage->map != NULL);
}

// Told to the watcher, and those worth keeping to the journal too.
static void pass_on(run *r, const char *op, json_t *message)
{
    json_t *fields = json_copy(message);
    json_object_del(fields, "op");
    if (strcmp(op, "progress") == 0) run_tell(r, op, fields);
    else run_event(r, op, fields);
}

static void on_message(run *r, run_worker *w, json_t *message)
{
    const char *op = json_string_value(json_object_get(message, "op"));
    tm_error err = {0};
    tm_status status = TM_OK;
    if (!op || w->group < 0) return;
    run_group *g = &r->groups[w->group];
    bool active = g->state == GROUP_ACTIVE;
    if (strcmp(op, "ready") == 0 || strcmp(op, "next") == 0) {
        json_decref(w->question);
        w->question = json_incref(message);
        worker_serve(r, w);
    } else if (strcmp(op, "done") == 0) release_worker(r, w, message);
    else if (strcmp(op, "failed") == 0) on_failed(r, w, g, message);
    else if (strcmp(op, "cores") == 0) on_cores(w, message);
    else if (!active) return;
    else if (strcmp(op, "mapped") == 0) status = on_mapped(r, w, g, message, &err);
    else if (strcmp(op, "put") == 0) status = on_put(r, w, g, message, &err);
    else if (strcmp(op, "durable") == 0) status = on_durable(r, w, g, message, &err);
    else if (strcmp(op, "keep") == 0) status = on_keep(r, g, message, &err);
    else if (strcmp(op, "count") == 0) on_count(g, message);
    else pass_on(r, op, message);
    if (status < 0) group_fail(r, g, &err);
}

// ---- death ----

static void describe_death(const run_worker *w, int status, tm_error *error)
{
    if (WIFSIGNALED(status)) {
        tm_fail(error, TM_EFAILED, "its worker was killed by signal %d (%s)", WTERMSIG(status),
                strsignal(WTERMSIG(status)));
        if (WTERMSIG(status) == SIGKILL)
            tm_hint(error,
                    "the system kills a process when memory runs out: see its log with `tidemill logs`");
    } else {
        tm_fail(error, TM_EFAILED, "its worker ended with exit status %d", WEXITSTATUS(status));
    }
    tm_error_class(error, "TM0404");
    (void)w;
}

// Entries of a map group that the dead worker held are given out again.
static void give_back(run_group *g, const run_worker *w)
{
    for (size_t i = 0; i < g->n_items; i++)
        if (!g->items[i].out && g->items[i].by == w->number) g->items[i].dispatched = false;
    g->next_dispatch = 0;
}

// Go on without the dead worker: a map group with another one, the rest from the start or the newest
// snapshot.
static void try_again(run *r, run_group *g, bool map)
{
    tm_error err = {0};
    if (!map) {
        group_release(r, g);
        g->state = GROUP_WAITING;
    } else if (!g->workers && worker_assign(r, g, 1, &err) < 0) {
        group_fail(r, g, &err);
    }
}

// A group whose worker died: again, or no more.
static void after_death(run *r, run_group *g, const tm_error *error)
{
    if (r->stopping) return;
    if (g->deaths > group_retries(r, g)) group_fail(r, g, error);
    else try_again(r, g, group_node(r, g, g->plan->n - 1)->stage->map != NULL);
}

// What a trainer made visible is kept: it became durable in the dead worker's stead.
static void visible_kept(run *r, run_group *g, bool durable)
{
    const tm_node *node = group_node(r, g, 0);
    tm_error error = {.status = TM_EFAILED};
    for (int port = 0; port < TM_MAX_PORTS && g->open_logs[port] && durable; port++) {
        const run_log *log = &r->logs[node->index][port];
        for (size_t i = log->durable; i < log->n && durable; i++)
            durable = make_durable(r, g, &(put_ref){.port = port, .index = i}, NULL) >= 0;
    }
    if (durable) sync_logs(r, g, NULL);
    snprintf(error.text, sizeof error.text, "%s", g->death);
    if (g->state == GROUP_ACTIVE) after_death(r, g, &error);
}

static void keep_visible(run *r, run_group *g)
{
    const tm_node *node = group_node(r, g, 0);
    size_t n = 0, room = 1;
    for (int port = 0; port < TM_MAX_PORTS && g->open_logs[port]; port++)
        room += 2 * (r->logs[node->index][port].n - r->logs[node->index][port].durable);
    tm_hash *hashes = tm_calloc(room, sizeof *hashes);
    for (int port = 0; hashes && port < TM_MAX_PORTS && g->open_logs[port]; port++) {
        const run_log *log = &r->logs[node->index][port];
        for (size_t i = log->durable; i < log->n; i++) {
            const char *state = json_string_value(json_object_get(log->cursors[i], "state"));
            hashes[n++] = log->entries[i].hash;
            if (state && tm_hash_parse(state, &hashes[n])) n++;
        }
    }
    durable_claim(r, g, hashes, n, visible_kept);
}

static void on_death(run *r, run_worker *w, int status)
{
    w->dead = true;
    if (w->group < 0) return;
    run_group *g = &r->groups[w->group];
    tm_error error = {0};
    describe_death(w, status, &error);
    w->group = -1;
    w->cores = w->asked_cores = 0;
    g->workers--;
    if (g->state != GROUP_ACTIVE) return;
    const tm_node *node = group_node(r, g, g->plan->n - 1);
    bool killed = r->stopping > 1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; // by this run
    if (!killed)
        run_event(r, "died",
                  json_pack("{s:s, s:s, s:i}", "node", node->name, "text", error.text, "attempt",
                            ++g->deaths));
    snprintf(g->death, sizeof g->death, "%s", error.text);
    if (node->stage->map) {
        give_back(g, w);
        after_death(r, g, &error);
    } else {
        keep_visible(r, g);
    }
}

// A worker that has closed its socket is about to be dead; the loop asks again rather than wait.
void worker_reap(run *r, run_worker *w)
{
    int status = 0;
    pid_t pid = tm_sys.waitpid(w->pid, &status, WNOHANG);
    if (pid == 0 && tm_time_ns() - w->gone_ns > REAP_NS) tm_sys.kill(w->pid, SIGKILL);
    if (pid != 0) on_death(r, w, status);
}

void worker_readable(run *r, run_worker *w)
{
    for (;;) {
        json_t *message = NULL;
        tm_error err = {0};
        tm_status status = tm_wire_poll(&w->wire, &message, &err);
        if (status == TM_AGAIN) return;
        if (status != TM_OK) {
            if (status < 0) tm_sys.kill(w->pid, SIGKILL);
            w->gone_ns = tm_time_ns();
            worker_reap(r, w);
            return;
        }
        on_message(r, w, message);
        json_decref(message);
    }
}

void worker_stop_all(run *r)
{
    for (size_t i = 0; i < r->n_workers; i++) {
        run_worker *w = r->workers[i];
        if (w->dead) continue;
        if (r->stopping > 1) tm_sys.kill(w->pid, SIGKILL);
        else tm_wire_put(&w->wire, json_pack("{s:s}", "op", "stop"), NULL);
    }
}

void worker_abandon(run *r, run_group *g)
{
    for (size_t i = 0; i < r->n_workers; i++) {
        run_worker *w = r->workers[i];
        if (w->dead || w->group != (int)(g - r->groups)) continue;
        tm_sys.kill(w->pid, SIGKILL);
        w->group = -1;
        w->hostile = true;
        w->cores = w->asked_cores = 0;
    }
}
