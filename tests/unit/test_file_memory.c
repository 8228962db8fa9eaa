// SPDX-License-Identifier: Apache-2.0
// Remembered hashes of files: used when nothing changed, and only then.
#include <fcntl.h>
#include <sys/stat.h>

#include "engine/base/file_memory.h"
#include "tests/unit/store_fixture.h"

static char file[128], table[128];
static int n_reads;
static int64_t later_s;

static ssize_t counted_pread(int fd, void *data, size_t size, off_t offset)
{
    n_reads++;
    return tm_io_real().pread(fd, data, size, offset);
}

static int shifted_clock(clockid_t id, struct timespec *now)
{
    int rc = tm_io_real().clock(id, now);
    now->tv_sec += later_s;
    return rc;
}

// Files whose bytes were written now, seen by a process that lives `later` seconds after.
static void begin_at(int64_t later)
{
    snprintf(file, sizeof file, "%s/file", root);
    snprintf(table, sizeof table, "%s/files", root);
    later_s = later;
    tm_sys.pread = counted_pread;
    tm_sys.clock = shifted_clock;
}

static void write_text(const char *text)
{
    OK(tm_file_write(file, text, strlen(text), false, &err));
}

// The hash of the file, by a process of its own; how often it read.
static int hash_once(tm_hash *hash)
{
    tm_file_memory *m;
    OK(tm_file_memory_open(table, &m, &err));
    n_reads = 0;
    OK(tm_file_hash(file, m, hash, &err));
    int reads = n_reads;
    OK(tm_file_memory_save(m, &err));
    tm_file_memory_close(m);
    return reads;
}

static void a_file_that_did_not_change_is_not_read_again(void **state)
{
    (void)state;
    tm_hash a, b;
    begin_at(10);
    write_text("one");
    assert_int_not_equal(hash_once(&a), 0);
    assert_int_equal(hash_once(&b), 0);
    assert_true(tm_hash_eq(a, b));
    assert_true(tm_hash_eq(a, tm_hash_of("one", 3)));
}

// It could be changed again without any trace.
static void a_file_that_was_changed_a_moment_ago_is_read_again(void **state)
{
    (void)state;
    tm_hash a;
    begin_at(0);
    write_text("one");
    assert_int_not_equal(hash_once(&a), 0);
    assert_int_not_equal(hash_once(&a), 0);
}

static void other_bytes_of_the_same_size_and_time_are_noticed(void **state)
{
    (void)state;
    tm_hash a;
    struct stat info;
    begin_at(10);
    write_text("one");
    hash_once(&a);
    assert_int_equal(stat(file, &info), 0);
    FILE *f = fopen(file, "r+");
    assert_non_null(f);
    fputs("two", f);
    fclose(f);
    struct timespec times[2] = {info.st_atim, info.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);  // ctime tells
    assert_int_not_equal(hash_once(&a), 0);
    assert_true(tm_hash_eq(a, tm_hash_of("two", 3)));
}

static void a_damaged_memory_is_as_good_as_none(void **state)
{
    (void)state;
    tm_hash a;
    begin_at(10);
    write_text("one");
    hash_once(&a);
    tm_buf bytes = {0};
    OK(tm_file_read(table, &bytes, &err));
    for (size_t at = 0; at < bytes.size; at += 5) {
        bytes.data[at] ^= 4;
        OK(tm_file_write(table, bytes.data, bytes.size, false, &err));
        assert_int_not_equal(hash_once(&a), 0);
        assert_true(tm_hash_eq(a, tm_hash_of("one", 3)));
        bytes.data[at] ^= 4;
    }
    for (size_t n = 0; n < bytes.size; n += 3) {
        OK(tm_file_write(table, bytes.data, n, false, &err));
        assert_int_not_equal(hash_once(&a), 0);
    }
    tm_buf_clear(&bytes);
}

static void without_a_memory_it_is_read(void **state)
{
    (void)state;
    tm_hash a;
    begin_at(10);
    write_text("one");
    OK(tm_file_hash(file, NULL, &a, &err));
    assert_true(tm_hash_eq(a, tm_hash_of("one", 3)));
    snprintf(file, sizeof file, "%s/none", root);
    assert_int_equal(tm_file_hash(file, NULL, &a, &err), TM_ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_file_that_did_not_change_is_not_read_again),
        in_folder(a_file_that_was_changed_a_moment_ago_is_read_again),
        in_folder(other_bytes_of_the_same_size_and_time_are_noticed),
        in_folder(a_damaged_memory_is_as_good_as_none),
        in_folder(without_a_memory_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
