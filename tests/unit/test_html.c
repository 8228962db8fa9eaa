// SPDX-License-Identifier: Apache-2.0
#include "stages/text/html.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_bytes(const char *html, size_t size, const tm_html_options *options, const char *text)
{
    tm_html_page page = {0};
    tm_error err = {0};
    assert_int_equal(tm_html_extract(tm_view_of(html, size), options, &page, &err), TM_OK);
    assert_string_equal(page.text.data ? page.text.data : "", text);
    tm_html_page_clear(&page);
}

static void expect(const char *html, const char *text)
{
    expect_bytes(html, strlen(html), NULL, text);
}

#define PROSE "The general processing of a query is explained in the following chapters of this manual."

static void paragraphs_and_headings_are_separated_by_empty_lines(void **state)
{
    (void)state;
    expect("<h1>Ships</h1><p>" PROSE
           "</p>  <h2>Sails &amp; oars</h2>\n<p>One  <b>two</b>\n three, and four &eacute;t five.<p>" PROSE,
           "Ships\n\n" PROSE "\n\nSails & oars\n\nOne two three, and four \xc3\xa9t five.\n\n" PROSE);
}

static void navigation_scripts_and_footers_are_dropped(void **state)
{
    (void)state;
    expect(
        "<nav><a href=/>Home</a></nav><div class=navheader><table><tr><td><a href=p>Prev</a><td><a "
        "href=u>Up</a>"
        "<td>Title<td><a href=n>Next</a></table></div><script>var p = '<p>no</p>';</script><style>p{}</style>"
        "<ul id=site-menu><li>One entry of a menu</ul><p>" PROSE "</p><p hidden>" PROSE "</p>"
        "<div role=contentinfo>" PROSE "</div><footer>" PROSE "</footer>",
        PROSE);
}

static void a_wrapper_that_only_mentions_a_sidebar_is_kept(void **state)
{
    (void)state;
    expect("<div class='no-sidebar has-footer'><p>" PROSE "</div>", PROSE);
}

static void lists_of_links_are_dropped_and_lists_of_text_kept(void **state)
{
    (void)state;
    expect("<p>" PROSE
           "</p><ul><li><a href=a>First link</a><li><a href=b>Second link</a></ul><ol><li>Pour the water"
           "<li>Stir for <i>two</i> minutes<ul><li>or for three</ul></ol>",
           PROSE "\n\n1. Pour the water\n2. Stir for two minutes\n  - or for three");
}

static void tables_are_written_a_row_a_line(void **state)
{
    (void)state;
    expect("<p>" PROSE
           "<table><tr><th>Name<th>Size of it<tr><td>small <b>int</b><td>2 bytes<tr><td>serial<td></table>",
           PROSE "\n\nName | Size of it\nsmall int | 2 bytes\nserial |");
}

static void preformatted_text_keeps_its_spaces(void **state)
{
    (void)state;
    expect("<p>" PROSE "<pre>\n\n  if (a &lt; b)\n      <b>run</b>();\n\n</pre>",
           PROSE "\n\n  if (a < b)\n      run();");
}

static void a_definition_follows_its_term(void **state)
{
    (void)state;
    expect("<dl><dt><code>alias</code><dd>" PROSE "<dt>on<dd>" PROSE "</dl>",
           "alias\n" PROSE "\n\non\n" PROSE);
}

static void a_line_break_is_a_line_and_two_are_a_paragraph(void **state)
{
    (void)state;
    expect("<p>Roses are red, violets are blue,<br>sugar is sweet and so are you.<br><br>" PROSE,
           "Roses are red, violets are blue,\nsugar is sweet and so are you.\n\n" PROSE);
}

static void text_outside_main_is_dropped_when_main_has_text(void **state)
{
    (void)state;
    expect("<p>" PROSE " Outside.</p><main><p>" PROSE PROSE PROSE PROSE "</p></main>",
           PROSE PROSE PROSE PROSE);
    expect("<p>" PROSE "</p><main>tiny</main>", PROSE "\n\ntiny");
}

static void boilerplate_can_be_kept(void **state)
{
    (void)state;
    const char *html = "<nav>Home</nav><p>Short</p><script>x</script>";
    expect_bytes(html, strlen(html), &(tm_html_options){.keep_boilerplate = true}, "Home\n\nShort");
}

static void the_title_is_given_apart(void **state)
{
    (void)state;
    tm_html_page page = {0};
    const char *html = "<title> A &amp;\n B </title><p>" PROSE;
    assert_int_equal(tm_html_extract(tm_view_str(html), NULL, &page, NULL), TM_OK);
    assert_string_equal(page.title.data, "A & B");
    assert_string_equal(page.text.data, PROSE);
    tm_html_page_clear(&page);
}

static void expect_charset(const char *html, size_t size, const char *declared, const char *charset,
                           const char *text)
{
    tm_html_page page = {0};
    tm_html_options options = {.charset = declared, .keep_boilerplate = true};
    assert_int_equal(tm_html_extract(tm_view_of(html, size), &options, &page, NULL), TM_OK);
    assert_string_equal(page.charset, charset);
    assert_string_equal(page.text.data, text);
    tm_html_page_clear(&page);
}

#define CHARSET(html, declared, charset, text) expect_charset(html, sizeof html - 1, declared, charset, text)

static void character_sets_are_found_by_mark_declaration_and_content(void **state)
{
    (void)state;
    CHARSET("\xef\xbb\xbf<p>h\xc3\xa9", "windows-1252", "utf-8", "h\xc3\xa9");
    CHARSET("<p>h\xc3\xa9", NULL, "utf-8", "h\xc3\xa9");
    CHARSET("<p>h\xe9 \x93", NULL, "windows-1252", "h\xc3\xa9 \xe2\x80\x9c");
    CHARSET("<meta charset='iso-8859-1'><p>\x80", NULL, "windows-1252", "\xe2\x82\xac");
    CHARSET("<meta http-equiv=Content-Type content='text/html; charset=windows-1251'><p>\xcf\xf0", NULL,
            "windows-1251", "\xd0\x9f\xd1\x80");
    CHARSET("<p>\x93\xfa\x96\x7b", "Shift_JIS", "shift_jis", "\xe6\x97\xa5\xe6\x9c\xac");
    CHARSET("\xff\xfe<\0p\0>\0\x3d\xd8\xa9\xdc\x3d\xd8", NULL, "utf-16le", "\xf0\x9f\x92\xa9\xef\xbf\xbd");
    CHARSET("<p>\xe9", "no-such-set", "windows-1252", "\xc3\xa9");
    CHARSET("<meta charset=utf-8><p>\xc3\xa9\xc3\xa8\xff", NULL, "utf-8", "\xc3\xa9\xc3\xa8\xef\xbf\xbd");
}

static void broken_pages_still_give_their_text(void **state)
{
    (void)state;
    expect("", "");
    expect("<p>" PROSE "<b><i></b></p></i></div></table><td>", PROSE);
    expect("<table><p>" PROSE "</p><tr></table>", PROSE);
    expect("<p>" PROSE "<!-- never closed", PROSE);
    expect("<p>" PROSE "<a href='never closed", PROSE);
    expect_bytes("<p>one more than seven\0 words are needed for this one to be kept.", 65, NULL,
                 "one more than seven words are needed for this one to be kept.");
}

// ---- hostile pages: each would take minutes, or the stack, without the bounds ----

static char *repeat(const char *unit, size_t n, size_t *size)
{
    size_t length = strlen(unit);
    char *bytes = malloc(length * n + 1);
    for (size_t i = 0; i < n; i++) memcpy(bytes + i * length, unit, length);
    *size = length * n;
    bytes[*size] = 0;
    return bytes;
}

static void survive(const char *unit, size_t n)
{
    size_t size;
    char *html = repeat(unit, n, &size);
    tm_html_page page = {0};
    assert_int_equal(tm_html_extract(tm_view_of(html, size), NULL, &page, NULL), TM_OK);
    tm_html_page_clear(&page);
    free(html);
}

static void deep_and_wide_pages_are_bounded(void **state)
{
    (void)state;
    survive("<div>", 100000);
    survive("<div></x>", 50000);
    survive("<b><div></b>", 20000);
    survive("<span><div></span>", 20000);
    survive("<div><table><tr><td></div>", 20000);
    survive("<svg><g>", 20000);
    survive("<a href=x><p>", 5000);
    survive("<ul><li>x", 20000);
    survive("<", 100000);
    survive("</", 100000);
    survive("<!--", 50000);
    survive("<script>", 50000);
    survive("&notin", 50000);
}

static void a_tag_of_many_attributes_loses_them(void **state)
{
    (void)state;
    tm_buf html = {0};
    tm_buf_str(&html, "<p ");
    for (int i = 0; i < 60000; i++) tm_buf_fmt(&html, "a%d ", i);
    tm_buf_str(&html, ">" PROSE);
    expect_bytes(html.data, html.size, NULL, PROSE);
    tm_buf_clear(&html);
}

static void many_open_formats_are_stripped_beyond_the_memory_limit(void **state)
{
    (void)state;
    tm_buf html = {0};
    tm_buf_str(&html, "<p>");
    for (int i = 0; i < 400; i++) tm_buf_fmt(&html, "<b id=%d>", i);
    for (int i = 0; i < 2000; i++) tm_buf_str(&html, "<p>word &amp; word");
    tm_html_page page = {0};
    tm_html_options options = {.max_memory_bytes = 4 << 20};
    assert_int_equal(tm_html_extract(tm_buf_view(&html), &options, &page, NULL), TM_OK);
    assert_true(page.stripped);
    assert_memory_equal(page.text.data, "word & word\nword & word\n", 24);
    tm_html_page_clear(&page);
    tm_buf_clear(&html);
}

static void a_page_that_is_too_large_is_refused(void **state)
{
    (void)state;
    tm_html_page page = {0};
    tm_error err = {0};
    assert_int_equal(tm_html_extract(tm_view_str("<p>x"), &(tm_html_options){.max_bytes = 3}, &page, &err),
                     TM_EFORMAT);
    assert_non_null(strstr(err.text, "4 bytes"));
    tm_html_page_clear(&page);
}

static void running_out_of_memory_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    const char *html = "<title>t</title><h1>A</h1><p>" PROSE "<ul><li>a b c<li>b c d</ul>";
    tm_status status = TM_ENOMEM;
    uint64_t n = 1;
    for (; status == TM_ENOMEM && n < 1000; n++) {
        tm_html_page page = {0};
        tm_alloc_fail_at(n, false);
        status = tm_html_extract(tm_view_str(html), NULL, &page, NULL);
        tm_alloc_fail_at(0, false);
        tm_html_page_clear(&page);
    }
    assert_int_equal(status, TM_OK);
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paragraphs_and_headings_are_separated_by_empty_lines),
        cmocka_unit_test(navigation_scripts_and_footers_are_dropped),
        cmocka_unit_test(a_wrapper_that_only_mentions_a_sidebar_is_kept),
        cmocka_unit_test(lists_of_links_are_dropped_and_lists_of_text_kept),
        cmocka_unit_test(tables_are_written_a_row_a_line),
        cmocka_unit_test(preformatted_text_keeps_its_spaces),
        cmocka_unit_test(a_definition_follows_its_term),
        cmocka_unit_test(a_line_break_is_a_line_and_two_are_a_paragraph),
        cmocka_unit_test(text_outside_main_is_dropped_when_main_has_text),
        cmocka_unit_test(boilerplate_can_be_kept),
        cmocka_unit_test(the_title_is_given_apart),
        cmocka_unit_test(character_sets_are_found_by_mark_declaration_and_content),
        cmocka_unit_test(broken_pages_still_give_their_text),
        cmocka_unit_test(deep_and_wide_pages_are_bounded),
        cmocka_unit_test(a_tag_of_many_attributes_loses_them),
        cmocka_unit_test(many_open_formats_are_stripped_beyond_the_memory_limit),
        cmocka_unit_test(a_page_that_is_too_large_is_refused),
        cmocka_unit_test(running_out_of_memory_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
