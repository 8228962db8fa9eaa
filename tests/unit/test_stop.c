// SPDX-License-Identifier: Apache-2.0
#include "stages/text/stop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

// The text that comes through when it arrives in pieces of `step` bytes.
static const char *through(const char *text, const char *const *stops, size_t n, size_t step, tm_buf *out)
{
    tm_stop stop = {.strings = stops, .n_strings = n};
    tm_buf_reset(out);
    for (size_t at = 0, size = strlen(text); at < size; at += step) {
        size_t before = out->size;
        tm_stop_put(&stop, tm_view_of(text + at, at + step < size ? step : size - at), out);
        assert_memory_equal(out->data + before, text + before, out->size - before);
    }
    tm_stop_end(&stop, out);
    const char *found = stop.found;
    tm_stop_clear(&stop);
    return found;
}

static void check(const char *text, const char *const *stops, size_t n, const char *want, const char *found)
{
    tm_buf out = {0};
    for (size_t step = 1; step < 9; step++) {
        const char *got = through(text, stops, n, step, &out);
        if (found)
            assert_string_equal(got, found);
        else
            assert_null(got);
        assert_int_equal(out.size, strlen(want));
        if (out.size) assert_memory_equal(out.data, want, out.size);
    }
    tm_buf_clear(&out);
}

static void a_text_ends_before_the_first_stop_string_however_it_is_cut(void **state)
{
    static const char *const stops[] = {"\n\n", "User:", "ab"};
    check("one\ntwo\n\nthree", stops, 3, "one\ntwo", "\n\n");
    check("Hello. UsUser: more", stops, 3, "Hello. Us", "User:");
    check("aab", stops, 3, "a", "ab");
    check("User:", stops, 3, "", "User:");
    check("x User\n:\na b", stops, 3, "x User\n:\na b", NULL);
    check("Use", stops, 3, "Use", NULL);
    check("no stops", stops, 0, "no stops", NULL);
}

static void a_stop_string_that_overlaps_itself_is_found(void **state)
{
    static const char *const stops[] = {"aabaaa"};
    check("aabaabaaa!", stops, 1, "aab", "aabaaa");
    check("aabaabaab", stops, 1, "aabaabaab", NULL);
}

static void of_two_that_begin_together_the_first_whole_one_ends_the_text(void **state)
{
    static const char *const stops[] = {"END", "EN"};
    tm_buf out = {0};
    assert_string_equal(through("the END", stops, 2, 1, &out), "EN");
    assert_int_equal(out.size, 4);
    assert_non_null(through("the END", stops, 2, 7, &out));
    assert_int_equal(out.size, 4);
    tm_buf_clear(&out);
}

static void only_what_may_become_a_stop_string_is_held_back(void **state)
{
    static const char *const stops[] = {"<|end|>"};
    tm_stop stop = {.strings = stops, .n_strings = 1};
    tm_buf out = {0};
    tm_stop_put(&stop, tm_view_str("a <"), &out);
    assert_int_equal(out.size, 2);
    tm_stop_put(&stop, tm_view_str("b<|"), &out);
    assert_int_equal(out.size, 4);
    tm_stop_put(&stop, tm_view_str("en"), &out);
    assert_int_equal(out.size, 4);
    tm_stop_put(&stop, tm_view_str("e"), &out);
    assert_int_equal(out.size, 9);
    tm_stop_put(&stop, tm_view_str("<|end|> tail"), &out);
    tm_stop_put(&stop, tm_view_str("more"), &out);
    tm_stop_end(&stop, &out);
    assert_string_equal(out.data, "a <b<|ene");
    tm_stop_clear(&stop);
    tm_buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_ends_before_the_first_stop_string_however_it_is_cut),
        cmocka_unit_test(a_stop_string_that_overlaps_itself_is_found),
        cmocka_unit_test(of_two_that_begin_together_the_first_whole_one_ends_the_text),
        cmocka_unit_test(only_what_may_become_a_stop_string_is_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
