// SPDX-License-Identifier: Apache-2.0
#include "stages/text/pretokenize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/random.h"

// The pieces of a text, with '|' between them.
static char *cut(tm_pretokenizer kind, const char *text, tm_buf *out)
{
    tm_view view = tm_view_str(text);
    tm_buf_reset(out);
    for (size_t at = 0, next; at < view.size; at = next) {
        next = tm_pretokenize_next(kind, view, at);
        if (at) tm_buf_char(out, '|');
        tm_buf_add(out, view.data + at, next - at);
    }
    return out->data;
}

#define assert_cut(kind, text, pieces) assert_string_equal(cut(TM_PRETOKENIZE_##kind, text, &out), pieces)

static void gpt2_cuts_contractions_words_numbers_and_others(void **state)
{
    tm_buf out = {0};
    assert_cut(GPT2, "The mill's wheel, it'll turn 1234 times!?",
               "The| mill|'s| wheel|,| it|'ll| turn| 1234| times|!?");
    assert_cut(GPT2, "THE MILL'S 'sand", "THE| MILL|'|S| '|sand");
    assert_cut(GPT2, "\"'s 's''s", "\"'|s| '|s|''|s");
    assert_cut(GPT2, "caf\u00e9 \u6f6e\u304c\u0301", "caf\u00e9| \u6f6e\u304c|\u0301");
    tm_buf_clear(&out);
}

static void the_last_white_space_goes_to_the_next_piece_but_not_at_the_end(void **state)
{
    tm_buf out = {0};
    assert_cut(GPT2, "a   b  \n", "a|  | b|  \n");
    assert_cut(GPT2, "a\t\tb\n c", "a|\t|\t|b|\n| c");
    assert_cut(GPT2, "a\u3000\u00a0b", "a|\u3000|\u00a0|b");
    assert_cut(LLAMA3, "a \t b\t\tc  ", "a| \t| b|\t|\tc|  ");
    tm_buf_clear(&out);
}

static void llama3_cuts_numbers_by_three_and_lines_apart(void **state)
{
    tm_buf out = {0};
    assert_cut(LLAMA3, "12345678 9", "123|456|78| |9");
    assert_cut(QWEN2, "1234 9", "1|2|3|4| |9");
    assert_cut(LLAMA3, "a.\n\n  \n  b", "a|.\n\n|  \n| | b");
    assert_cut(LLAMA3, "x \n\n y", "x| \n\n| y");
    assert_cut(LLAMA3, "(foo) ((bar -x", "(foo|)| ((|bar| -|x");
    tm_buf_clear(&out);
}

static void llama3_takes_contractions_in_any_case_and_the_long_s(void **state)
{
    tm_buf out = {0};
    assert_cut(LLAMA3, "it'S we'Ll 'x", "it|'S| we|'Ll| '|x");
    assert_cut(LLAMA3, "we'\u017ft'sa", "we|'\u017f|t|'s|a");
    assert_cut(GPT2, "we'\u017ft", "we|'|\u017ft");
    tm_buf_clear(&out);
}

static void qwen35_counts_marks_as_letters(void **state)
{
    tm_buf out = {0};
    assert_cut(QWEN35, "e\u0301a \u0938\u094d\u0924", "e\u0301a| \u0938\u094d\u0924");
    assert_cut(QWEN2, "e\u0301a", "e|\u0301a");
    tm_buf_clear(&out);
}

static void smollm2_cuts_digits_out_before_anything_else(void **state)
{
    tm_buf out = {0};
    assert_cut(SMOLLM2, "a  12 b", "a|  |1|2| b");
    assert_cut(GPT2, "a  12 b", "a| | 12| b");
    assert_cut(SMOLLM2, "x\U00011de0y", "x|\U00011de0|y");
    tm_buf_clear(&out);
}

static void bytes_that_are_no_utf8_are_characters_of_their_own_class(void **state)
{
    tm_buf out = {0};
    assert_cut(GPT2,
               "ab\xff\xfe"
               "c \xc3 d\xe2\x82",
               "ab|\xff\xfe|c| \xc3| d|\xe2\x82");
    tm_buf_clear(&out);
}

static void patterns_are_known_by_their_exact_text(void **state)
{
    for (unsigned i = 0; i < TM_PRETOKENIZERS; i++) {
        tm_pretokenizer found;
        assert_true(tm_pretokenizer_find(tm_view_str(tm_pretokenizer_name((tm_pretokenizer)i)), &found));
        assert_int_equal(found, i);
        const char *pattern = tm_pretokenizer_pattern((tm_pretokenizer)i);
        if (!pattern) continue;
        assert_true(tm_pretokenizer_of_pattern(tm_view_str(pattern), &found));
        assert_int_equal(found, i);
        assert_false(tm_pretokenizer_of_pattern(tm_view_of(pattern, strlen(pattern) - 1), &found));
    }
    assert_false(tm_pretokenizer_find(tm_view_str("gpt"), &(tm_pretokenizer){0}));
    assert_null(tm_pretokenizer_name((tm_pretokenizer)99));
}

// A text of random atoms, some of them often.
static void mix(tm_buf *text, uint64_t seed)
{
    static const char *atoms[] = {
        "a",      "B",          "'",      "'s",       "'Ll",  "\u017f",     " ",   " ",   "\n",     "\r\n",
        "\t",     "\u00a0",     "\u3000", "1",        "23",   "\u0663",     ".",   "!",   "\u0301", "\u6f6e",
        "\u304c", "\U0001f30a", "\xff",   "\xe2\x82", "\x85", "\U00011de0", "the", "   ",
    };
    const size_t n_atoms = sizeof atoms / sizeof *atoms;
    tm_buf_reset(text);
    size_t n_kinds = 2 + tm_random_below(seed, 0, 0, 9), n = 20 + tm_random_below(seed, 0, 1, 150);
    for (size_t i = 0; i < n; i++) {
        uint64_t which = tm_random_below(seed, 2, tm_random_below(seed, 1, i, n_kinds), n_atoms);
        uint64_t times = tm_random_below(seed, 3, i, 8) ? 1 : 1 + tm_random_below(seed, 4, i, 90);
        for (uint64_t k = 0; k < times; k++) tm_buf_str(text, atoms[which]);
    }
}

static void blocks_cut_as_single_pieces_do(void **state)
{
    tm_buf text = {0};
    for (uint64_t seed = 0; seed < 4000; seed++) {
        mix(&text, seed);
        for (unsigned kind = 0; kind < TM_PRETOKENIZERS; kind++) {
            size_t ends[64 + 37], at = 0, begin = 0, n, capacity = 64 + seed % 37;
            while ((n = tm_pretokenize((tm_pretokenizer)kind, tm_buf_view(&text), &at, ends, capacity)))
                for (size_t i = 0; i < n; begin = ends[i++])
                    assert_int_equal(ends[i],
                                     tm_pretokenize_next((tm_pretokenizer)kind, tm_buf_view(&text), begin));
            assert_int_equal(begin, text.size);
        }
    }
    tm_buf_clear(&text);
}

static void a_long_run_is_cut_in_linear_time(void **state)
{
    const size_t size = 8 << 20;
    char *text = malloc(size);
    assert_non_null(text);
    for (int c = 0; c < 5; c++) {
        memset(text, "a \n1."[c], size);
        for (unsigned kind = 0; kind < TM_PRETOKENIZERS; kind++) {
            size_t ends[512], at = 0;
            while (tm_pretokenize((tm_pretokenizer)kind, tm_view_of(text, size), &at, ends, 512)) continue;
            assert_int_equal(at, size);
        }
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2_cuts_contractions_words_numbers_and_others),
        cmocka_unit_test(the_last_white_space_goes_to_the_next_piece_but_not_at_the_end),
        cmocka_unit_test(llama3_cuts_numbers_by_three_and_lines_apart),
        cmocka_unit_test(llama3_takes_contractions_in_any_case_and_the_long_s),
        cmocka_unit_test(qwen35_counts_marks_as_letters),
        cmocka_unit_test(smollm2_cuts_digits_out_before_anything_else),
        cmocka_unit_test(bytes_that_are_no_utf8_are_characters_of_their_own_class),
        cmocka_unit_test(patterns_are_known_by_their_exact_text),
        cmocka_unit_test(blocks_cut_as_single_pieces_do),
        cmocka_unit_test(a_long_run_is_cut_in_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
