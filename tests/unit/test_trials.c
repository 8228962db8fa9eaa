// SPDX-License-Identifier: Apache-2.0
// Labels of trials, tables of metrics, and means over trials.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "stages/judge/trials.h"

static void a_value_leaves_a_label_and_nothing_else_does(void **state)
{
    static const char *const cases[][3] = {
        {"lr=1e-4,seed=2", "seed", "lr=1e-4"},
        {"seed=2,lr=1e-4", "seed", "lr=1e-4"},
        {"a=1,seed=2,z=3", "seed", "a=1,z=3"},
        {"seed=2", "seed", ""},
        {"lr=0.5,seed=2.base", "seed", "lr=0.5.base"},
        {"lr=0.5,seed=2.base", "lr", "seed=2.base"},
        {"seed=2.base", "seed", "base"},
        {"x.seed=1", "seed", "x"},
        {"size=small.base", "size", "base"},
        {"reseed=1,seed=2", "seed", "reseed=1"},
        {"seedling=1", "seed", "seedling=1"},
        {"lr=1", NULL, "lr=1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char left[TM_LABEL];
        tm_label_without(cases[i][0], cases[i][1], left);
        assert_string_equal(left, cases[i][2]);
    }
}

static void the_measure_of_a_name_is_its_last_two_parts(void **state)
{
    (void)state;
    assert_int_equal(tm_metric_measure_at("valid.loss"), 0);
    assert_int_equal(tm_metric_measure_at("loss"), 0);
    const char *name = "lr=0.5.text.loss";
    assert_string_equal(name + tm_metric_measure_at(name), "text.loss");
}

static void put(tm_metric_table *table, const char *name, int64_t step, double value, double error)
{
    tm_metric_row row = {(char *)name, step, 7, value, error};
    assert_int_equal(tm_metric_table_put(table, &row, NULL), TM_OK);
}

static void a_table_keeps_the_last_value_in_the_first_place(void **state)
{
    tm_metric_table table = {0};
    (void)state;
    put(&table, "valid.loss", 10, 3, NAN);
    put(&table, "train.loss", 10, 2, NAN);
    put(&table, "valid.loss", 20, 1, NAN);
    assert_int_equal(table.n, 2);
    assert_string_equal(table.rows[0].name, "valid.loss");
    assert_true(table.rows[0].value == 1 && table.rows[0].step == 20);
    assert_null(tm_metric_table_find(&table, "valid.los"));
    assert_string_equal(tm_metric_table_nearest(&table, "valid.los"), "valid.loss");
    tm_metric_table_clear(&table);
}

static void means_have_the_standard_error_of_the_mean(void **state)
{
    tm_metric_table table = {0}, means = {0};
    (void)state;
    put(&table, "lr=1,seed=1.valid.loss", 5, 1, 0.5);
    put(&table, "lr=2,seed=1.valid.loss", 5, 9, 0.25);
    put(&table, "lr=1,seed=2.valid.loss", 5, 2, 0.5);
    put(&table, "lr=1,seed=3.valid.loss", 5, 6, 0.5);
    assert_int_equal(tm_trial_means(&table, "seed", &means, NULL), TM_OK);
    assert_int_equal(means.n, 2);
    const tm_metric_row *several = tm_metric_table_find(&means, "lr=1.valid.loss");
    const tm_metric_row *single = tm_metric_table_find(&means, "lr=2.valid.loss");
    assert_true(fabs(several->value - 3) < 1e-12);
    assert_true(fabs(several->error - sqrt(7.0 / 3)) < 1e-12); // 1, 2, 6: variance 7
    assert_int_equal(several->count, 3);
    assert_true(single->value == 9 && single->error == 0.25 && single->count == 7);
    tm_metric_table_clear(&table);
    tm_metric_table_clear(&means);
}

static void names_that_will_be_there_are_found_at_plan_time(void **state)
{
    tm_option_fault fault = {0};
    json_t *names = json_array(), *attrs = json_pack("{s:[s, s]}", "metrics", "text.loss", "text.perplexity");
    (void)state;
    assert_true(tm_metric_names(attrs, "base", names));
    assert_false(tm_metric_names(NULL, "base", names));
    assert_int_equal(tm_metric_known(names, "base.text.loss", &fault, NULL), TM_OK);
    assert_string_equal(fault.fix, "");
    assert_int_equal(tm_metric_known(names, "base.test.loss", &fault, NULL), TM_EINVAL);
    assert_string_equal(fault.fix, "did you mean base.text.loss?");
    assert_int_equal(tm_metric_known(names, "speed", &fault, NULL), TM_EINVAL);
    assert_string_equal(fault.fix, "there is: base.text.loss, base.text.perplexity");
    json_decref(names);
    json_decref(attrs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_leaves_a_label_and_nothing_else_does),
        cmocka_unit_test(the_measure_of_a_name_is_its_last_two_parts),
        cmocka_unit_test(a_table_keeps_the_last_value_in_the_first_place),
        cmocka_unit_test(means_have_the_standard_error_of_the_mean),
        cmocka_unit_test(names_that_will_be_there_are_found_at_plan_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
