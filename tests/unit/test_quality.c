// SPDX-License-Identifier: Apache-2.0
#include "stages/text/quality.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/text_fixture.h"

static tm_quality_document document;

static double score(const char *name, const char *text)
{
    const tm_quality_filter *filter = tm_quality_find(name);
    assert_non_null(filter);
    assert_int_equal(tm_quality_measure(&document, tm_view_str(text), true, NULL), TM_OK);
    return filter->score(&document);
}

static bool keeps(const char *name, const char *text)
{
    const tm_quality_filter *filter = tm_quality_find(name);
    double value = score(name, text);
    return value >= filter->min && value <= filter->max;
}

static void expect(const char *name, const char *text, double value)
{
    double got = score(name, text);
    if (fabs(got - value) > 1e-12) fail_msg("%s of \"%s\": %.17g, expected %.17g", name, text, got, value);
}

static void check_curator_row(json_t *row)
{
    const char *text = json_string_value(json_object_get(row, "text")), *name;
    json_t *value;
    json_object_foreach(json_object_get(row, "scores"), name, value)
        expect(name, text, json_number_value(value));
}

static void scores_are_those_of_curator(void **state)
{
    (void)state;
    assert_true(fixture_lines("tests/fixtures/text/quality.jsonl", check_curator_row) >= 10);
}

static void characters_are_counted_by_code_point(void **state)
{
    (void)state;
    expect("non_alpha_numeric", "ab\xc3\xa9 ", 0.5);
    expect("white_space", "\xe2\x82\xac \t\xc2\xa0", 0.5);
    expect("numbers",
           "\xe0\xa5\xa7"
           "12",
           2.0 / 3);
    expect("parentheses", "(\xe2\x9f\xa8x", 2.0 / 3);
    expect("long_word", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e ab", 3);
}

static void words_end_at_unicode_white_space(void **state)
{
    (void)state;
    expect("word_count",
           " one\xc2\xa0two\xe3\x80\x80three\x1c"
           "four\n",
           4);
    expect("mean_word_length", "ab abcd", 3);
    expect("words_without_alphabets", "a1 22 3c 4 \xe2\x93\x90", 0.6);
    expect("common_english_words", "The the AND of to be", 2);
    expect("symbols_to_words", "# ## #a ... \xe2\x80\xa6 x", 3.0 / 6);
}

static void lines_are_judged_without_the_space_around_them(void **state)
{
    (void)state;
    expect("bullets", "\xe2\x80\xa2 a\n  \xe2\x97\x8f b\n\n\t\nc", 2.0 / 3);
    expect("punctuation", "a. \nb?\nc\n\"d\"", 0.25);
    expect("ellipsis", "a...\nREAD MORE\nb\n", 2.0 / 3);
}

static void urls_end_where_curator_ends_them(void **state)
{
    (void)state;
    expect("urls", "http://a.b/c%20d e", 16.0 / 18);
    expect("urls", "https:// http:/x httphttp://y", 8.0 / 29);
    expect("pornographic_urls", "porn http://x/porn", 1);
    expect("pornographic_urls", "porn http://x/", 0);
}

static void boilerplate_paragraphs_are_found_in_any_case(void **state)
{
    (void)state;
    expect("boilerplate_string", "Our Privacy Policy\n\na\n\nWe Use Cookies\n\nb", 0.5);
    expect("boilerplate_string", "a cookie\n\nprivacy and more", 0);
    expect("boilerplate_string", "LOREM ipsum\n\nb", 1);
}

static void repeated_lines_and_paragraphs_are_shares_of_the_distinct(void **state)
{
    (void)state;
    expect("repeated_lines", "a\na\n\nb\nb", 0.5);
    expect("repeated_lines_char", "aaa\naaa\nb", 4.0 / 7);
    expect("repeated_paragraphs", "a\n\na\n\nb", 2.0 / 3);
    expect("repeated_paragraphs_char", "aaa\n\naaa\n\nb", 4.0 / 7);
}

static void the_first_of_equally_frequent_ngrams_is_taken(void **state)
{
    (void)state;
    expect("top_2grams", "a bbb c dddd", 5.0 / 12);
    expect("top_2grams", "x y a b x y a b", 6.0 / 15);
}

static void overlapping_duplicates_are_counted_once(void **state)
{
    (void)state;
    expect("duplicate_5grams", "a b c d e f a b c d e f", 11.0 / 23);
    expect("duplicate_5grams", "a b c d", 1);
    expect("duplicate_10grams", "a b c d e f g h i j k", 0);
}

static void an_empty_document_is_rejected_by_every_filter_that_divides(void **state)
{
    (void)state;
    static const char *const dividing[] = {"non_alpha_numeric",
                                           "symbols_to_words",
                                           "numbers",
                                           "urls",
                                           "white_space",
                                           "parentheses",
                                           "boilerplate_string",
                                           "repeated_lines",
                                           "repeated_paragraphs_char",
                                           "word_count",
                                           "punctuation",
                                           "mean_word_length",
                                           "ellipsis",
                                           "words_without_alphabets",
                                           "bullets",
                                           "top_2grams",
                                           "duplicate_5grams"};
    for (size_t i = 0; i < sizeof dividing / sizeof *dividing; i++)
        if (keeps(dividing[i], "") && strcmp(dividing[i], "boilerplate_string"))
            fail_msg("%s keeps nothing", dividing[i]);
}

static void prose_is_kept_by_every_filter(void **state)
{
    (void)state;
    const char *prose =
        "The tide rises twice a day, and with it the mill begins to turn. Water that has waited behind the "
        "gate falls "
        "on the wheel, the wheel drives the stones, and flour runs into sacks that have stood empty since "
        "noon.\n\n"
        "Nobody remembers who built the first one. An old map shows two ponds and a causeway; a letter of "
        "the same "
        "year speaks of grain, of a broken axle, and of a miller who slept when the sea slept.";
    for (size_t i = 0; i < tm_quality_filter_count; i++)
        if (!keeps(tm_quality_filters[i].name, prose))
            fail_msg("%s: %g", tm_quality_filters[i].name, score(tm_quality_filters[i].name, prose));
}

static void the_table_has_no_name_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < tm_quality_filter_count; i++)
        assert_ptr_equal(tm_quality_find(tm_quality_filters[i].name), &tm_quality_filters[i]);
    assert_null(tm_quality_find("no such filter"));
    assert_int_equal(tm_quality_filter_count, 29);
}

static void substrings_are_found_at_their_place(void **state)
{
    (void)state;
    tm_view text = tm_view_str("begin middle end");
    assert_true(tm_quality_substring(text, tm_view_str("begin"), TM_SUBSTRING_PREFIX));
    assert_false(tm_quality_substring(text, tm_view_str("end"), TM_SUBSTRING_PREFIX));
    assert_true(tm_quality_substring(text, tm_view_str("end"), TM_SUBSTRING_SUFFIX));
    assert_true(tm_quality_substring(text, tm_view_str("middle"), TM_SUBSTRING_ANY));
    assert_false(tm_quality_substring(tm_view_str("e"), text, TM_SUBSTRING_ANY));
    assert_true(tm_quality_substring(text, tm_view_str(""), TM_SUBSTRING_SUFFIX));
}

static void broken_bytes_and_long_runs_are_survived(void **state)
{
    (void)state;
    char text[4096];
    uint32_t x = 9;
    for (int round = 0; round < 300; round++) {
        for (size_t i = 0; i < sizeof text; i++) {
            x = x * 1664525 + 1013904223;
            text[i] = round % 3 ? "ab \n#\xe2\x80\xa6.http://%2"[(x >> 24) % 17] : (char)(x >> 24);
        }
        assert_int_equal(tm_quality_measure(&document, tm_view_of(text, sizeof text), true, NULL), TM_OK);
    }
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    tm_status status = TM_ENOMEM;
    uint64_t n = 1;
    for (; status == TM_ENOMEM && n < 100; n++) {
        tm_quality_document fresh = {0};
        tm_alloc_fail_at(n, false);
        status = tm_quality_measure(&fresh, tm_view_str("a b c d a b c d\n\nx"), true, NULL);
        tm_alloc_fail_at(0, false);
        tm_quality_document_clear(&fresh);
    }
    assert_int_equal(status, TM_OK);
    assert_true(n > 6);
}

static int clear(void **state)
{
    (void)state;
    tm_quality_document_clear(&document);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_curator),
        cmocka_unit_test(characters_are_counted_by_code_point),
        cmocka_unit_test(words_end_at_unicode_white_space),
        cmocka_unit_test(lines_are_judged_without_the_space_around_them),
        cmocka_unit_test(urls_end_where_curator_ends_them),
        cmocka_unit_test(boilerplate_paragraphs_are_found_in_any_case),
        cmocka_unit_test(repeated_lines_and_paragraphs_are_shares_of_the_distinct),
        cmocka_unit_test(the_first_of_equally_frequent_ngrams_is_taken),
        cmocka_unit_test(overlapping_duplicates_are_counted_once),
        cmocka_unit_test(an_empty_document_is_rejected_by_every_filter_that_divides),
        cmocka_unit_test(prose_is_kept_by_every_filter),
        cmocka_unit_test(the_table_has_no_name_twice),
        cmocka_unit_test(substrings_are_found_at_their_place),
        cmocka_unit_test(broken_bytes_and_long_runs_are_survived),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, clear);
}
