// SPDX-License-Identifier: Apache-2.0
// inspect: look into a result: records, metrics, the files of a snapshot.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/json.h"
#include "engine/store_tree.h"
#include "lua/cli/address.h"
#include "lua/cli/counts.h"
#include "lua/cli/json_text.h"
#include "lua/cli/pick.h"
#include "lua/model/tensors.h"
#include "lua/past/before.h"

static const tm_flag flags[] = {
    {"--count", 'n', "N", "show so many records (default 5)"},
    {"--skip", 0, "N", "leave so many out first"},
    {"--full", 0, NULL, "whole texts; every tensor"},
    {"--grep", 'g', "TEXT", "only records that have these characters in their text, source or meta"},
    {"--id", 0, "ID", "only records whose id begins so"},
    {"--not-in", 0, "ADDRESS", "only records whose id another result does not have"},
    {"--sample", 0, "N", "N records drawn by chance"},
    {"--seed", 0, "N", "of the draw (default 1)"},
    {"--step", 0, "N", "the snapshot of that step, or metrics of it: the same as ADDRESS@N"},
    {"--before", 'b', NULL, "what each document was in the node's input, word by word: [-out-]{+in+}"},
    {0},
};

// What is shown, and of which records.
typedef struct window {
    tm_pick pick;
    int64_t shown;
    bool full, before;
    const tm_type *type;
    json_t *records;  // with --json and --before, else NULL
} window;

enum { MOST_BYTES = 400, MOST_IDS = 64 }; // of a value, without --full

static size_t cut_at(tm_view v, size_t n)
{
    if (n >= v.size) return v.size;
    while (n > 0 && ((unsigned char)v.data[n] & 0xc0) == 0x80) n--;  // not inside a character
    return n;
}

static json_t *text_json(tm_view v, bool full)
{
    return tm_json_from_text(tm_view_of(v.data, cut_at(v, full ? v.size : MOST_BYTES)));
}

// Says of a record that not all of it is there.
static json_t *mark_cut(json_t *record, bool cut)
{
    if (record && cut) json_object_set_new(record, "cut", json_true());
    return record;
}

static json_t *document_json(const tm_batch *batch, size_t row, bool full)
{
    tm_doc d = tm_docs_get(batch, row);
    json_t *meta = d.meta.size ? json_loadb(d.meta.data, d.meta.size, 0, NULL) : NULL;
    json_t *record = json_pack("{s:o, s:o, s:o, s:I, s:o*}", "id", text_json(d.id, true), "source",
                     text_json(d.source, true), "text", text_json(d.text, full), "bytes",
                     (json_int_t)d.text.size, "meta", meta);
    return mark_cut(record, !full && d.text.size > MOST_BYTES);
}

static json_t *ids_json(const tm_batch *batch, size_t col, size_t row, bool full)
{
    size_t n;
    const uint32_t *ids = tm_batch_get_u32s(batch, col, row, &n);
    json_t *list = json_array();
    for (size_t i = 0; i < n && (full || i < MOST_IDS); i++)
        json_array_append_new(list, json_integer(ids[i]));
    return list;
}

static bool is_cut(const tm_type *type, const tm_batch *batch, size_t col, size_t row)
{
    size_t n = 0;
    if (type->cols[col].kind == TM_COL_U32S) (void)tm_batch_get_u32s(batch, col, row, &n);
    if (type->cols[col].kind != TM_COL_BYTES) return n > MOST_IDS;
    bool mask = strcmp(type->cols[col].name, "mask") == 0;
    return tm_batch_get_bytes(batch, col, row).size > (mask ? MOST_IDS : MOST_BYTES);
}

// A row of any other type: its columns by name, masks as lists.
static json_t *row_json(const tm_type *type, const tm_batch *batch, size_t row, bool full)
{
    json_t *record = json_object();
    bool cut = false;
    for (size_t col = 0; col < type->n_cols; col++) {
        json_t *value = NULL;
        cut |= !full && is_cut(type, batch, col, row);
        if (type->cols[col].kind == TM_COL_U32S) value = ids_json(batch, col, row, full);
        else if (type->cols[col].kind == TM_COL_I64) value = json_integer(tm_batch_get_i64(batch, col, row));
        else if (type->cols[col].kind == TM_COL_F64) value = json_real(tm_batch_get_f64(batch, col, row));
        else if (strcmp(type->cols[col].name, "mask") != 0)
            value = text_json(tm_batch_get_bytes(batch, col, row), full);
        else {
            tm_view mask = tm_batch_get_bytes(batch, col, row);
            value = json_array();
            for (size_t i = 0; i < mask.size && (full || i < MOST_IDS); i++)
                json_array_append_new(value, json_integer(mask.data[i]));
        }
        json_object_set_new(record, type->cols[col].name, value);
    }
    return mark_cut(record, cut);
}

static json_t *tokens_json(const tm_batch *batch, size_t row, bool full)
{
    size_t n;
    (void)tm_batch_get_u32s(batch, TM_TOK_IDS, row, &n);
    json_t *record = json_pack("{s:o, s:I, s:I, s:o}", "id",
                               text_json(tm_batch_get_bytes(batch, TM_TOK_ID, row), true), "tokens",
                               (json_int_t)n, "bytes", (json_int_t)tm_batch_get_i64(batch, TM_TOK_BYTES, row),
                               "ids", ids_json(batch, TM_TOK_IDS, row, full));
    return mark_cut(record, !full && n > MOST_IDS);
}

static json_t *metric_json(const tm_batch *batch, size_t row)
{
    tm_metric m = tm_metrics_get(batch, row);
    json_t *metric = json_pack("{s:I, s:o, s:f, s:I}", "step", (json_int_t)m.step, "name",
                               text_json(m.name, true), "value", m.value, "count", (json_int_t)m.count);
    if (metric && isfinite(m.error)) json_object_set_new(metric, "error", json_real(m.error));
    return metric;
}

// Ends the line of a value that is cut: " ..." and how much more there is.
static void print_rest(bool cut, json_int_t more, const char *unit)
{
    if (cut && more > 0) printf(" ... (%lld %s more, see --full)\n", (long long)more, unit);
    else puts(cut ? " ... (see --full)" : "");
}

static void print_json(const json_t *value)
{
    tm_buf text = {0};
    tm_json_text(value, &text);
    if (text.data) fputs(text.data, stdout);
    tm_buf_clear(&text);
}

// A list behind words on a line of its own.
static void print_list(const char *words, const json_t *value)
{
    printf("  %s ", words);
    print_json(value);
    putchar('\n');
}

static void print_record(const tm_type *type, const json_t *record)
{
    bool cut = json_is_true(json_object_get(record, "cut"));
    if (strcmp(type->name, "metrics") == 0) {
        const json_t *error = json_object_get(record, "error");
        printf("%8lld  %-32s %12.6g", (long long)json_integer_value(json_object_get(record, "step")),
               json_string_value(json_object_get(record, "name")),
               json_number_value(json_object_get(record, "value")));
        if (error) printf("  (+-%.2g)", json_number_value(error));
        putchar('\n');
        return;
    }
    if (!json_object_get(record, "bytes")) {  // neither documents nor tokens
        print_json(record);
        print_rest(cut, 0, "");
        return;
    }
    const json_t *meta = json_object_get(record, "meta");
    const char *source = json_string_value(json_object_get(record, "source")),
               *text = json_string_value(json_object_get(record, "text"));
    printf("--- %s  %s  %lld bytes%s", json_string_value(json_object_get(record, "id")), source ? source : "",
           (long long)json_integer_value(json_object_get(record, "bytes")), meta ? "  " : "");
    if (meta) print_json(meta);
    putchar('\n');
    if (text) {
        fputs(text, stdout);
        print_rest(cut, json_integer_value(json_object_get(record, "bytes")) - (json_int_t)strlen(text),
                   "bytes");
    } else {
        json_t *list = json_object_get(record, "ids");
        print_json(list);
        print_rest(cut, json_integer_value(json_object_get(record, "tokens")) -
                            (json_int_t)json_array_size(list), "ids");
    }
}

static tm_status show_row(void *arg, const tm_batch *batch, size_t row, tm_error *err)
{
    window *w = arg;
    const char *type = w->type->name;
    bool full = w->full || w->before;
    json_t *record = strcmp(type, "documents") == 0 ? document_json(batch, row, full)
                     : strcmp(type, "tokens") == 0  ? tokens_json(batch, row, full)
                     : strcmp(type, "metrics") == 0 ? metric_json(batch, row)
                                                    : row_json(w->type, batch, row, full);
    if (!record) return tm_fail(err, TM_ENOMEM, "no memory for a record");
    w->shown++;
    if (w->records) json_array_append(w->records, record);
    else print_record(w->type, record);
    json_decref(record);
    return TM_OK;
}

// Each record as its words became what they are.
static void print_befores(const window *w, const char *from)
{
    size_t i;
    json_t *record;
    json_array_foreach(w->records, i, record)
    {
        const json_t *before = json_object_get(record, "before");
        const char *source = json_string_value(json_object_get(record, "source"));
        bool same = json_is_string(before) && json_equal(before, json_object_get(record, "text"));
        printf("--- %s  %s  %s %s\n", json_string_value(json_object_get(record, "id")), source ? source : "",
               json_is_null(before) ? "not in"
               : same               ? "as in"
                                    : "changed since",
               from);
        const char *text = json_string_value(json_object_get(record, "text"));
        tm_view shown = tm_view_str(text ? text : "");
        if (!json_is_null(before) && !same) tm_before_print(json_object_get(record, "edits"), w->full);
        else {
            size_t n = cut_at(shown, w->full ? shown.size : MOST_BYTES);
            printf("%.*s", (int)n, shown.data);
            print_rest(n < shown.size, (json_int_t)(shown.size - n), "bytes");
        }
    }
}

static tm_status show_data(const tm_cli *cli, tm_store *store, const tm_address *a, const tm_artifact *log,
                           window *w, json_t *into, tm_error *err)
{
    char from[300];
    w->type = a->type;
    if (w->before && strcmp(a->type->name, "documents") != 0)
        return tm_fail(err, TM_EINVAL, "--before is for documents, and %s gives %s", a->node, a->type->name);
    if (w->before && !w->records) w->records = json_array();
    const tm_pick *pick = &w->pick;
    bool chosen = (pick->text || pick->id || pick->without || pick->step) && pick->left > 0 && !pick->skip;
    tm_status status = tm_pick_rows(store, a->type, log, &w->pick, show_row, w, err);
    if (status >= 0 && chosen && !w->shown && !cli->json)
        printf("none of %llu record%s\n", (unsigned long long)log->rows, log->rows == 1 ? "" : "s");
    if (status < 0 || !w->before) return status;
    TM_TRY(tm_before_add(store, a, w->records, from, err));
    json_object_set_new(into, "input", json_string(from));
    if (!cli->json) print_befores(w, from);
    return TM_OK;
}

static void print_tensors(const json_t *tensors, bool full)
{
    size_t i;
    json_t *tensor;
    if (!json_array_size(tensors)) return;
    printf("  %zu tensors of %llu numbers%s\n", json_array_size(tensors),
           (unsigned long long)tm_tensors_size(tensors), full ? "" : " (--full lists them)");
    json_array_foreach (tensors, i, tensor) {
        char *shape = full ? json_dumps(json_object_get(tensor, "shape"), JSON_COMPACT) : NULL;
        if (shape)
            printf("    %-6s %-16s %s\n", json_string_value(json_object_get(tensor, "dtype")), shape,
                   json_string_value(json_object_get(tensor, "name")));
        free(shape);
    }
}

static void print_which(const tm_artifact *log, const tm_entry *entry, const tm_tree *tree)
{
    const json_t *step = json_object_get(tree->attributes, "step");
    size_t i = 0;
    while (i < log->count && !tm_hash_eq(log->entries[i].hash, entry->hash)) i++;
    if (step && log->count > 1)
        printf("  the one of step %lld, number %zu of %zu\n", (long long)json_integer_value(step), i + 1,
               log->count);
}

static tm_status show_tree(const tm_cli *cli, tm_store *store, const tm_address *a, const tm_artifact *log,
                           json_t *into, tm_error *err)
{
    tm_entry entry;
    tm_tree tree = {0};
    TM_TRY(tm_address_entry(store, a, &entry, err));
    TM_TRY(tm_tree_get(store, entry.hash, &tree, err));
    if (!cli->json) print_which(log, &entry, &tree);
    json_t *files = json_array(), *steps = json_array(), *tensors = json_array(), *hollow = json_array();
    for (size_t i = 0; i < log->count; i++) {
        tm_tree one = {0};
        if (tm_tree_get(store, log->entries[i].hash, &one, NULL) < 0) continue;
        json_t *step = json_object_get(one.attributes, "step");
        if (step) json_array_append(steps, step);
        if (step && !tm_tree_complete(store, log->entries[i].hash)) json_array_append(hollow, step);
        tm_tree_clear(&one);
    }
    for (size_t i = 0; i < tree.count; i++) {
        json_array_append_new(files, json_pack("{s:s, s:I}", "name", tree.files[i].name, "bytes",
                                               (json_int_t)tree.files[i].bytes));
        char size[16];
        if (!cli->json) printf("  %8s  %s\n", tm_size_text(tree.files[i].bytes, size), tree.files[i].name);
    }
    if (!cli->json && json_object_size(tree.attributes)) print_list("attributes", tree.attributes);
    if (!cli->json && json_array_size(steps) > 1) print_list("snapshots at steps (--step N)", steps);
    if (!cli->json && json_array_size(hollow)) print_list("their bytes were not kept:", hollow);
    if (json_array_size(hollow)) json_object_set(into, "hollow", hollow);
    json_decref(hollow);
    tm_status status = tm_tensors_list(store, entry.hash, &tree, tensors, err);
    if (!cli->json && status >= 0) print_tensors(tensors, tm_cli_flag(cli, "--full") != NULL);
    if (json_array_size(tensors)) json_object_set(into, "tensors", tensors);
    json_decref(tensors);
    json_object_set_new(into, "files", files);
    json_object_set(into, "attributes", tree.attributes);
    json_object_set_new(into, "steps", steps);
    tm_tree_clear(&tree);
    return status;
}

static void print_counts(const json_t *counts)
{
    const char *name;
    json_t *n;
    json_object_foreach((json_t *)counts, name, n)
        printf("  %s %lld\n", name, (long long)json_integer_value(n));
}

static void print_head(const tm_address *a, const tm_artifact *log)
{
    char size[16];
    printf("%s:%s%s%s  %s: %zu %s%s", a->run, tm_address_node(a), a->port[0] ? "." : "", a->port,
           a->type->name, log->count, a->type->entry, log->count == 1 ? "" : "s");
    if (!a->type->tree)
        printf(", %llu %s", (unsigned long long)log->rows, log->rows == 1 ? "record" : "records");
    printf(", %s\n", tm_size_text(log->bytes, size));
}

// What was accepted for this result, and the kind of processor that a numeric one was made on.
static void show_origin(const tm_cli *cli, const json_t *facts, json_t *into)
{
    json_t *accepted = json_object_get(facts, "accepted"), *cpu = json_object_get(facts, "cpu");
    const char *what = json_string_value(json_object_get(accepted, "what"));
    if (accepted) json_object_set(into, "accepted", accepted);
    if (cpu) json_object_set(into, "cpu", cpu);
    if (what && !cli->json) printf("  accepted: %s\n", what);
    if (cpu && !cli->json) printf("  made on: %s\n", json_string_value(cpu));
}

// What there is at an address: printed, or as JSON with --json.
static tm_status show(const tm_cli *cli, tm_store *store, const tm_address *a, window w, json_t **shown,
                      tm_error *err)
{
    char artifact[TM_HASH_HEX];
    tm_artifact log = {0};
    tm_entry entry;
    if (a->type->tree) TM_TRY(tm_address_entry(store, a, &entry, err)); // nothing is said if there is none
    TM_TRY(tm_address_log(store, a, &log, err));
    tm_hash_hex(a->artifact, artifact);
    w.records = cli->json ? json_array() : NULL;
    json_t *into = *shown = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "artifact", artifact, "run",
                                      a->run, "node", a->node, "port", a->port, "type", a->type->name,
                                      "entries", (json_int_t)log.count, "rows", (json_int_t)log.rows, "bytes",
                                      (json_int_t)log.bytes);
    const json_t *counts = json_object_get(a->facts, "counts");
    if (!cli->json) print_head(a, &log);
    show_origin(cli, a->facts, into);
    if (!cli->json) print_counts(counts);
    if (counts) json_object_set(into, "counts", (json_t *)counts);
    tm_status status = a->type->tree ? show_tree(cli, store, a, &log, into, err)
                                     : show_data(cli, store, a, &log, &w, into, err);
    if (w.records) json_object_set_new(into, "records", w.records);
    tm_artifact_clear(&log);
    return status;
}

// What the steps of a curate chain removed, part by part.
static tm_status show_parts(const tm_cli *cli, tm_store *store, const tm_address *a, const json_t *addresses,
                            window w, json_t **shown, tm_error *err)
{
    json_t *address, *part, *parts = json_array(), *records = json_array();
    json_int_t rows = 0;
    size_t i;
    tm_status status = TM_OK;
    json_array_foreach (addresses, i, address) {
        tm_address step;
        part = NULL;
        status = tm_address_resolve(store, json_string_value(address), &step, err);
        if (status < 0) break;
        status = show(cli, store, &step, w, &part, err);
        tm_address_clear(&step);
        rows += json_integer_value(json_object_get(part, "rows"));
        json_array_extend(records, json_object_get(part, "records"));
        if (part) json_array_append_new(parts, part);
        if (status < 0) break;
    }
    if (!cli->json && status >= 0)
        printf("%s:%s.%s  %lld record%s of %zu steps\n", a->run, a->chain[0] ? a->chain : a->node, a->port,
               (long long)rows, rows == 1 ? "" : "s", json_array_size(parts));
    *shown = json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:o}", "run", a->run, "node", a->node, "port", a->port,
                       "type", a->type->name, "rows", rows, "parts", parts, "records", records);
    return status;
}

// The ids at the address that --not-in names.
static tm_status read_others(tm_store *store, const char *text, tm_ids *ids, tm_error *err)
{
    tm_address a, part;
    size_t i;
    json_t *address;
    TM_TRY(tm_address_resolve(store, text, &a, err));
    json_t *parts = tm_address_parts(store, &a);
    tm_status status = TM_OK;
    json_array_foreach(parts, i, address)
    {
        tm_artifact log = {0};
        status = tm_address_resolve(store, json_string_value(address), &part, err);
        if (status < 0) break;
        status = tm_artifact_get(store, part.artifact, &log, err);
        if (status >= 0) status = tm_ids_read(store, part.type, &log, ids, err);
        tm_artifact_clear(&log);
        tm_address_clear(&part);
        if (status < 0) break;
    }
    json_decref(parts);
    tm_address_clear(&a);
    return status;
}

static tm_status inspect(const tm_cli *cli, tm_store *store, window w, tm_error *err)
{
    tm_address a;
    json_t *shown = NULL;
    char text[400];
    const char *of_step = tm_cli_flag(cli, "--step");
    if (of_step && strlen(cli->args[0]) + strlen(of_step) + 2 > sizeof text)
        return tm_fail(err, TM_EINVAL, "the address is too long");
    snprintf(text, sizeof text, "%s%s%s", cli->args[0], of_step ? "@" : "", of_step ? of_step : "");
    TM_TRY(tm_address_resolve(store, text, &a, err));
    bool metrics = strcmp(a.type->name, "metrics") == 0;
    int64_t step = strtoll(a.at, NULL, 10);
    if (metrics && a.at[0]) w.pick.step = &step;
    if (w.pick.left < 0) w.pick.left = metrics ? 1000 : 5;
    json_t *parts = tm_address_parts(store, &a);
    tm_status status = json_array_size(parts) > 1 ? show_parts(cli, store, &a, parts, w, &shown, err)
                                                  : show(cli, store, &a, w, &shown, err);
    json_decref(parts);
    if (cli->json && status >= 0) tm_cli_print(cli, json_incref(shown));
    json_decref(shown);
    tm_address_clear(&a);
    return status;
}

static int read_flags(const tm_cli *cli, window *w)
{
    double skip = 0, count = -1, seed = 1;
    bool sample = tm_cli_flag(cli, "--sample") != NULL;
    int code = tm_cli_number(cli, "--skip", 0, &skip);
    if (code == TM_EXIT_OK) code = tm_cli_number(cli, sample ? "--sample" : "--count", 0, &count);
    if (code == TM_EXIT_OK) code = tm_cli_number(cli, "--seed", 0, &seed);
    w->pick = (tm_pick){.skip = (int64_t)skip, .left = (int64_t)count, .text = tm_cli_flag(cli, "--grep"),
                        .id = tm_cli_flag(cli, "--id"), .sample = sample, .seed = (uint64_t)seed};
    w->full = tm_cli_flag(cli, "--full") != NULL;
    w->before = tm_cli_flag(cli, "--before") != NULL;
    return code;
}

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    tm_error err = {0};
    tm_ids others = {0};
    window w = {0};
    const char *other = tm_cli_flag(cli, "--not-in");
    int code = read_flags(cli, &w);
    if (code == TM_EXIT_OK) code = tm_session_store(&session, cli, 0);
    if (code == TM_EXIT_OK && other) {
        w.pick.without = &others;
        if (read_others(session.store, other, &others, &err) < 0) code = tm_cli_fail(cli, &err);
    }
    if (code == TM_EXIT_OK && inspect(cli, session.store, w, &err) < 0) code = tm_cli_fail(cli, &err);
    tm_ids_clear(&others);
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_inspect = {
    .name = "inspect",
    .brief = "Look into a result: records (and what they were before), metrics, the files of a snapshot.",
    .usage = "ADDRESS",
    .example = "tidemill inspect clean/gopher.removed",
    .min = 1,
    .max = 1,
    .flags = flags,
    .exec = exec,
};
