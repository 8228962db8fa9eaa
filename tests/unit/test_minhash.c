// SPDX-License-Identifier: Apache-2.0
#include "stages/text/minhash.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/hash.h"
#include "stages/text/exact.h"

typedef struct signature {
    uint32_t values[TM_MINHASH_VALUES];
} signature;

static signature sign(tm_minhash *m, const char *text, size_t *n_shingles)
{
    signature s;
    size_t n;
    assert_int_equal(tm_minhash_sign(m, tm_view_str(text), s.values, n_shingles ? n_shingles : &n, NULL),
                     TM_OK);
    return s;
}

static bool same(tm_minhash *m, const char *a, const char *b)
{
    signature x = sign(m, a, NULL), y = sign(m, b, NULL);
    return memcmp(&x, &y, sizeof x) == 0;
}

static void case_punctuation_and_white_space_do_not_count(void **state)
{
    (void)state;
    tm_minhash *m = tm_minhash_new(1);
    assert_true(same(m, "The mill, it turns: \"twice\" a day!", "the  mill it\n\tturns twice a day"));
    assert_true(same(m, "\u00c4RGER \u201cmit\u201d\u00a0der M\u00fchle am Fluss",
                     "\u00e4rger mit der m\u00fchle am fluss"));
    assert_false(same(m, "one two three four five six", "one two three four six five"));
    tm_minhash_free(m);
}

static void short_texts_are_one_shingle_and_empty_ones_none(void **state)
{
    (void)state;
    tm_minhash *m = tm_minhash_new(1);
    size_t n;
    signature s = sign(m, "two words", &n);
    assert_int_equal(n, 1);
    sign(m, "a b c d e f g", &n);
    assert_int_equal(n, 3);
    s = sign(m, " ... !", &n);
    assert_int_equal(n, 0);
    assert_int_equal(s.values[0], UINT32_MAX);
    tm_minhash_free(m);
}

// A text of n words drawn from a small vocabulary; every `change`-th word is another one (0: none).
static void make_text(tm_buf *text, uint32_t seed, size_t n, size_t change)
{
    uint32_t x = seed;
    tm_buf_reset(text);
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        tm_buf_fmt(text, "w%u%s ", x >> 20, change && i % change == change - 1 ? "x" : "");
    }
}

static void every_path_gives_the_same_bits(void **state)
{
    (void)state;
    static const char *const paths[] = {"base", "avx2", NULL};
    tm_hash digests[3];
    for (size_t p = 0; p < 3; p++) {
        if (paths[p])
            setenv("TM_CPU", paths[p], 1);
        else
            unsetenv("TM_CPU");
        tm_minhash *m = tm_minhash_new(42);
        tm_hasher *hasher = tm_hasher_new();
        tm_buf text = {0};
        if (p == 0) assert_string_equal(tm_minhash_path(m), "base");
        for (size_t n = 1; n < 200; n++) {
            make_text(&text, (uint32_t)n, n, 0);
            signature s = sign(m, text.data, NULL);
            tm_hasher_add(hasher, &s, sizeof s);
        }
        digests[p] = tm_hasher_end(hasher);
        tm_hasher_free(hasher);
        tm_buf_clear(&text);
        tm_minhash_free(m);
    }
    assert_true(tm_hash_eq(digests[0], digests[1]));
    assert_true(tm_hash_eq(digests[0], digests[2]));
    char hex[TM_HASH_HEX];
    tm_hash_hex(digests[0], hex);
    assert_string_equal(hex,
                        "c0e89d1c72b1f23d268b0b4a3e43b25c"); // changes only with a new version of the stage
}

static void signatures_estimate_the_exact_similarity(void **state)
{
    (void)state;
    tm_minhash *m = tm_minhash_new(7);
    tm_buf a = {0}, b = {0};
    double error = 0;
    for (uint32_t i = 0; i < 60; i++) {
        make_text(&a, i, 300, 0);
        make_text(&b, i, 300, 20 + i);
        double exact;
        assert_int_equal(tm_minhash_jaccard(m, tm_buf_view(&a), tm_buf_view(&b), &exact, NULL), TM_OK);
        signature x = sign(m, a.data, NULL), y = sign(m, b.data, NULL);
        assert_true(exact > 0.5 && exact < 0.95);
        error += tm_minhash_similarity(x.values, y.values) - exact;
    }
    assert_true(fabs(error / 60) < 0.03);
    tm_buf_clear(&a);
    tm_buf_clear(&b);
    tm_minhash_free(m);
}

static void add(tm_minhash *m, tm_minhash_index *index, const char *text)
{
    uint64_t keys[TM_MINHASH_BANDS];
    size_t n;
    signature s = sign(m, text, &n);
    tm_minhash_bands(s.values, keys);
    assert_int_equal(tm_minhash_index_add(index, n ? keys : NULL, NULL), TM_OK);
}

static void near_duplicates_join_the_first_of_them(void **state)
{
    (void)state;
    tm_minhash *m = tm_minhash_new(1);
    tm_minhash_index *index = tm_minhash_index_new();
    tm_buf text = {0};
    uint32_t first[40];
    for (uint32_t i = 0; i < 40; i++) {
        if (i % 10 == 9)
            tm_buf_reset(&text); // an empty document is nobody's duplicate
        else
            make_text(&text, i % 10, 400, i >= 20 ? 200 : 0);
        add(m, index, text.data ? text.data : "");
    }
    assert_int_equal(tm_minhash_index_count(index), 40);
    assert_int_equal(tm_minhash_index_cluster(index, NULL, first, NULL), TM_OK);
    for (uint32_t i = 0; i < 40; i++) assert_int_equal(first[i], i % 10 == 9 ? i : i % 10);
    tm_buf_clear(&text);
    tm_minhash_index_free(index);
    tm_minhash_free(m);
}

static tm_status only_even(void *self, uint32_t a, uint32_t b, bool *is_same, tm_error *err)
{
    (void)err;
    ++*(size_t *)self;
    assert_true(a < b);
    *is_same = a % 2 == 0 && b % 2 == 0;
    return TM_OK;
}

static tm_status broken_check(void *self, uint32_t a, uint32_t b, bool *is_same, tm_error *err)
{
    (void)self;
    (void)is_same;
    return tm_fail(err, TM_EIO, "pair %u %u", a, b);
}

static void candidates_can_be_checked(void **state)
{
    (void)state;
    tm_minhash *m = tm_minhash_new(1);
    tm_minhash_index *index = tm_minhash_index_new();
    uint32_t first[6];
    size_t n_checks = 0;
    for (int i = 0; i < 6; i++) add(m, index, "one text that is the same every time");
    tm_minhash_check check = {only_even, &n_checks};
    assert_int_equal(tm_minhash_index_cluster(index, &check, first, NULL), TM_OK);
    for (uint32_t i = 0; i < 6; i++) assert_int_equal(first[i], i % 2 ? i : 0);
    assert_true(n_checks > 0);
    check.same = broken_check;
    assert_int_equal(tm_minhash_index_cluster(index, &check, first, NULL), TM_EIO);
    tm_minhash_index_free(index);
    tm_minhash_free(m);
}

static void the_chance_to_meet_grows_with_similarity_as_the_bands_say(void **state)
{
    (void)state;
    tm_minhash *m = tm_minhash_new(3);
    tm_buf a = {0}, b = {0};
    size_t met = 0, n = 200;
    double expected = 0;
    for (uint32_t i = 0; i < n; i++) {
        make_text(&a, i, 200, 0);
        make_text(&b, i, 200, 27);
        double j;
        tm_minhash_jaccard(m, tm_buf_view(&a), tm_buf_view(&b), &j, NULL);
        expected += 1 - pow(1 - pow(j, TM_MINHASH_ROWS), TM_MINHASH_BANDS);
        uint64_t x[TM_MINHASH_BANDS], y[TM_MINHASH_BANDS];
        tm_minhash_bands(sign(m, a.data, NULL).values, x);
        tm_minhash_bands(sign(m, b.data, NULL).values, y);
        bool meet = false;
        for (size_t k = 0; k < TM_MINHASH_BANDS; k++) meet |= x[k] == y[k];
        met += meet;
    }
    assert_true(fabs((double)met - expected) < 4 * sqrt(expected * (1 - expected / (double)n)));
    tm_buf_clear(&a);
    tm_buf_clear(&b);
    tm_minhash_free(m);
}

static void broken_bytes_are_survived(void **state)
{
    (void)state;
    tm_minhash *m = tm_minhash_new(1);
    uint32_t x = 17;
    for (int round = 0; round < 500; round++) {
        size_t size = (size_t)round;
        char *text = malloc(size + 1);
        for (size_t i = 0; i < size; i++) text[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
        signature s;
        size_t n;
        assert_int_equal(tm_minhash_sign(m, tm_view_of(text, size), s.values, &n, NULL), TM_OK);
        free(text);
    }
    tm_minhash_free(m);
}

static void exact_duplicates_are_found_byte_for_byte(void **state)
{
    (void)state;
    tm_exact *set = tm_exact_new();
    bool first;
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 5000; i++) {
            assert_int_equal(tm_exact_add(set, tm_view_of(&i, sizeof i), &first, NULL), TM_OK);
            assert_int_equal(first, round == 0);
        }
    }
    assert_int_equal(tm_exact_count(set), 5000);
    assert_int_equal(tm_exact_add_hash(set, (tm_hash){{0}}, &first, NULL), TM_OK);
    assert_true(first);
    assert_int_equal(tm_exact_add_hash(set, (tm_hash){{0}}, &first, NULL), TM_OK);
    assert_false(first);
    assert_int_equal(tm_exact_count(set), 5001);
    tm_exact_free(set);
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    tm_exact *set = tm_exact_new();
    tm_minhash_index *index = tm_minhash_index_new();
    tm_minhash *m = tm_minhash_new(1);
    uint64_t keys[TM_MINHASH_BANDS] = {0};
    uint32_t first[1], values[TM_MINHASH_VALUES];
    bool is_first;
    size_t n;
    tm_alloc_fail_at(1, true);
    assert_int_equal(tm_exact_add(set, tm_view_str("x"), &is_first, NULL), TM_ENOMEM);
    assert_int_equal(tm_minhash_index_add(index, keys, NULL), TM_ENOMEM);
    assert_int_equal(tm_minhash_index_cluster(index, NULL, first, NULL), TM_ENOMEM);
    assert_int_equal(tm_minhash_sign(m, tm_view_str("a b"), values, &n, NULL), TM_ENOMEM);
    tm_alloc_fail_at(0, false);
    assert_int_equal(tm_exact_add(set, tm_view_str("x"), &is_first, NULL), TM_OK);
    assert_int_equal(tm_minhash_sign(m, tm_view_str("a b"), values, &n, NULL), TM_OK);
    tm_exact_free(set);
    tm_minhash_index_free(index);
    tm_minhash_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_punctuation_and_white_space_do_not_count),
        cmocka_unit_test(short_texts_are_one_shingle_and_empty_ones_none),
        cmocka_unit_test(every_path_gives_the_same_bits),
        cmocka_unit_test(signatures_estimate_the_exact_similarity),
        cmocka_unit_test(near_duplicates_join_the_first_of_them),
        cmocka_unit_test(candidates_can_be_checked),
        cmocka_unit_test(the_chance_to_meet_grows_with_similarity_as_the_bands_say),
        cmocka_unit_test(broken_bytes_are_survived),
        cmocka_unit_test(exact_duplicates_are_found_byte_for_byte),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
