// SPDX-License-Identifier: Apache-2.0
// Documents from files, folders and archives.
//
// Chunks are cut by content: behind a document with a probability that grows with its size, drawn from its
// id, so that a document added anywhere changes the chunks up to the next cut and no others.
#include <stdlib.h>

#include "engine/base/json.h"
#include "engine/base/nearest.h"
#include "engine/base/random.h"
#include "engine/base/utf8.h"
#include "engine/stage.h"
#include "stages/format/corpus.h"
#include "stages/format/jsonl.h"
#include "stages/format/line_fault.h"
#include "stages/format/tuning.h"

#define CHUNK_BYTES (256 << 10)      // on average
#define CHUNK_MAX_BYTES (2 << 20)
#define NAMED 20                     // of each fault, in the log

typedef struct read_options {
    tm_string_list path;
    const char *format, *match;
    const char *id, *text, *system;
    const json_t *fields;
} read_options;

static const tm_option options[] = {
    {"path", TM_OPT_LIST, offsetof(read_options, path), NULL, 0, 0, NULL,
     "files, folders, globs or archives, relative to the graph file (the positional value)", 0},
    {"format", TM_OPT_CHOICE, offsetof(read_options, format), "\"text\"", 0, 0,
     "text html jsonl chat instruction preference",
     "what a member is: one text, one page of HTML, or JSON lines: of texts, conversations, instructions with "
     "their answers, or preferences",
     0},
    {"match", TM_OPT_STRING, offsetof(read_options, match), "\"\"", 0, 0, NULL,
     "only members whose path matches this glob", 0},
    {"id", TM_OPT_STRING, offsetof(read_options, id), "\"id\"", 0, 0, NULL, "jsonl: the field with the id",
     0},
    {"text", TM_OPT_STRING, offsetof(read_options, text), "\"text\"", 0, 0, NULL,
     "jsonl: the field with the text", 0},
    {"fields", TM_OPT_TABLE, offsetof(read_options, fields), "null", 0, 0, NULL,
     "chat, instruction, preference: names of fields where they are not found out, as { prompt = \"q\", answer "
     "= \"a.text\" }",
     0},
    {"system", TM_OPT_STRING, offsetof(read_options, system), "\"\"", 0, 0, NULL,
     "chat, instruction, preference: the system message of records without one", 0},
    {0},
};

// "chat" or "preference", or NULL for texts.
static const char *shape_of(const read_options *o)
{
    if (strcmp(o->format, "preference") == 0) return o->format;
    return strcmp(o->format, "chat") == 0 || strcmp(o->format, "instruction") == 0 ? "chat" : NULL;
}

static tm_status check_fields(tm_check *c, tm_error *err)
{
    const read_options *o = c->options;
    const char *name, *const *known = shape_of(o) ? tm_tuning_fields(o->format) : NULL;
    json_t *value;
    c->fault->option = o->fields ? "fields" : "system";
    if (!known && (o->fields || o->system[0])) {
        snprintf(c->fault->fix, sizeof c->fault->fix, "leave %s out, or say format = \"chat\"",
                 c->fault->option);
        return tm_fail(err, TM_EINVAL, "%s is for conversations and preferences, and format is \"%s\"",
                       c->fault->option, o->format);
    }
    json_object_foreach((json_t *)o->fields, name, value)
    {
        const char *const *at = known;
        while (*at && strcmp(*at, name) != 0) at++;
        const char *near = *at ? NULL : tm_nearest(name, known);
        if (near) snprintf(c->fault->fix, sizeof c->fault->fix, "did you mean \"%s\"?", near);
        if (!*at)
            return tm_fail(err, TM_EINVAL, "format \"%s\" has no field \"%s\"", o->format, name);
        if (!json_is_string(value))
            return tm_fail(err, TM_EINVAL, "fields.%s is no name of a field", name);
    }
    c->fault->option = NULL;
    return TM_OK;
}

static bool has_lines(const char *path)
{
    static const char *const ends[] = {".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"};
    size_t n = strlen(path);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t end = strlen(ends[i]);
        if (n > end && strcmp(path + n - end, ends[i]) == 0) return true;
    }
    return false;
}

// Lines of JSON read as one text are not what anybody means.
static tm_status check_format(tm_check *c, tm_error *err)
{
    const read_options *o = c->options;
    if (strcmp(o->format, "text") != 0 || !o->path.n) return TM_OK;
    for (size_t i = 0; i < o->path.n; i++)
        if (!has_lines(o->path.items[i])) return TM_OK;
    snprintf(c->fault->fix, sizeof c->fault->fix,
             "give format = \"jsonl\" (texts), or \"chat\", \"instruction\", \"preference\"");
    return tm_fail(err, TM_EINVAL, "\"%.200s\" has JSON lines, and format \"text\" makes one text of a file",
                   o->path.items[0]);
}

static tm_status check(tm_check *c, tm_error *err)
{
    const read_options *o = c->options;
    TM_TRY(check_fields(c, err));
    TM_TRY(check_format(c, err));
    if (strcmp(o->format, "html") == 0) json_object_set_new(c->outputs[0], "markup", json_string("html"));
    if (shape_of(o)) json_object_set_new(c->outputs[0], "shape", json_string(shape_of(o)));
    if (o->path.n) return TM_OK;
    c->fault->option = "path";
    return tm_fail(err, TM_EINVAL, "it is given nothing to read");
}

// The pattern with another ending that is like its own and that one of the files has: *.html for *.htm.
static bool near_ending(const tm_check *c, const char *path, const json_t *files, char near[512])
{
    tm_corpus corpus;
    const char *name, *dot = strrchr(path, '.');
    json_t *hash;
    if (!dot || strpbrk(dot, "*?[/") || tm_corpus_parse(&corpus, c->folder, path, "", NULL) < 0) return false;
    const char *ending = strrchr(corpus.match, '.');
    json_object_foreach((json_t *)files, name, hash)
    {
        char match[sizeof corpus.match + 256];
        const char *end = strrchr(name, '.'), *const ends[] = {end ? end + 1 : "", NULL};
        if (!end || !ending || strlen(end) > 200 || !tm_nearest(dot + 1, ends)) continue;
        snprintf(match, sizeof match, "%.*s%s", (int)(ending - corpus.match), corpus.match, end);
        if (tm_glob_match(match, name)) return snprintf(near, 512, "%.*s%s", (int)(dot - path), path, end);
    }
    return false;
}

static tm_status nothing_matches(const tm_check *c, const json_t *files, tm_error *err)
{
    char near[512];
    const read_options *o = c->options;
    if (o->match[0]) tm_fail(err, TM_ENOENT, "no file matches \"%s\" in \"%s\"", o->match, o->path.items[0]);
    else tm_fail(err, TM_ENOENT, "no file matches \"%s\"", o->path.items[0]);
    if (o->path.n > 1) tm_why(err, "nor is there one for the other paths");
    if (o->path.n == 1 && !o->match[0] &&
        near_ending(c, o->path.items[0], json_object_get(files, "1"), near)) {
        tm_hint(err, "did you mean \"%s\"?", near);
        return TM_ENOENT;
    }
    tm_hint(err, "* stands for a part of a name, ** for folders of any depth: \"docs/**/*.html\"");
    return TM_ENOENT;
}

static tm_status identity(const tm_check *c, json_t *into, tm_error *err)
{
    const read_options *o = c->options;
    bool some = false;
    for (size_t i = 0; i < o->path.n; i++) {
        tm_corpus corpus;
        json_t *files = json_object();
        tm_status status = tm_corpus_parse(&corpus, c->folder, o->path.items[i], o->match, err);
        if (status >= 0) status = tm_corpus_identity(&corpus, c->memory, files, err);
        if (status < 0) {
            json_decref(files);
            return status;
        }
        char name[32];
        snprintf(name, sizeof name, "%zu", i + 1);
        json_object_set_new(into, name, files);
        some = some || !tm_corpus_empty(&corpus, files);
    }
    return some ? TM_OK : nothing_matches(c, into, err);
}

typedef struct reader {
    tm_work *work;
    tm_batch *chunk;
    size_t chunk_bytes;
    int64_t n_documents, n_bad, n_empty, n_binary, n_encoded, n_links;
    int64_t until;     // so many documents and no more
    double n_bytes;
    tm_buf record;     // text of a record
    char first_bad[512];
    int64_t n_lines, n_named; // of the path that is read; bad ones of all paths that the log names
    bool html;                // its charset is for who reads the page
    bool in_array;            // the file is one
    bool array, no_field;     // a file of the path is; a bad line lacked the field of the text
} reader;

static tm_status flush(reader *r, tm_error *err)
{
    if (!r->chunk) return TM_OK;
    tm_batch *chunk = r->chunk;
    r->chunk = NULL;
    r->chunk_bytes = 0;
    return tm_put(r->work, "", chunk, err);
}

static bool cut_behind(const reader *r, tm_view id, size_t bytes)
{
    double draw = (double)(tm_mix64(tm_hash64(id.data, id.size, 1)) >> 11) * 0x1p-53;
    return draw < (double)bytes / CHUNK_BYTES || r->chunk_bytes > CHUNK_MAX_BYTES;
}

static tm_status add(reader *r, const tm_doc *doc, tm_error *err)
{
    size_t bytes = doc->text.size + doc->meta.size + 64;
    if (!r->chunk) r->chunk = tm_work_batch(r->work, "");
    if (!r->chunk) return tm_fail(err, TM_ENOMEM, "no memory for a chunk");
    TM_TRY(tm_docs_add(r->chunk, doc, err));
    r->chunk_bytes += bytes;
    r->n_documents++;
    r->n_bytes += (double)bytes;
    return cut_behind(r, doc->id, bytes) ? flush(r, err) : TM_OK;
}

// The id of a document: a hash of where it is from and what it holds.
static tm_status make_id(const char *origin, tm_view bytes, char id[TM_HASH_HEX], tm_error *err)
{
    tm_hasher *hasher = tm_hasher_new();
    if (!hasher) return tm_fail(err, TM_ENOMEM, "no memory for a hash");
    tm_hasher_add(hasher, origin, strlen(origin) + 1);
    tm_hasher_add(hasher, bytes.data, bytes.size);
    tm_hash_hex(tm_hasher_end(hasher), id);
    tm_hasher_free(hasher);
    return TM_OK;
}

static void empty_file(reader *r, const char *path)
{
    if (r->n_empty++ < NAMED) tm_work_log(r->work, "%.200s: empty, left out", path);
    tm_work_count(r->work, "empty_files", 1);
}

// Latin-1, for one: what is behind it takes text to be UTF-8.
static void look_at_encoding(reader *r, const char *path, tm_view bytes)
{
    size_t valid = tm_utf8_valid(bytes);
    if (valid == bytes.size || r->html) return;
    if (r->n_encoded++ < NAMED)
        tm_work_log(r->work, "%.200s: not UTF-8 at byte %zu, but read as such; put tm.fix_unicode behind it",
                    path, valid + 1);
    tm_work_count(r->work, "encoded_files", 1);
}

// What no text has. It is read all the same: what it is worth is for the steps behind to say.
static void look_at_bytes(reader *r, const char *path, tm_view bytes)
{
    bool pdf = bytes.size > 5 && memcmp(bytes.data, "%PDF-", 5) == 0;
    const char *zero = memchr(bytes.data, 0, bytes.size);
    if (!pdf && !zero) {
        look_at_encoding(r, path, bytes);
        return;
    }
    char place[40] = "a PDF file";
    if (!pdf) snprintf(place, sizeof place, "zero byte at %zu", (size_t)(zero - bytes.data));
    if (r->n_binary++ < NAMED)
        tm_work_log(r->work, "%.200s: no text (%s), but read as such; leave it out with `match`", path,
                    place);
    tm_work_count(r->work, "binary_files", 1);
}

static void skipped_link(void *user, const char *path, bool there)
{
    reader *r = user;
    if (r->n_links++ < NAMED)
        tm_work_log(r->work, "%.200s: a link, not followed: %s", path,
                    there ? "name it in tm.read to have it read" : "what it points to is not there");
    tm_work_count(r->work, "links", 1);
}

static tm_status read_document(reader *r, tm_archive *archive, const tm_member *member, tm_error *err)
{
    tm_buf bytes = {0};
    char id[TM_HASH_HEX];
    tm_status status = tm_archive_read_all(archive, &bytes, err);
    if (status >= 0) status = make_id(member->path, tm_buf_view(&bytes), id, err);
    if (status >= 0 && bytes.size) {
        tm_doc doc = {
            .id = tm_view_str(id), .text = tm_buf_view(&bytes), .source = tm_view_str(member->path)};
        look_at_bytes(r, member->path, doc.text);
        status = add(r, &doc, err);
    } else if (status >= 0) {
        empty_file(r, member->path);
    }
    tm_buf_clear(&bytes);
    return status;
}

// ---- JSON lines ----

static tm_status read_member(void *archive, void *data, size_t size, size_t *got, tm_error *err)
{
    return tm_archive_read(archive, data, size, got, err);
}

// `why` is the row's own reason, or that of the reader of its record. What is one array is told once.
static void bad_line(reader *r, const char *source, const tm_jsonl_row *row, const read_options *o,
                     const char *why)
{
    char fault[600], text[800];
    bool told = !r->in_array && r->n_named < NAMED;
    if (told || !r->n_bad) {
        tm_line_fault(row, why, shape_of(o) ? NULL : o->text, fault, sizeof fault);
        snprintf(text, sizeof text, "%.140s:%llu: %s", source, (unsigned long long)row->line, fault);
        if (!r->n_bad) snprintf(r->first_bad, sizeof r->first_bad, "%.500s", text);
        r->no_field |= strcmp(why, "no text") == 0;
    }
    if (told) tm_work_log(r->work, "%s", text);
    r->n_named += told;
    r->n_bad++;
    r->in_array |= tm_line_begins_array(row);
    r->array |= r->in_array;
    tm_work_count(r->work, "bad_lines", 1);
}

// What a record is not made of: members of the line, and those of its meta.
static char *meta_of(json_t *line, const read_options *o)
{
    json_t *inner = json_incref(json_object_get(line, "meta"));
    json_object_del(line, o->id);
    json_object_del(line, "source");
    if (json_is_object(inner)) {
        json_object_del(line, "meta");
        json_object_update(line, inner);
    }
    json_decref(inner);
    return json_object_size(line) ? json_dumps(line, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
}

// A conversation or preference. `*bad` says why it is none.
static tm_status add_record(reader *r, const char *source, const tm_jsonl_row *row, const read_options *o,
                            const char **bad, tm_error *err)
{
    char id[TM_HASH_HEX], origin[600];
    json_t *line = NULL;
    tm_error why = {0};
    tm_tuning_options how = {.shape = o->format, .fields = o->fields, .system = o->system};
    tm_status status = tm_json_parse(row->bytes, &line, &why);
    *bad = status == TM_EFORMAT ? "a name twice, a zero character or a number out of range" : NULL;
    if (*bad) return TM_OK;
    if (status < 0) return tm_fail(err, status, "%s", why.text);
    status = tm_tuning_record(line, &how, &r->record, bad, err);
    char *meta = status >= 0 && !*bad ? meta_of(line, o) : NULL;
    json_decref(line);
    snprintf(origin, sizeof origin, "%.500s", source);
    if (status >= 0) status = make_id(origin, row->bytes, id, err);
    tm_doc doc = {.id = row->id.size ? row->id : tm_view_str(id),
                  .text = tm_buf_view(&r->record),
                  .source = row->source.data ? row->source : tm_view_str(source),
                  .meta = tm_view_str(meta ? meta : "")};
    if (status >= 0 && !*bad) status = add(r, &doc, err);
    tm_json_free(meta);
    return status;
}

static tm_status add_line(reader *r, const char *source, const tm_jsonl_row *row, tm_error *err)
{
    char id[TM_HASH_HEX], origin[600];
    snprintf(origin, sizeof origin, "%.500s", source);
    TM_TRY(make_id(origin, row->bytes, id, err));
    tm_doc doc = {.id = row->id.size ? row->id : tm_view_str(id), .text = row->text,
                  .source = row->source.data ? row->source : tm_view_str(source), .meta = row->meta};
    return add(r, &doc, err);
}

static bool enough(const reader *r)
{
    return r->n_documents >= r->until;
}

static tm_status read_lines(reader *r, tm_archive *archive, const tm_member *member, const read_options *o,
                            tm_error *err)
{
    char source[512];
    tm_jsonl *lines = NULL;
    tm_jsonl_options how = {.id = o->id, .text = o->text, .any_shape = shape_of(o) != NULL};
    snprintf(source, sizeof source, "%s", member->path);
    TM_TRY(tm_jsonl_open(&lines, read_member, archive, &how, err));
    r->in_array = false;
    tm_jsonl_row row;
    tm_status status;
    while ((status = tm_jsonl_next(lines, &row, err)) == TM_OK) {
        const char *bad = row.bad;
        if (!bad && shape_of(o)) status = add_record(r, source, &row, o, &bad, err);
        else if (!bad) status = add_line(r, source, &row, err);
        if (status < 0) break;
        r->n_lines++;
        if (bad) bad_line(r, source, &row, o, bad);
        if (enough(r)) break;
    }
    tm_jsonl_close(lines);
    return status < 0 ? status : TM_OK;
}

// ---- members ----

static bool is_jsonl(const read_options *o)
{
    return strcmp(o->format, "jsonl") == 0 || shape_of(o);
}

static tm_status read_root(reader *r, const tm_corpus *corpus, const read_options *o, tm_error *err)
{
    tm_archive *archive = NULL;
    tm_archive_options how = {
        .match = corpus->match[0] ? corpus->match : NULL, .skipped = skipped_link, .user = r};
    TM_TRY(tm_archive_open(&archive, corpus->root, &tm_files_disk, &how, err));
    tm_member member;
    tm_status status;
    while ((status = tm_archive_next(archive, &member, err)) == TM_OK) {
        status = is_jsonl(o) ? read_lines(r, archive, &member, o, err)
                             : read_document(r, archive, &member, err);
        if (status < 0 || enough(r)) break;
        if (tm_work_stopping(r->work)) {
            status = tm_fail(err, TM_ESTOPPED, "stopped");
            break;
        }
        tm_work_progress(r->work, (double)r->n_documents, 0, "documents");
    }
    tm_archive_close(archive);
    return status < 0 ? status : TM_OK;
}

// How many documents there are to be behind path i: in a smoke run each gives its share.
static int64_t until(const tm_work *work, const read_options *o, size_t i)
{
    if (!tm_work_smoke(work)) return INT64_MAX;
    int64_t n = (int64_t)o->path.n, share = (int64_t)(i + 1) * TM_SMOKE_RECORDS / n;
    return share > (int64_t)i + 1 ? share : (int64_t)i + 1;
}

// What to do about lines of which none can be used.
static void lines_hint(const reader *r, const read_options *o, const char *path, tm_error *err)
{
    if (r->array)
        tm_hint(err, "make lines of the array: jq -c '.[]' %.100s > %.100s.jsonl", path, path);
    else if (r->no_field)
        tm_hint(err, "name the field that has the text: tm.read { \"%.100s\", format = \"jsonl\", text = "
                     "\"NAME\" }", path);
    else
        tm_hint(err,
                "each line has to be an object of JSON as `tidemill describe read` says; mend it, or give "
                "another `format`%s", shape_of(o) ? " or `fields`" : "");
}

// Nothing came of path i.
static tm_status none_found(const reader *r, const read_options *o, size_t i, tm_error *err)
{
    tm_fail_as(err, TM_ENOENT, "TM0303", "no documents in \"%s\"%s%s%s", o->path.items[i],
               !r->n_bad && o->path.n > 1 ? " and the other paths" : "",
               o->match[0] ? ", matching " : "", o->match);
    if (r->n_bad)
        tm_why(err, "%lld of %lld line%s bad, the first at %s", (long long)r->n_bad, (long long)r->n_lines,
               r->n_bad == 1 ? " was" : "s were", r->first_bad);
    if (r->n_bad) lines_hint(r, o, o->path.items[i], err);
    else tm_hint(err, "check the path, `match` and `format`");
    return TM_ENOENT;
}

static void tell_rest(reader *r, int64_t n, int64_t named, const char *what)
{
    if (n > named)
        tm_work_log(r->work, "and %lld more %s (%lld in all)", (long long)(n - named), what, (long long)n);
}

// An input of which no line can be used is a mistake, whatever the others hold.
static tm_status read_path(reader *r, const read_options *o, size_t i, tm_error *err)
{
    tm_corpus corpus;
    int64_t documents = r->n_documents, bad = r->n_bad;
    r->until = until(r->work, o, i);
    r->n_bad = r->n_lines = 0;
    r->array = r->no_field = false;
    TM_TRY(tm_corpus_parse(&corpus, tm_work_folder(r->work), o->path.items[i], o->match, err));
    TM_TRY(read_root(r, &corpus, o, err));
    if (r->n_bad && r->n_documents == documents) return none_found(r, o, i, err);
    r->n_bad += bad;
    return TM_OK;
}

static tm_status run(tm_work *work, tm_error *err)
{
    const read_options *o = tm_work_options(work);
    reader r = {.work = work, .html = strcmp(o->format, "html") == 0};
    tm_status status = TM_OK;
    for (size_t i = 0; status >= 0 && i < o->path.n; i++) status = read_path(&r, o, i, err);
    tell_rest(&r, r.n_bad, r.n_named, "lines that could not be used");
    tell_rest(&r, r.n_empty, NAMED, "empty files, left out");
    tell_rest(&r, r.n_binary, NAMED, "files that are no text");
    tell_rest(&r, r.n_encoded, NAMED, "files that are not UTF-8");
    tell_rest(&r, r.n_links, NAMED, "links, not followed");
    if (status >= 0) status = flush(&r, err);
    tm_batch_unref(r.chunk);
    tm_buf_clear(&r.record);
    if (status >= 0 && !r.n_documents) return none_found(&r, o, 0, err);
    return status;
}

const tm_stage tm_stage_read = {
    .name = "read",
    .brief = "Documents from files, folders, globs and archives.",
    .help =
        "Folders are walked in byte order, without names that begin with a dot; links in them are not followed. Tar (plain\n"
        "or compressed), zip, gz and Debian packages are read in place. A document's id is a hash of its path and its\n"
        "bytes. The content of every file is part of the node's key: a changed file is noticed, a touched one is not. Lines\n"
        "of JSON that cannot be used are counted and logged, and the rest goes on.\n"
        "Conversations (chat) are found in \"messages\", \"conversations\" (ShareGPT) and in prompts with answers\n"
        "(instruction and input with output, prompt with completion, question with answer, input with output);\n"
        "preferences in prompt (or instruction and input), chosen and rejected, as texts or as lists of messages.\n"
        "`fields` names others. Roles are brought to system, user, assistant and tool.",
    .example = "local pages = tm.read { \"corpus/**/*.html\", format = \"html\" }",
    .family = "read",
    .version = 2,
    .traits = TM_SOURCE | TM_HOSTILE,
    .libraries = "libarchive " TM_ARCHIVE_VERSION,
    .outputs = {{"", "documents", 0, NULL, "one document per member (or line)", NULL}},
    .options = options,
    .options_size = sizeof(read_options),
    .check = check,
    .identity = identity,
    .run = run,
};
