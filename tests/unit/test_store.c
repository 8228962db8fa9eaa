// SPDX-License-Identifier: Apache-2.0
// Objects: put, get, sync, damage.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "engine/store_tree.h"
#include "tests/unit/store_fixture.h"

static void what_is_put_can_be_got(void **state)
{
    tm_store *s = fresh(state);
    char bytes[300000];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)tm_random_u64(1, 2, i);
    size_t sizes[] = {0, 1, 100, 4096, sizeof bytes};
    for (size_t i = 0; i < 5; i++) {
        tm_hash hash;
        tm_blob blob;
        OK(tm_store_put(s, bytes, sizes[i], 0, &hash, &err));
        assert_true(tm_hash_eq(hash, tm_hash_of(bytes, sizes[i])));
        assert_true(tm_store_has(s, hash));
        OK(tm_store_get(s, hash, &blob, &err));
        assert_int_equal(blob.size, sizes[i]);
        assert_memory_equal(blob.data, bytes, sizes[i]);
        tm_blob_clear(&blob);
    }
    OK(tm_store_sync(s, &err));
}

static void compressed_objects_have_the_name_of_their_bytes(void **state)
{
    tm_store *s = fresh(state);
    static char text[100000];
    memset(text, 'a', sizeof text);
    tm_hash hash;
    tm_blob blob;
    char path[TM_PATH_MAX];
    OK(tm_store_put(s, text, sizeof text, TM_PUT_COMPRESS, &hash, &err));
    assert_true(tm_hash_eq(hash, tm_hash_of(text, sizeof text)));
    assert_int_equal(tm_store_path(s, hash, path, &err), TM_ENOENT);
    OK(tm_store_get(s, hash, &blob, &err));
    assert_int_equal(blob.size, sizeof text);
    assert_memory_equal(blob.data, text, sizeof text);
    tm_blob_clear(&blob);
    OK(tm_store_put(s, text, sizeof text, TM_PUT_FILE, &hash, &err));
    OK(tm_store_path(s, hash, path, &err));
    OK(tm_store_sync(s, &err));
}

static void a_writer_makes_the_same_object_as_put(void **state)
{
    tm_store *s = fresh(state);
    tm_store_writer *w;
    tm_hash a, b;
    uint64_t bytes;
    OK(tm_store_writer_new(s, 100, &w, &err));
    OK(tm_store_writer_add(w, "hello ", 6, &err));
    OK(tm_store_writer_add(w, "world", 5, &err));
    OK(tm_store_writer_commit(w, &a, &bytes, &err));
    OK(tm_store_put(s, "hello world", 11, TM_PUT_FILE, &b, &err));
    assert_true(tm_hash_eq(a, b));
    assert_int_equal(bytes, 11);
    assert_int_equal(count_names("tmp"), 0);
}

static void big_objects_are_mapped(void **state)
{
    tm_store *s = fresh(state);
    enum { SIZE = 9 << 20 };
    char *big = calloc(1, SIZE);
    tm_hash hash;
    tm_blob blob;
    OK(tm_store_put(s, big, SIZE, 0, &hash, &err));
    OK(tm_store_get(s, hash, &blob, &err));
    assert_true(blob.mapped);
    assert_memory_equal(blob.data, big, SIZE);
    tm_blob_clear(&blob);
    free(big);
}

static void an_aborted_writer_leaves_nothing(void **state)
{
    tm_store *s = fresh(state);
    tm_store_writer *w;
    OK(tm_store_writer_new(s, 1000, &w, &err));
    OK(tm_store_writer_add(w, "x", 1, &err));
    tm_store_writer_abort(w);
    tm_store_writer_abort(NULL);
    assert_int_equal(count_names("tmp"), 0);
}

static void a_missing_object_is_enoent(void **state)
{
    tm_store *s = fresh(state);
    tm_hash hash = tm_hash_of("nothing", 7);
    tm_blob blob;
    assert_false(tm_store_has(s, hash));
    assert_int_equal(tm_store_get(s, hash, &blob, &err), TM_ENOENT);
    assert_int_equal(tm_store_claim(s, &hash, 1, &err), TM_ENOENT);
}

static void a_damaged_object_is_moved_aside_and_can_be_put_again(void **state)
{
    tm_store *s = fresh(state);
    tm_hash hash, again;
    tm_blob blob;
    char path[TM_PATH_MAX];
    OK(tm_store_put(s, "some bytes", 10, 0, &hash, &err));
    OK(tm_store_path(s, hash, path, &err));
    damage(path, 3);
    assert_int_equal(tm_store_get(s, hash, &blob, &err), TM_ECORRUPT);
    assert_false(tm_store_has(s, hash));
    OK(tm_store_put(s, "some bytes", 10, 0, &again, &err));
    OK(tm_store_get(s, hash, &blob, &err));
    tm_blob_clear(&blob);
}

static void putting_over_a_damaged_object_mends_it(void **state)
{
    tm_store *s = fresh(state);
    tm_hash hash;
    tm_blob blob;
    char path[TM_PATH_MAX];
    for (int empty = 0; empty < 2; empty++) {
        OK(tm_store_put(s, "some bytes", 10, 0, &hash, &err));
        OK(tm_store_path(s, hash, path, &err));
        if (empty) empty_file(path);
        else damage(path, 9);
        tm_store_close(s);
        s = reopen(state, 0);
        OK(tm_store_put(s, "some bytes", 10, 0, &hash, &err));
        OK(tm_store_get(s, hash, &blob, &err));
        tm_blob_clear(&blob);
    }
}

static int failing_fsync(int fd)
{
    return errno = EIO, -1;
}

static void what_could_not_be_made_durable_is_gone_and_can_be_put_again(void **state)
{
    tm_store *s = fresh(state);
    tm_hash hash;
    OK(tm_store_put(s, "bytes", 5, 0, &hash, &err));
    tm_sys.fsync = failing_fsync;
    assert_int_equal(tm_store_sync(s, &err), TM_EIO);
    assert_non_null(strstr(err.text, "1 of 1 new objects are lost"));
    assert_false(tm_store_has(s, hash));
    tm_sys = tm_io_real();
    OK(tm_store_sync(s, &err));
    OK(tm_store_put(s, "bytes", 5, 0, &hash, &err));
    OK(tm_store_sync(s, &err));
    assert_true(tm_store_has(s, hash));
}

static int fsyncs;

static int fsync_fails_once(int fd)
{
    if (fsyncs++ == 0) return errno = EIO, -1;
    return fsync(fd);
}

static void after_a_failed_fsync_the_bytes_go_into_a_new_file(void **state)
{
    tm_store *s = fresh(state);
    char path[TM_PATH_MAX];
    struct stat before, after;
    tm_hash hash;
    OK(tm_store_put(s, "bytes", 5, 0, &hash, &err));
    OK(tm_store_path(s, hash, path, &err));
    assert_int_equal(stat(path, &before), 0);
    fsyncs = 0;
    tm_sys.fsync = fsync_fails_once;
    OK(tm_store_sync(s, &err));
    assert_true(fsyncs > 2);
    assert_int_equal(stat(path, &after), 0);
    assert_int_not_equal(before.st_ino, after.st_ino);
    assert_int_equal(count_names("tmp"), 0);
}

static void what_others_announced_stays_when_our_fsync_fails(void **state)
{
    tm_store *s = fresh(state), *later;
    tm_hash hash;
    OK(tm_store_put(s, "bytes", 5, 0, &hash, &err));
    OK(tm_store_sync(s, &err));
    OK(tm_store_open(store_path, 0, &later, &err));
    OK(tm_store_put(later, "bytes", 5, 0, &hash, &err));
    tm_sys.fsync = failing_fsync;
    assert_int_equal(tm_store_sync(later, &err), TM_EIO);
    assert_true(tm_store_has(s, hash));
    tm_sys = tm_io_real();
    tm_store_close(later);
}

static void a_dead_workers_objects_can_be_claimed(void **state)
{
    tm_store *s = fresh(state), *worker;
    tm_hash hash;
    OK(tm_store_open(store_path, TM_STORE_NO_KEYS, &worker, &err));
    OK(tm_store_put(worker, "bytes", 5, 0, &hash, &err));
    tm_store_close(worker);
    OK(tm_store_claim(s, &hash, 1, &err));
    tm_sys.fsync = failing_fsync;
    assert_int_equal(tm_store_sync(s, &err), TM_EIO);
}

static void claiming_an_artifact_claims_its_snapshots_and_their_files(void **state)
{
    tm_store *s = fresh(state);
    tm_tree_file file = {.name = "weights", .bytes = 7};
    tm_entry entry = {.rows = 1, .bytes = 7};
    tm_hash artifact;
    OK(tm_store_put(s, "weights", 7, TM_PUT_FILE, &file.hash, &err));
    OK(tm_tree_put(s, &(tm_tree){.files = &file, .count = 1}, &entry.hash, &err));
    OK(tm_artifact_put(s, "model", true, &entry, 1, &artifact, &err));
    tm_store_close(s);
    s = reopen(state, 0);
    OK(tm_store_claim(s, &artifact, 1, &err));
    tm_sys.fsync = failing_fsync;
    assert_int_equal(tm_store_sync(s, &err), TM_EIO);
    assert_non_null(strstr(err.text, "3 of 3 new objects are lost"));
}

// Each puts what the others put as well, reads it back, pins and syncs.
static void *put_and_get(void *arg)
{
    tm_store *s = arg;
    tm_error e;
    for (int i = 0; i < 150; i++) {
        tm_hash hash;
        tm_blob blob;
        if (tm_store_put(s, &i, sizeof i, 0, &hash, &e) < 0 || tm_store_pin(s, hash, &e) < 0 ||
            tm_store_get(s, hash, &blob, &e) < 0)
            return "failed";
        bool same = blob.size == sizeof i && memcmp(blob.data, &i, sizeof i) == 0;
        tm_blob_clear(&blob);
        if (!same || (i % 50 == 0 && tm_store_sync(s, &e) < 0)) return "wrong";
    }
    return NULL;
}

static void threads_share_a_store(void **state)
{
    tm_store *s = fresh(state);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, put_and_get, s), 0);
    for (int i = 0; i < 4; i++) {
        void *failure;
        pthread_join(threads[i], &failure);
        assert_null(failure);
    }
    assert_int_equal(count_names("tmp"), 0);
}

static void a_file_can_be_taken(void **state)
{
    tm_store *s = fresh(state);
    char path[TM_PATH_MAX], object[TM_PATH_MAX];
    tm_hash hash;
    uint64_t bytes;
    OK(tm_store_tmp(s, path, &err));
    OK(tm_file_write(path, "weights", 7, false, &err));
    OK(tm_store_put_file(s, path, false, &hash, &bytes, &err));
    assert_true(tm_file_exists(path));
    OK(tm_store_put_file(s, path, true, &hash, &bytes, &err));
    assert_false(tm_file_exists(path));
    assert_int_equal(bytes, 7);
    OK(tm_store_path(s, hash, object, &err));
    struct stat info;
    assert_int_equal(stat(object, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0444);
    OK(tm_store_sync(s, &err));
}

static void a_folder_with_other_things_does_not_become_a_store(void **state)
{
    tm_store *s = NULL;
    char path[TM_PATH_MAX];
    snprintf(path, sizeof path, "%s/home", root);
    OK(tm_dir_make(path, &err));
    snprintf(path, sizeof path, "%s/home/letter.txt", root);
    OK(tm_file_write(path, "dear", 4, false, &err));
    snprintf(path, sizeof path, "%s/home", root);
    assert_int_equal(tm_store_open(path, TM_STORE_CREATE, &s, &err), TM_EFORMAT);
    snprintf(path, sizeof path, "%s/absent", root);
    assert_int_equal(tm_store_open(path, 0, &s, &err), TM_ENOENT);
    assert_null(s);
}

static void a_store_of_another_version_is_refused(void **state)
{
    tm_store *s = fresh(state);
    char path[TM_PATH_MAX];
    snprintf(path, sizeof path, "%s/format", tm_store_folder(s));
    OK(tm_file_write(path, "tidemill store 2\n", 17, false, &err));
    tm_store_close(s);
    *state = NULL;
    assert_int_equal(tm_store_open(store_path, 0, &s, &err), TM_EFORMAT);
}

static void a_read_only_store_writes_nothing(void **state)
{
    tm_store *s = fresh(state);
    tm_hash hash;
    tm_blob blob;
    OK(tm_store_put(s, "x", 1, 0, &hash, &err));
    tm_store_close(s);
    s = reopen(state, TM_STORE_READ_ONLY);
    OK(tm_store_get(s, hash, &blob, &err));
    tm_blob_clear(&blob);
    assert_int_equal(tm_store_put(s, "y", 1, 0, &hash, &err), TM_EINVAL);
    OK(tm_store_pin(s, hash, &err));  // there is nothing to keep it from
    assert_int_equal(count_names("pins"), 0);
}

static void artifacts_have_equal_names_when_their_entries_are_equal(void **state)
{
    tm_store *s = fresh(state);
    tm_entry entries[3];
    for (int i = 0; i < 3; i++) {
        entries[i] = (tm_entry){.rows = 10, .bytes = 100};
        OK(tm_store_put(s, &i, sizeof i, 0, &entries[i].hash, &err));
    }
    tm_hash a, b;
    tm_artifact got;
    OK(tm_artifact_put(s, "text", false, entries, 3, &a, &err));
    assert_true(tm_hash_eq(a, tm_artifact_hash("text", false, entries, 3)));
    OK(tm_artifact_put(s, "tokens", false, entries, 3, &b, &err));
    assert_false(tm_hash_eq(a, b));
    OK(tm_artifact_get(s, a, &got, &err));
    assert_string_equal(got.kind, "text");
    assert_int_equal(got.count, 3);
    assert_int_equal(got.rows, 30);
    assert_int_equal(got.bytes, 300);
    assert_memory_equal(got.entries, entries, sizeof entries);
    tm_artifact_clear(&got);
    assert_true(tm_artifact_complete(s, a));
    assert_int_equal(tm_artifact_get(s, entries[0].hash, &got, &err), TM_EFORMAT);
    char path[TM_PATH_MAX];
    OK(tm_store_path(s, entries[1].hash, path, &err));
    unlink(path);
    assert_false(tm_artifact_complete(s, a));
}

static void verify_finds_every_damaged_object(void **state)
{
    tm_store *s = fresh(state);
    tm_verify_report report;
    char path[TM_PATH_MAX];
    for (int i = 0; i < 40; i++) {
        tm_hash hash;
        OK(tm_store_put(s, &i, sizeof i, 0, &hash, &err));
        if (i % 10) continue;
        OK(tm_store_path(s, hash, path, &err));
        damage(path, (size_t)i % 4);
    }
    OK(tm_store_verify(s, NULL, NULL, &report, &err));
    assert_int_equal(report.objects, 40);
    assert_int_equal(report.corrupt, 4);
    OK(tm_store_verify(s, NULL, NULL, &report, &err));
    assert_int_equal(report.objects, 36);
    assert_int_equal(report.corrupt, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(what_is_put_can_be_got),
        in_folder(compressed_objects_have_the_name_of_their_bytes),
        in_folder(a_writer_makes_the_same_object_as_put),
        in_folder(big_objects_are_mapped),
        in_folder(an_aborted_writer_leaves_nothing),
        in_folder(a_missing_object_is_enoent),
        in_folder(a_damaged_object_is_moved_aside_and_can_be_put_again),
        in_folder(putting_over_a_damaged_object_mends_it),
        in_folder(what_could_not_be_made_durable_is_gone_and_can_be_put_again),
        in_folder(after_a_failed_fsync_the_bytes_go_into_a_new_file),
        in_folder(what_others_announced_stays_when_our_fsync_fails),
        in_folder(a_dead_workers_objects_can_be_claimed),
        in_folder(claiming_an_artifact_claims_its_snapshots_and_their_files),
        in_folder(threads_share_a_store),
        in_folder(a_file_can_be_taken),
        in_folder(a_folder_with_other_things_does_not_become_a_store),
        in_folder(a_store_of_another_version_is_refused),
        in_folder(a_read_only_store_writes_nothing),
        in_folder(artifacts_have_equal_names_when_their_entries_are_equal),
        in_folder(verify_finds_every_damaged_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
