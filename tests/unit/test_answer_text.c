// SPDX-License-Identifier: Apache-2.0
// Parts of answers and their normal forms.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "stages/judge/answer_text.h"

// NULL: there is no such part.
static void gives(const char *text, tm_answer_part part, tm_normal normal, const char *expect)
{
    tm_buf out = {0};
    bool there = tm_answer_text(tm_view_str(text), part, normal, &out);
    const char *found = !there ? "(none)" : out.data ? out.data : "";
    tm_buf_char(&out, 0);
    found = there ? out.data : found;
    if (strcmp(found, expect ? expect : "(none)") != 0) fail_msg("\"%s\" gives \"%s\"", text, found);
    tm_buf_clear(&out);
}

static void the_number_behind_the_hashes_is_the_answer_of_gsm8k(void **state)
{
    static const char *const cases[][2] = {
        {"16 - 3 = 13 eggs.\n#### 18", "18"},
        {"#### 3\nthen #### 1,234,567", "1234567"},
        {"#### $1,000.50", "1000.5"},
        {"#### -4.0", "-4"},
        {"#### 12.", "12"},
        {"#### 007", "7"},
        {"#### 0.50 dollars", "0.5"},
        {"#### -0", "0"},
        {"so 18", NULL},
        {"#### none\n18", NULL},
        {"###", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        gives(cases[i][0], TM_ANSWER_GSM8K, TM_NORMAL_TRIM, cases[i][1]);
}

static void the_last_number_is_found_wherever_it_stands(void **state)
{
    static const char *const cases[][2] = {
        {"first 3, then 12.5, and it is 40 eggs.", "40"},
        {"from 3-4", "4"},
        {"(-7)", "-7"},
        {"-$5", "-5"},
        {"1,2,3", "123"},
        {"v1.2.3", "3"},
        {"none", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        gives(cases[i][0], TM_ANSWER_LAST_NUMBER, TM_NORMAL_NONE, cases[i][1]);
}

static void what_does_not_count_is_left_out(void **state)
{
    (void)state;
    gives(" The  Mill, by a\nriver! ", TM_ANSWER_WHOLE, TM_NORMAL_WORDS, "mill by river");
    gives("a. the -- an", TM_ANSWER_WHOLE, TM_NORMAL_WORDS, "");
    gives("another theory", TM_ANSWER_WHOLE, TM_NORMAL_WORDS, "another theory");
    gives(" Two words \n", TM_ANSWER_WHOLE, TM_NORMAL_TRIM, "Two words");
    gives(" x ", TM_ANSWER_WHOLE, TM_NORMAL_NONE, " x ");
    gives("one\ntwo \n\n", TM_ANSWER_LAST_LINE, TM_NORMAL_TRIM, "two");
    gives("", TM_ANSWER_LAST_LINE, TM_NORMAL_TRIM, "");
}

static void every_name_of_the_options_is_known(void **state)
{
    (void)state;
    assert_int_equal(tm_answer_part_find("gsm8k"), TM_ANSWER_GSM8K);
    assert_int_equal(tm_answer_part_find("last_line"), TM_ANSWER_LAST_LINE);
    assert_int_equal(tm_normal_find("words"), TM_NORMAL_WORDS);
    assert_int_equal(tm_normal_find("word"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_behind_the_hashes_is_the_answer_of_gsm8k),
        cmocka_unit_test(the_last_number_is_found_wherever_it_stands),
        cmocka_unit_test(what_does_not_count_is_left_out),
        cmocka_unit_test(every_name_of_the_options_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
