// SPDX-License-Identifier: Apache-2.0
// The worker: receives groups, drives their stages, and answers the calls of engine/stage.h.
#include "engine/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "engine/base/machine.h"
#include "engine/base/utf8.h"
#include "engine/confine.h"
#include "engine/key.h"
#include "engine/plan.h"
#include "engine/store_tree.h"
#include "engine/wire.h"

// Objects become durable in groups: after so many bytes or so long.
#define SYNC_BYTES (16u << 20)
#define SYNC_NS 1000000000

typedef struct worker {
    tm_wire wire;
    tm_store *store;
    char store_path[TM_PATH_MAX];
    int cores;
    bool stopping;
    int64_t n_puts;  // messages with entries sent in this group
    int64_t n_durable;
    uint64_t unsynced_bytes;
    int64_t synced_ns;
    char folder[TM_PATH_MAX];
    char failed[192]; // the node of a chain that failed, or ""
} worker;

typedef struct input {
    char port[96];
    const tm_type *type;
    int64_t at;     // next entry
    bool ended;     // the end was seen
    int64_t taken;  // most entries ever taken
    json_t *attrs;  // of the last snapshot
    tm_hash pinned;  // the last snapshot, or none
} input;

struct tm_work {
    worker *w;
    const tm_stage *stage;
    char name[192];
    json_t *options, *values, *identity;
    void *parsed, *state;
    input *inputs;
    size_t n_inputs;
    bool smoke;
    json_t *resume;
    tm_hash resumed[2];  // model and state, pinned until the next snapshot
    json_t *measured;  // metric -> [step, value], of what was put last
    bool stays;  // the state of the next snapshot
    int64_t n_entries[TM_MAX_PORTS];  // put on each port, those before a resume included
    double amount;             // beside the progress
    const char *amount_unit;   // NULL: none
    // map: the entry at hand
    tm_snapshot snapshot;
    json_t *snapshot_attrs;
    char label[64];
};

// ---- lifeline ----

static void *watch_lifeline(void *unused)
{
    char c;
    while (tm_sys.read(TM_WORKER_LIFELINE, &c, 1) < 0 && errno == EINTR) continue;
    _exit(3);
    return unused;
}

static tm_status start_lifeline(tm_error *err)
{
    pthread_t thread;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int error = pthread_create(&thread, NULL, watch_lifeline, NULL);
    if (error) return tm_fail(err, TM_EIO, "thread: %s", strerror(error));
    pthread_detach(thread);
    return TM_OK;
}

// ---- talking ----

static tm_status send_message(worker *w, json_t *message, tm_error *err)
{
    return tm_wire_send(&w->wire, message, err);
}

// Messages that may arrive at any time. True if it was one.
static bool take_unsolicited(worker *w, const json_t *message)
{
    const char *op = json_string_value(json_object_get(message, "op"));
    if (op && strcmp(op, "cores") == 0) {
        w->cores = (int)json_integer_value(json_object_get(message, "n"));
        send_message(w, json_pack("{s:s, s:i}", "op", "cores", "n", w->cores), NULL);
    } else if (op && strcmp(op, "stop") == 0) w->stopping = true;
    else return false;
    return true;
}

static void poll_messages(worker *w)
{
    json_t *message;
    // Only unsolicited messages can be there: every question waits for its answer.
    while (tm_wire_poll(&w->wire, &message, NULL) == TM_OK) {
        take_unsolicited(w, message);
        json_decref(message);
    }
}

static tm_status ask(worker *w, json_t *question, json_t **answer, tm_error *err)
{
    TM_TRY(send_message(w, question, err));
    for (;;) {
        tm_status status = tm_wire_receive(&w->wire, answer, err);
        if (status == TM_DONE) return tm_fail(err, TM_ESTOPPED, "the scheduler is gone");
        TM_TRY(status);
        if (!take_unsolicited(w, *answer)) return TM_OK;
        json_decref(*answer);
    }
}

// ---- durability ----

static tm_status sync_now(worker *w, tm_error *err)
{
    w->synced_ns = tm_time_ns();
    if (w->n_durable == w->n_puts) return TM_OK;
    TM_TRY(tm_store_sync(w->store, err));
    w->unsynced_bytes = 0;
    w->n_durable = w->n_puts;
    return send_message(w, json_pack("{s:s, s:I}", "op", "durable", "n", (json_int_t)w->n_puts), err);
}

static tm_status sync_if_due(worker *w, tm_error *err)
{
    bool due = w->unsynced_bytes > SYNC_BYTES || tm_time_ns() - w->synced_ns > SYNC_NS;
    return due ? sync_now(w, err) : TM_OK;
}

// ---- the calls of a stage ----

const void *tm_work_options(const tm_work *work)
{
    return work->parsed;
}

void *tm_work_state(tm_work *work)
{
    return work->state;
}

bool tm_work_smoke(const tm_work *work)
{
    return work->smoke;
}

const char *tm_work_name(const tm_work *work)
{
    return work->name;
}

const char *tm_work_folder(const tm_work *work)
{
    return work->w->folder;
}

int tm_work_cores(tm_work *work)
{
    poll_messages(work->w);
    return work->w->cores > 0 ? work->w->cores : 1;
}

bool tm_work_stopping(tm_work *work)
{
    poll_messages(work->w);
    return work->w->stopping;
}

static input *find_input(const tm_work *work, const char *port)
{
    for (size_t i = 0; i < work->n_inputs; i++)
        if (strcmp(work->inputs[i].port, port) == 0) return &work->inputs[i];
    return NULL;
}

bool tm_work_connected(const tm_work *work, const char *port)
{
    return find_input(work, port) != NULL;
}

const char *tm_work_port_at(const tm_work *work, const char *prefix, size_t i)
{
    size_t n = strlen(prefix);
    for (size_t k = 0; k < work->n_inputs; k++) {
        const char *port = work->inputs[k].port;
        if (strncmp(port, prefix, n) == 0 && (port[n] == '.' || !port[n]) && i-- == 0) return port;
    }
    return NULL;
}

const json_t *tm_work_value(const tm_work *work, const char *name)
{
    const json_t *value = json_object_get(work->values, name);
    return value ? value : json_object_get(work->options, name);
}

static tm_status next_entry(tm_work *work, input *in, json_t **answer, tm_error *err)
{
    if (!in) return TM_DONE;
    TM_TRY(sync_if_due(work->w, err));
    TM_TRY(ask(work->w, json_pack("{s:s, s:s, s:I}", "op", "next", "port", in->port, "i", (json_int_t)in->at),
               answer, err));
    const char *op = json_string_value(json_object_get(*answer, "op"));
    if (op && strcmp(op, "entry") == 0) {
        in->at++;
        if (in->at > in->taken) in->taken = in->at;
        return TM_OK;
    }
    json_decref(*answer);
    *answer = NULL;
    if (work->w->stopping) return tm_fail(err, TM_ESTOPPED, "stopped");
    in->ended = true;
    return TM_DONE;
}

static tm_status load_batch(worker *w, const tm_type *type, const tm_entry *entry, tm_batch **batch,
                            tm_error *err)
{
    tm_blob blob = {0};
    TM_TRY(tm_store_get(w->store, entry->hash, &blob, err));
    tm_status status = tm_batch_decode(tm_view_of(blob.data, blob.size), type->cols, type->n_cols, batch,
                                       err);
    tm_blob_clear(&blob);
    return status;
}

tm_status tm_take(tm_work *work, const char *port, tm_batch **batch, tm_error *err)
{
    input *in = find_input(work, port);
    json_t *answer = NULL;
    tm_status status = next_entry(work, in, &answer, err);
    if (status != TM_OK) return status;
    tm_entry entry;
    if (!tm_wire_read_entry(answer, &entry)) status = tm_fail(err, TM_EFORMAT, "port %s: no entry", port);
    else status = load_batch(work->w, in->type, &entry, batch, err);
    json_decref(answer);
    return status;
}

// A reader pins what it reads, and lets go of it when it is done.
static void unpin(worker *w, tm_hash *hash)
{
    if (!tm_hash_none(*hash)) tm_store_unpin(w->store, *hash, NULL);
    *hash = (tm_hash){{0}};
}

static void unpin_resumed(tm_work *work)
{
    for (int i = 0; i < 2; i++) unpin(work->w, &work->resumed[i]);
}

static tm_status open_snapshot(worker *w, tm_hash hash, tm_snapshot *snapshot, json_t **attrs, tm_error *err)
{
    tm_tree tree = {0};
    char folder[TM_PATH_MAX];
    TM_TRY(tm_store_pin(w->store, hash, err));
    TM_TRY(tm_tree_get(w->store, hash, &tree, err));
    json_decref(*attrs);
    *attrs = json_incref(tree.attributes);
    tm_tree_clear(&tree);
    TM_TRY(tm_tree_folder(w->store, hash, folder, err));
    snprintf(snapshot->folder, sizeof snapshot->folder, "%s", folder);
    snapshot->hash = hash;
    snapshot->attrs = *attrs;
    return TM_OK;
}

tm_status tm_take_tree(tm_work *work, const char *port, tm_snapshot *snapshot, tm_error *err)
{
    input *in = find_input(work, port);
    json_t *answer = NULL;
    tm_status status = next_entry(work, in, &answer, err);
    if (status != TM_OK) return status;
    tm_entry entry;
    if (!tm_wire_read_entry(answer, &entry)) status = tm_fail(err, TM_EFORMAT, "port %s: no entry", port);
    else {
        unpin(work->w, &in->pinned);
        in->pinned = entry.hash;
        status = open_snapshot(work->w, entry.hash, snapshot, &in->attrs, err);
    }
    json_decref(answer);
    return status;
}

static tm_status send_put(tm_work *work, const char *port, const tm_entry *entry, const json_t *attrs,
                          json_t *cursor, tm_error *err)
{
    worker *w = work->w;
    int i = tm_stage_output(work->stage, port);
    tm_assert(i >= 0);
    json_t *message = json_pack("{s:s, s:s, s:I}", "op", "put", "port", port, "i",
                                (json_int_t)work->n_entries[i]++);
    tm_wire_entry(message, entry);
    json_t *step = json_object_get(attrs, "step");
    if (step) json_object_set(message, "step", step);
    if (cursor) json_object_set_new(message, "cursor", cursor);
    TM_TRY(send_message(w, message, err));
    w->n_puts++;
    return TM_OK;
}

tm_status tm_forward(tm_work *work, const char *from, const char *to, const json_t **attrs, tm_error *err)
{
    input *in = find_input(work, from);
    json_t *answer = NULL;
    tm_status status = next_entry(work, in, &answer, err);
    if (status != TM_OK) return status;
    tm_entry entry;
    tm_snapshot snapshot;
    bool good = tm_wire_read_entry(answer, &entry);
    json_decref(answer);
    if (!good) return tm_fail(err, TM_EFORMAT, "port %s: no entry", from);
    if (in->type->tree) TM_TRY(open_snapshot(work->w, entry.hash, &snapshot, &in->attrs, err));
    if (attrs) *attrs = in->attrs;
    TM_TRY(send_put(work, to, &entry, in->attrs, NULL, err));
    return sync_if_due(work->w, err);
}

tm_status tm_rewind(tm_work *work, const char *port, tm_error *err)
{
    input *in = find_input(work, port);
    if (!in) return tm_fail(err, TM_EINVAL, "port %s is not connected", port);
    in->at = 0;
    return TM_OK;
}

const tm_snapshot *tm_work_snapshot(const tm_work *work)
{
    return &work->snapshot;
}

const char *tm_work_label(const tm_work *work)
{
    return work->label;
}

tm_batch *tm_work_batch(tm_work *work, const char *port)
{
    int i = tm_stage_output(work->stage, port);
    tm_assert(i >= 0);
    const tm_type *type = tm_type_find(work->stage->outputs[i].type);
    return tm_batch_new(type->cols, type->n_cols);
}

static tm_status store_batch(worker *w, const tm_batch *batch, tm_entry *entry, tm_error *err)
{
    tm_buf bytes = {0};
    tm_status status = tm_batch_encode(batch, &bytes, err);
    if (status >= 0)
        status = tm_store_put(w->store, bytes.data, bytes.size, TM_PUT_COMPRESS, &entry->hash, err);
    entry->rows = tm_batch_rows(batch);
    entry->bytes = bytes.size;
    w->unsynced_bytes += bytes.size;
    tm_buf_clear(&bytes);
    return status;
}

static void note_measures(tm_work *work, const tm_batch *metrics)
{
    if (!work->measured) work->measured = json_object();
    for (size_t i = 0; i < tm_batch_rows(metrics); i++) {
        tm_metric m = tm_metrics_get(metrics, i);
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)m.name.size, m.name.data);
        json_object_set_new(work->measured, name, json_pack("[I, f]", (json_int_t)m.step, m.value));
    }
}

// What was measured at the step of a snapshot: which ones are kept may go by it.
static json_t *measures_at(const tm_work *work, int64_t step)
{
    json_t *all = json_object(), *pair;
    const char *name;
    json_object_foreach(work->measured, name, pair)
        if (json_integer_value(json_array_get(pair, 0)) == step)
            json_object_set(all, name, json_array_get(pair, 1));
    return all;
}

tm_status tm_put(tm_work *work, const char *port, tm_batch *batch, tm_error *err)
{
    tm_entry entry;
    int i = tm_stage_output(work->stage, port);
    bool metrics = i >= 0 && strcmp(work->stage->outputs[i].type, "metrics") == 0;
    tm_status status = store_batch(work->w, batch, &entry, err);
    if (metrics && work->stage->prefix) note_measures(work, batch);
    tm_batch_unref(batch);
    TM_TRY(status);
    TM_TRY(send_put(work, port, &entry, NULL, NULL, err));
    return sync_if_due(work->w, err);
}

// Entries of the output ports so far, the one that port `with` (-1: none) is about to get included.
static json_t *entries_so_far(const tm_work *work, int with)
{
    json_t *entries = json_array();
    for (int i = 0; i < TM_MAX_PORTS; i++)
        json_array_append_new(entries, json_integer((json_int_t)work->n_entries[i] + (i == with)));
    return entries;
}

// What a trainer leaves beside a snapshot: its state, and how much of each input it had read.
static tm_status make_cursor(tm_work *work, const char *state, json_t *side, int64_t step, int port,
                             json_t **cursor, tm_error *err)
{
    tm_entry entry;
    char hex[TM_HASH_HEX];
    TM_TRY(tm_tree_put_folder(work->w->store, state, NULL, &entry, err));
    tm_hash_hex(entry.hash, hex);
    json_t *taken = json_object();
    for (size_t i = 0; i < work->n_inputs; i++)
        if (!work->inputs[i].type->tree && !work->inputs[i].ended)
            json_object_set_new(taken, work->inputs[i].port, json_integer(work->inputs[i].taken));
    *cursor = json_pack("{s:I, s:s, s:[s], s:o, s:o, s:o?}", "step", (json_int_t)step, "state", hex, "refs",
                        hex, "taken", taken, "entries", entries_so_far(work, port), "side", side);
    return *cursor ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for a cursor");
}

void tm_work_stays(tm_work *work)
{
    work->stays = true;
}

tm_status tm_put_tree(tm_work *work, const char *port, const char *folder, json_t *attrs, const char *state,
                      json_t *side, tm_error *err)
{
    worker *w = work->w;
    tm_entry entry;
    json_t *cursor = NULL;
    unpin_resumed(work);
    int i = tm_stage_output(work->stage, port);
    int64_t step = json_integer_value(json_object_get(attrs, "step"));
    tm_assert(i >= 0);
    tm_status status = tm_tree_put_folder(w->store, folder, attrs, &entry, err);
    if (status >= 0 && state) status = make_cursor(work, state, side, step, i, &cursor, err);
    if (cursor) json_object_set_new(cursor, "metrics", measures_at(work, step));
    if (cursor && work->stays) json_object_set_new(cursor, "stays", json_true());
    work->stays = false;
    if (status >= 0) status = send_put(work, port, &entry, attrs, cursor, err);
    json_decref(attrs);
    return status < 0 ? status : sync_now(w, err);
}

tm_status tm_work_scratch(tm_work *work, char *path, size_t size, tm_error *err)
{
    char full[TM_PATH_MAX];
    TM_TRY(tm_store_tmp(work->w->store, full, err));
    TM_TRY(tm_dir_make(full, err));
    if (strlen(full) >= size) return tm_fail(err, TM_EINVAL, "path too long: %s", full);
    memcpy(path, full, strlen(full) + 1);
    return TM_OK;
}

static bool parse_hash(const json_t *json, const char *field, tm_hash *hash)
{
    const char *hex = json_string_value(json_object_get(json, field));
    return hex && strlen(hex) == 32 && tm_hash_parse(hex, hash);
}

tm_status tm_work_resume(tm_work *work, tm_resume *resume, tm_error *err)
{
    tm_hash model, state;
    if (!work->resume) return TM_DONE;
    if (!parse_hash(work->resume, "model", &model) || !parse_hash(work->resume, "state", &state))
        return tm_fail(err, TM_EFORMAT, "resume point without trees");
    char folder[TM_PATH_MAX];
    unpin_resumed(work);
    TM_TRY(tm_store_pin(work->w->store, model, err));
    work->resumed[0] = model;
    TM_TRY(tm_store_pin(work->w->store, state, err));
    work->resumed[1] = state;
    TM_TRY(tm_tree_folder(work->w->store, model, folder, err));
    snprintf(resume->model, sizeof resume->model, "%s", folder);
    TM_TRY(tm_tree_folder(work->w->store, state, folder, err));
    snprintf(resume->state, sizeof resume->state, "%s", folder);
    resume->step = json_integer_value(json_object_get(work->resume, "step"));
    resume->again = json_is_true(json_object_get(work->resume, "again"));
    resume->side = json_object_get(work->resume, "side");
    return TM_OK;
}

tm_status tm_work_keep(tm_work *work, const char *folder, int64_t step, json_t *side, tm_error *err)
{
    worker *w = work->w;
    json_t *cursor;
    TM_TRY(make_cursor(work, folder, side, step, -1, &cursor, err));
    TM_TRY(tm_store_sync(w->store, err));
    return send_message(w, json_pack("{s:s, s:o}", "op", "keep", "cursor", cursor), err);
}

void tm_work_count(tm_work *work, const char *name, int64_t n)
{
    send_message(work->w,
                 json_pack("{s:s, s:s, s:s, s:I}", "op", "count", "node", work->name, "name", name, "n",
                           (json_int_t)n),
                 NULL);
}

void tm_work_progress(tm_work *work, double done, double total, const char *unit)
{
    json_t *message = json_pack("{s:s, s:s, s:f, s:f, s:s}", "op", "progress", "node", work->name, "done",
                                done, "total", total, "unit", unit);
    if (work->amount_unit) {
        json_object_set_new(message, "amount", json_real(work->amount));
        json_object_set_new(message, "amount_unit", json_string(work->amount_unit));
    }
    send_message(work->w, message, NULL);
}

void tm_work_amount(tm_work *work, double amount, const char *unit)
{
    work->amount = amount;
    work->amount_unit = unit;
}

void tm_work_note(tm_work *work, int64_t step, const char *name, double value)
{
    send_message(work->w,
                 json_pack("{s:s, s:s, s:I, s:s, s:f}", "op", "note", "node", work->name, "step",
                           (json_int_t)step, "name", name, "value", value),
                 NULL);
}

// The beginning of a text, as JSON.
static json_t *beginning(tm_view text)
{
    char start[4096];
    snprintf(start, sizeof start, "%.*s", (int)(text.size < sizeof start ? text.size : sizeof start - 1),
             text.data ? text.data : "");
    tm_utf8_mend(start);
    return json_string(start);
}

void tm_work_sample(tm_work *work, tm_view asked, tm_view made, const char *verdict)
{
    send_message(work->w,
                 json_pack("{s:s, s:s, s:o, s:o, s:s}", "op", "sample", "node", work->name, "asked",
                           beginning(asked), "made", beginning(made), "verdict", verdict),
                 NULL);
}

void tm_work_log(tm_work *work, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tm_utf8_mend(text);
    send_message(work->w, json_pack("{s:s, s:s, s:s}", "op", "log", "node", work->name, "text", text), NULL);
}

// ---- setting a group up ----

static void work_clear(tm_work *work)
{
    if (work->stage && work->parsed) tm_options_clear(work->stage->options, work->parsed);
    for (size_t i = 0; i < work->n_inputs; i++) {
        json_decref(work->inputs[i].attrs);
        unpin(work->w, &work->inputs[i].pinned);
    }
    unpin_resumed(work);
    tm_free(work->parsed);
    tm_free(work->state);
    tm_free(work->inputs);
    json_decref(work->snapshot_attrs);
    json_decref(work->measured);
    *work = (tm_work){0};
}

static tm_status read_inputs(tm_work *work, const json_t *ports, tm_error *err)
{
    size_t i;
    json_t *port;
    work->inputs = tm_calloc(json_array_size(ports) + 1, sizeof *work->inputs);
    if (!work->inputs) return tm_fail(err, TM_ENOMEM, "no memory for ports");
    json_array_foreach(ports, i, port)
    {
        input *in = &work->inputs[work->n_inputs++];
        snprintf(in->port, sizeof in->port, "%s", json_string_value(json_object_get(port, "port")));
        in->type = tm_type_find(json_string_value(json_object_get(port, "type")));
        if (!in->type) return tm_fail(err, TM_EFORMAT, "port %s has no type", in->port);
    }
    return TM_OK;
}

static tm_status work_init(worker *w, tm_work *work, const json_t *node, tm_error *err)
{
    const char *stage = json_string_value(json_object_get(node, "stage"));
    *work = (tm_work){.w = w, .stage = stage ? tm_stage_find(stage) : NULL};
    if (!work->stage) return tm_fail(err, TM_EFORMAT, "there is no stage \"%s\"", stage ? stage : "");
    snprintf(work->name, sizeof work->name, "%s", json_string_value(json_object_get(node, "name")));
    work->options = json_object_get(node, "options");
    work->values = json_object_get(node, "values");
    work->identity = json_object_get(node, "identity");
    work->smoke = json_is_true(json_object_get(node, "smoke"));
    work->resume = json_object_get(node, "resume");
    json_t *entries = json_object_get(work->resume, "entries");
    for (int i = 0; i < TM_MAX_PORTS; i++)
        work->n_entries[i] = json_integer_value(json_array_get(entries, (size_t)i));
    work->parsed = tm_calloc(1, work->stage->options_size);
    work->state = tm_calloc(1, work->stage->state_size);
    if (!work->parsed || !work->state) return tm_fail(err, TM_ENOMEM, "no memory for the state of %s", stage);
    TM_TRY(read_inputs(work, json_object_get(node, "ports"), err));
    return tm_options_fill(work->stage->options, work->options, work->parsed, err);
}

// ---- groups of map stages ----

// What a stage read must still be what the plan saw, or its bytes would be bound to the wrong key. A smoke
// run looks at the beginning of a corpus alone, and does not read all of it for this.
static tm_status check_unchanged(const tm_work *work, const json_t *planned, tm_error *err)
{
    if (!work->stage->identity || !planned || work->smoke) return TM_OK;
    char text[256];
    tm_option_fault fault = {0};
    tm_check check = {.name = work->name, .options = work->parsed, .values = work->options,
                      .folder = work->w->folder, .fault = &fault};
    json_t *now = json_object();
    tm_status status = work->stage->identity(&check, now, err);
    if (status >= 0 && tm_key_difference(planned, now, text, sizeof text)) {
        status = tm_fail_as(err, TM_EFAILED, "TM0417", "files changed while they were read: %.200s", text);
        tm_hint(err, "run again when nothing writes to them");
    }
    json_decref(now);
    return status;
}

static tm_status map_one(tm_work *work, const tm_batch *in, tm_batch **out, tm_error *err)
{
    int n = 0;
    for (; tm_stage_makes(work->stage, n); n++) {
        out[n] = tm_work_batch(work, work->stage->outputs[n].name);
        if (!out[n]) return tm_fail(err, TM_ENOMEM, "no memory for a batch");
    }
    return work->stage->map(work, in, out, err);
}

// Run the chain on one entry; appends an entry per output port of every node to `ports`.
static tm_status map_chain(worker *w, tm_work *works, size_t n, tm_batch *in, const json_t *stored,
                           json_t *ports, tm_error *err)
{
    tm_batch *at = in;
    tm_status status = TM_OK;
    size_t flag = 0;
    for (size_t k = 0; status >= 0 && k < n; k++) {
        tm_batch *out[TM_MAX_PORTS] = {0};
        status = map_one(&works[k], at, out, err);
        if (status >= 0) status = check_unchanged(&works[k], works[k].identity, err);
        for (int i = 0; i < TM_MAX_PORTS && out[i]; i++) {
            tm_entry entry = {0};
            json_t *one = json_object();
            const json_t *flagged = json_array_get(stored, flag++);
            bool keep = json_is_true(flagged);
            if (status >= 0 && keep) status = store_batch(w, out[i], &entry, err);
            else if (status >= 0) {
                tm_buf bytes = {0};
                status = tm_batch_encode(out[i], &bytes, err);
                entry = (tm_entry){tm_hash_of(bytes.data, bytes.size), tm_batch_rows(out[i]), bytes.size};
                tm_buf_clear(&bytes);
            }
            tm_wire_entry(one, &entry);
            json_array_append_new(ports, one);
        }
        if (k) tm_batch_unref(at);
        at = out[0];
        for (int i = 1; i < TM_MAX_PORTS; i++) tm_batch_unref(out[i]);
        if (status < 0) snprintf(w->failed, sizeof w->failed, "%s", works[k].name);
    }
    if (at != in) tm_batch_unref(at);
    return status;
}

static tm_status map_entry(worker *w, tm_work *works, size_t n, const json_t *message, const json_t *stored,
                           tm_error *err)
{
    tm_entry entry;
    tm_batch *in = NULL;
    if (!tm_wire_read_entry(message, &entry)) return tm_fail(err, TM_EFORMAT, "map message without an entry");
    const char *label = json_string_value(json_object_get(message, "label"));
    snprintf(works[0].label, sizeof works[0].label, "%s", label ? label : "");
    const tm_type *type = tm_type_find(works[0].stage->inputs[0].type);
    if (type->tree) TM_TRY(open_snapshot(w, entry.hash, &works[0].snapshot, &works[0].snapshot_attrs, err));
    else TM_TRY(load_batch(w, type, &entry, &in, err));
    json_t *ports = json_array();
    tm_status status = map_chain(w, works, n, in, stored, ports, err);
    tm_batch_unref(in);
    if (type->tree) unpin(w, &entry.hash);
    json_t *answer = json_pack("{s:s, s:O, s:o}", "op", "mapped", "i", json_object_get(message, "i"), "ports",
                               ports);
    if (status < 0) {
        json_decref(answer);
        return status;
    }
    TM_TRY(send_message(w, answer, err));
    w->n_puts++;
    return sync_if_due(w, err);
}

static tm_status map_loop(worker *w, tm_work *works, size_t n, const json_t *stored, tm_error *err)
{
    for (;;) {
        json_t *message = NULL;
        TM_TRY(ask(w, json_pack("{s:s}", "op", "ready"), &message, err));
        const char *op = json_string_value(json_object_get(message, "op"));
        tm_status status = TM_OK;
        if (op && strcmp(op, "map") == 0) status = map_entry(w, works, n, message, stored, err);
        else if (op && strcmp(op, "sync") == 0) status = sync_now(w, err);
        else status = TM_DONE;
        json_decref(message);
        if (status == TM_DONE) return sync_now(w, err);
        TM_TRY(status);
    }
}

// ---- a group ----

static tm_status begin_all(tm_work *works, size_t n, size_t *begun, tm_error *err)
{
    for (*begun = 0; *begun < n;) {
        tm_work *work = &works[(*begun)++];
        if (work->stage->begin) TM_TRY(work->stage->begin(work, err));
    }
    return TM_OK;
}

static tm_status run_works(worker *w, tm_work *works, size_t n, const json_t *stored, tm_error *err)
{
    size_t begun = 0;
    tm_status status = begin_all(works, n, &begun, err);
    if (status >= 0 && works[0].stage->map) status = map_loop(w, works, n, stored, err);
    else if (status >= 0) {
        status = works[0].stage->run(&works[0], err);
        if (status >= 0) status = check_unchanged(&works[0], works[0].identity, err);
        if (status >= 0) status = sync_now(w, err);
    }
    if (status < 0) sync_now(w, NULL);  // what came before the failure need not be made again
    for (size_t i = 0; i < begun; i++)
        if (works[i].stage->end) works[i].stage->end(&works[i]);
    return status;
}

static tm_status run_group(worker *w, const json_t *group, tm_error *err)
{
    const json_t *nodes = json_object_get(group, "nodes");
    size_t n = json_array_size(nodes), ready = 0;
    const char *folder = json_string_value(json_object_get(group, "folder"));
    snprintf(w->folder, sizeof w->folder, "%s", folder ? folder : "");
    w->cores = (int)json_integer_value(json_object_get(group, "cores"));
    w->n_puts = w->n_durable = 0;
    w->synced_ns = tm_time_ns();
    tm_work *works = tm_calloc(n + 1, sizeof *works);
    if (!works) return tm_fail(err, TM_ENOMEM, "no memory for a group");
    tm_status status = TM_OK;
    unsigned traits = 0;
    for (; status >= 0 && ready < n; ready++) {
        status = work_init(w, &works[ready], json_array_get(nodes, ready), err);
        if (status >= 0) traits |= works[ready].stage->traits;
    }
    if (status >= 0 && (traits & (TM_HOSTILE | TM_SCRIPT))) status = tm_confine(err);
    if (status >= 0 && n) status = run_works(w, works, n, json_object_get(group, "stored"), err);
    for (size_t i = 0; i < ready; i++) work_clear(&works[i]);
    tm_free(works);
    return status;
}

static tm_status open_store(worker *w, const json_t *group, tm_error *err)
{
    const char *path = json_string_value(json_object_get(group, "store"));
    if (w->store && path && strcmp(path, w->store_path) == 0) return TM_OK;
    tm_store_close(w->store);
    w->store = NULL;
    snprintf(w->store_path, sizeof w->store_path, "%s", path ? path : "");
    return tm_store_open(w->store_path, TM_STORE_NO_KEYS, &w->store, err);
}

static tm_status serve_one(worker *w, const json_t *group, tm_error *err)
{
    tm_error failure = {0};
    tm_status status = open_store(w, group, &failure);
    w->failed[0] = 0;
    tm_machine_peak_reset();
    if (status >= 0) status = run_group(w, group, &failure);
    if (status >= 0) return send_message(w, json_pack("{s:s, s:I}", "op", "done", "memory",
                                                         (json_int_t)tm_machine_peak()),
                                            err);
    return send_message(w,
                        json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s}", "op", "failed", "code", failure.code,
                                  "status", (int)status, "text", failure.text, "hint", failure.hint, "why",
                                  failure.why, "node", w->failed),
                        err);
}

int tm_worker_main(void)
{
    worker w = {0};
    tm_error err = {0};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);  // the scheduler decides; a terminal sends Ctrl-C to everybody
    tm_wire_init(&w.wire, TM_WORKER_SOCKET);
    tm_status status = start_lifeline(&err);
    while (status >= 0) {
        json_t *message = NULL;
        status = tm_wire_receive(&w.wire, &message, &err);
        if (status != TM_OK) break;
        const char *op = json_string_value(json_object_get(message, "op"));
        if (op && strcmp(op, "work") == 0) status = serve_one(&w, message, &err);
        else take_unsolicited(&w, message);
        json_decref(message);
    }
    tm_store_close(w.store);
    tm_wire_clear(&w.wire);
    return status < 0 ? 1 : 0;
}
