// SPDX-License-Identifier: Apache-2.0
// Every system call fails, once and from then on; every allocation fails; transfers are short.
#include <errno.h>

#include <jansson.h>

#include "tests/fault/fixture.h"

// One life with a fault at call n. False: it did not strike. A run that failed must have said why, and what
// it announced must be there once the fault is over.
static bool fail_at(fault_plan plan, bool must_survive, const char *where)
{
    promises made = {0};
    bool struck;
    err.text[0] = 0;
    err.sys = 0;
    faults_begin(plan);
    tm_status status = scenario_run(folder, RUN_WORK | RUN_GC, &made, NULL, NULL, &err);
    faults_end(&struck);
    if (!struck) return false;
    if (status < 0) {
        if (must_survive) fail_msg("%s %llu: %s", where, (unsigned long long)plan.at, err.text);
        if (!err.text[0])
            fail_msg("%s %llu: no text for %s", where, (unsigned long long)plan.at, tm_status_name(status));
        if (plan.error == ENOSPC && err.sys == ENOSPC) {
            assert_int_equal(status, TM_ENOSPC);
            if (!strstr(err.text, "/") && !strstr(err.text, "random"))
                fail_msg("no file in \"%s\"", err.text);
            assert_true(err.hint[0] != 0);
        }
    }
    must_keep(&made, where, plan.at);
    return true;
}

static uint64_t fail_everywhere(fault_plan plan, bool must_survive, const char *where)
{
    for (plan.at = 1;; plan.at++) {
        remove_store();
        if (!fail_at(plan, must_survive, where)) return plan.at - 1;
        must_succeed(where, plan.at);
        must_be_clean(where, plan.at);
    }
}

static void any_call_may_fail_once_with_enospc(void **state)
{
    assert_true(fail_everywhere((fault_plan){.calls = CALLS_ALL, .error = ENOSPC}, false, "ENOSPC once at") >
                300);
}

static void any_call_may_fail_from_then_on_with_enospc(void **state)
{
    fault_plan plan = {.calls = CALLS_DURABLE, .error = ENOSPC, .persistent = true};
    assert_true(fail_everywhere(plan, false, "ENOSPC from") > 50);
}

static void any_call_may_fail_once_with_eio(void **state)
{
    assert_true(fail_everywhere((fault_plan){.calls = CALLS_ALL, .error = EIO}, false, "EIO once at") > 300);
}

static void any_call_may_fail_from_then_on_with_eio(void **state)
{
    fault_plan plan = {.calls = CALLS_ALL, .error = EIO, .persistent = true};
    assert_true(fail_everywhere(plan, false, "EIO from") > 300);
}

static void any_open_may_fail_for_want_of_descriptors(void **state)
{
    fault_plan plan = {.calls = CALL_OPEN | CALL_LIST, .error = EMFILE};
    assert_true(fail_everywhere(plan, false, "EMFILE once at") > 50);
    plan.persistent = true;
    fail_everywhere(plan, false, "EMFILE from");
}

static void an_interrupted_call_is_made_again(void **state)
{
    fault_plan plan = {.error = EINTR};
    plan.calls =
        CALL_OPEN | CALL_READ | CALL_WRITE | CALL_SYNC | CALL_LOCK | CALL_ALLOCATE | CALL_CLOSE | CALL_LIST;
    assert_true(fail_everywhere(plan, true, "EINTR at") > 150);
}

static void a_short_transfer_is_continued(void **state)
{
    fault_plan plan = {.kind = FAULT_SHORT, .calls = CALL_READ | CALL_WRITE};
    assert_true(fail_everywhere(plan, true, "short transfer at") > 40);
    plan.persistent = true;
    fail_everywhere(plan, true, "short transfers from");
}

// A second life in the store of a first one, whose promises hold whatever happens.
static void spoil_second_lives(fault_plan plan, const char *where)
{
    for (plan.at = 1;; plan.at++) {
        promises first = {0}, second = {0};
        bool struck;
        remove_store();
        OK(scenario_run(folder, RUN_WORK, &first, NULL, NULL, &err));
        faults_begin(plan);
        scenario_run(folder, RUN_WORK | RUN_GC, &second, NULL, NULL, &err);
        faults_end(&struck);
        must_keep(&first, where, plan.at);
        must_keep(&second, where, plan.at);
        if (!struck) return;
    }
}

static void a_failing_second_run_takes_nothing_from_the_first(void **state)
{
    fault_plan plan = {.calls = CALLS_DURABLE, .error = EIO};
    spoil_second_lives(plan, "second life, EIO once at");
    plan.persistent = true;
    spoil_second_lives(plan, "second life, EIO from");
}

// --- Memory ------------------------------------------------------------------------------------------------
static uint64_t starve_everywhere(bool persistent)
{
    json_set_alloc_funcs(tm_alloc, tm_free);
    for (uint64_t n = 1;; n++) {
        promises made = {0};
        remove_store();
        tm_alloc_fail_at(n, persistent);
        tm_status status = scenario_run(folder, RUN_WORK | RUN_GC, &made, NULL, NULL, &err);
        uint64_t count = tm_alloc_fail_at(0, false);
        if (count < n) return n - 1;
        if (status < 0 && status != TM_ENOMEM)
            fail_msg("allocation %llu: %s: %s", (unsigned long long)n, tm_status_name(status), err.text);
        must_keep(&made, "without memory at", n);
        must_succeed("without memory at", n);
        must_be_clean("without memory at", n);
    }
}

static void any_allocation_may_fail(void **state)
{
    assert_true(starve_everywhere(false) > 200);
}

static void any_allocation_and_all_after_it_may_fail(void **state)
{
    assert_true(starve_everywhere(true) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(any_call_may_fail_once_with_enospc),
        in_folder(any_call_may_fail_from_then_on_with_enospc),
        in_folder(any_call_may_fail_once_with_eio),
        in_folder(any_call_may_fail_from_then_on_with_eio),
        in_folder(any_open_may_fail_for_want_of_descriptors),
        in_folder(an_interrupted_call_is_made_again),
        in_folder(a_short_transfer_is_continued),
        in_folder(a_failing_second_run_takes_nothing_from_the_first),
        in_folder(any_allocation_may_fail),
        in_folder(any_allocation_and_all_after_it_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
