// SPDX-License-Identifier: Apache-2.0
// Edit scripts between texts.
#include "lua/cli/edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/base/random.h"

static tm_error err;

#define OK(call) assert_int_equal(call, TM_OK)

// "=a\n-b\n+c\n" of the script between two texts.
static const char *script(const char *before, const char *after, bool words)
{
    static char text[4096];
    tm_edit *edits;
    size_t n, at = 0;
    OK(tm_edit_texts(tm_view_str(before), tm_view_str(after), words, &edits, &n, &err));
    text[0] = 0;
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%c%.*s", "=-+"[edits[i].kind],
                               (int)edits[i].piece.size, edits[i].piece.data);
    tm_free(edits);
    return text;
}

static void lines_and_words_are_told_apart(void **state)
{
    (void)state;
    assert_string_equal(script("a\nb\nc\n", "a\nx\nc\n", false), "=a\n-b\n+x\n=c\n");
    assert_string_equal(script("", "a\n", false), "+a\n");
    assert_string_equal(script("a\n", "", false), "-a\n");
    assert_string_equal(script("a\nb\n", "a\nb\n", false), "=a\n=b\n");
    assert_string_equal(script("the  old mill", "the old water mill", true), "=the =old +water =mill");
    assert_string_equal(script("a\nb", "a\nb\n", false), "=a\n=b\n");
}

static void lines_are_numbered_in_the_text_they_stand_in(void **state)
{
    (void)state;
    tm_edit *edits;
    size_t n;
    OK(tm_edit_texts(tm_view_str("a\nb\nc\n"), tm_view_str("z\na\nc\n"), false, &edits, &n, &err));
    assert_int_equal(n, 4);
    assert_true(edits[0].kind == TM_EDIT_IN && edits[0].line == 1);
    assert_true(edits[1].kind == TM_EDIT_SAME && edits[1].line == 2);
    assert_true(edits[2].kind == TM_EDIT_OUT && edits[2].line == 2);
    assert_true(edits[3].kind == TM_EDIT_SAME && edits[3].line == 3);
    tm_free(edits);
}

// The length of a longest common subsequence, by the table.
static size_t longest(const char *a, size_t n, const char *b, size_t m)
{
    size_t table[64][64] = {0};
    for (size_t i = 1; i <= n; i++)
        for (size_t k = 1; k <= m; k++) {
            size_t up = table[i - 1][k], left = table[i][k - 1];
            table[i][k] = a[i - 1] == b[k - 1] ? table[i - 1][k - 1] + 1 : up > left ? up : left;
        }
    return table[n][m];
}

static size_t draw(uint64_t seed, uint64_t which, char *letters, char *text)
{
    size_t n = tm_random_below(seed, which, 1000, 60);
    for (size_t i = 0; i < n; i++) {
        letters[i] = (char)('a' + tm_random_below(seed, which, i, 4));
        text[2 * i] = letters[i];
        text[2 * i + 1] = '\n';
    }
    text[2 * n] = 0;
    return n;
}

static void scripts_rebuild_both_texts_and_are_shortest(void **state)
{
    (void)state;
    char a[64], b[64], before[130], after[130];
    for (uint64_t seed = 0; seed < 300; seed++) {
        tm_edit *edits;
        size_t n_edits, out = 0, in = 0, same = 0, n = draw(seed, 0, a, before);
        size_t m = draw(seed, 1, b, after);
        OK(tm_edit_texts(tm_view_str(before), tm_view_str(after), false, &edits, &n_edits, &err));
        for (size_t i = 0; i < n_edits; i++) {
            char c = edits[i].piece.data[0];
            if (edits[i].kind != TM_EDIT_IN) assert_int_equal(c, a[out++]);
            if (edits[i].kind != TM_EDIT_OUT) assert_int_equal(c, b[in++]);
            same += edits[i].kind == TM_EDIT_SAME;
        }
        assert_true(out == n && in == m);
        assert_int_equal(same, longest(a, n, b, m));
        tm_free(edits);
    }
}

static void texts_that_have_nothing_in_common_are_replaced_whole(void **state)
{
    (void)state;
    tm_buf a = {0}, b = {0};
    tm_edit *edits;
    size_t n;
    for (int i = 0; i < 3000; i++) {
        tm_buf_fmt(&a, "a%d\n", i);
        tm_buf_fmt(&b, "b%d\n", i);
    }
    OK(tm_edit_texts(tm_buf_view(&a), tm_buf_view(&b), false, &edits, &n, &err));
    assert_int_equal(n, 6000);
    assert_true(edits[0].kind == TM_EDIT_OUT && edits[2999].kind == TM_EDIT_OUT);
    assert_true(edits[3000].kind == TM_EDIT_IN && edits[5999].line == 3000);
    tm_free(edits);
    tm_buf_clear(&a);
    tm_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_words_are_told_apart),
        cmocka_unit_test(lines_are_numbered_in_the_text_they_stand_in),
        cmocka_unit_test(scripts_rebuild_both_texts_and_are_shortest),
        cmocka_unit_test(texts_that_have_nothing_in_common_are_replaced_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
