// SPDX-License-Identifier: Apache-2.0
#include "stages/script/tokens.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

// The tokens of a text, with a blank behind each.
static const char *tokens_of(const char *text, char *out, size_t size)
{
    tm_tokens t;
    size_t at = 0;
    tm_tokens_init(&t, tm_view_str(text));
    out[0] = 0;
    while (tm_tokens_next(&t) && at + t.token.size + 2 < size)
        at += (size_t)snprintf(out + at, size - at, "%.*s ", (int)t.token.size, t.token.data);
    return out;
}

static void comments_and_layout_do_not_count(void **state)
{
    (void)state;
    char a[256], b[256];
    tokens_of("local x=1 -- one\n--[[ two\nlines ]] return x+1", a, sizeof a);
    tokens_of("local x = 1\nreturn   x + 1 --[==[ ]] ]==]", b, sizeof b);
    assert_string_equal(a, "local x = 1 return x + 1 ");
    assert_string_equal(a, b);
}

static void symbols_are_the_longest_that_fit(void **state)
{
    (void)state;
    char a[256];
    assert_string_equal(tokens_of("a..b...c//d<<e>=f~=g::h[i]", a, sizeof a),
                        "a .. b ... c // d << e >= f ~= g :: h [ i ] ");
    assert_string_equal(tokens_of("1..2", a, sizeof a), "1..2 ");  // Lua finds that number malformed
    assert_string_equal(tokens_of("0xA.8p-1+3e+2-x", a, sizeof a), "0xA.8p-1 + 3e+2 - x ");
}

static void strings_hold_what_looks_like_code(void **state)
{
    (void)state;
    char a[256];
    assert_string_equal(tokens_of("f('--', \"end\\\"\", [[ function\nend ]], [=[]]]=])", a, sizeof a),
                        "f ( '--' , \"end\\\"\" , [[ function\nend ]] , [=[]]]=] ) ");
}

static void lines_are_counted_through_long_strings_and_comments(void **state)
{
    (void)state;
    tm_tokens t;
    tm_tokens_init(&t, tm_view_str("#!/bin/lua\na --[[\n\n]] b\n[[\n\n]] c"));
    int lines[] = {2, 4, 5, 7};
    for (int i = 0; i < 4; i++) {
        assert_true(tm_tokens_next(&t));
        assert_int_equal(t.line, lines[i]);
    }
    assert_false(tm_tokens_next(&t));
}

static void any_bytes_make_some_tokens_and_end(void **state)
{
    (void)state;
    static const char *const texts[] = {"\"",       "'\\", "[[", "[==[ ]]", "--[[", "--",
                                        "\xff\xfe", "",    "..", "0x",      "\\"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tm_tokens t;
        int n = 0;
        tm_tokens_init(&t, tm_view_str(texts[i]));
        while (tm_tokens_next(&t)) {
            assert_true(++n < 10);
            assert_true(t.next <= strlen(texts[i]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comments_and_layout_do_not_count),
        cmocka_unit_test(symbols_are_the_longest_that_fit),
        cmocka_unit_test(strings_hold_what_looks_like_code),
        cmocka_unit_test(lines_are_counted_through_long_strings_and_comments),
        cmocka_unit_test(any_bytes_make_some_tokens_and_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
