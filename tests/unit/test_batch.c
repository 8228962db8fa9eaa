// SPDX-License-Identifier: Apache-2.0
// Batches: what goes in comes out, one encoding for equal records, and bytes that are no chunk.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/random.h"
#include "engine/batch.h"

static const tm_col cols[] = {
    {"name", TM_COL_BYTES}, {"ids", TM_COL_U32S}, {"n", TM_COL_I64}, {"x", TM_COL_F64},
};
enum { N_COLS = sizeof cols / sizeof cols[0] };

static tm_error err;

static void add_row(tm_batch *b, const char *name, const uint32_t *ids, size_t n_ids, int64_t n, double x)
{
    tm_batch_add_f64(b, 3, x);
    tm_batch_add_bytes(b, 0, tm_view_str(name));
    tm_batch_add_u32s(b, 1, ids, n_ids);
    tm_batch_add_i64(b, 2, n);
    assert_int_equal(tm_batch_row(b, &err), TM_OK);
}

static tm_batch *sample(void)
{
    tm_batch *b = tm_batch_new(cols, N_COLS);
    add_row(b, "one", (uint32_t[]){1, 2, 0xffffffffu}, 3, INT64_MIN, 0.5);
    add_row(b, "", NULL, 0, 7, -0.0);
    add_row(b, "three", (uint32_t[]){9}, 1, -1, 1e300);
    return b;
}

static void check_sample(const tm_batch *b)
{
    size_t n;
    assert_int_equal(tm_batch_rows(b), 3);
    assert_true(tm_view_eq(tm_batch_get_bytes(b, 0, 0), tm_view_str("one")));
    assert_int_equal(tm_batch_get_bytes(b, 0, 1).size, 0);
    assert_true(tm_view_eq(tm_batch_get_bytes(b, 0, 2), tm_view_str("three")));
    assert_int_equal(tm_batch_get_u32s(b, 1, 0, &n)[2], 0xffffffffu);
    assert_int_equal(n, 3);
    tm_batch_get_u32s(b, 1, 1, &n);
    assert_int_equal(n, 0);
    assert_true(tm_batch_get_i64(b, 2, 0) == INT64_MIN);
    assert_true(tm_batch_get_f64(b, 3, 2) == 1e300);
}

static void what_is_encoded_is_decoded_again(void **state)
{
    (void)state;
    tm_buf bytes = {0};
    tm_batch *b = sample(), *back = NULL;
    check_sample(b);
    assert_int_equal(tm_batch_encode(b, &bytes, &err), TM_OK);
    assert_int_equal(tm_batch_decode(tm_buf_view(&bytes), cols, N_COLS, &back, &err), TM_OK);
    check_sample(back);
    tm_batch_unref(b);
    tm_batch_unref(back);
    tm_buf_clear(&bytes);
}

static void the_bytes_of_a_small_batch_never_change(void **state)
{
    static const char expected[] = "TMB1\1\0\0\0\2\0\0\0\0\0\0\0"
                                   "\1\4name"
                                   "\2\0\0\0\1\0\0\0"
                                   "abc";
    (void)state;
    tm_buf bytes = {0};
    tm_batch *b = tm_batch_new(cols, 1);
    tm_batch_add_bytes(b, 0, tm_view_str("ab"));
    assert_int_equal(tm_batch_row(b, &err), TM_OK);
    tm_batch_add_bytes(b, 0, tm_view_str("c"));
    assert_int_equal(tm_batch_row(b, &err), TM_OK);
    assert_int_equal(tm_batch_encode(b, &bytes, &err), TM_OK);
    assert_int_equal(bytes.size, sizeof expected - 1);
    assert_memory_equal(bytes.data, expected, bytes.size);
    tm_batch_unref(b);
    tm_buf_clear(&bytes);
}

static void rows_copied_one_by_one_give_the_same_bytes(void **state)
{
    (void)state;
    tm_buf first = {0}, second = {0};
    tm_batch *b = sample(), *copy = tm_batch_new(cols, N_COLS);
    for (size_t i = 0; i < 3; i++) assert_int_equal(tm_batch_copy_row(copy, b, i, &err), TM_OK);
    tm_batch_encode(b, &first, &err);
    tm_batch_encode(copy, &second, &err);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    tm_batch_unref(b);
    tm_batch_unref(copy);
    tm_buf_clear(&first);
    tm_buf_clear(&second);
}

static void an_empty_batch_is_a_chunk_too(void **state)
{
    (void)state;
    tm_buf bytes = {0};
    tm_batch *b = tm_batch_new(cols, N_COLS), *back = NULL;
    assert_int_equal(tm_batch_encode(b, &bytes, &err), TM_OK);
    assert_int_equal(tm_batch_decode(tm_buf_view(&bytes), cols, N_COLS, &back, &err), TM_OK);
    assert_int_equal(tm_batch_rows(back), 0);
    tm_batch_unref(b);
    tm_batch_unref(back);
    tm_buf_clear(&bytes);
}

static void a_batch_lives_as_long_as_somebody_has_it(void **state)
{
    (void)state;
    tm_batch *b = sample(), *also = tm_batch_ref(b);
    tm_batch_unref(b);
    check_sample(also);
    tm_batch_unref(also);
    tm_batch_unref(NULL);
}

static void refused(tm_view bytes, size_t n_cols, const char *words)
{
    tm_batch *back = NULL;
    // A copy of its own, so that a read behind the end is seen.
    char *copy = malloc(bytes.size + 1);
    if (bytes.size) memcpy(copy, bytes.data, bytes.size);
    char *exact = realloc(copy, bytes.size ? bytes.size : 1);
    assert_int_equal(tm_batch_decode(tm_view_of(exact, bytes.size), cols, n_cols, &back, &err), TM_EFORMAT);
    assert_null(back);
    if (words && !strstr(err.text, words)) fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    free(exact);
}

static void bytes_cut_short_anywhere_are_refused(void **state)
{
    (void)state;
    tm_buf bytes = {0};
    tm_batch *b = sample();
    tm_batch_encode(b, &bytes, &err);
    for (size_t n = 0; n < bytes.size; n++) refused(tm_view_of(bytes.data, n), N_COLS, "chunk");
    tm_buf_char(&bytes, 0);
    refused(tm_buf_view(&bytes), N_COLS, "1 bytes behind the end");
    tm_batch_unref(b);
    tm_buf_clear(&bytes);
}

static void another_schema_is_named(void **state)
{
    static const tm_col other[] = {{"title", TM_COL_BYTES}};
    (void)state;
    tm_buf bytes = {0};
    tm_batch *b = tm_batch_new(other, 1);
    tm_batch_encode(b, &bytes, &err);
    refused(tm_buf_view(&bytes), 1, "column 0 is not name");
    refused(tm_buf_view(&bytes), N_COLS, "1 columns, expected 4");
    bytes.data[8] = bytes.data[15] = (char)0xff;
    refused(tm_buf_view(&bytes), 1, "impossible number of rows");
    tm_batch_unref(b);
    tm_buf_clear(&bytes);
}

static void damaged_bytes_never_harm(void **state)
{
    (void)state;
    tm_buf bytes = {0};
    tm_batch *b = sample();
    tm_batch_encode(b, &bytes, &err);
    for (uint64_t i = 0; i < 20000; i++) {
        tm_batch *back = NULL;
        size_t at = (size_t)(tm_random_u64(1, 0, i) % bytes.size);
        char old = bytes.data[at];
        bytes.data[at] = (char)tm_random_u64(1, 1, i);
        char *exact = malloc(bytes.size);
        memcpy(exact, bytes.data, bytes.size);
        if (tm_batch_decode(tm_view_of(exact, bytes.size), cols, N_COLS, &back, &err) == TM_OK)
            assert_true(tm_batch_bytes(back) <= bytes.size);
        tm_batch_unref(back);
        free(exact);
        bytes.data[at] = old;
    }
    tm_batch_unref(b);
    tm_buf_clear(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_is_decoded_again),
        cmocka_unit_test(the_bytes_of_a_small_batch_never_change),
        cmocka_unit_test(rows_copied_one_by_one_give_the_same_bytes),
        cmocka_unit_test(an_empty_batch_is_a_chunk_too),
        cmocka_unit_test(a_batch_lives_as_long_as_somebody_has_it),
        cmocka_unit_test(bytes_cut_short_anywhere_are_refused),
        cmocka_unit_test(another_schema_is_named),
        cmocka_unit_test(damaged_bytes_never_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
