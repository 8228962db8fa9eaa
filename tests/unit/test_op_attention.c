// SPDX-License-Identifier: Apache-2.0
// What attention must not see: other documents, later keys, rows that no document has.
#include <stdarg.h>
#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "kernels/ops.h"

enum { TOKENS = 150, HEADS = 2, SIZE = 16, WIDTH = HEADS * SIZE };

typedef struct fixture {
    tm_device *dev;
    float q[TOKENS * WIDTH], k[TOKENS * WIDTH], v[TOKENS * WIDTH], out[TOKENS * WIDTH], lse[TOKENS * HEADS];
} fixture;

static fixture *fixture_new(void)
{
    fixture *f = calloc(1, sizeof *f);
    assert_int_equal(tm_device_open_cpu(2, &f->dev, NULL), TM_OK);
    tm_random_normal(f->dev, f->q, TOKENS * WIDTH, 0, 1, 1, 1);
    tm_random_normal(f->dev, f->k, TOKENS * WIDTH, 0, 1, 1, 2);
    tm_random_normal(f->dev, f->v, TOKENS * WIDTH, 0, 1, 1, 3);
    return f;
}

static void fixture_free(fixture *f)
{
    tm_device_close(f->dev);
    free(f);
}

static tm_mat rows(float *data)
{
    return tm_mat_of(data, TOKENS, WIDTH);
}

static tm_attention_shape shape_of(const int32_t *q_start, int64_t docs)
{
    return (tm_attention_shape){.q_heads = HEADS,
                                .kv_heads = HEADS,
                                .head_size = SIZE,
                                .scale = 0.25f,
                                .docs = docs,
                                .q_start = q_start};
}

static void an_edited_document_leaves_the_next_bit_identical(void **state)
{
    const int32_t start[] = {0, 70, TOKENS};
    tm_attention_shape shape = shape_of(start, 2);
    fixture *f = fixture_new();
    static float before[TOKENS * WIDTH];
    tm_attention(f->dev, rows(f->out), NULL, rows(f->q), rows(f->k), rows(f->v), &shape);
    memcpy(before, f->out, sizeof before);
    tm_random_normal(f->dev, f->k, 70 * WIDTH, 0, 3, 9, 9);
    tm_random_normal(f->dev, f->v, 70 * WIDTH, 0, 3, 9, 10);
    tm_attention(f->dev, rows(f->out), NULL, rows(f->q), rows(f->k), rows(f->v), &shape);
    assert_memory_equal(before + 70 * WIDTH, f->out + 70 * WIDTH, 80 * WIDTH * sizeof(float));
    assert_memory_not_equal(before, f->out, 70 * WIDTH * sizeof(float));
    fixture_free(f);
}

static void an_edited_key_leaves_earlier_queries_bit_identical(void **state)
{
    const int32_t start[] = {0, TOKENS};
    tm_attention_shape shape = shape_of(start, 1);
    fixture *f = fixture_new();
    static float before[TOKENS * WIDTH];
    tm_attention(f->dev, rows(f->out), NULL, rows(f->q), rows(f->k), rows(f->v), &shape);
    memcpy(before, f->out, sizeof before);
    for (int i = 0; i < WIDTH; i++) f->k[100 * WIDTH + i] = f->v[100 * WIDTH + i] = NAN;
    tm_attention(f->dev, rows(f->out), NULL, rows(f->q), rows(f->k), rows(f->v), &shape);
    // Values of masked keys in the same block are multiplied by weights of zero, so a NaN may show in it.
    assert_memory_equal(before, f->out, 64 * WIDTH * sizeof(float));
    for (int i = 0; i < WIDTH; i++) assert_true(isnan(f->out[100 * WIDTH + i]));
    fixture_free(f);
}

static void tokens_decoded_one_by_one_equal_the_whole(void **state)
{
    const int32_t start[] = {0, TOKENS}, one[] = {0, 1}, zero[] = {0};
    tm_attention_shape whole = shape_of(start, 1), step = shape_of(one, 1);
    fixture *f = fixture_new();
    float out[WIDTH];
    tm_attention(f->dev, rows(f->out), NULL, rows(f->q), rows(f->k), rows(f->v), &whole);
    for (int32_t t = 0; t < TOKENS; t += 7) {
        int32_t count = t + 1;
        step.k_start = zero;
        step.k_count = &count;
        tm_attention(f->dev, tm_mat_of(out, 1, WIDTH), NULL, tm_mat_of(f->q + t * WIDTH, 1, WIDTH),
                     rows(f->k), rows(f->v), &step);
        for (int i = 0; i < WIDTH; i++) assert_true(fabsf(out[i] - f->out[t * WIDTH + i]) < 2e-6f);
    }
    fixture_free(f);
}

static void rows_of_a_cache_that_are_not_used_may_hold_anything(void **state)
{
    const int32_t one[] = {0, 1}, start[] = {20}, count[] = {10};
    tm_attention_shape step = shape_of(one, 1);
    step.k_start = start;
    step.k_count = count;
    fixture *f = fixture_new();
    float out[WIDTH];
    for (int64_t t = 0; t < TOKENS; t++)
        for (int i = 0; i < WIDTH && (t < 20 || t >= 30); i++)
            f->k[t * WIDTH + i] = f->v[t * WIDTH + i] = NAN;
    tm_attention(f->dev, tm_mat_of(out, 1, WIDTH), NULL, tm_mat_of(f->q, 1, WIDTH), rows(f->k), rows(f->v),
                 &step);
    for (int i = 0; i < WIDTH; i++) assert_true(isfinite(out[i]));
    fixture_free(f);
}

static void a_query_that_sees_one_key_returns_its_value(void **state)
{
    const int32_t start[] = {0, TOKENS};
    tm_attention_shape shape = shape_of(start, 1);
    shape.window = 1;
    fixture *f = fixture_new();
    tm_attention(f->dev, rows(f->out), f->lse, rows(f->q), rows(f->k), rows(f->v), &shape);
    for (int i = 0; i < TOKENS * WIDTH; i++)
        assert_true(fabsf(f->out[i] - f->v[i]) <= 1e-6f * fabsf(f->v[i]));
    fixture_free(f);
}

static void a_document_without_keys_gives_zeros(void **state)
{
    const int32_t start[] = {0, 5}, zero[] = {0};
    tm_attention_shape shape = shape_of(start, 1);
    shape.bidirectional = true;
    shape.k_start = shape.k_count = zero;
    fixture *f = fixture_new();
    tm_mat out = tm_mat_of(f->out, 5, WIDTH), q = tm_mat_of(f->q, 5, WIDTH);
    tm_attention(f->dev, out, f->lse, q, rows(f->k), rows(f->v), &shape);
    for (int i = 0; i < 5 * WIDTH; i++) assert_true(f->out[i] == 0);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edited_document_leaves_the_next_bit_identical),
        cmocka_unit_test(an_edited_key_leaves_earlier_queries_bit_identical),
        cmocka_unit_test(tokens_decoded_one_by_one_equal_the_whole),
        cmocka_unit_test(rows_of_a_cache_that_are_not_used_may_hold_anything),
        cmocka_unit_test(a_query_that_sees_one_key_returns_its_value),
        cmocka_unit_test(a_document_without_keys_gives_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
