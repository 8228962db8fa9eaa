// SPDX-License-Identifier: Apache-2.0
#include "stages/train/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static tm_schedule of(const char *kind, uint64_t total)
{
    return (tm_schedule){.kind = tm_schedule_find(kind), .peak = 2, .floor = 0.1, .decay = 0.25, .warmup = 10,
                         .total = total};
}

static void near(double a, double b)
{
    if (!(fabs(a - b) < 1e-12)) fail_msg("%.17g is not %.17g", a, b);
}

static void each_kind_follows_its_curve(void **state)
{
    tm_schedule wsd = of("wsd", 100), cosine = of("cosine", 110), linear = of("linear", 109);
    near(tm_schedule_rate(&wsd, 0), 0.2);
    near(tm_schedule_rate(&wsd, 9), 2);
    near(tm_schedule_rate(&wsd, 74), 2);
    near(tm_schedule_rate(&wsd, 75), 2 * (1 - 0.9 * sqrt(1 / 26.0)));
    near(tm_schedule_rate(&wsd, 99), 2 * (1 - 0.9 * sqrt(25 / 26.0)));
    near(tm_schedule_rate(&cosine, 59), 2 * (0.1 + 0.9 * 0.5 * (1 + cos(M_PI * 50 / 101))));
    near(tm_schedule_rate(&linear, 59), 2 * (1 - 0.9 * 0.5));
    tm_schedule constant = of("constant", 100);
    near(tm_schedule_rate(&constant, 99), 2);
    near(tm_schedule_rate(&constant, 5000), 2);
}

static void rates_below_extends_are_the_same_for_every_longer_run(void **state)
{
    for (size_t k = 0; tm_schedule_at(k); k++) {
        const char *kind = tm_schedule_at(k)->name;
        for (uint64_t total = 1; total < 200; total += 7) {
            tm_schedule shorter = of(kind, total);
            uint64_t n = tm_schedule_extends(&shorter);
            for (uint64_t longer_total = total; longer_total < 900; longer_total += 53) {
                tm_schedule longer = of(kind, longer_total);
                for (uint64_t s = 0; s < n && s < total; s++)
                    assert_true(tm_schedule_rate(&shorter, s) == tm_schedule_rate(&longer, s));
            }
        }
    }
}

static void extends_is_where_the_curve_begins_to_depend_on_the_total(void **state)
{
    tm_schedule wsd = of("wsd", 100), cosine = of("cosine", 100), constant = of("constant", 100);
    assert_int_equal(tm_schedule_extends(&wsd), 75);
    assert_int_equal(tm_schedule_extends(&cosine), 10);
    assert_true(tm_schedule_extends(&constant) >= 100);
    tm_schedule longer = of("wsd", 104);
    assert_true(tm_schedule_rate(&wsd, 75) != tm_schedule_rate(&longer, 75));
    longer = of("cosine", 101);
    assert_true(tm_schedule_rate(&cosine, 10) != tm_schedule_rate(&longer, 10));
}

static void a_number_outside_its_range_is_refused(void **state)
{
    tm_error err = {0};
    tm_schedule s = of("wsd", 100);
    assert_int_equal(tm_schedule_check(&s, &err), TM_OK);
    s.decay = 1.5;
    assert_int_equal(tm_schedule_check(&s, &err), TM_EINVAL);
    assert_non_null(strstr(err.text, "decay"));
    s = of("wsd", 0);
    assert_int_equal(tm_schedule_check(&s, &err), TM_EINVAL);
    s = of("wsd", 5);
    s.peak = NAN;
    assert_int_equal(tm_schedule_check(&s, &err), TM_EINVAL);
    s = of("wsd", 5);
    s.floor = -1;
    assert_int_equal(tm_schedule_check(&s, &err), TM_EINVAL);
    assert_null(tm_schedule_find("triangle"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_follows_its_curve),
        cmocka_unit_test(rates_below_extends_are_the_same_for_every_longer_run),
        cmocka_unit_test(extends_is_where_the_curve_begins_to_depend_on_the_total),
        cmocka_unit_test(a_number_outside_its_range_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
