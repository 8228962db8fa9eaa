// SPDX-License-Identifier: Apache-2.0
// Stages that a graph file writes itself, in Lua.
#include "stages/script/body.h"
#include "stages/text/sift.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

typedef struct stage_options {
    const char *name, *doc, *takes, *gives;
    const json_t *options, *declared, *each, *batch;
    int64_t seed, batch_size;
    double seconds;
} stage_options;

static const tm_option options[] = {
    {"name", TM_OPT_STRING, offsetof(stage_options, name), NULL, 0, 0, NULL,
     "what messages and nodes call it", TM_OPT_NOKEY},
    {"doc", TM_OPT_STRING, offsetof(stage_options, doc), "\"\"", 0, 0, NULL,
     "one sentence, for `tidemill describe GRAPH NAME`", TM_OPT_NOKEY},
    {"each", TM_OPT_CODE, offsetof(stage_options, each), "null", 0, 0, NULL,
     "function(doc, o, emit), called once per record; or give batch", 0},
    {"batch", TM_OPT_CODE, offsetof(stage_options, batch), "null", 0, 0, NULL,
     "function(docs, o, emit), called with a list of records", 0},
    {"batch_size", TM_OPT_INT, offsetof(stage_options, batch_size), "64", 1, 100000, NULL,
     "how many records batch gets at most; at the end of a chunk it gets fewer", 0},
    {"takes", TM_OPT_CHOICE, offsetof(stage_options, takes), "\"documents\"", 0, 0,
     "documents chat preference", "what a record is for it", 0},
    {"gives", TM_OPT_CHOICE, offsetof(stage_options, gives), "\"documents\"", 0, 0,
     "documents chat preference", "what it emits; what it takes, if nothing is said", 0},
    {"options", TM_OPT_TABLE, offsetof(stage_options, options), "null", 0, 0, NULL,
     "declarations as in tm.params, and tm.table; `o` holds the values", 0},
    {"declared", TM_OPT_TABLE, offsetof(stage_options, declared), "null", 0, 0, NULL,
     "the declarations themselves; filled in by tm.stage", TM_OPT_NOKEY},
    {"seconds", TM_OPT_NUMBER, offsetof(stage_options, seconds), "20", 0.01, 86400, NULL,
     "CPU time for one chunk (some 256 KiB of text)", TM_OPT_NOKEY},
    {"seed", TM_OPT_INT, offsetof(stage_options, seed), "0", -0x1p62, 0x1p62, NULL,
     "of math.random; given where the stage is used", 0},
    {0},
};

static tm_status check(tm_check *c, tm_error *err)
{
    const stage_options *o = c->options;
    const char *shape = json_string_value(json_object_get(c->inputs[0], "shape"));
    if (!shape) shape = "documents";
    if (strcmp(shape, o->takes) != 0) {
        snprintf(c->fault->fix, sizeof c->fault->fix, "write takes = \"%.40s\" in its tm.stage { ... }",
                 shape);
        return tm_fail(err, TM_EINVAL, "its input is %s, and it takes %s", shape, o->takes);
    }
    if (!o->gives) return TM_OK;
    json_object_del(c->outputs[0], "shape");
    json_object_del(c->outputs[0], "markup");
    if (strcmp(o->gives, "documents") != 0)
        json_object_set_new(c->outputs[0], "shape", json_string(o->gives));
    return TM_OK;
}

static void log_line(void *work, const char *line)
{
    tm_work_log(work, "%s", line);
}

// One word for the count and the meta data, of whatever the body returned.
static const char *reason_word(const char *reason, char word[48])
{
    size_t n = 0;
    for (; reason && reason[n] && n < 47; n++) word[n] = isalnum((unsigned char)reason[n]) ? reason[n] : '_';
    word[n] = 0;
    return n ? word : "dropped";
}

// A record that nothing was emitted for goes to `removed` with the reason that the body gave.
static tm_status set_aside(tm_work *work, tm_body *body, size_t i, const tm_batch *in, size_t row,
                           tm_batch *const *out, tm_error *err)
{
    const stage_options *o = tm_work_options(work);
    const char *reason;
    char word[48];
    if (!tm_body_left_out(body, i, &reason)) return TM_OK;
    return tm_sift_remove(work, o->name, out, in, row, reason_word(reason, word), NAN, (tm_view){0}, err);
}

// Batches never reach from chunk to chunk: what a chunk gives follows from it alone.
static tm_status map_rows(tm_work *work, tm_body *body, const tm_batch *in, tm_batch *const *out,
                          tm_error *err)
{
    const stage_options *o = tm_work_options(work);
    size_t n_rows = tm_batch_rows(in), most = o->batch ? (size_t)o->batch_size : 1;
    tm_doc *docs = tm_calloc(most < n_rows ? most : n_rows + !n_rows, sizeof *docs);
    tm_status status = docs ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for a stage in Lua");
    for (size_t row = 0, n; status >= 0 && row < n_rows; row += n) {
        for (n = 0; n < most && row + n < n_rows; n++) docs[n] = tm_docs_get(in, row + n);
        status = tm_body_call(body, docs, n, out[0], err);
        for (size_t i = 0; status >= 0 && i < n; i++)
            status = set_aside(work, body, i, in, row + i, out, err);
    }
    tm_free(docs);
    return status;
}

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    const stage_options *o = tm_work_options(work);
    tm_body *body = NULL;
    tm_body_spec spec = {
        .name = o->name,
        .code = o->batch ? o->batch : o->each,
        .batch = o->batch != NULL,
        .options = o->options,
        .seed = (uint64_t)o->seed,
        .seconds = o->seconds,
        .takes = (tm_body_shape)tm_body_shape_find(o->takes),
        .gives = (tm_body_shape)tm_body_shape_find(o->gives ? o->gives : o->takes),
        .memory = TM_BODY_MEMORY,
        .log = log_line,
        .user = work,
    };
    TM_TRY(tm_body_open(&spec, &body, err));
    tm_status status = map_rows(work, body, in, out, err);
    tm_body_close(body);
    return status;
}

const tm_stage tm_stage_stage = {
    .name = "stage",
    .brief = "Make a stage of your own: a function in Lua, called once per record or batch.",
    .help =
        "It gives a constructor: local shout = tm.stage { name = \"shout\", each = ... }, then shout { docs }, or shout {}\n"
        "inside tm.curate. `doc` has id, text, source and meta (chat: messages; preference: prompt, chosen, rejected, instead\n"
        "of text); `emit { text = ... }` gives a record, any number of times, `emit(doc)` the one at hand. Id, source and meta\n"
        "are kept unless given; of several from one record the n-th gets \"#n\" behind its id. What nothing is emitted for is\n"
        "removed, with the text that the function returns as the reason. math.random depends on seed and id alone.\n"
        "With `batch = function(docs, o, emit)` instead of each it gets up to batch_size records at once, and says what comes\n"
        "from which: emit({ text = ... }, doc).\n"
        "docs/stages-in-lua.md has the rest.",
    .example =
        "local shout = tm.stage { name = \"shout\", each = function(doc, o, emit) emit { text = doc.text:upper() } end }",
    .family = "curate",
    .version = 1,
    .traits = TM_STEP | TM_SCRIPT,
    .libraries = "lua 5.4",
    .inputs = {{"", "documents", 0, NULL, "records of the shape that it takes", NULL}},
    .outputs = {{"", "documents", 0, NULL, "what was emitted", NULL},
                {"removed", "documents", 0, NULL,
                 "records that nothing was emitted for, the reason in their meta", NULL}},
    .options = options,
    .options_size = sizeof(stage_options),
    .check = check,
    .map = map,
};
