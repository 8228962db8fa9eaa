// SPDX-License-Identifier: Apache-2.0
// verify: read everything in the store and compare it with its hash.
#include <stdio.h>

#include "engine/store_artifact.h"
#include "engine/store_gc.h"
#include "engine/store_tree.h"
#include "lua/cli/counts.h"
#include "lua/cli/session.h"

enum { MOST_LINES = 10 }; // of each kind

// What is wrong, by the hash that names it: {"what", "hash", "bytes", "of": "r1:clean"}.
typedef struct finds {
    json_t *corrupt;    // objects
    json_t *incomplete; // results
} finds;

static void note(const char *what, const char *name, uint64_t bytes, void *arg)
{
    finds *f = arg;
    json_object_set_new(what[0] == 'c' ? f->corrupt : f->incomplete, name,
                        json_pack("{s:s, s:s, s:I, s:n}", "what", what, "hash", name, "bytes",
                                  (json_int_t)bytes, "of"));
}

// ---- whose it is ----

static void name_one(json_t *list, tm_hash hash, const char *of)
{
    char hex[TM_HASH_HEX];
    tm_hash_hex(hash, hex);
    json_t *one = json_object_get(list, hex);
    if (one && json_is_null(json_object_get(one, "of"))) json_object_set_new(one, "of", json_string(of));
}

static void name_tree(tm_store *store, json_t *list, tm_hash hash, const char *of)
{
    tm_tree tree = {0};
    if (tm_tree_get(store, hash, &tree, NULL) < 0) return;
    for (size_t i = 0; i < tree.count; i++) name_one(list, tree.files[i].hash, of);
    tm_tree_clear(&tree);
}

static void name_artifact(tm_store *store, json_t *list, tm_hash hash, const char *of)
{
    tm_artifact log = {0};
    name_one(list, hash, of);
    if (tm_artifact_get(store, hash, &log, NULL) < 0) return;
    for (size_t i = 0; i < log.count; i++) {
        name_one(list, log.entries[i].hash, of);
        if (log.trees) name_tree(store, list, log.entries[i].hash, of);
    }
    tm_artifact_clear(&log);
}

// "r1:clean"; of what a node gives besides, with the port: "r1:docs.valid".
static void name_ports(tm_store *store, const tm_record *record, json_t *list, const char *of)
{
    char name[340];
    for (size_t k = 0; k < record->n_ports; k++) {
        snprintf(name, sizeof name, "%s%s%s", of, k ? "." : "", k ? record->ports[k].name : "");
        name_artifact(store, list, record->ports[k].artifact, name);
    }
}

static void name_results(tm_store *store, const finds *f)
{
    for (size_t i = 0; i < tm_key_count(store); i++) {
        const tm_record *record = tm_key_at(store, i);
        json_t *facts = json_loads(record->json, 0, NULL);
        const char *run = json_string_value(json_object_get(facts, "run"));
        const char *node = json_string_value(json_object_get(facts, "node"));
        char of[300];
        snprintf(of, sizeof of, "%s:%s", run ? run : "?", node ? node : "?");
        if (run && node) name_one(f->incomplete, record->content, of);
        if (run && node && json_object_size(f->corrupt)) name_ports(store, record, f->corrupt, of);
        json_decref(facts);
    }
}

// ---- the report ----

static void print_find(const json_t *one)
{
    const char *of = json_string_value(json_object_get(one, "of"));
    const char *hash = json_string_value(json_object_get(one, "hash"));
    unsigned long long bytes = (unsigned long long)json_integer_value(json_object_get(one, "bytes"));
    fprintf(stderr, "%s %s", json_string_value(json_object_get(one, "what")), of ? of : hash);
    if (bytes) fprintf(stderr, " (%llu bytes%s%s)", bytes, of ? ", " : "", of ? hash : "");
    fputs(of ? "\n" : ", of no result that can be read\n", stderr);
}

// Results of one node are told once: a trainer has several.
static void print_finds(const json_t *list)
{
    size_t shown = 0, n = 0;
    const char *hash;
    json_t *one, *told = json_object();
    json_object_foreach((json_t *)list, hash, one)
    {
        const char *of = json_string_value(json_object_get(one, "of"));
        bool result = !json_integer_value(json_object_get(one, "bytes"));
        if (of && result && json_object_get(told, of)) continue;
        if (of && result) json_object_set_new(told, of, json_true());
        n++;
        if (shown == MOST_LINES) continue;
        print_find(one);
        shown++;
    }
    if (n > shown) fprintf(stderr, "and %zu more\n", n - shown);
    json_decref(told);
}

static void print_json(const tm_cli *cli, const tm_verify_report *r, const finds *f)
{
    json_t *damaged = json_array(), *one;
    const char *hash;
    json_object_foreach(f->corrupt, hash, one) json_array_append(damaged, one);
    json_object_foreach(f->incomplete, hash, one) json_array_append(damaged, one);
    tm_cli_print(cli, json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "objects", (json_int_t)r->objects,
                                "corrupt", (json_int_t)r->corrupt, "bytes", (json_int_t)r->bytes, "records",
                                (json_int_t)r->records, "incomplete", (json_int_t)r->incomplete, "damaged",
                                damaged));
}

static bool has_nameless(const json_t *list)
{
    const char *hash;
    json_t *one;
    json_object_foreach((json_t *)list, hash, one) if (json_is_null(json_object_get(one, "of"))) return true;
    return false;
}

static void print_text(const tm_verify_report *r, const finds *f)
{
    char size[16];
    print_finds(f->corrupt);
    print_finds(f->incomplete);
    printf("%zu objects (%s), %zu corrupt; %zu results, %zu without their bytes\n", r->objects,
           tm_size_text(r->bytes, size), r->corrupt, r->records, r->incomplete);
    if (has_nameless(f->corrupt))
        printf("of no result that can be read: where a stopped run goes on from, what `tidemill gc` frees, "
               "or parts of what is damaged too\n");
    if (r->corrupt || r->bad_bytes)
        printf("what was damaged is set aside and is made anew when it is needed\n");
    if (r->incomplete)
        printf("incomplete: the store knows of the result, and does not have all its bytes: a run that needs "
               "them makes it anew\n");
}

static tm_status verify(const tm_cli *cli, tm_store *store, tm_verify_report *r, tm_error *err)
{
    finds f = {json_object(), json_object()};
    tm_status status = tm_store_verify(store, note, &f, r, err);
    if (status >= 0 && (r->corrupt || r->incomplete)) name_results(store, &f);
    if (status >= 0 && cli->json) print_json(cli, r, &f);
    else if (status >= 0) print_text(r, &f);
    json_decref(f.corrupt);
    json_decref(f.incomplete);
    return status;
}

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    tm_error err = {0};
    tm_verify_report r = {0};
    int code = tm_session_store(&session, cli, 0);
    if (code == TM_EXIT_OK && verify(cli, session.store, &r, &err) < 0) code = tm_cli_fail(cli, &err);
    if (code == TM_EXIT_OK && (r.corrupt || r.bad_bytes)) code = TM_EXIT_CORRUPT;
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_verify = {
    .name = "verify", .brief = "Read everything in the store and compare it with its hash.", .usage = "",
    .example = "tidemill verify", .exec = exec,
};
