// SPDX-License-Identifier: Apache-2.0
// Any program as a stage.
//
// tm.exec is one constructor and several rows, as its input and what it gives are of several types. With io =
// "jsonl" each chunk goes through a process of its own, so that results are remembered per chunk as with any
// record-wise stage; with io = "files" the program sees the whole at once.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/random.h"
#include "stages/format/answers.h"
#include "stages/format/interpreter.h"
#include "stages/format/process.h"
#include "stages/model/model.h"
#include "stages/text/sift.h"
#include "stages/text/tokenizer_folder.h"

#define CHUNK_BYTES (256 << 10)      // on average, as tm.read cuts
#define CHUNK_MAX_BYTES (2 << 20)

typedef struct exec_options {
    tm_string_list program, files;
    const char *io, *takes, *gives;
    const json_t *env;
} exec_options;

static const tm_option options[] = {
    {"program", TM_OPT_LIST, offsetof(exec_options, program), NULL, 0, 0, NULL,
     "the program and its arguments; it runs in the folder of the graph file", 0},
    {"io", TM_OPT_CHOICE, offsetof(exec_options, io), "\"jsonl\"", 0, 0, "jsonl files",
     "a line of JSON per record in and out, or {in} and {out} in the arguments", 0},
    {"takes", TM_OPT_CHOICE, offsetof(exec_options, takes), "\"documents\"", 0, 0,
     "documents chat preference", "what the records that it is given are", 0},
    {"gives", TM_OPT_CHOICE, offsetof(exec_options, gives), "\"documents\"", 0, 0,
     "documents chat preference model tokenizer folder", "what it makes; the last three are folders", 0},
    {"files", TM_OPT_LIST, offsetof(exec_options, files), "[]", 0, 0, NULL,
     "files whose content counts besides those among its arguments", 0},
    {"env", TM_OPT_TABLE, offsetof(exec_options, env), "null", 0, 0, NULL,
     "environment variables, text or tm.secret, besides PATH, HOME, TMPDIR and LANG", 0},
    {0},
};

// ---- what is run ----

static tm_status check_program(tm_check *c, const exec_options *o, tm_error *err)
{
    char path[TM_PATH_MAX];
    const char *name = o->program.n ? o->program.items[0] : "";
    c->fault->option = "program";
    if (!name[0]) return tm_fail(err, TM_EINVAL, "there is no program to run");
    if (tm_process_file(c->folder, name, path)) {
        if (access(path, X_OK) == 0) return TM_OK;
        snprintf(c->fault->fix, sizeof c->fault->fix,
                 "chmod +x %.100s, or name what runs it: program = { \"python3\", \"%.60s\" }", name, name);
        return tm_fail(err, TM_EINVAL, "%.200s is no executable file", name);
    }
    if (!strchr(name, '/') && tm_process_in_path(name)) return TM_OK;
    snprintf(c->fault->fix, sizeof c->fault->fix, "%s",
             strchr(name, ' ')
                 ? "there is no shell: give the arguments one by one, program = { \"sort\", \"-u\" }"
                 : "give a path beside the graph file, or a program that PATH finds");
    return tm_fail(err, TM_ENOENT, "there is no program %.200s", name);
}

static tm_status no_file(const tm_check *c, const char *name, tm_error *err)
{
    char near[200];
    if (tm_nearest_path(c->folder, name, near, sizeof near))
        snprintf(c->fault->fix, sizeof c->fault->fix, "did you mean \"%s\"?", near);
    else snprintf(c->fault->fix, sizeof c->fault->fix, "paths are relative to the folder of the graph file");
    c->fault->option = NULL;  // what is quoted is pointed at
    return tm_fail(err, TM_ENOENT, "there is no file \"%.200s\"", name);
}

static tm_status check_script(tm_check *c, const exec_options *o, tm_error *err)
{
    char path[TM_PATH_MAX];
    size_t i = tm_interpreter_script(&o->program);
    const char *script = o->program.items[i];
    if (!i || tm_process_file(c->folder, script, path)) return TM_OK;
    if (!strchr(script, '/') && tm_process_in_path(script)) return TM_OK;  // shells look there too
    return no_file(c, script, err);
}

static bool has_place(const exec_options *o, const char *place)
{
    for (size_t i = 0; i < o->program.n; i++)
        if (strstr(o->program.items[i], place)) return true;
    return false;
}

static tm_status check_places(tm_check *c, const exec_options *o, bool files, tm_error *err)
{
    c->fault->option = "program";
    snprintf(c->fault->fix, sizeof c->fault->fix,
             files ? "write: program = { \"convert\", \"{in}\", \"{out}\" }" : "write: io = \"files\"");
    if (!files && (has_place(o, "{in}") || has_place(o, "{out}")))
        return tm_fail(err, TM_EINVAL, "{in} and {out} stand for files, and io is \"jsonl\"");
    if (files && !has_place(o, "{out}")) return tm_fail(err, TM_EINVAL, "no argument has {out} in it");
    c->fault->fix[0] = 0;
    return TM_OK;
}

static tm_status check_env(tm_check *c, const exec_options *o, tm_error *err)
{
    const char *name;
    json_t *value;
    c->fault->option = "env";
    if (json_object_size(o->env) > TM_PROCESS_ENV)
        return tm_fail(err, TM_EINVAL, "env has more than %d variables", TM_PROCESS_ENV);
    json_object_foreach((json_t *)o->env, name, value)
    {
        if (strchr(name, '=')) return tm_fail(err, TM_EINVAL, "env: %.60s is no name", name);
        if (json_is_string(value) || json_is_string(json_object_get(value, "$secret"))) continue;
        snprintf(c->fault->fix, sizeof c->fault->fix,
                 "write: env = { %.60s = \"text\" }, or tm.secret \"NAME\"", name);
        return tm_fail(err, TM_EINVAL, "env: %.60s is neither text nor a secret", name);
    }
    return TM_OK;
}

static tm_status check_shapes(tm_check *c, const exec_options *o, bool files, tm_error *err)
{
    const char *shape = json_string_value(json_object_get(c->inputs[0], "shape"));
    bool folder = tm_record_shape_find(o->gives) < 0;
    c->fault->option = "gives";
    if (folder && !files) {
        snprintf(c->fault->fix, sizeof c->fault->fix,
                 "write: io = \"files\", and {out} for the folder in its arguments");
        return tm_fail(err, TM_EINVAL, "lines of JSON are records, no %s", o->gives);
    }
    c->fault->option = "takes";
    if (shape && strcmp(shape, o->takes) != 0) {
        snprintf(c->fault->fix, sizeof c->fault->fix, "write: takes = \"%.40s\"", shape);
        return tm_fail(err, TM_EINVAL, "its input is %s, and it takes %s", shape, o->takes);
    }
    if (folder) return TM_OK;
    json_object_del(c->outputs[0], "shape");
    json_object_del(c->outputs[0], "markup");
    if (strcmp(o->gives, "documents") != 0)
        json_object_set_new(c->outputs[0], "shape", json_string(o->gives));
    return TM_OK;
}

static tm_status check(tm_check *c, tm_error *err)
{
    const exec_options *o = c->options;
    bool files = strcmp(o->io, "files") == 0;
    TM_TRY(check_program(c, o, err));
    TM_TRY(check_script(c, o, err));
    TM_TRY(check_places(c, o, files, err));
    TM_TRY(check_env(c, o, err));
    TM_TRY(check_shapes(c, o, files, err));
    c->fault->option = NULL;
    return TM_OK;
}

// ---- identity: the files that it is made of ----

static tm_status add_file(const char *name, const char *path, json_t *into, tm_error *err)
{
    tm_buf bytes = {0};
    char hex[TM_HASH_HEX];
    tm_status status = tm_file_read(path, &bytes, err);
    tm_hash_hex(tm_hash_of(bytes.data ? bytes.data : "", bytes.size), hex);
    tm_buf_clear(&bytes);
    if (status >= 0) json_object_set_new(into, name, json_string(hex));
    return status;
}

static tm_status identity(const tm_check *c, json_t *into, tm_error *err)
{
    const exec_options *o = c->options;
    char path[TM_PATH_MAX];
    size_t script = tm_interpreter_script(&o->program);
    for (size_t i = 0; i < o->program.n; i++) {
        if (o->program.items[i][0] == '/' && (!script || i != script)) continue;
        if (tm_process_file(c->folder, o->program.items[i], path))
            TM_TRY(add_file(o->program.items[i], path, into, err));
    }
    for (size_t i = 0; i < o->files.n; i++) {
        if (!tm_process_file(c->folder, o->files.items[i], path)) return no_file(c, o->files.items[i], err);
        TM_TRY(add_file(o->files.items[i], path, into, err));
    }
    return TM_OK;
}

// ---- io = "jsonl" ----

static tm_record_shape shape_of(const char *name)
{
    return (tm_record_shape)tm_record_shape_find(name);
}

static tm_status put_answers(tm_work *work, tm_answers *a, const tm_batch *in, tm_batch *const *out,
                             tm_error *err)
{
    size_t at = 0, n;
    tm_answers_sort(a);
    for (size_t row = 0; row < tm_batch_rows(in); row++) {
        TM_TRY(tm_answers_put(a, in, row, &at, out[0], &n, err));
        if (!n) TM_TRY(tm_sift_remove(work, "exec", out, in, row, "no_answer", NAN, (tm_view){0}, err));
    }
    return TM_OK;
}

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    const exec_options *o = tm_work_options(work);
    tm_process process = {.program = &o->program, .env = o->env};
    tm_answers a = {0};
    tm_buf lines = {0}, output = {0};
    tm_status status = tm_answers_ask(&a, in, shape_of(o->takes), &lines, err);
    if (status >= 0 && lines.size) status = tm_process_run(work, &process, tm_buf_view(&lines), &output, err);
    if (status >= 0) {
        status = tm_answers_read(&a, tm_buf_view(&output), shape_of(o->gives), err);
        if (status < 0) tm_error_prefix(err, "%s", o->program.items[0]);
    }
    if (status >= 0) status = put_answers(work, &a, in, out, err);
    tm_buf_clear(&lines);
    tm_buf_clear(&output);
    tm_answers_clear(&a);
    return status;
}

// ---- io = "files" ----

static tm_status write_all(tm_work *work, const char *path, tm_error *err)
{
    const exec_options *o = tm_work_options(work);
    tm_buf lines = {0};
    tm_batch *in;
    FILE *file = fopen(path, "we");
    tm_status status = file ? TM_OK : tm_fail_errno(err, "%s", path);
    while (status >= 0 && (status = tm_take(work, "", &in, err)) == TM_OK) {
        tm_answers none = {0};
        tm_buf_reset(&lines);
        status = tm_answers_ask(&none, in, shape_of(o->takes), &lines, err);
        tm_answers_clear(&none);
        tm_batch_unref(in);
        if (status >= 0 && lines.size && fwrite(lines.data, lines.size, 1, file) != 1)
            status = tm_fail_errno(err, "%s", path);
    }
    if (file && fclose(file) && status >= 0) status = tm_fail_errno(err, "%s", path);
    tm_buf_clear(&lines);
    return status < 0 ? status : TM_OK;
}

typedef struct cutter {
    tm_work *work;
    tm_batch *chunk;
    size_t bytes;
    int64_t n;
} cutter;

static tm_status flush(cutter *c, tm_error *err)
{
    tm_batch *chunk = c->chunk;
    c->chunk = NULL;
    c->bytes = 0;
    return chunk ? tm_put(c->work, "", chunk, err) : TM_OK;
}

// A chunk ends behind a record with a probability that grows with its size, drawn from its id: see tm.read.
static tm_status add_record(cutter *c, tm_record *record, tm_view line, tm_error *err)
{
    tm_doc doc = record->doc;
    char id[TM_HASH_HEX];
    size_t bytes = doc.text.size + doc.meta.size + 64;
    if (!doc.id.size) {
        tm_hash_hex(tm_hash_of(line.data, line.size), id);
        doc.id = tm_view_str(id);
    }
    if (!c->chunk) c->chunk = tm_work_batch(c->work, "");
    if (!c->chunk) return tm_fail(err, TM_ENOMEM, "no memory for a chunk");
    TM_TRY(tm_docs_add(c->chunk, &doc, err));
    c->n++;
    c->bytes += bytes;
    double draw = (double)(tm_mix64(tm_hash64(doc.id.data, doc.id.size, 1)) >> 11) * 0x1p-53;
    return draw < (double)bytes / CHUNK_BYTES || c->bytes > CHUNK_MAX_BYTES ? flush(c, err) : TM_OK;
}

static tm_status read_lines(cutter *c, FILE *file, tm_error *err)
{
    const exec_options *o = tm_work_options(c->work);
    tm_record_shape shape = shape_of(o->gives);
    tm_record record = {0};
    char *row = NULL;
    size_t capacity = 0, number = 0;
    ssize_t n;
    tm_status status = TM_OK;
    while (status >= 0 && (n = getline(&row, &capacity, file)) >= 0) {
        tm_view line = {row, (size_t)n - (n && row[n - 1] == '\n')};
        number++;
        if (!line.size) continue;
        status = tm_record_read(line, shape, &record, err);
        if (status >= 0) status = add_record(c, &record, line, err);
        if (status == TM_EFORMAT) tm_error_class(err, "TM0416");
        if (status < 0) tm_error_prefix(err, "%s: line %zu of {out}", o->program.items[0], number);
    }
    tm_record_clear(&record);
    free(row);
    return status;
}

static tm_status take_records(tm_work *work, const char *path, tm_error *err)
{
    const exec_options *o = tm_work_options(work);
    cutter c = {.work = work};
    FILE *file = fopen(path, "re");
    if (!file) {
        tm_fail_as(err, TM_EFAILED, "TM0416", "%s wrote no {out}", o->program.items[0]);
        tm_hint(err, "{out} is the path of a file of JSON lines that it has to write");
        return TM_EFAILED;
    }
    tm_status status = read_lines(&c, file, err);
    fclose(file);
    if (status >= 0) status = flush(&c, err);
    tm_batch_unref(c.chunk);
    return status;
}

static tm_status open_model(const char *path, tm_error *err)
{
    tm_hf_folder folder;
    tm_model_config config;
    tm_model *model = NULL;
    TM_TRY(tm_hf_folder_open(&folder, path, err));
    tm_status status =
        folder.adapter ? tm_model_load(&model, &folder, err) : tm_model_check(&folder, &config, err);
    tm_hf_folder_close(&folder);
    tm_model_free(model);
    return status;
}

static tm_status open_tokenizer(const char *path, bool must, tm_error *err)
{
    tm_tokenizer tokenizer;
    tm_status status = tm_tokenizer_load(&tokenizer, path, err);
    if (status >= 0) tm_tokenizer_clear(&tokenizer);
    return status == TM_ENOENT && !must ? TM_OK : status;
}

// A model and a tokenizer are opened: it is this program that has to be told of what is wrong with them.
static tm_status check_folder(const exec_options *o, const char *path, tm_error *err)
{
    tm_error why = {0};
    bool model = strcmp(o->gives, "model") == 0;
    if (!model && strcmp(o->gives, "tokenizer") != 0) return TM_OK;
    tm_status status = model ? open_model(path, &why) : TM_OK;
    if (status >= 0) status = open_tokenizer(path, !model, &why);
    if (status >= 0) return TM_OK;
    if (status == TM_ENOMEM || status == TM_EIO) {
        *err = why;
        return status;
    }
    tm_error_replace(&why, path, "{out}");
    tm_fail_as(err, TM_EFAILED, "TM0416", "%s wrote a %s into {out} that cannot be used: %s",
               o->program.items[0], o->gives, why.text);
    tm_hint(err, "mend the program: a %s is what transformers' save_pretrained writes", o->gives);
    return TM_EFAILED;
}

// A folder that holds what its type needs.
static tm_status take_folder(tm_work *work, const char *path, tm_error *err)
{
    const exec_options *o = tm_work_options(work);
    char must[TM_PATH_MAX];
    tm_names names = {0};
    const char *needs = strcmp(o->gives, "model") == 0       ? "config.json"
                        : strcmp(o->gives, "tokenizer") == 0 ? "tokenizer.json"
                                                             : "";
    TM_TRY(tm_dir_list(path, &names, err));
    bool empty = names.count == 0;
    tm_names_clear(&names);
    TM_TRY(tm_path(must, err, "%s/%s", path, needs));
    if (!empty && tm_file_exists(must)) {
        TM_TRY(check_folder(o, path, err));
        return tm_put_tree(work, "", path, json_object(), NULL, NULL, err);
    }
    tm_fail_as(err, TM_EFAILED, "TM0416", "%s wrote no %s into {out}", o->program.items[0],
               needs[0] && !empty ? needs : "file");
    tm_hint(err, "{out} is an empty folder that it has to fill");
    return TM_EFAILED;
}

static tm_status run_on(tm_work *work, const char *in, const char *scratch, tm_error *err)
{
    const exec_options *o = tm_work_options(work);
    char out[TM_PATH_MAX];
    bool folder = tm_record_shape_find(o->gives) < 0;
    TM_TRY(tm_path(out, err, folder ? "%s/out" : "%s/out.jsonl", scratch));
    if (folder) TM_TRY(tm_dir_make(out, err));
    tm_process process = {.program = &o->program, .env = o->env, .in = in, .out = out};
    TM_TRY(tm_process_run(work, &process, (tm_view){0}, NULL, err));
    return folder ? take_folder(work, out, err) : take_records(work, out, err);
}

static tm_status run_records(tm_work *work, tm_error *err)
{
    char scratch[TM_PATH_MAX], in[TM_PATH_MAX];
    TM_TRY(tm_work_scratch(work, scratch, sizeof scratch, err));
    tm_status status = tm_path(in, err, "%s/in.jsonl", scratch);
    if (status >= 0) status = write_all(work, in, err);
    if (status >= 0) status = run_on(work, in, scratch, err);
    tm_dir_remove(scratch, NULL);
    return status;
}

static tm_status run_folder(tm_work *work, tm_error *err)
{
    char scratch[TM_PATH_MAX];
    tm_snapshot snapshot;
    tm_status status = tm_take_tree(work, "", &snapshot, err);
    if (status == TM_DONE) return tm_fail_as(err, TM_EFAILED, "TM0303", "its input is empty");
    TM_TRY(status);
    TM_TRY(tm_work_scratch(work, scratch, sizeof scratch, err));
    status = run_on(work, snapshot.folder, scratch, err);
    tm_dir_remove(scratch, NULL);
    return status;
}

// ---- the rows ----

static bool fits(const tm_stage *row, const json_t *args)
{
    const char *io = json_string_value(json_object_get(args, "io"));
    const char *gives = json_string_value(json_object_get(args, "gives"));
    if (!io || strcmp(io, "files") != 0) return false;
    return strcmp(row->outputs[0].type, !gives || tm_record_shape_find(gives) >= 0 ? "documents" : gives) ==
           0;
}

#define BRIEF "Run any program: a line of JSON per record, or files, in and out."
#define EXAMPLE "tm.exec { docs, program = { \"python3\", \"tag.py\" } }"
static const char help[] =
    "io = \"jsonl\": a line of JSON per record on standard input, {\"id\", \"text\", \"source\", \"meta\"}, and lines\n"
    "with an \"id\" and a \"text\" back, in any order; several of one id get \"#n\" behind it, records without an\n"
    "answer are removed. Each chunk goes through a process of its own. io = \"files\": {in} and {out} in the\n"
    "arguments are paths: of JSON lines, or the folder of a model; the program sees the whole at once. There is no\n"
    "shell. What it says on standard error is the node's log. Exit status 75 asks for another try, as often as\n"
    "at.retries says; any other than 0 fails. Its arguments, declared environment and the content of its files\n"
    "beside the graph decide when it reruns.";
#define FILES(takes_type, gives_type, run_it)                                                                \
    {                                                                                                        \
        .name = "exec_" takes_type "_" gives_type, .brief = BRIEF, .help = help, .example = EXAMPLE,         \
        .family = "curate", .version = 2, .traits = TM_INTERNAL | TM_PROGRAM, .as = "exec", .fits = fits,    \
        .inputs = {{"", takes_type, 0, NULL, "what it works on", NULL}},                                     \
        .outputs = {{"", gives_type, 0, NULL, "what it made", NULL}}, .options = options,                    \
        .options_size = sizeof(exec_options), .check = check, .identity = identity, .run = run_it            \
    }

const tm_stage tm_stage_exec_documents_documents = FILES("documents", "documents", run_records);
const tm_stage tm_stage_exec_documents_folder = FILES("documents", "folder", run_records);
const tm_stage tm_stage_exec_documents_model = FILES("documents", "model", run_records);
const tm_stage tm_stage_exec_documents_tokenizer = FILES("documents", "tokenizer", run_records);
const tm_stage tm_stage_exec_model_documents = FILES("model", "documents", run_folder);
const tm_stage tm_stage_exec_model_folder = FILES("model", "folder", run_folder);
const tm_stage tm_stage_exec_model_model = FILES("model", "model", run_folder);

const tm_stage tm_stage_exec = {
    .name = "exec",
    .brief = BRIEF,
    .help = help,
    .example = EXAMPLE,
    .family = "curate",
    .version = 2,
    .traits = TM_PROGRAM,
    .inputs = {{"", "documents", 0, NULL, "records; with io = \"files\" a model as well", NULL}},
    .outputs = {{"", "documents", 0, NULL, "its answers; with io = \"files\" what `gives` says", NULL},
                {"removed", "documents", 0, NULL, "records without an answer, if io = \"jsonl\"", NULL}},
    .options = options,
    .options_size = sizeof(exec_options),
    .check = check,
    .identity = identity,
    .map = map,
};
