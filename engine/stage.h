// SPDX-License-Identifier: Apache-2.0
// The contract of a stage, and what a stage may ask of the worker that runs it. For writers of stages.
//
// A stage is one file in stages/ whose last lines are a constant descriptor, `const tm_stage tm_stage_NAME`;
// the build collects the descriptors, and checks, help, documentation and completion come from them.
// There are two shapes of work:
//
//   map   a pure function of one entry of the main input (given the other inputs, sealed): called per entry,
//         maybe in several workers at once, in any order; gives exactly one entry per output port. Results
//         are remembered per entry.
//   run   anything else: takes entries when it wants them, puts entries when it has them, sees the end.
//
// Both run in a worker process of their own kind and may block there; the scheduler is another process.
// Batches given to a stage are borrowed; batches that a stage puts are given away.
#pragma once

#include "engine/base/file_memory.h"
#include "engine/option.h"
#include "engine/store.h"
#include "engine/type.h"

enum {
    TM_SOURCE = 1,    // has no main input
    TM_HOSTILE = 2,   // parses bytes from outside: a confined worker of its own, used once
    TM_NUMERIC = 4,   // the numeric libraries and the op table are part of its key
    TM_ELASTIC = 8,   // uses as many cores as it is lent; asks tm_work_cores() between steps
    TM_STEP = 16,     // legal inside tm.curate
    TM_INTERNAL = 32, // inserted by the plan only
    TM_PROGRAM = 128,  // starts programs: never in a confined worker, never fused
    TM_SCRIPT = 64, // runs code that the graph file brings, under the option "name": a confined worker, used
                    // once, which it shares with the record-wise stages around it
};

enum {
    TM_PORT_OPTIONAL = 1,
    TM_PORT_MANY = 2,   // a table of links (by name or number)
    TM_PORT_WHOLE = 4,  // wants the sealed artifact, not the stream
    // An output that the stage does not make: it stands for what flows into the input `via`, or, if a model
    // flows into that one, for the output of this name of the stage that made the model. The graph follows it
    // when it is checked, so that it costs no bytes and nobody waits. Aliases come behind all other outputs.
    TM_PORT_ALIAS = 8,
    TM_PORT_APART = 16,  // what it is given need not agree on attributes with anything else
    // A node that gives something else stands for its output that is named as this type (the metrics of a
    // trainer's model).
    TM_PORT_NAMESAKE = 32,
};

typedef struct tm_port {
    const char *name;    // "" is the main one
    const char *type;
    unsigned flags;
    const char *value;   // a family of values that may stand here instead of a link, or NULL
    const char *help;
    const char *via;     // a stage that converts another type into this one, or NULL (an alias: an input)
} tm_port;

#define TM_MAX_PORTS 8

// One link of a node at plan time: the full name of its port, the row of the port, and what is known of what
// it is given.
typedef struct tm_check_link {
    const char *port;
    const tm_port *row;
    const json_t *attrs;
} tm_check_link;

// Attributes of a type at plan time: a JSON object of strings and numbers; both ends of a link must agree on
// those that both name. One is a list: `metrics` of metrics, the names that will be in it, where they are
// known.
typedef struct tm_check {
    const char *name;                 // of the node
    const void *options;              // filled from the table
    const json_t *values;             // the canonical options
    const json_t *inputs[TM_MAX_PORTS];  // attributes per input port, of the last of many (NULL: no link)
    const tm_check_link *links;          // every link
    size_t n_links;
    const json_t *given;                 // port name -> the value given there ({"$value": name, ...options})
    json_t *outputs[TM_MAX_PORTS];    // to fill; those of the main input's type have its attributes already
    const char *folder;               // of the graph file: relative paths start here
    tm_file_memory *memory;           // for identity: remembered hashes of files (tm_file_hash), or NULL
    const json_t *side;               // prefix: what the trainer left beside that snapshot (tm_put_tree)
    tm_option_fault *fault;           // fill on failure to point at an option
} tm_check;

typedef struct tm_work tm_work;

typedef struct tm_stage {
    const char *name;
    const char *brief;    // one sentence
    const char *help;     // paragraphs, for describe and docs
    const char *paper;    // or NULL
    const char *example;  // one line of Lua
    const char *family;   // read, curate, tokenize, train, judge, export
    int version;          // raise when the output for the same input changes
    unsigned traits;
    const char *libraries;  // those that decide bytes ("gumbo"), or NULL
    // The stage that graphs name: this row takes its place where the main input is given what this row takes.
    // NULL: itself. Such a row is TM_INTERNAL and has the same options and further ports. `fits` says whether
    // the arguments, as written, are for this row too; NULL: they are.
    const char *as;
    bool (*fits)(const struct tm_stage *stage, const json_t *args);
    tm_port inputs[TM_MAX_PORTS];
    tm_port outputs[TM_MAX_PORTS];
    const tm_option *options;  // ends with a row without a name; NULL: none
    size_t options_size, state_size;

    // Plan: options are known and input attributes settled; state output attributes, or refuse. May be NULL.
    tm_status (*check)(tm_check *check, tm_error *err);
    // Plan, sources: the identity of what will be read (files and their hashes), which enters the key.
    tm_status (*identity)(const tm_check *check, json_t *identity, tm_error *err);
    // Plan, trainers: the part of the options that matters up to `step`, as a JSON object; TM_DONE: a
    // snapshot of that step is of no use (it lies beyond the last step, or these options make other snapshots
    // before it). A text in `err` says why a longer run cannot continue, also when the answer is TM_OK
    // ("cosine depends on steps").
    tm_status (*prefix)(const tm_check *check, int64_t step, json_t *into, tm_error *err);

    tm_status (*begin)(tm_work *work, tm_error *err);  // once per worker; `end` follows even if it failed
    tm_status (*map)(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err);
    tm_status (*run)(tm_work *work, tm_error *err);
    void (*end)(tm_work *work);
} tm_stage;

// A value that options and ports accept (an architecture, a schedule, a task): a name, options, and links.
typedef struct tm_value {
    const char *name;
    const char *brief;
    const char *example;
    const char *family;  // architecture, schedule, task
    tm_port inputs[4];   // links inside it become ports "OPTION.KEY" of the node
    const tm_option *options;
    size_t options_size;
    // Refuse options that do not fit each other. `value` is canonical. May be NULL.
    tm_status (*check)(const json_t *value, tm_error *err);
} tm_value;

// The tables that the build makes from the files in stages/ (NULL-terminated).
extern const tm_stage *const tm_stages[];
extern const tm_value *const tm_values[];
const tm_stage *tm_stage_find(const char *name);
const tm_value *tm_value_find(const char *name);
// Whether there is an output `port` that the stage makes itself (no alias): outputs 0 to n - 1 are.
bool tm_stage_makes(const tm_stage *stage, int port);

// ---- what a running stage asks of its worker ----

const void *tm_work_options(const tm_work *work);
void *tm_work_state(tm_work *work);        // zeroed, state_size bytes
const char *tm_work_name(const tm_work *work);
const char *tm_work_folder(const tm_work *work);   // of the graph file
int tm_work_cores(tm_work *work);          // lent right now; call between steps, and use no more threads
bool tm_work_stopping(tm_work *work);      // Ctrl-C: save a resume point and return TM_ESTOPPED

// A smoke run sends little through the whole graph, to see that it holds together: sources give so many
// records, judges look at so many, and requirements are looked at but let everything pass.
#define TM_SMOKE_RECORDS 200
#define TM_SMOKE_JUDGED 8
#define TM_SMOKE_STEPS "5"
bool tm_work_smoke(const tm_work *work);

// Input ports by name. A port that is not connected has 0 entries.
bool tm_work_connected(const tm_work *work, const char *port);
// The next entry of a data port, decoded; the caller unrefs. Blocks; TM_DONE at the end.
tm_status tm_take(tm_work *work, const char *port, tm_batch **batch, tm_error *err);
// The same for a tree port: the folder where the snapshot lies, and its attributes (borrowed till the next
// take).
typedef struct tm_snapshot {
    char folder[1024];
    tm_hash hash;
    const json_t *attrs;
} tm_snapshot;
tm_status tm_take_tree(tm_work *work, const char *port, tm_snapshot *snapshot, tm_error *err);
// A map stage whose main input is a tree port: the snapshot at hand (`in` is NULL then), and the name under
// which it was given ("" for a single one).
const tm_snapshot *tm_work_snapshot(const tm_work *work);
const char *tm_work_label(const tm_work *work);
// Append the next entry of a port to an output port of the same type as it is: the same bytes under the same
// name, neither read nor copied. `attrs` is NULL, or for a tree port gets its attributes (borrowed till the
// next take). TM_DONE at the end.
tm_status tm_forward(tm_work *work, const char *from, const char *to, const json_t **attrs, tm_error *err);
// Start an input port again from its first entry.
tm_status tm_rewind(tm_work *work, const char *port, tm_error *err);
// Ports of a MANY input or of tasks: their full names, NULL behind the last.
const char *tm_work_port_at(const tm_work *work, const char *prefix, size_t i);
// The value given for an option or port that accepts values, as checked ({"$value": name, ...options}), or
// NULL.
const json_t *tm_work_value(const tm_work *work, const char *name);

// Append an entry to an output port. The batch is given away, also on failure.
tm_status tm_put(tm_work *work, const char *port, tm_batch *batch, tm_error *err);
// An empty batch with the schema of that port.
tm_batch *tm_work_batch(tm_work *work, const char *port);
// Append a snapshot: the files of `folder` (moved away) with attributes `attrs` (stolen). `state` (a folder,
// moved away) and `side` (stolen), both or neither, are kept beside the entry and are no part of its hash:
// what a trainer needs to go on from there.
tm_status tm_put_tree(tm_work *work, const char *port, const char *folder, json_t *attrs, const char *state,
                      json_t *side, tm_error *err);
// The state beside a snapshot is kept until the next snapshot is durable. Called before tm_put_tree: that one
// is kept beyond, for longer runs to go on from (the end of the stable part of a schedule).
void tm_work_stays(tm_work *work);
// A fresh empty folder inside the store, for tm_put_tree and scratch files.
tm_status tm_work_scratch(tm_work *work, char *path, size_t size, tm_error *err);

// Trainers: the snapshot to continue from (an equal prefix), TM_DONE if there is none. `state` is the folder
// that was saved beside it. `again`: it is one of a finished run with other options, and neither it nor what
// was put since the snapshot before it is in the logs; what of that belongs there is to be put again.
typedef struct tm_resume {
    int64_t step;
    bool again;
    char model[1024], state[1024];
    const json_t *side;
} tm_resume;
tm_status tm_work_resume(tm_work *work, tm_resume *resume, tm_error *err);
// Keep `folder` (moved away) as the point to go on from after an interruption: no entry of the log.
tm_status tm_work_keep(tm_work *work, const char *folder, int64_t step, json_t *side, tm_error *err);

// Counts for the journal, the console and reports: "removed.gopher.word_count" 12. Adds up over entries.
void tm_work_count(tm_work *work, const char *name, int64_t n);
// Progress in the stage's own unit; `total` 0 if unknown.
void tm_work_progress(tm_work *work, double done, double total, const char *unit);
// How much was taken in so far in a unit that tells more of the pace ("tokens" of a trainer that counts
// steps); goes with the next progress.
void tm_work_amount(tm_work *work, double amount, const char *unit);
// A number by step for the journal (loss, rate): shown and plotted, never part of a key.
void tm_work_note(tm_work *work, int64_t step, const char *name, double value);
// What a model made of a question, for people who watch: "sample" in the journal, and on the console.
// `verdict` is a word ("right"). Texts may be cut.
void tm_work_sample(tm_work *work, tm_view asked, tm_view made, const char *verdict);
// A line for the node's log.
void tm_work_log(tm_work *work, const char *format, ...) __attribute__((format(printf, 2, 3)));
