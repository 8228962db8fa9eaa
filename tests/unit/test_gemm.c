// SPDX-License-Identifier: Apache-2.0
// Matrix products at shapes that cross every boundary of packing: right, and with the bits of one thread.
#include <stdarg.h>
#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "kernels/ops.h"

typedef struct shape {
    int64_t m, n, k;
    tm_side a, b;
} shape;

static tm_mat mat_new(tm_device *dev, int64_t rows, int64_t cols, uint64_t stream)
{
    float *data = malloc((size_t)(rows * cols) * sizeof *data + 1);
    tm_random_normal(dev, data, rows * cols, 0, 1, 1, stream);
    return tm_mat_of(data, rows, cols);
}

static tm_device *device_new(int threads)
{
    tm_device *dev = NULL;
    assert_int_equal(tm_device_open_cpu(threads, &dev, NULL), TM_OK);
    return dev;
}

static double element(tm_mat m, tm_side side, int64_t row, int64_t col)
{
    return (double)(side == TM_N ? m.data[row * m.stride + col] : m.data[col * m.stride + row]);
}

static void expect_right(const shape *s, tm_mat c, tm_mat a, tm_mat b)
{
    for (int64_t i = 0; i < s->m; i += 1 + s->m / 23)
        for (int64_t j = 0; j < s->n; j += 1 + s->n / 29) {
            double sum = 0;
            for (int64_t p = 0; p < s->k; p++) sum += element(a, s->a, i, p) * element(b, s->b, p, j);
            assert_true(fabs(sum - element(c, TM_N, i, j)) <= 1e-6 * (double)s->k);
        }
}

// Past one packed part of K (4,096 or 6,144), past one packed block of A and of B (4 Mi elements), past one
// tile.
static const shape shapes[] = {
    {64, 64, 16384, TM_N, TM_T},  {70, 50, 5000, TM_T, TM_N},   {1400, 20, 6400, TM_N, TM_N},
    {20, 1300, 4200, TM_N, TM_T}, {300, 1000, 100, TM_N, TM_T}, {1000, 17, 300, TM_T, TM_T},
};
enum { n_shapes = sizeof shapes / sizeof *shapes };

static void products_across_every_boundary_are_right(void **state)
{
    tm_device *dev = device_new(2);
    for (int i = 0; i < n_shapes; i++) {
        const shape *s = &shapes[i];
        tm_mat a = s->a == TM_N ? mat_new(dev, s->m, s->k, 1) : mat_new(dev, s->k, s->m, 1);
        tm_mat b = s->b == TM_N ? mat_new(dev, s->k, s->n, 2) : mat_new(dev, s->n, s->k, 2);
        tm_mat c = mat_new(dev, s->m, s->n, 3);
        tm_matmul(dev, c, a, s->a, tm_weight_of(b), s->b, 1, TM_SET);
        expect_right(s, c, a, b);
        free(a.data);
        free(b.data);
        free(c.data);
    }
    tm_device_close(dev);
}

static void bits_are_the_same_at_1_2_and_4_threads(void **state)
{
    tm_device *dev = device_new(1);
    for (int i = 0; i < n_shapes; i++) {
        const shape *s = &shapes[i];
        tm_mat a = s->a == TM_N ? mat_new(dev, s->m, s->k, 1) : mat_new(dev, s->k, s->m, 1);
        tm_mat b = s->b == TM_N ? mat_new(dev, s->k, s->n, 2) : mat_new(dev, s->n, s->k, 2);
        tm_mat one = mat_new(dev, s->m, s->n, 3), many = mat_new(dev, s->m, s->n, 3);
        assert_int_equal(tm_pool_resize(tm_device_pool(dev), 1, NULL), TM_OK);
        tm_matmul(dev, one, a, s->a, tm_weight_of(b), s->b, 0.5f, TM_SET);
        for (int threads = 2; threads <= 4; threads += 2) {
            assert_int_equal(tm_pool_resize(tm_device_pool(dev), threads, NULL), TM_OK);
            tm_matmul(dev, many, a, s->a, tm_weight_of(b), s->b, 0.5f, TM_SET);
            assert_memory_equal(one.data, many.data, (size_t)(s->m * s->n) * sizeof(float));
        }
        free(a.data);
        free(b.data);
        free(one.data);
        free(many.data);
    }
    tm_device_close(dev);
}

static void rows_of_a_weight_give_columns_of_the_product(void **state)
{
    tm_device *dev = device_new(1);
    tm_mat x = mat_new(dev, 10, 24, 1), w = mat_new(dev, 30, 24, 2);
    tm_mat whole = mat_new(dev, 10, 30, 3), part = mat_new(dev, 10, 30, 4);
    tm_linear(dev, whole, x, tm_weight_of(w), NULL, 1, TM_SET);
    tm_linear(dev, tm_mat_cols(part, 0, 13), x, tm_weight_rows(tm_weight_of(w), 0, 13), NULL, 1, TM_SET);
    tm_linear(dev, tm_mat_cols(part, 13, 17), x, tm_weight_rows(tm_weight_of(w), 13, 17), NULL, 1, TM_SET);
    assert_memory_equal(whole.data, part.data, 300 * sizeof(float));
    free(x.data);
    free(w.data);
    free(whole.data);
    free(part.data);
    tm_device_close(dev);
}

static void a_row_decoded_alone_has_the_bits_it_has_in_a_batch(void **state)
{
    enum { MOST = 32, DEEP = 400 };
    tm_device *dev = device_new(2);
    tm_mat x = mat_new(dev, TM_ROWS_ALIKE, DEEP, 1), w = mat_new(dev, MOST, DEEP, 2);
    tm_mat batch = mat_new(dev, TM_ROWS_ALIKE, MOST, 3), alone = mat_new(dev, 1, MOST, 4);
    for (int64_t rows = 2; rows <= TM_ROWS_ALIKE; rows++) {
        tm_mat several = tm_mat_rows(batch, 0, rows), weights = tm_mat_rows(w, 0, MOST - rows % 3);
        several.cols = alone.cols = weights.rows; // columns that come in threes, and those left over
        tm_linear(dev, several, tm_mat_rows(x, 0, rows), tm_weight_of(weights), NULL, 1, TM_SET);
        for (int64_t row = 0; row < rows; row++) {
            tm_linear(dev, alone, tm_mat_rows(x, row, 1), tm_weight_of(weights), NULL, 1, TM_SET);
            assert_memory_equal(alone.data, batch.data + row * MOST, (size_t)alone.cols * sizeof(float));
        }
    }
    free(x.data);
    free(w.data);
    free(batch.data);
    free(alone.data);
    tm_device_close(dev);
}

static void without_memory_the_device_remembers_and_nothing_is_written(void **state)
{
    tm_device *dev = device_new(1);
    tm_mat x = mat_new(dev, 20, 24, 1), w = mat_new(dev, 30, 24, 2), y = mat_new(dev, 20, 30, 3);
    float before = y.data[7];
    tm_alloc_fail_at(1, true);
    tm_linear(dev, y, x, tm_weight_of(w), NULL, 1, TM_SET);
    tm_alloc_fail_at(0, false);
    tm_error err = {0};
    assert_int_equal(tm_device_status(dev, &err), TM_ENOMEM);
    assert_int_equal(err.status, TM_ENOMEM);
    assert_true(y.data[7] == before);
    free(x.data);
    free(w.data);
    free(y.data);
    tm_device_close(dev);
}

static void the_second_step_allocates_nothing(void **state)
{
    tm_device *dev = device_new(2);
    tm_mat x = mat_new(dev, 100, 64, 1), w = mat_new(dev, 200, 64, 2), y = mat_new(dev, 100, 200, 3);
    double sum;
    for (int step = 0; step < 3; step++) {
        if (step == 2) tm_alloc_fail_at(0, false);  // counts from here
        tm_sum_squares(dev, &sum, x.data, 6400);
        tm_linear(dev, y, x, tm_weight_of(w), NULL, 1, TM_SET);
        tm_linear_grad_w(dev, w, y, x, 1);
    }
    assert_int_equal(tm_alloc_fail_at(0, false), 0);
    free(x.data);
    free(w.data);
    free(y.data);
    tm_device_close(dev);
}

static void an_unknown_instruction_set_is_refused(void **state)
{
    const char *kept = getenv("TM_CPU");
    char *old = kept == NULL ? NULL : tm_strdup(kept);
    tm_device *dev = NULL;
    tm_error err = {0};
    setenv("TM_CPU", "sse9", 1);
    assert_int_equal(tm_device_open_cpu(1, &dev, &err), TM_EINVAL);
    assert_string_equal(err.text, "TM_CPU is \"sse9\"; it can be avx512, avx2 or base");
    setenv("TM_CPU", "base", 1);
    assert_int_equal(tm_device_open_cpu(1, &dev, &err), TM_OK);
    assert_string_equal(tm_device_name(dev), "cpu/base");
    tm_device_close(dev);
    if (old == NULL)
        unsetenv("TM_CPU");
    else
        setenv("TM_CPU", old, 1);
    tm_free(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_across_every_boundary_are_right),
        cmocka_unit_test(bits_are_the_same_at_1_2_and_4_threads),
        cmocka_unit_test(rows_of_a_weight_give_columns_of_the_product),
        cmocka_unit_test(a_row_decoded_alone_has_the_bits_it_has_in_a_batch),
        cmocka_unit_test(without_memory_the_device_remembers_and_nothing_is_written),
        cmocka_unit_test(the_second_step_allocates_nothing),
        cmocka_unit_test(an_unknown_instruction_set_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
