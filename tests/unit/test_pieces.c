// SPDX-License-Identifier: Apache-2.0
#include "stages/text/pieces.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/base/utf8.h"

// The pieces of a text, with "|" behind each.
static const char *cut(const char *text, size_t size)
{
    static char out[512];
    size_t at = 0, n = 0;
    tm_view piece;
    while (tm_piece_next(tm_view_str(text), size, &at, &piece)) {
        assert_true(piece.size > 0 && piece.size <= size && n + piece.size + 2 < sizeof out);
        memcpy(out + n, piece.data, piece.size);
        n += piece.size;
        out[n++] = '|';
    }
    out[n] = 0;
    return out;
}

static void test_a_text_that_fits_is_one_piece_without_the_blanks_around_it(void **state)
{
    assert_string_equal(cut(" \n one two \n", 40), "one two|");
    assert_string_equal(cut("sixteen letters.", 16), "sixteen letters.|");
}

static void test_a_text_of_blanks_has_no_piece(void **state)
{
    assert_string_equal(cut("", 16), "");
    assert_string_equal(cut(" \n\r\n\t                       ", 16), "");
}

static void test_paragraphs_come_before_lines_before_sentences_before_words(void **state)
{
    assert_string_equal(cut("first one.\n\nline a\nline b. And so on", 24),
                        "first one.|line a\nline b. And so on|");
    assert_string_equal(cut("One here. Two\nthree words and four", 24),
                        "One here. Two|three words and four|");
    assert_string_equal(cut("One is here. Two and three words", 24), "One is here.|Two and three words|");
    assert_string_equal(cut("one two three four five six", 16), "one two three|four five six|");
}

static void test_a_blank_line_may_hold_blanks_and_carriage_returns(void **state)
{
    assert_string_equal(cut("first one.\r\n \t\r\nline a\nline b", 24), "first one.|line a\nline b|");
}

static void test_an_end_that_leaves_less_than_a_quarter_is_passed_over(void **state)
{
    assert_string_equal(cut("Hi.\n\nthis goes on and on for a while", 24),
                        "Hi.\n\nthis goes on and on|for a while|");
}

static void test_characters_stay_whole(void **state)
{
    size_t at = 0;
    tm_view piece, text = tm_view_str("ööööööööööööööööööööööööööööööööö€€€€€€€€€€€€€€€😀😀😀😀😀😀😀");
    while (tm_piece_next(text, 17, &at, &piece)) {
        assert_true(piece.size >= 14 || at == text.size);
        assert_int_equal(tm_utf8_valid(piece), piece.size);
    }
    assert_int_equal(at, text.size);
}

static void test_bytes_that_are_no_text_are_cut_too(void **state)
{
    assert_int_equal(
        strlen(cut("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 16)), 18 + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_text_that_fits_is_one_piece_without_the_blanks_around_it),
        cmocka_unit_test(test_a_text_of_blanks_has_no_piece),
        cmocka_unit_test(test_paragraphs_come_before_lines_before_sentences_before_words),
        cmocka_unit_test(test_a_blank_line_may_hold_blanks_and_carriage_returns),
        cmocka_unit_test(test_an_end_that_leaves_less_than_a_quarter_is_passed_over),
        cmocka_unit_test(test_characters_stay_whole),
        cmocka_unit_test(test_bytes_that_are_no_text_are_cut_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
