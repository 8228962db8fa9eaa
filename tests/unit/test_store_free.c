// SPDX-License-Identifier: Apache-2.0
// Freeing a few trees while everybody works.
#include <fcntl.h>
#include <sys/stat.h>

#include "engine/store_free.h"
#include "engine/store_key.h"
#include "engine/store_log.h"
#include "engine/store_tree.h"
#include "tests/unit/store_fixture.h"

// A tree of two files: one of its own, and one with the bytes `shared`.
static tm_hash put_tree(tm_store *s, const char *own, const char *shared)
{
    tm_tree_file files[2] = {{.name = (char *)"own"}, {.name = (char *)"shared"}};
    tm_hash hash;
    OK(tm_store_put(s, own, strlen(own), TM_PUT_FILE, &files[0].hash, &err));
    OK(tm_store_put(s, shared, strlen(shared), TM_PUT_FILE, &files[1].hash, &err));
    files[0].bytes = strlen(own);
    files[1].bytes = strlen(shared);
    OK(tm_tree_put(s, &(tm_tree){.files = files, .count = 2}, &hash, &err));
    return hash;
}

static void rest(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static void free_one(tm_store *s, tm_hash tree, tm_hash keep, int64_t grace_ms)
{
    tm_free_list list = {.trees = &tree, .n_trees = 1, .recipe = tm_hash_of("recipe", 6), .keep = &keep,
                         .n_keep = 1, .grace_ms = grace_ms};
    rest();
    OK(tm_store_free(s, &list, &err));
}

static bool has(tm_store *s, const char *bytes)
{
    return tm_store_has(s, tm_hash_of(bytes, strlen(bytes)));
}

static void a_tree_goes_with_the_files_that_nobody_else_has(void **state)
{
    tm_store *s = fresh(state);
    tm_hash a = put_tree(s, "a", "both"), b = put_tree(s, "b", "both");
    free_one(s, a, b, 1);
    assert_false(tm_store_has(s, a));
    assert_false(has(s, "a"));
    assert_true(has(s, "both"));
    assert_true(tm_tree_complete(s, b));
}

static void what_is_young_stays(void **state)
{
    tm_store *s = fresh(state);
    tm_hash a = put_tree(s, "a", "x");
    free_one(s, a, (tm_hash){{0}}, 60000);
    assert_true(tm_tree_complete(s, a));
}

static void what_a_record_names_stays(void **state)
{
    tm_store *s = fresh(state);
    tm_hash a = put_tree(s, "a", "x"), b = put_tree(s, "b", "x");
    char hex[TM_HASH_HEX], json[80];
    tm_bind_outcome outcome;
    tm_hash_hex(a, hex);
    snprintf(json, sizeof json, "{\"refs\":[\"%s\"]}", hex);
    tm_record record = {.own = a, .recipe = a, .content = a, .json = json};
    OK(tm_key_bind(s, &record, false, &outcome, &err));
    free_one(s, a, (tm_hash){{0}}, 1);
    free_one(s, b, (tm_hash){{0}}, 1);
    assert_true(tm_tree_complete(s, a));
    assert_false(tm_store_has(s, b));
}

// The open log of the recipe that frees does not count; that of another does.
static void what_another_log_names_stays(void **state)
{
    tm_store *s = fresh(state);
    tm_hash a = put_tree(s, "a", "x"), b = put_tree(s, "b", "y");
    const char *recipes[] = {"recipe", "other"};
    tm_hash trees[] = {a, b};
    for (int i = 0; i < 2; i++) {
        tm_log *log;
        OK(tm_log_open(s, tm_hash_of(recipes[i], strlen(recipes[i])), "main", &log, &err));
        OK(tm_log_append(log, (tm_entry){.hash = trees[i], .rows = 1}, NULL, &err));
        tm_log_close(log);
    }
    free_one(s, a, (tm_hash){{0}}, 1);
    free_one(s, b, (tm_hash){{0}}, 1);
    assert_false(tm_store_has(s, a));
    assert_true(tm_tree_complete(s, b));
}

static void what_is_pinned_stays_until_it_is_unpinned(void **state)
{
    tm_store *s = fresh(state), *reader;
    tm_hash a = put_tree(s, "a", "x");
    OK(tm_store_open(store_path, TM_STORE_NO_KEYS, &reader, &err));
    OK(tm_store_pin(reader, a, &err));
    OK(tm_store_pin(reader, a, &err));
    OK(tm_store_unpin(reader, a, &err));
    free_one(s, a, (tm_hash){{0}}, 1);
    assert_true(tm_tree_complete(s, a));
    OK(tm_store_unpin(reader, a, &err));
    free_one(s, a, (tm_hash){{0}}, 1);
    assert_false(tm_store_has(s, a));
    tm_hash b = put_tree(s, "b", "x");  // the place in the file of pins is used again
    OK(tm_store_pin(reader, b, &err));
    OK(tm_store_pin(reader, a, &err));
    free_one(s, b, (tm_hash){{0}}, 1);
    assert_true(tm_tree_complete(s, b));
    tm_store_close(reader);
}

static void bind(tm_store *s, const char *name, const tm_entry *entries, size_t n, const char *json)
{
    tm_key_port port = {.name = ""};
    tm_bind_outcome outcome;
    OK(tm_artifact_put(s, "model", true, entries, n, &port.artifact, &err));
    tm_hash key = tm_hash_of(name, strlen(name));
    OK(tm_key_bind(s, &(tm_record){.own = key, .recipe = key, .content = key, .ports = &port, .n_ports = 1,
                                   .json = json}, false, &outcome, &err));
}

static void hollow_one(tm_store *s, tm_hash tree)
{
    tm_free_list list = {.hollow = &tree, .n_hollow = 1, .recipe = tm_hash_of("recipe", 6), .grace_ms = 1};
    rest();
    OK(tm_store_free(s, &list, &err));
}

static tm_verify_report verify(tm_store *s)
{
    tm_verify_report report;
    OK(tm_store_verify(s, NULL, NULL, &report, &err));
    return report;
}

static void a_hollow_entry_keeps_its_manifest_and_its_record_is_whole(void **state)
{
    tm_store *s = fresh(state);
    tm_entry entries[2] = {{.hash = put_tree(s, "a", "x"), .rows = 1},
                           {.hash = put_tree(s, "b", "x"), .rows = 1}};
    char hex[TM_HASH_HEX], json[100], folder[TM_PATH_MAX];
    tm_hash_hex(entries[1].hash, hex);
    snprintf(json, sizeof json, "{\"kept\":{\"\":[\"%s\"]}}", hex);
    bind(s, "one", entries, 2, json);
    OK(tm_tree_folder(s, entries[0].hash, folder, &err));
    hollow_one(s, entries[0].hash);
    hollow_one(s, entries[1].hash);  // the record keeps it
    assert_true(tm_store_has(s, entries[0].hash));
    assert_false(tm_tree_complete(s, entries[0].hash));
    assert_false(tm_file_exists(folder));
    assert_true(tm_tree_complete(s, entries[1].hash));
    assert_int_equal(verify(s).incomplete, 0);
    tm_gc_policy policy = {.keep_ms = INT64_MAX / 2};
    tm_gc_report report;
    OK(tm_store_gc(s, &policy, false, NULL, NULL, &report, &err));
    assert_true(tm_store_has(s, entries[0].hash));
    assert_true(tm_tree_complete(s, entries[1].hash));
    assert_int_equal(tm_tree_folder(s, entries[0].hash, folder, &err), TM_ENOENT);
    assert_non_null(strstr(err.text, "not in the store any more"));
}

// Whichever record is looked at first.
static void another_record_that_promises_all_bytes_keeps_them(void **state)
{
    for (int first = 0; first < 2; first++) {
        tm_store *s = fresh(state);
        tm_entry entry = {.hash = put_tree(s, first ? "a" : "b", "x"), .rows = 1};
        const char *json[] = {"{\"kept\":{\"\":[]}}", "{}"};
        bind(s, first ? "p" : "q", &entry, 1, json[first]);
        bind(s, first ? "r" : "s", &entry, 1, json[1 - first]);
        hollow_one(s, entry.hash);
        assert_true(tm_tree_complete(s, entry.hash));
        tm_gc_policy policy = {.keep_ms = INT64_MAX / 2};
        tm_gc_report report;
        OK(tm_store_gc(s, &policy, false, NULL, NULL, &report, &err));
        assert_true(tm_tree_complete(s, entry.hash));
        tm_store_close(s);
    }
    *state = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_tree_goes_with_the_files_that_nobody_else_has),
        in_folder(what_is_young_stays),
        in_folder(what_a_record_names_stays),
        in_folder(what_another_log_names_stays),
        in_folder(a_hollow_entry_keeps_its_manifest_and_its_record_is_whole),
        in_folder(another_record_that_promises_all_bytes_keeps_them),
        in_folder(what_is_pinned_stays_until_it_is_unpinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
