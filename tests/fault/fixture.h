// SPDX-License-Identifier: Apache-2.0
// For the fault tests: a folder in memory (or /tmp) per test, new stores in it.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/fault/faults.h"
#include "tests/fault/scenario.h"

static char root[64], folder[128];
static tm_error err;

static int begin(void **state)
{
    strcpy(root, access("/dev/shm", W_OK) == 0 ? "/dev/shm/tidemill-XXXXXX" : "/tmp/tidemill-XXXXXX");
    snprintf(folder, sizeof folder, "%s/store", mkdtemp(root));
    return 0;
}

static int end(void **state)
{
    tm_sys = tm_io_real();
    tm_alloc_fail_at(0, false);
    return tm_dir_remove(root, &err) == TM_OK ? 0 : -1;
}

// The call succeeds, or the test fails with the error text.
#define OK(call)                                                                                             \
    do {                                                                                                     \
        tm_status ok_status_ = (call);                                                                       \
        if (ok_status_ < 0) fail_msg("%s: %s: %s", #call, tm_status_name(ok_status_), err.text);             \
    } while (0)

#define in_folder(f) cmocka_unit_test_setup_teardown(f, begin, end)

static inline void remove_store(void)
{
    if (tm_dir_remove(folder, &err) < 0) fail_msg("%s", err.text);
}

// `where` says which fault it was, for the message.
static inline void must_keep(const promises *made, const char *where, uint64_t n)
{
    const char *what;
    if (!scenario_kept(folder, made, &what, &err))
        fail_msg("%s %llu: %s not kept: %s", where, (unsigned long long)n, what, err.text);
}

static inline void must_be_clean(const char *where, uint64_t n)
{
    const char *what;
    if (!scenario_clean(folder, &what, &err))
        fail_msg("%s %llu: afterwards %s: %s", where, (unsigned long long)n, what, err.text);
}

// The same life again, undisturbed, and everything is there.
static inline void must_succeed(const char *where, uint64_t n)
{
    promises done = {0};
    if (scenario_run(folder, RUN_WORK | RUN_GC, &done, NULL, NULL, &err) < 0)
        fail_msg("%s %llu: the run afterwards failed: %s", where, (unsigned long long)n, err.text);
    must_keep(&done, where, n);
}
