// SPDX-License-Identifier: Apache-2.0
// Files and folders over the table of system calls.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/store_fixture.h"

static char *in_root(const char *name)
{
    static char path[TM_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

// --- Calls that do less than asked -------------------------------------------------------------------------
static int calls;

static ssize_t short_write(int fd, const void *data, size_t size)
{
    if (calls++ % 2) return errno = EINTR, -1;
    return write(fd, data, size > 3 ? 3 : size);
}

static ssize_t short_pread(int fd, void *data, size_t size, off_t at)
{
    if (calls++ % 2) return errno = EINTR, -1;
    return pread(fd, data, size > 5 ? 5 : size, at);
}

static ssize_t short_read(int fd, void *data, size_t size)
{
    if (calls++ % 2) return errno = EINTR, -1;
    return read(fd, data, size > 7 ? 7 : size);
}

static void short_transfers_and_interruptions_are_continued(void **state)
{
    tm_buf got = {0};
    char copy[TM_PATH_MAX];
    tm_sys.write = short_write;
    tm_sys.read = short_read;
    tm_sys.pread = short_pread;
    OK(tm_file_write(in_root("a"), "the quick brown fox jumps", 25, true, &err));
    OK(tm_file_read(in_root("a"), &got, &err));
    assert_int_equal(got.size, 25);
    assert_memory_equal(got.data, "the quick brown fox jumps", 25);
    tm_buf_clear(&got);
    snprintf(copy, sizeof copy, "%s/b", root);
    OK(tm_file_copy(in_root("a"), copy, 0644, &err));
    OK(tm_file_read(copy, &got, &err));
    assert_int_equal(got.size, 25);
    tm_buf_clear(&got);
}

static void a_missing_file_is_named_in_the_error(void **state)
{
    tm_buf got = {0};
    assert_int_equal(tm_file_read(in_root("absent"), &got, &err), TM_ENOENT);
    assert_non_null(strstr(err.text, in_root("absent")));
    assert_int_equal(err.sys, ENOENT);
}

static void write_replaces_whole_files_and_leaves_no_remainders(void **state)
{
    tm_names names;
    tm_buf got = {0};
    OK(tm_file_write(in_root("a"), "first", 5, false, &err));
    OK(tm_file_write(in_root("a"), "second", 6, true, &err));
    OK(tm_file_read(in_root("a"), &got, &err));
    assert_string_equal(got.data, "second");
    tm_buf_clear(&got);
    OK(tm_dir_list(root, &names, &err));
    assert_int_equal(names.count, 1);
    tm_names_clear(&names);
}

static void folders_are_made_with_parents_and_listed_in_order(void **state)
{
    tm_names names;
    OK(tm_dir_make(in_root("x/y/z"), &err));
    OK(tm_dir_make(in_root("x/y/z"), &err));
    const char *files[] = {"x/b", "x/a", "x/B", "x/10", "x/9"};
    for (int i = 0; i < 5; i++) OK(tm_file_write(in_root(files[i]), "", 0, false, &err));
    OK(tm_dir_list(in_root("x"), &names, &err));
    const char *expected[] = {"10", "9", "B", "a", "b", "y"};
    assert_int_equal(names.count, 6);
    for (int i = 0; i < 6; i++) assert_string_equal(names.names[i], expected[i]);
    tm_names_clear(&names);
    assert_int_equal(tm_dir_make(in_root("x/a"), &err), TM_EEXIST);
    assert_int_equal(tm_dir_list(in_root("nowhere"), &names, &err), TM_ENOENT);
}

static void removing_a_folder_does_not_follow_links(void **state)
{
    char target[TM_PATH_MAX], link[TM_PATH_MAX];
    OK(tm_dir_make(in_root("keep"), &err));
    OK(tm_file_write(in_root("keep/precious"), "x", 1, false, &err));
    OK(tm_dir_make(in_root("gone/deep"), &err));
    snprintf(target, sizeof target, "%s/keep", root);
    snprintf(link, sizeof link, "%s/gone/deep/link", root);
    assert_int_equal(symlink(target, link), 0);
    OK(tm_dir_remove(in_root("gone"), &err));
    assert_false(tm_file_exists(in_root("gone")));
    assert_true(tm_file_exists(in_root("keep/precious")));
    OK(tm_dir_remove(in_root("gone"), &err));
}

static void a_rename_that_must_be_new_does_not_replace(void **state)
{
    char to[TM_PATH_MAX];
    OK(tm_file_write(in_root("b"), "b", 1, false, &err));
    snprintf(to, sizeof to, "%s", in_root("b"));
    OK(tm_file_write(in_root("a"), "a", 1, false, &err));
    assert_int_equal(tm_sys.rename_new(in_root("a"), to), -1);
    assert_int_equal(errno, EEXIST);
}

static int failing_fsync(int fd)
{
    calls++;
    return errno = EIO, -1;
}

static void a_failed_fsync_is_not_tried_again(void **state)
{
    calls = 0;
    tm_sys.fsync = failing_fsync;
    assert_int_equal(tm_file_write(in_root("a"), "x", 1, true, &err), TM_EIO);
    assert_int_equal(calls, 1);
    assert_false(tm_file_exists(in_root("a")));
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    char path[TM_PATH_MAX];
    OK(tm_path(path, &err, "%s/%d", "a", 7));
    assert_string_equal(path, "a/7");
    assert_int_equal(tm_path(path, &err, "%05000d", 1), TM_EINVAL);
}

static void a_full_disk_has_its_own_code(void **state)
{
    int fd = open("/dev/full", O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(tm_fd_write(fd, "x", 1, "/dev/full", &err), TM_ENOSPC);
    assert_non_null(strstr(err.hint, "tidemill gc"));
    close(fd);
}

static void time_moves_forward(void **state)
{
    int64_t a = tm_time_ns(), b = tm_time_ns();
    assert_true(b >= a);
    assert_true(tm_time_ms() > 1700000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(short_transfers_and_interruptions_are_continued),
        in_folder(a_missing_file_is_named_in_the_error),
        in_folder(write_replaces_whole_files_and_leaves_no_remainders),
        in_folder(folders_are_made_with_parents_and_listed_in_order),
        in_folder(removing_a_folder_does_not_follow_links),
        in_folder(a_rename_that_must_be_new_does_not_replace),
        in_folder(a_failed_fsync_is_not_tried_again),
        in_folder(a_path_that_is_too_long_is_refused),
        in_folder(a_full_disk_has_its_own_code),
        in_folder(time_moves_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
