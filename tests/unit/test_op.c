// SPDX-License-Identifier: Apache-2.0
// The op table, scratch memory, and the random tensors.
#include <stdarg.h>
#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "kernels/op.h"
#include "kernels/ops.h"

static tm_device *device_new(void)
{
    tm_device *dev = NULL;
    assert_int_equal(tm_device_open_cpu(2, &dev, NULL), TM_OK);
    return dev;
}

static void every_row_of_the_table_is_whole_and_supported(void **state)
{
    tm_device *dev = device_new();
    size_t count;
    const tm_op *ops = tm_op_table(&count);
    assert_true(count > 30);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(tm_op_find(ops[i].name), &ops[i]);
        assert_non_null(ops[i].brief);
        assert_non_null(ops[i].why);
        assert_non_null(ops[i].size);
        assert_true(ops[i].bytes((tm_op_size){2, 3, 4}) > 0);
        assert_true(ops[i].flops((tm_op_size){2, 3, 4}) >= 0);
        assert_true(tm_op_supported(&ops[i], dev));
    }
    assert_null(tm_op_find("no_such_op"));
    tm_device_close(dev);
}

static void scratch_is_a_stack_of_aligned_pieces(void **state)
{
    tm_device *dev = device_new();
    for (int round = 0; round < 3; round++) {
        char *a = tm_scratch_push(dev, 100), *b = tm_scratch_push(dev, 100000), *c = tm_scratch_push(dev, 0);
        assert_true((uintptr_t)a % 64 == 0 && (uintptr_t)b % 64 == 0 && (uintptr_t)c % 64 == 0);
        memset(a, 1, 100);
        memset(b, 2, 100000);
        assert_true(a[99] == 1);
        tm_scratch_pop(dev, c);
        tm_scratch_pop(dev, b);
        tm_scratch_pop(dev, a);
    }
    tm_device_close(dev);
}

static void reserved_scratch_is_found_without_allocating(void **state)
{
    tm_device *dev = device_new();
    assert_int_equal(tm_device_reserve(dev, 1 << 20, NULL), TM_OK);
    tm_alloc_fail_at(0, false);
    void *piece = tm_scratch_push(dev, 1 << 20);
    assert_non_null(piece);
    assert_int_equal(tm_alloc_fail_at(0, false), 0);
    tm_scratch_pop(dev, piece);
    tm_device_close(dev);
}

static void a_device_without_memory_is_refused(void **state)
{
    for (uint64_t n = 1; n <= 3; n++) {
        tm_device *dev = NULL;
        tm_alloc_fail_at(n, false);
        assert_int_equal(tm_device_open_cpu(2, &dev, NULL), TM_ENOMEM);
        tm_alloc_fail_at(0, false);
        assert_null(dev);
    }
}

enum { MANY = 200000 };

static void normal_numbers_have_their_mean_and_deviation(void **state)
{
    tm_device *dev = device_new();
    float *x = malloc(MANY * sizeof *x);
    tm_random_normal(dev, x, MANY, 1, 2, 42, 0);
    double sum = 0, squares = 0, cubes = 0;
    for (int i = 0; i < MANY; i++) {
        double z = ((double)x[i] - 1) / 2;
        sum += z;
        squares += z * z;
        cubes += z * z * z;
    }
    assert_true(fabs(sum / MANY) < 0.01);
    assert_true(fabs(squares / MANY - 1) < 0.015);
    assert_true(fabs(cubes / MANY) < 0.04);
    free(x);
    tm_device_close(dev);
}

static void streams_and_seeds_differ_and_prefixes_agree(void **state)
{
    tm_device *dev = device_new();
    float a[100], b[100], longer[101];
    tm_random_normal(dev, a, 100, 0, 1, 1, 1);
    tm_random_normal(dev, b, 100, 0, 1, 1, 2);
    assert_memory_not_equal(a, b, sizeof a);
    tm_random_normal(dev, b, 100, 0, 1, 2, 1);
    assert_memory_not_equal(a, b, sizeof a);
    tm_random_normal(dev, longer, 101, 0, 1, 1, 1);
    assert_memory_equal(a, longer, sizeof a);
    tm_device_close(dev);
}

static void uniform_numbers_stay_below_their_bound(void **state)
{
    tm_device *dev = device_new();
    float *x = malloc(MANY * sizeof *x), most = 0;
    tm_random_uniform(dev, x, MANY, 0, 1, 42, 0);
    for (int i = 0; i < MANY; i++) {
        assert_true(x[i] >= 0 && x[i] < 1);
        most = fmaxf(most, x[i]);
    }
    assert_true(most > 0.999f);
    free(x);
    tm_device_close(dev);
}

static void dropout_keeps_the_mean_and_its_rate(void **state)
{
    tm_device *dev = device_new();
    float *x = malloc(MANY * sizeof *x);
    tm_fill(dev, x, MANY, 1);
    tm_dropout(dev, tm_mat_of(x, MANY / 10, 10), tm_mat_of(x, MANY / 10, 10), 0.25f, 1, 1);
    int zeros = 0;
    for (int i = 0; i < MANY; i++) {
        assert_true(x[i] == 0 || fabsf(x[i] - 4.0f / 3) < 1e-6f);
        zeros += x[i] == 0;
    }
    assert_true(abs(zeros - MANY / 4) < MANY / 100);
    free(x);
    tm_device_close(dev);
}

static void bf16_rounds_to_even_and_keeps_nan(void **state)
{
    assert_int_equal(tm_bf16_of(1), 0x3f80);
    assert_int_equal(tm_bf16_of(1 + 0x1p-8f), 0x3f80);
    assert_int_equal(tm_bf16_of(1 + 0x3p-8f), 0x3f82);
    assert_int_equal(tm_bf16_of(INFINITY), 0x7f80);
    assert_true(isnan(tm_bf16_float(tm_bf16_of(NAN))));
    assert_true(tm_bf16_float(0xc040) == -3);
}

static void argmax_takes_the_first_of_equals_and_no_nan(void **state)
{
    tm_device *dev = device_new();
    float x[3][3] = {{1, 3, 3}, {NAN, -2, -1}, {NAN, NAN, NAN}};
    int32_t best[3];
    tm_argmax(dev, best, tm_mat_of(&x[0][0], 3, 3));
    assert_int_equal(best[0], 1);
    assert_int_equal(best[1], 2);
    assert_int_equal(best[2], 0);
    tm_device_close(dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_table_is_whole_and_supported),
        cmocka_unit_test(scratch_is_a_stack_of_aligned_pieces),
        cmocka_unit_test(reserved_scratch_is_found_without_allocating),
        cmocka_unit_test(a_device_without_memory_is_refused),
        cmocka_unit_test(normal_numbers_have_their_mean_and_deviation),
        cmocka_unit_test(streams_and_seeds_differ_and_prefixes_agree),
        cmocka_unit_test(uniform_numbers_stay_below_their_bound),
        cmocka_unit_test(dropout_keeps_the_mean_and_its_rate),
        cmocka_unit_test(bf16_rounds_to_even_and_keeps_nan),
        cmocka_unit_test(argmax_takes_the_first_of_equals_and_no_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
