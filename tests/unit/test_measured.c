// SPDX-License-Identifier: Apache-2.0
#include "lua/cli/measured.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>

#include <cmocka.h>

static void is(double value, double error, const char *value_text, const char *error_text)
{
    tm_measured m = tm_measured_of(value, error);
    assert_string_equal(m.value, value_text);
    assert_string_equal(m.error, error_text);
}

static void a_value_has_the_digits_that_its_error_leaves(void **state)
{
    (void)state;
    is(456.4843, 11.4917, "456", "11");
    is(5.5633, 0.0316, "5.563", "0.032");
    is(37.581, 9.3324, "37.6", "9.3");
    is(1.25, 0.0996, "1.25", "0.10");
    is(5633.2, 123.4, "5633", "123");
    is(-0.25, 0.0123, "-0.250", "0.012");
}

static void without_an_error_there_are_four_digits(void **state)
{
    (void)state;
    is(2.18834, NAN, "2.188", "");
    is(0.47583, NAN, "0.4758", "");
    is(0.0012345, NAN, "0.001234", "");
    is(999.96, NAN, "1000", "");
    is(5633.21, NAN, "5633", "");
    is(24, NAN, "24", "");
    is(1, 0, "1", "0");
    is(0, NAN, "0", "");
}

static void what_is_huge_tiny_or_no_number_stays_short(void **state)
{
    (void)state;
    is(NAN, NAN, "nan", "");
    is(-INFINITY, 1, "-inf", "");
    is(1e300, 1e299, "1.000e+300", "1.0e+299");
    is(1.5, 2.5e-12, "1.500", "2.5e-12");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_has_the_digits_that_its_error_leaves),
        cmocka_unit_test(without_an_error_there_are_four_digits),
        cmocka_unit_test(what_is_huge_tiny_or_no_number_stays_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
