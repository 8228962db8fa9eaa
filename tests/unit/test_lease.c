// SPDX-License-Identifier: Apache-2.0
// Leases: one holder, growing epochs, release by death.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/lease.h"
#include "tests/unit/store_fixture.h"

static tm_hash recipe(void)
{
    return tm_hash_of("recipe", 6);
}

static void only_one_can_hold_a_lease(void **state)
{
    tm_store *s = fresh(state);
    tm_lease *a, *b;
    tm_lease_holder who;
    assert_int_equal(tm_lease_look(s, recipe(), &who, &err), TM_ENOENT);
    OK(tm_lease_try(s, recipe(), "r1", &a, NULL, &err));
    assert_int_equal(tm_lease_epoch(a), 1);
    assert_int_equal(tm_lease_try(s, recipe(), "r2", &b, &who, &err), TM_EBUSY);
    assert_null(b);
    assert_string_equal(who.run, "r1");
    assert_int_equal(who.pid, getpid());
    assert_int_equal(who.epoch, 1);
    assert_non_null(strstr(err.text, "r1"));
    OK(tm_lease_look(s, recipe(), &who, &err));
    assert_string_equal(who.run, "r1");
    tm_lease_release(a);
    assert_int_equal(tm_lease_look(s, recipe(), &who, &err), TM_ENOENT);
    OK(tm_lease_try(s, recipe(), "r2", &b, NULL, &err));
    assert_int_equal(tm_lease_epoch(b), 2);
    tm_lease_release(b);
}

static void another_recipe_is_another_lease(void **state)
{
    tm_store *s = fresh(state);
    tm_lease *a, *b;
    OK(tm_lease_try(s, recipe(), "r1", &a, NULL, &err));
    OK(tm_lease_try(s, tm_hash_of("x", 1), "r1", &b, NULL, &err));
    tm_lease_release(a);
    tm_lease_release(b);
}

static void the_lease_of_a_killed_process_is_free(void **state)
{
    tm_store *s = fresh(state);
    tm_lease *lease = NULL;
    int ready[2];
    char c;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (tm_lease_try(s, recipe(), "r1", &lease, NULL, &err) == TM_OK && write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(tm_lease_try(s, recipe(), "r2", &lease, NULL, &err), TM_EBUSY);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    OK(tm_lease_try(s, recipe(), "r2", &lease, NULL, &err));
    assert_int_equal(tm_lease_epoch(lease), 2);
    tm_lease_release(lease);
    close(ready[0]);
    close(ready[1]);
}

static char lease_file[TM_PATH_MAX];

// gc removes the file between our open and our lock.
static int flock_too_late(int fd, int operation)
{
    unlink(lease_file);
    tm_sys = tm_io_real();
    return tm_sys.flock(fd, operation);
}

static void a_lease_whose_file_was_just_removed_is_taken_anew(void **state)
{
    tm_store *s = fresh(state);
    tm_lease *a, *b;
    char hex[TM_HASH_HEX];
    tm_hash_hex(recipe(), hex);
    snprintf(lease_file, sizeof lease_file, "%s/leases/%s", store_path, hex);
    tm_sys.flock = flock_too_late;
    OK(tm_lease_try(s, recipe(), "r1", &a, NULL, &err));
    assert_int_equal(tm_lease_try(s, recipe(), "r2", &b, NULL, &err), TM_EBUSY);
    tm_lease_release(a);
}

static void a_damaged_lease_file_still_gives_a_larger_epoch(void **state)
{
    tm_store *s = fresh(state);
    tm_lease *lease;
    char path[TM_PATH_MAX], hex[TM_HASH_HEX];
    OK(tm_lease_try(s, recipe(), "r1", &lease, NULL, &err));
    tm_lease_release(lease);
    tm_hash_hex(recipe(), hex);
    snprintf(path, sizeof path, "%s/leases/%s", store_path, hex);
    damage(path, 30);
    OK(tm_lease_try(s, recipe(), "r2", &lease, NULL, &err));
    assert_true(tm_lease_epoch(lease) > 1000000);
    tm_lease_release(lease);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(only_one_can_hold_a_lease),
        in_folder(another_recipe_is_another_lease),
        in_folder(the_lease_of_a_killed_process_is_free),
        in_folder(a_lease_whose_file_was_just_removed_is_taken_anew),
        in_folder(a_damaged_lease_file_still_gives_a_larger_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
