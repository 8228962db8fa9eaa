// SPDX-License-Identifier: Apache-2.0
// The process ends at every single call that changes the disk.
#include <sys/mman.h>
#include <sys/wait.h>

#include "engine/base/random.h"
#include "tests/fault/fixture.h"

static void tell(const promises *made, void *shared)
{
    memcpy(shared, made, sizeof *made);
}

// In a child, with a fault; what it announced comes back in `made`. False: the fault did not strike.
static bool crash_at(fault_kind kind, uint64_t n, promises *made)
{
    promises *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memcpy(shared, made, sizeof *made);
    pid_t pid = fork();
    if (pid == 0) {
        promises done = *made;
        faults_begin((fault_plan){.kind = kind, .calls = CALLS_DURABLE, .at = n});
        _exit(scenario_run(folder, RUN_WORK | RUN_GC, &done, tell, shared, &err) < 0 ? 1 : 0);
    }
    int status;
    waitpid(pid, &status, 0);
    memcpy(made, shared, sizeof *made);
    munmap(shared, sizeof *shared);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), 1);
    return WEXITSTATUS(status) == FAULT_STATUS;
}

static uint64_t crash_everywhere(fault_kind kind)
{
    for (uint64_t n = 1;; n++) {
        promises made = {0};
        remove_store();
        if (!crash_at(kind, n, &made)) return n - 1;
        must_keep(&made, "crash at", n);
        must_succeed("crash at", n);
        must_be_clean("crash at", n);
    }
}

static void a_crash_inside_any_call_loses_nothing_announced(void **state)
{
    assert_true(crash_everywhere(FAULT_TORN_EXIT) > 100);
}

static void a_crash_after_any_call_loses_nothing_announced(void **state)
{
    assert_true(crash_everywhere(FAULT_EXIT) > 100);
}

static void a_second_crash_during_recovery_loses_nothing_either(void **state)
{
    const char *more = getenv("TIDEMILL_FAULT_STATES");
    uint64_t pairs = more ? strtoull(more, NULL, 10) : 150;
    for (uint64_t i = 0; i < pairs; i++) {
        promises made = {0};
        remove_store();
        crash_at(FAULT_TORN_EXIT, 1 + tm_random_below(5, 1, i, 150), &made);
        crash_at(i % 2 ? FAULT_EXIT : FAULT_TORN_EXIT, 1 + tm_random_below(5, 2, i, 150), &made);
        must_keep(&made, "pair of crashes", i);
        must_succeed("pair of crashes", i);
        must_be_clean("pair of crashes", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_crash_inside_any_call_loses_nothing_announced),
        in_folder(a_crash_after_any_call_loses_nothing_announced),
        in_folder(a_second_crash_during_recovery_loses_nothing_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
