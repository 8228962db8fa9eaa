// SPDX-License-Identifier: Apache-2.0
#include "lua/report/html.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void check(tm_view text, const char *want)
{
    tm_buf page = {0};
    tm_html_text(&page, text);
    assert_int_equal(page.size, strlen(want));
    if (page.size) assert_memory_equal(page.data, want, page.size);
    tm_buf_clear(&page);
}

static void the_signs_of_markup_become_references(void **state)
{
    check(tm_view_str("</script><script>alert(\"a\" & 'b')</script>"),
          "&lt;/script&gt;&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt;");
    check(tm_view_str("&lt;"), "&amp;lt;");
    check(tm_view_str("plain text, \xc3\xa4 and \xf0\x9f\x8c\x8a\n\tstay"),
          "plain text, \xc3\xa4 and \xf0\x9f\x8c\x8a\n\tstay");
    check((tm_view){0}, "");
}

static void what_is_no_text_is_shown_as_a_sign(void **state)
{
    check(tm_view_of("a\0b", 3), "a\xe2\x90\x80" "b");
    check(tm_view_str("\x1b[31m\r"), "\xe2\x90\x9b[31m\xe2\x90\x8d");
    check(tm_view_str("\xff\xc3<"), "\xef\xbf\xbd\xef\xbf\xbd&lt;");
    check(tm_view_str("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    check(tm_view_str("\x7f\xc2\x85"), "\xef\xbf\xbd\xef\xbf\xbd");
}

static void visible(const char *text, const char *want, bool blank)
{
    tm_buf page = {0};
    assert_int_equal(tm_html_visible(&page, tm_view_str(text)), blank);
    assert_string_equal(page.size ? page.data : "", want);
    tm_buf_clear(&page);
}

static void white_space_that_nobody_would_see_gets_signs(void **state)
{
    (void)state;
    visible("\n\n\n\n", "↵↵↵↵", true);
    visible(" \t\n", "·→↵", true);
    visible("one\n\ntwo <b>\n", "one\n\ntwo &lt;b&gt;\n", false);
    visible("a.\n\n\n\nb", "a.↵↵↵↵\nb", false);
    visible("", "", false);
}

static void texts_of_a_format_are_escaped_and_its_markup_is_not(void **state)
{
    tm_buf page = {0};
    const char *volatile none = NULL;
    tm_html(&page, "<td class=\"%s\">%d of %lld, %zu, %.2f %%, %s</td>", "\"><b>", -3, 1LL << 40, (size_t)7,
            0.126, none);
    assert_string_equal(page.data, "<td class=\"&quot;&gt;&lt;b&gt;\">-3 of 1099511627776, 7, 0.13 %, </td>");
    tm_buf_clear(&page);
}

static void numbers_are_written_as_people_read_them(void **state)
{
    char text[TM_HTML_NUMBER];
    assert_string_equal(tm_html_value(1.74213, text), "1.7421");
    assert_string_equal(tm_html_value(400, text), "400");
    assert_string_equal(tm_html_value(0.00002, text), "2e-05");
    assert_string_equal(tm_html_value(0.0 / 0.0, text), "not a number");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_signs_of_markup_become_references),
        cmocka_unit_test(what_is_no_text_is_shown_as_a_sign),
        cmocka_unit_test(white_space_that_nobody_would_see_gets_signs),
        cmocka_unit_test(texts_of_a_format_are_escaped_and_its_markup_is_not),
        cmocka_unit_test(numbers_are_written_as_people_read_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
