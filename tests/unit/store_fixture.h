// SPDX-License-Identifier: Apache-2.0
// For tests of the store: a new folder per test, with a store in it, removed at the end.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/io.h"
#include "engine/base/random.h"
#include "engine/store.h"
#include "engine/store_artifact.h"
#include "engine/store_gc.h"

static char root[64], store_path[80];
static tm_error err;

// The call succeeds, or the test fails with the error's text.
#define OK(call)                                                                                             \
    do {                                                                                                     \
        tm_status ok_status_ = (call);                                                                       \
        if (ok_status_ < 0) fail_msg("%s: %s: %s", #call, tm_status_name(ok_status_), err.text);             \
    } while (0)

static int begin(void **state)
{
    strcpy(root, "/tmp/tidemill-test-XXXXXX");
    if (!mkdtemp(root)) return -1;
    snprintf(store_path, sizeof store_path, "%s/.tidemill", root);
    *state = NULL;
    return 0;
}

static int end(void **state)
{
    tm_sys = tm_io_real();
    tm_store_close(*state);
    return tm_dir_remove(root, &err) == TM_OK ? 0 : -1;
}

#define in_folder(f) cmocka_unit_test_setup_teardown(f, begin, end)

// The store of this test, opened again (the earlier handle must be closed); closed at the end.
static inline tm_store *reopen(void **state, unsigned flags)
{
    tm_store *store;
    *state = NULL;
    OK(tm_store_open(store_path, flags, &store, &err));
    *state = store;
    return store;
}

static inline tm_store *fresh(void **state)
{
    return reopen(state, TM_STORE_CREATE);
}

static inline size_t count_names(const char *part)
{
    char path[TM_PATH_MAX];
    tm_names names;
    snprintf(path, sizeof path, "%s/%s", store_path, part);
    OK(tm_dir_list(path, &names, &err));
    size_t count = names.count;
    tm_names_clear(&names);
    return count;
}

// Flip one bit of a file, read-only or not.
static inline void damage(const char *path, size_t at)
{
    chmod(path, 0644);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, (long)at, SEEK_SET);
    int c = fgetc(f);
    fseek(f, (long)at, SEEK_SET);
    fputc(c ^ 4, f);
    fclose(f);
}

static inline void empty_file(const char *path)
{
    chmod(path, 0644);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fclose(f);
}
