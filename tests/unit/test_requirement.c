// SPDX-License-Identifier: Apache-2.0
// Requirements on metrics.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "stages/judge/requirement.h"

// The names a, b, c, ... in the order of the text have the values given.
static bool holds(const char *text, double a, double b, double c)
{
    tm_requirement *r = NULL;
    tm_error err = {0};
    if (tm_requirement_parse(text, &r, &err) < 0) fail_msg("%s: %s", text, err.text);
    double values[3] = {a, b, c};
    bool result = tm_requirement_holds(r, values);
    tm_requirement_free(r);
    return result;
}

static void comparisons_hold_as_written(void **state)
{
    (void)state;
    assert_true(holds("a > b", 2, 1, 0));
    assert_false(holds("a > b", 1, 1, 0));
    assert_true(holds("a >= b", 1, 1, 0));
    assert_true(holds("a <= b", 1, 1, 0));
    assert_false(holds("a < b", 1, 1, 0));
    assert_true(holds("a == b", 1, 1, 0));
    assert_false(holds("a==b", 1, 2, 0));
}

static void arithmetic_binds_as_usual(void **state)
{
    (void)state;
    assert_true(holds("1 + 2 * 3 == 7", 0, 0, 0));
    assert_true(holds("(1 + 2) * 3 == 9", 0, 0, 0));
    assert_true(holds("8 - 2 - 1 == 5", 0, 0, 0));
    assert_true(holds("8 / 2 / 2 == 2", 0, 0, 0));
    assert_true(holds("-a * -2 == 6", 3, 0, 0));
    assert_true(holds("a-b == 1e-1 * 10", 3, 2, 0));
    assert_true(holds("2 - -1 == 3", 0, 0, 0));
}

static void and_binds_closer_than_or(void **state)
{
    (void)state;
    assert_true(holds("a > 0 or b > 0 and c > 0", 1, 0, 0));
    assert_false(holds("(a > 0 or b > 0) and c > 0", 1, 0, 0));
    assert_true(holds("(a > 0 or b > 0) and c > 0", 0, 1, 1));
    assert_true(holds("order > 0 and android > 0", 1, 1, 0));
}

static void nothing_holds_of_what_is_not_finite(void **state)
{
    (void)state;
    assert_false(holds("a > 0", NAN, 0, 0));
    assert_false(holds("a <= 0", NAN, 0, 0));
    assert_false(holds("a == a", NAN, 0, 0));
    assert_false(holds("a / b > 0", 1, 0, 0));
    assert_false(holds("a < b", 1, INFINITY, 0));
    assert_true(holds("a > 0 or b > 0", NAN, 1, 0));
}

static void names_are_listed_once(void **state)
{
    (void)state;
    tm_requirement *r;
    assert_int_equal(
        tm_requirement_parse("dpo.pref.accuracy > base.pref.accuracy + 0.02 and 'lr=1e-4,seed=1'.t.loss < 3 "
                             "and dpo.pref.accuracy < 1",
                             &r, NULL),
        TM_OK);
    assert_string_equal(tm_requirement_name(r, 0), "dpo.pref.accuracy");
    assert_string_equal(tm_requirement_name(r, 1), "base.pref.accuracy");
    assert_string_equal(tm_requirement_name(r, 2), "lr=1e-4,seed=1.t.loss");
    assert_null(tm_requirement_name(r, 3));
    tm_requirement_free(r);
}

static void mistakes_are_told_with_their_place(void **state)
{
    static const char *const wrong[][2] = {
        {"", "ends: a number or a name is missing"},
        {"a", "compares nothing"},
        {"a + 1", "compares nothing"},
        {"a >", "behind `a >`"},
        {"a > b > c", "join two with `and`"},
        {"a > b and c", "comparisons on both sides"},
        {"a and b > 1", "comparisons on both sides"},
        {"(a > b) + 1 > 2", "computes with a comparison"},
        {"1 + (a > b) > 2", "computes with a comparison"},
        {"-(a > b) > 0", "not a comparison"},
        {"(a > b", "closing parenthesis"},
        {"a > b)", "goes on where it should end"},
        {"a > 3x", "has letters"},
        {"'a > b", "not closed"},
        {"a = b", "goes on where it should end"},
        {"a > #", "wants a number or the name of a metric"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        tm_requirement *r = NULL;
        tm_error err = {0};
        assert_int_equal(tm_requirement_parse(wrong[i][0], &r, &err), TM_EINVAL);
        if (!strstr(err.text, wrong[i][1])) fail_msg("%s: %s", wrong[i][0], err.text);
    }
}

static void depth_and_length_have_bounds(void **state)
{
    (void)state;
    char deep[4096] = "";
    tm_requirement *r = NULL;
    memset(deep, '(', 1000);
    assert_int_equal(tm_requirement_parse(deep, &r, NULL), TM_EINVAL);
    memset(deep, '-', 1000);
    assert_int_equal(tm_requirement_parse(deep, &r, NULL), TM_EINVAL);
    for (int i = 0; i < 1000; i++) memcpy(deep + 4 * i, "1 + ", 4);
    memcpy(deep + 4000, "1 > 0", 6);
    assert_int_equal(tm_requirement_parse(deep, &r, NULL), TM_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparisons_hold_as_written),  cmocka_unit_test(arithmetic_binds_as_usual),
        cmocka_unit_test(and_binds_closer_than_or),     cmocka_unit_test(nothing_holds_of_what_is_not_finite),
        cmocka_unit_test(names_are_listed_once),        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(depth_and_length_have_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
