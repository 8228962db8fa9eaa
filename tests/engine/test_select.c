// SPDX-License-Identifier: Apache-2.0
// Selectors: the snapshot of a step, the last one, the best one, every n-th.
#include <math.h>

#include "engine/select.h"
#include "tests/unit/store_fixture.h"

// A log of snapshots at steps 10, 20, 30.
static void put_log(tm_store *store, tm_entry entries[3])
{
    for (int i = 0; i < 3; i++) {
        char path[TM_PATH_MAX], file[TM_PATH_MAX];
        OK(tm_store_tmp(store, path, &err));
        OK(tm_dir_make(path, &err));
        OK(tm_path(file, &err, "%s/weights", path));
        OK(tm_file_write(file, "abc", 3, false, &err));
        json_t *attributes = json_pack("{s:i}", "step", 10 * (i + 1));
        OK(tm_tree_put_folder(store, path, attributes, &entries[i], &err));
        json_decref(attributes);
    }
}

static tm_hash put_metrics(tm_store *store, const char *name, const double values[3])
{
    const tm_type *type = tm_type_find("metrics");
    tm_batch *batch = tm_batch_new(type->cols, type->n_cols);
    tm_buf bytes = {0};
    for (int i = 0; i < 3; i++) {
        tm_metric other = {.step = 10 * (i + 1), .name = tm_view_str("other"), .value = -100 + i};
        tm_metric metric = {.step = 10 * (i + 1), .name = tm_view_str(name), .value = values[i]};
        OK(tm_metrics_add(batch, &other, &err));
        OK(tm_metrics_add(batch, &metric, &err));
    }
    OK(tm_batch_encode(batch, &bytes, &err));
    tm_entry entry = {.rows = tm_batch_rows(batch), .bytes = bytes.size};
    OK(tm_store_put(store, bytes.data, bytes.size, 0, &entry.hash, &err));
    tm_hash artifact;
    OK(tm_artifact_put(store, "metrics", false, &entry, 1, &artifact, &err));
    tm_batch_unref(batch);
    tm_buf_clear(&bytes);
    return artifact;
}

static size_t pick(tm_store *store, const tm_entry *entries, tm_select select, tm_hash metrics)
{
    tm_artifact log = {.entries = (tm_entry *)entries, .count = 3, .trees = true};
    size_t index = 99;
    OK(tm_select_entry(store, &select, &log, metrics, &index, &err));
    return index;
}

static void the_last_and_the_one_of_a_step(void **state)
{
    tm_store *store = fresh(state);
    tm_entry entries[3];
    tm_hash none = {{0}};
    put_log(store, entries);
    assert_int_equal(tm_snapshot_step(store, entries[1].hash), 20);
    assert_int_equal(pick(store, entries, (tm_select){.kind = TM_SELECT_LAST}, none), 2);
    assert_int_equal(pick(store, entries, (tm_select){.kind = TM_SELECT_LATEST}, none), 2);
    assert_int_equal(pick(store, entries, (tm_select){.kind = TM_SELECT_AT, .at = 20}, none), 1);
    tm_artifact log = {.entries = entries, .count = 3, .trees = true};
    size_t index;
    tm_select at = {.kind = TM_SELECT_AT, .at = 25}, last = {.kind = TM_SELECT_LAST};
    assert_int_equal(tm_select_entry(store, &at, &log, none, &index, &err), TM_ENOENT);
    assert_string_equal(err.text, "there is no snapshot of step 25");
    tm_select best = {.kind = TM_SELECT_BEST, .metric = "valid.loss"};
    assert_int_equal(tm_select_entry(store, &best, &log, none, &index, &err), TM_ENOENT);
    assert_non_null(strstr(err.text, "nothing was measured"));
    log.count = 0;
    assert_int_equal(tm_select_entry(store, &last, &log, none, &index, &err), TM_ENOENT);
}

static void the_best_is_the_lowest_loss_and_the_highest_accuracy(void **state)
{
    tm_store *store = fresh(state);
    tm_entry entries[3];
    put_log(store, entries);
    tm_hash loss = put_metrics(store, "valid.loss", (double[]){3, 1, 2});
    tm_hash accuracy = put_metrics(store, "pref.accuracy", (double[]){0.5, 0.25, 0.5});
    tm_select best = {.kind = TM_SELECT_BEST, .metric = "valid.loss"};
    assert_int_equal(pick(store, entries, best, loss), 1);
    best = (tm_select){.kind = TM_SELECT_BEST, .metric = "pref.accuracy"};
    assert_int_equal(pick(store, entries, best, accuracy), 0);  // the first of equals
    tm_artifact log = {.entries = entries, .count = 3, .trees = true};
    size_t index;
    assert_int_equal(tm_select_entry(store, &best, &log, loss, &index, &err), TM_ENOENT);
    assert_string_equal(err.text, "no snapshot has the metric \"pref.accuracy\"");
}

static void a_value_that_is_no_number_is_never_the_best(void **state)
{
    tm_store *store = fresh(state);
    tm_entry entries[3];
    put_log(store, entries);
    tm_hash loss = put_metrics(store, "valid.loss", (double[]){NAN, 2, NAN});
    tm_select best = {.kind = TM_SELECT_BEST, .metric = "valid.loss"};
    assert_int_equal(pick(store, entries, best, loss), 1);
}

static void each_takes_all_or_every_nth_step(void **state)
{
    (void)state;
    tm_select all = {.kind = TM_SELECT_EACH}, some = {.kind = TM_SELECT_EACH, .every = 20};
    assert_true(tm_select_each(&all, 7) && tm_select_each(&all, -1));
    assert_true(tm_select_each(&some, 40));
    assert_false(tm_select_each(&some, 30) || tm_select_each(&some, -1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(the_last_and_the_one_of_a_step),
        in_folder(the_best_is_the_lowest_loss_and_the_highest_accuracy),
        in_folder(a_value_that_is_no_number_is_never_the_best),
        cmocka_unit_test(each_takes_all_or_every_nth_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
