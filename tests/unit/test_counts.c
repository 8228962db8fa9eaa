// SPDX-License-Identifier: Apache-2.0
#include "lua/cli/counts.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lua/cli/json_text.h"

static void durations_are_told_in_one_style(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } rows[] = {{0, "0 s"},         {0.004, "0 s"},      {0.0254, "0.03 s"},     {0.0949, "0.09 s"},
                {0.096, "0.1 s"},   {1.24, "1.2 s"},     {3, "3 s"},             {9.94, "9.9 s"},
                {9.96, "10 s"},     {59.4, "59 s"},      {59.6, "1 min 00 s"},   {125, "2 min 05 s"},
                {3599, "59 min 59 s"}, {12000, "3 h 20 min"}, {200000, "2 d 07 h"}, {-1, "-"},
                {NAN, "-"}};
    char text[TM_COUNT_TEXT];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(tm_duration_text(rows[i].seconds, text), rows[i].text);
    assert_true(strlen(tm_duration_text(1e300, text)) < TM_COUNT_TEXT);
}

static void stored_numbers_have_the_digits_that_they_need(void **state)
{
    char text[TM_COUNT_TEXT];
    (void)state;
    assert_string_equal(tm_exact_text(0.1, text), "0.1");
    assert_string_equal(tm_exact_text((double)0.1f, text), "0.1");
    assert_string_equal(tm_exact_text((double)-12.345678f, text), "-12.345678");
    assert_string_equal(tm_exact_text(1.0 / 3, text), "0.3333333333333333");
    assert_string_equal(tm_exact_text(1073741824, text), "1073741824");
    assert_string_equal(tm_exact_text(0, text), "0");
    assert_string_equal(tm_exact_text(2e-5, text), "2e-05");
    assert_string_equal(tm_exact_text(INFINITY, text), "inf");
}

static void every_number_reads_back_as_itself(void **state)
{
    char text[TM_COUNT_TEXT];
    uint64_t bits = 88172645463325252u;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        double number;
        float single;
        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        memcpy(&number, &bits, sizeof number);
        memcpy(&single, &bits, sizeof single);
        if (isfinite(number) && (double)(float)number != number)
            assert_true(strtod(tm_exact_text(number, text), NULL) == number);
        if (!isfinite(single)) continue;
        assert_true(strtof(tm_exact_text((double)single, text), NULL) == single);
        if (single != floorf(single)) assert_true(strlen(text) <= 15);
    }
}

static void json_has_short_numbers_and_is_read_back(void **state)
{
    static const char given[] =
        "{\"b\":[1,2.5,1.0,0.30000001192092896,null,true,false],\"a\":{\"\\n\":\"\\u00e4\\\"\"},\"c\":[]}";
    tm_buf text = {0};
    json_t *value = json_loads(given, 0, NULL);
    (void)state;
    tm_json_text(value, &text);
    assert_string_equal(
        text.data, "{\"b\":[1,2.5,1.0,0.3,null,true,false],\"a\":{\"\\n\":\"\xc3\xa4\\\"\"},\"c\":[]}");
    json_decref(value);
    tm_buf_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_told_in_one_style),
        cmocka_unit_test(stored_numbers_have_the_digits_that_they_need),
        cmocka_unit_test(every_number_reads_back_as_itself),
        cmocka_unit_test(json_has_short_numbers_and_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
