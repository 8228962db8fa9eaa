// SPDX-License-Identifier: Apache-2.0
#include "stages/text/unicode.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/utf8.h"
#include "tests/unit/text_fixture.h"

static void expect_bytes(const tm_unicode_options *options, tm_view text, tm_view fixed)
{
    tm_unicode *u = tm_unicode_new(options);
    tm_buf out = {0};
    bool changed = false;
    assert_non_null(u);
    assert_int_equal(tm_unicode_fix(u, text, &out, &changed, NULL), TM_OK);
    if (!tm_view_eq(tm_buf_view(&out), fixed))
        fail_msg("\"%.*s\" is not \"%s\"", (int)out.size, out.data ? out.data : "", fixed.data);
    assert_int_equal(changed, !tm_view_eq(text, fixed));
    tm_buf_clear(&out);
    tm_unicode_free(u);
}

static void expect_with(const tm_unicode_options *options, const char *text, const char *fixed)
{
    expect_bytes(options, tm_view_str(text), tm_view_str(fixed));
}

static void expect(const char *text, const char *fixed)
{
    expect_with(NULL, text, fixed);
}

static void check_ftfy_row(json_t *row)
{
    const json_t *text = json_object_get(row, "text"), *fixed = json_object_get(row, "fixed");
    expect_bytes(NULL, tm_view_of(json_string_value(text), json_string_length(text)),
                 tm_view_of(json_string_value(fixed), json_string_length(fixed)));
}

static void repairs_are_those_of_ftfy(void **state)
{
    (void)state;
    assert_true(fixture_lines("tests/fixtures/text/unicode.jsonl", check_ftfy_row) >= 50);
}

static void clean_text_is_left_as_it_is(void **state)
{
    (void)state;
    expect("", "");
    expect("plain\ttext\n\nwith lines\n", "plain\ttext\n\nwith lines\n");
    expect("caf\u00e9 \u201cquoted\u201d \u2014 \u65e5\u672c\u8a9e \U0001f4a9\n",
           "caf\u00e9 \u201cquoted\u201d \u2014 \u65e5\u672c\u8a9e \U0001f4a9\n");
    expect("e\u0301 \ufb01", "e\u0301 \ufb01"); // no normalization unless asked
}

static void mojibake_is_undone_layer_by_layer(void **state)
{
    (void)state;
    expect("s\u00c3\u00b3", "s\u00f3");
    expect("\u00e2\u20ac\u2122", "\u2019");
    expect("caf\u00c3\u0192\u00c2\u00a9", "caf\u00e9");       // twice
    expect("voil\u00c3 le travail", "voil\u00e0 le travail"); // byte A0 became a space
    expect("\u00e2\u20ac\u0153lossy\u00e2\u20ac\ufffd", "\u201clossy\ufffd");
}

static void mojibake_inside_good_text_is_undone_alone(void **state)
{
    (void)state;
    expect("\u65e5\u672c and caf\u00c3\u00a9", "\u65e5\u672c and caf\u00e9");
}

static void entities_are_decoded_until_a_tag_is_seen(void **state)
{
    (void)state;
    expect("&lt;&amp;eacute;&EACUTE;&SZLIG;&#233;&nosuch;", "<\u00e9\u00c9SS\u00e9&nosuch;");
    expect("a &amp; b\n<b> &amp;\n&amp;\n", "a & b\n<b> &amp;\n&amp;\n");
    tm_unicode_options options = tm_unicode_defaults;
    options.unescape_html = TM_UNESCAPE_ALWAYS;
    expect_with(&options, "<b> &amp;", "<b> &");
    options.unescape_html = TM_UNESCAPE_NEVER;
    expect_with(&options, "&amp;", "&amp;");
}

static void controls_escapes_and_surrogates_go(void **state)
{
    (void)state;
    expect("a\x01"
           "b\x7f"
           "c\x1b[1;31md\x1b[0m\ufeff",
           "abcd");
    expect("it\xc2\x92s", "it\u2019s");
    expect("\xed\xa0\xbd\xed\xb2\xa9 \xed\xa0\xbd", "\U0001f4a9 \ufffd");
}

static void bytes_that_are_no_utf8_become_replacement_characters(void **state)
{
    (void)state;
    expect("good \xff\xc3 end", "good \ufffd\ufffd end");
}

static void everything_else_is_done_when_asked(void **state)
{
    (void)state;
    tm_unicode_options options = {.fix_latin_ligatures = true,
                                  .fix_character_width = true,
                                  .uncurl_quotes = true,
                                  .fix_line_breaks = true,
                                  .normalization = TM_NORMAL_NFC};
    expect_with(&options,
                "\ufb01\ufb03\u0132 \uff21\uff22\u3000\uff76 \u201cx\u2019 e\u0301 a\r\nb\rc\u2028d",
                "fiffiIJ AB \u30ab \"x' \u00e9 a\nb\nc\nd");
    options = (tm_unicode_options){.normalization = TM_NORMAL_NFKC};
    expect_with(&options, "\u00b2\ufb01", "2fi");
    options = (tm_unicode_options){0};
    expect_with(&options, "\u00c3\u00b3 \x01 &amp;", "\u00c3\u00b3 \x01 &amp;");
}

static void any_bytes_give_valid_utf8(void **state)
{
    (void)state;
    tm_unicode *u = tm_unicode_new(NULL);
    char text[200];
    uint32_t x = 3;
    for (int round = 0; round < 3000; round++) {
        for (size_t i = 0; i < sizeof text; i++) {
            x = x * 1664525 + 1013904223;
            text[i] = round % 2 ? "\xc3\x82\xe2\x80\x9c\xc2\xa0\x1a ?&;a"[(x >> 24) % 14] : (char)(x >> 24);
        }
        tm_buf out = {0};
        assert_int_equal(tm_unicode_fix(u, tm_view_of(text, sizeof text), &out, NULL, NULL), TM_OK);
        assert_int_equal(tm_utf8_valid(tm_buf_view(&out)), out.size);
        tm_buf_clear(&out);
    }
    tm_unicode_free(u);
}

static void hostile_lines_end_soon(void **state)
{
    (void)state;
    static const char *const units[] = {"amp;",         "\u00c3",  "\u00c3\u00c2",
                                        "\u00e2\u20ac", "\u00d0 ", "&#x26;#x26;"};
    tm_unicode *u = tm_unicode_new(NULL);
    for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
        tm_buf text = {0}, out = {0};
        tm_buf_str(&text, "&");
        for (int i = 0; i < 20000; i++) tm_buf_str(&text, units[k]);
        assert_int_equal(tm_unicode_fix(u, tm_buf_view(&text), &out, NULL, NULL), TM_OK);
        tm_buf_clear(&text);
        tm_buf_clear(&out);
    }
    tm_unicode_free(u);
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    tm_status status = TM_ENOMEM;
    uint64_t n = 1;
    for (; status == TM_ENOMEM && n < 200; n++) {
        tm_buf out = {0};
        tm_alloc_fail_at(n, false);
        tm_unicode *u = tm_unicode_new(NULL);
        status =
            u ? tm_unicode_fix(u, tm_view_str("\u65e5 caf\u00c3\u00a9 &amp;"), &out, NULL, NULL) : TM_ENOMEM;
        tm_alloc_fail_at(0, false);
        if (status == TM_OK) assert_string_equal(out.data, "\u65e5 caf\u00e9 &");
        tm_unicode_free(u);
        tm_buf_clear(&out);
    }
    assert_int_equal(status, TM_OK);
    assert_true(n > 5);
}

static void utf8_is_validated_strictly(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xe2\x82",
                                      "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[64] = "a long enough beginning of plain ASCII letters ";
        size_t n = strlen(text);
        strcat(text, bad[i]);
        assert_int_equal(tm_utf8_valid(tm_view_str(text)), n);
    }
    tm_buf out = {0};
    assert_int_equal(tm_utf8_clean(tm_view_str("a\xe2\x82zb\xf0\x9f\x92\xc3\xa9\xff"), &out), 3);
    assert_string_equal(out.data, "a\ufffdzb\ufffd\u00e9\ufffd");
    tm_buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repairs_are_those_of_ftfy),
        cmocka_unit_test(clean_text_is_left_as_it_is),
        cmocka_unit_test(mojibake_is_undone_layer_by_layer),
        cmocka_unit_test(mojibake_inside_good_text_is_undone_alone),
        cmocka_unit_test(entities_are_decoded_until_a_tag_is_seen),
        cmocka_unit_test(controls_escapes_and_surrogates_go),
        cmocka_unit_test(bytes_that_are_no_utf8_become_replacement_characters),
        cmocka_unit_test(everything_else_is_done_when_asked),
        cmocka_unit_test(any_bytes_give_valid_utf8),
        cmocka_unit_test(hostile_lines_end_soon),
        cmocka_unit_test(running_out_of_memory_is_an_error),
        cmocka_unit_test(utf8_is_validated_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
