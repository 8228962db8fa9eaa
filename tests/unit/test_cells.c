// SPDX-License-Identifier: Apache-2.0
#include "lua/cli/cells.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void is_put_as(const char *text, size_t width, bool utf8, const char *expected, size_t cells)
{
    tm_buf out = {0};
    tm_buf_str(&out, "");
    assert_int_equal(tm_cells_put(&out, tm_view_str(text), width, utf8), cells);
    assert_string_equal(out.data, expected);
    tm_buf_clear(&out);
}

static void wide_and_combining_characters_are_counted_as_terminals_do(void **state)
{
    (void)state;
    is_put_as("naïve", 20, true, "naïve", 5);
    is_put_as("日本語", 20, true, "日本語", 6);
    is_put_as("e\xcc\x81", 20, true, "e\xcc\x81", 1);  // e and an acute accent
    is_put_as("a\xcc\x81\xcc\x82\xcc\x83\xcc\x84", 20, true, "a\xcc\x81\xcc\x82", 1);  // no towers
    is_put_as("\xf0\x9f\x8c\x99", 20, true, "\xf0\x9f\x8c\x99", 2);
}

static void what_does_not_fit_is_cut_between_cells(void **state)
{
    (void)state;
    is_put_as("tidemill", 8, true, "tidemill", 8);
    is_put_as("tidemill", 7, true, "tidemi…", 7);
    is_put_as("tidemill", 7, false, "tidem..", 7);
    is_put_as("日本語", 5, true, "日本…", 5);
    is_put_as("日本語", 4, true, "日…", 3);  // no half characters
    is_put_as("tidemill", 1, true, "…", 1);
    is_put_as("tidemill", 0, true, "", 0);
}

static void nothing_in_a_text_steers_the_terminal(void **state)
{
    (void)state;
    is_put_as("a\033[31mb\007", 20, true, "a?[31mb?", 8);
    is_put_as("a\tb\r\n  c", 20, true, "a b c", 5);
    is_put_as("a\xc2\x9b" "31mb", 20, true, "a?31mb", 6);             // CSI of the upper half
    is_put_as("\xe2\x80\xae" "abc\xe2\x80\x8b", 20, true, "abc", 3);  // right to left, no width
    is_put_as("\xff\xc0" "a", 20, true, "??a", 3);
    is_put_as("caf\xc3\xa9 \xe6\x97\xa5", 20, false, "caf? ?", 6);
    is_put_as("\x7f", 20, true, "?", 1);
}

static void texts_wrap_between_words(void **state)
{
    (void)state;
    tm_view text = tm_view_str("the tide drives the mill");
    const char *const lines[] = {"the tide", "drives the", "mill"};
    for (int i = 0; i < 3; i++) {
        tm_buf out = {0};
        assert_true(tm_cells_wrap(&out, &text, 10, true) <= 10);
        assert_string_equal(out.data, lines[i]);
        tm_buf_clear(&out);
    }
    assert_int_equal(text.size, 0);
    tm_buf out = {0};
    text = tm_view_str("incomprehensibilities");
    assert_int_equal(tm_cells_wrap(&out, &text, 10, true), 10);  // no word ends: cut
    assert_string_equal(out.data, "incomprehe");
    tm_buf_clear(&out);
}

static void a_message_keeps_its_blanks(void **state)
{
    (void)state;
    tm_buf out = {0};
    tm_cells_clean(&out, tm_view_str("  a    b\n\033c"), true);
    assert_string_equal(out.data, "  a    b ?c");
    tm_buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_and_combining_characters_are_counted_as_terminals_do),
        cmocka_unit_test(what_does_not_fit_is_cut_between_cells),
        cmocka_unit_test(nothing_in_a_text_steers_the_terminal),
        cmocka_unit_test(texts_wrap_between_words),
        cmocka_unit_test(a_message_keeps_its_blanks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
