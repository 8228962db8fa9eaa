// SPDX-License-Identifier: Apache-2.0
// Bits flip, files are cut, files change places: all of it is noticed, and the next run mends it.
#include <errno.h>

#include "engine/base/random.h"
#include "engine/store_artifact.h"
#include "engine/store_gc.h"
#include "tests/fault/fixture.h"

typedef struct files {
    char (*paths)[TM_PATH_MAX];
    size_t count;
} files;

static void add_files(files *f, const char *under)
{
    tm_names names;
    struct stat info;
    if (tm_sys.lstat(under, &info) != 0) return;
    if (!S_ISDIR(info.st_mode)) {
        f->paths = realloc(f->paths, (f->count + 1) * sizeof *f->paths);
        snprintf(f->paths[f->count++], TM_PATH_MAX, "%s", under);
        return;
    }
    OK(tm_dir_list(under, &names, &err));
    for (size_t i = 0; i < names.count; i++) {
        char inside[TM_PATH_MAX];
        OK(tm_path(inside, &err, "%s/%s", under, names.names[i]));
        add_files(f, inside);
    }
    tm_names_clear(&names);
}

static files files_of(const char *part)
{
    files f = {0};
    char path[TM_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, part);
    add_files(&f, path);
    assert_true(f.count > 0);
    return f;
}

static void overwrite(const char *path, const char *data, size_t size)
{
    chmod(path, 0644);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

// One damage to one file, chosen by `n`: a bit, the end, or another file's bytes. False: nothing changed.
static bool harm(const files *f, uint64_t n)
{
    const char *path = f->paths[tm_random_below(3, 0, n, f->count)];
    const char *from = f->paths[tm_random_below(3, 1, n, f->count)];
    tm_buf bytes = {0}, others = {0};
    OK(tm_file_read(path, &bytes, &err));
    OK(tm_file_read(from, &others, &err));
    bool changed = bytes.size > 0;
    if (changed && n % 3 == 0) {
        bytes.data[tm_random_below(3, 2, n, bytes.size)] ^= (char)(1 << n % 8);
        overwrite(path, bytes.data, bytes.size);
    } else if (changed && n % 3 == 1) {
        overwrite(path, bytes.data, tm_random_below(3, 2, n, bytes.size));
    } else {
        changed = !tm_view_eq(tm_buf_view(&bytes), tm_buf_view(&others));
        overwrite(path, others.data ? others.data : "", others.size);
    }
    tm_buf_clear(&bytes);
    tm_buf_clear(&others);
    return changed;
}

static void new_store(void)
{
    promises done = {0};
    remove_store();
    OK(scenario_run(folder, RUN_WORK, &done, NULL, NULL, &err));
}

static void every_damaged_object_is_found_and_made_again(void **state)
{
    for (uint64_t n = 0; n < 300; n++) {
        tm_store *s;
        tm_verify_report report;
        new_store();
        files f = files_of("objects");
        bool changed = harm(&f, n);
        free(f.paths);
        OK(tm_store_open(folder, 0, &s, &err));
        OK(tm_store_verify(s, NULL, NULL, &report, &err));
        tm_store_close(s);
        if (report.corrupt != changed) fail_msg("damage %d: %zu found", (int)n, report.corrupt);
        must_succeed("damage", n);
        must_be_clean("damage", n);
    }
}

static void a_run_on_damaged_objects_mends_them_without_verify(void **state)
{
    for (uint64_t n = 0; n < 150; n++) {
        new_store();
        files f = files_of("objects");
        harm(&f, n);
        free(f.paths);
        must_succeed("damage", n);
        must_be_clean("damage", n);
    }
}

// A damaged record is a record less, never a wrong one; the run adds it again.
static void damaged_ledgers_lose_records_and_tell_no_lies(void **state)
{
    const char *parts[] = {"keys", "logs", "memo"};
    for (uint64_t n = 0; n < 300; n++) {
        tm_store *s;
        const tm_record *r;
        new_store();
        files f = files_of(parts[n / 3 % 3]);
        harm(&f, n);
        free(f.paths);
        OK(tm_store_open(folder, 0, &s, &err));
        r = tm_key_by_content(s, tm_hash_of("content", 7));
        if (r) assert_true(tm_artifact_complete(s, r->ports[0].artifact));
        tm_store_close(s);
        must_succeed("damaged ledger", n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(every_damaged_object_is_found_and_made_again),
        in_folder(a_run_on_damaged_objects_mends_them_without_verify),
        in_folder(damaged_ledgers_lose_records_and_tell_no_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
