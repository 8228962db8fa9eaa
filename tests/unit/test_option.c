// SPDX-License-Identifier: Apache-2.0
// Options: one canonical form, defaults, and faults that say what is wrong and how to mend it.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/option.h"

typedef struct options {
    bool shout;
    int64_t steps;
    double rate;
    const char *mode, *note, *where;
    tm_string_list keep;
    const json_t *schedule;
} options;

static const tm_option table[] = {
    {"shout", TM_OPT_BOOL, offsetof(options, shout), "false", 0, 0, NULL, "loud", 0},
    {"steps", TM_OPT_INT, offsetof(options, steps), NULL, 1, 1000, NULL, "how many", 0, "..5"},
    {"rate", TM_OPT_NUMBER, offsetof(options, rate), "0.5", 0, INFINITY, NULL, "how fast", 0, "0.25.."},
    {"mode", TM_OPT_CHOICE, offsetof(options, mode), "\"fast\"", 0, 0, "fast slow", "which way", 0,
     "\"slow\""},
    {"note", TM_OPT_STRING, offsetof(options, note), "null", 0, 0, NULL, "a remark", 0},
    {"where", TM_OPT_PATH, offsetof(options, where), "\"here\"", 0, 0, NULL, "a place", 0, "null"},
    {"keep", TM_OPT_LIST, offsetof(options, keep), "[\"en\"]", 0, 0, NULL, "languages", 0},
    {"schedule", TM_OPT_VALUE, offsetof(options, schedule), "null", 0, 0, "schedule", "a curve", 0},
    {0},
};

static tm_option_fault fault;

static tm_status check(const char *text, json_t **canonical)
{
    json_t *args = json_loads(text, 0, NULL);
    assert_non_null(args);
    *canonical = NULL;
    tm_status status = tm_options_check(table, args, canonical, &fault);
    if (fault.option) {  // it may point into the arguments
        static char name[64];
        snprintf(name, sizeof name, "%s", fault.option);
        fault.option = name;
    }
    json_decref(args);
    return status;
}

static void gives(const char *args, const char *expected)
{
    json_t *canonical;
    if (check(args, &canonical) != TM_OK) fail_msg("%s: %s", args, fault.what);
    char *text = json_dumps(canonical, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    assert_string_equal(text, expected);
    free(text);
    json_decref(canonical);
}

static void refuses(const char *args, const char *option, const char *what, const char *why, const char *fix)
{
    json_t *canonical;
    assert_int_equal(check(args, &canonical), TM_EINVAL);
    assert_null(canonical);
    assert_string_equal(fault.option, option);
    assert_string_equal(fault.what, what);
    assert_string_equal(fault.why, why);
    assert_string_equal(fault.fix, fix);
}

static void defaults_fill_what_is_not_given(void **state)
{
    (void)state;
    gives("{\"steps\": 7}",
          "{\"keep\":[\"en\"],\"mode\":\"fast\",\"note\":null,\"rate\":0.5,\"schedule\":null,"
          "\"shout\":false,\"steps\":7,\"where\":\"here\"}");
}

static void different_ways_to_write_a_value_are_one_value(void **state)
{
    (void)state;
    json_t *a, *b;
    assert_int_equal(check("{\"steps\": 500, \"rate\": 1, \"keep\": \"de\"}", &a), TM_OK);
    assert_int_equal(check("{\"rate\": 1.0, \"keep\": [\"de\"], \"steps\": 5e2}", &b), TM_OK);
    assert_true(json_equal(a, b));
    assert_true(json_is_integer(json_object_get(a, "steps")));
    assert_true(json_is_real(json_object_get(a, "rate")));
    json_decref(a);
    json_decref(b);
}

static void faults_name_the_option_the_value_and_the_remedy(void **state)
{
    (void)state;
    refuses("{}", "steps", "option \"steps\" is required", "how many", "");
    refuses("{\"steps\": 1, \"rat\": 2}", "rat", "there is no option \"rat\"",
            "the options are shout, steps, rate, mode, note, where, keep, schedule", "did you mean \"rate\"?");
    refuses("{\"steps\": 1, \"qqqqqqqq\": 2}", "qqqqqqqq", "there is no option \"qqqqqqqq\"",
            "the options are shout, steps, rate, mode, note, where, keep, schedule",
            "leave \"qqqqqqqq\" out, or give one of these options");
    refuses("{\"steps\": 1001}", "steps", "option \"steps\" must lie between 1 and 1000", "it is 1001",
            "give steps a whole number from 1 to 1000");
    refuses("{\"steps\": 1, \"rate\": -1}", "rate", "option \"rate\" must be at least 0", "it is -1",
            "for example its default: rate = 0.5");
    refuses("{\"steps\": 1, \"mode\": \"slwo\"}", "mode", "option \"mode\" must be one of: fast slow",
            "it is \"slwo\"", "did you mean \"slow\"?");
}

static void values_of_another_kind_are_refused(void **state)
{
    (void)state;
    refuses("{\"steps\": 1.5}", "steps", "option \"steps\" takes a whole number", "it is 1.5", "");
    refuses("{\"steps\": \"1\"}", "steps", "option \"steps\" takes a whole number", "it is \"1\"", "");
    refuses("{\"steps\": 1, \"shout\": 1}", "shout", "option \"shout\" takes true or false", "it is 1", "");
    refuses("{\"steps\": 1, \"note\": {}}", "note", "option \"note\" takes a string", "it is {}", "");
    refuses("{\"steps\": 1, \"keep\": [1]}", "keep", "option \"keep\" takes a list of strings", "it is [1]",
            "");
    refuses("{\"steps\": 1, \"schedule\": \"wsd\"}", "schedule",
            "option \"schedule\" takes a value: schedule", "it is \"wsd\"", "");
}

static void a_struct_is_filled_from_the_canonical_form(void **state)
{
    (void)state;
    json_t *canonical;
    options o = {0};
    tm_error err = {0};
    assert_int_equal(check("{\"steps\": 3, \"shout\": true, \"keep\": [\"a\", \"b\"], \"mode\": \"slow\","
                           " \"schedule\": {\"$value\": \"wsd\"}}", &canonical), TM_OK);
    assert_int_equal(tm_options_fill(table, canonical, &o, &err), TM_OK);
    assert_true(o.shout);
    assert_int_equal(o.steps, 3);
    assert_true(o.rate == 0.5);
    assert_string_equal(o.mode, "slow");
    assert_null(o.note);
    assert_string_equal(o.where, "here");
    assert_int_equal(o.keep.n, 2);
    assert_string_equal(o.keep.items[1], "b");
    assert_string_equal(json_string_value(json_object_get(o.schedule, "$value")), "wsd");
    tm_options_clear(table, &o);
    json_decref(canonical);
}

static void the_nearest_name_is_suggested_only_when_it_is_near(void **state)
{
    static const char *const names[] = {"checkpoint_every", "valid_every", "batch", NULL};
    (void)state;
    assert_string_equal(tm_nearest("batc", names), "batch");
    assert_string_equal(tm_nearest("chekpoint_evry", names), "checkpoint_every");
    assert_string_equal(tm_nearest("checkpoint", names), "checkpoint_every");
    assert_string_equal(tm_nearest("btach", names), "batch");
    assert_null(tm_nearest("temperature", names));
}

static void smokes(const char *args, int64_t steps, double rate)
{
    json_t *canonical;
    assert_int_equal(check(args, &canonical), TM_OK);
    tm_options_smoke(table, canonical);
    assert_int_equal(json_integer_value(json_object_get(canonical, "steps")), steps);
    assert_true(json_number_value(json_object_get(canonical, "rate")) == rate);
    assert_string_equal(json_string_value(json_object_get(canonical, "mode")), "slow");
    assert_true(json_is_null(json_object_get(canonical, "where")));
    assert_true(json_is_false(json_object_get(canonical, "shout")));
    json_decref(canonical);
}

static void a_smoke_run_takes_what_rows_have_for_it(void **unused)
{
    (void)unused;
    smokes("{\"steps\": 900, \"rate\": 0.1}", 5, 0.25);
    smokes("{\"steps\": 3, \"rate\": 0.75}", 3, 0.75);
    json_t *canonical = json_pack("{s:n}", "steps");
    tm_options_smoke(table, canonical);
    assert_int_equal(json_integer_value(json_object_get(canonical, "steps")), 5);
    json_decref(canonical);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_what_is_not_given),
        cmocka_unit_test(different_ways_to_write_a_value_are_one_value),
        cmocka_unit_test(faults_name_the_option_the_value_and_the_remedy),
        cmocka_unit_test(values_of_another_kind_are_refused),
        cmocka_unit_test(a_struct_is_filled_from_the_canonical_form),
        cmocka_unit_test(a_smoke_run_takes_what_rows_have_for_it),
        cmocka_unit_test(the_nearest_name_is_suggested_only_when_it_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
