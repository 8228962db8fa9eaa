// SPDX-License-Identifier: Apache-2.0
// The head's loss: sums and counts, chunks, ignored labels, one denominator for several batches.
#include <stdarg.h>
#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "kernels/ops.h"

enum { WIDTH = 3 };

typedef struct fixture {
    tm_device *dev;
    int64_t tokens, vocabulary;
    float *hidden, *head, *d_hidden, *d_head, *log_probs;
    int32_t *labels;
    double loss_sum;
    int64_t count;
} fixture;

static void fixture_init(fixture *f, int64_t tokens, int64_t vocabulary)
{
    *f = (fixture){.tokens = tokens, .vocabulary = vocabulary};
    assert_int_equal(tm_device_open_cpu(2, &f->dev, NULL), TM_OK);
    f->hidden = malloc((size_t)(tokens * WIDTH) * sizeof(float));
    f->head = malloc((size_t)(vocabulary * WIDTH) * sizeof(float));
    f->d_hidden = calloc((size_t)(tokens * WIDTH), sizeof(float));
    f->d_head = calloc((size_t)(vocabulary * WIDTH), sizeof(float));
    f->log_probs = calloc((size_t)tokens, sizeof(float));
    f->labels = malloc((size_t)tokens * sizeof *f->labels);
    tm_random_normal(f->dev, f->hidden, tokens * WIDTH, 0, 1, 1, 1);
    tm_random_normal(f->dev, f->head, vocabulary * WIDTH, 0, 1, 1, 2);
    for (int64_t t = 0; t < tokens; t++) f->labels[t] = t % 5 == 2 ? -1 : (int32_t)(t * 7919 % vocabulary);
}

static void fixture_clear(fixture *f)
{
    free(f->hidden);
    free(f->head);
    free(f->d_hidden);
    free(f->d_head);
    free(f->log_probs);
    free(f->labels);
    tm_device_close(f->dev);
}

static void loss_run(fixture *f, int64_t first, int64_t tokens, double denominator)
{
    tm_head_loss_args args = {
        .hidden = tm_mat_of(f->hidden + first * WIDTH, tokens, WIDTH),
        .head = tm_weight_f32(f->head, f->vocabulary, WIDTH),
        .labels = f->labels + first,
        .denominator = denominator,
        .log_probs = f->log_probs + first,
        .d_hidden = tm_mat_of(f->d_hidden + first * WIDTH, tokens, WIDTH),
        .d_head = tm_mat_of(f->d_head, f->vocabulary, WIDTH),
        .loss_sum = &f->loss_sum,
        .count = &f->count,
    };
    tm_head_loss(f->dev, &args);
    assert_int_equal(tm_device_status(f->dev, NULL), TM_OK);
}

static void the_sum_and_the_count_leave_out_ignored_labels(void **state)
{
    fixture f;
    fixture_init(&f, 10, 17);
    loss_run(&f, 0, 10, 8);
    double sum = 0;
    for (int64_t t = 0; t < 10; t++) {
        if (f.labels[t] < 0)
            assert_true(f.log_probs[t] == 0);
        else
            assert_true(f.log_probs[t] < 0);
        sum -= (double)f.log_probs[t];
    }
    assert_int_equal(f.count, 8);
    assert_true(fabs(sum - f.loss_sum) < 1e-9);
    for (int c = 0; c < WIDTH; c++) {
        assert_true(f.d_hidden[2 * WIDTH + c] == 0 && f.d_hidden[7 * WIDTH + c] == 0);
        assert_true(f.d_hidden[3 * WIDTH + c] != 0);
    }
    fixture_clear(&f);
}

static void equal_logits_lose_the_logarithm_of_the_vocabulary(void **state)
{
    fixture f;
    fixture_init(&f, 6, 32);
    memset(f.hidden, 0, 6 * WIDTH * sizeof(float));
    loss_run(&f, 0, 6, 5);
    assert_true(fabs(f.loss_sum / (double)f.count - log(32)) < 1e-6);
    fixture_clear(&f);
}

// 300 tokens of 66,000 logits do not fit one chunk; a chunk of its own for each third does.
static void chunks_change_no_bits(void **state)
{
    fixture whole, parts;
    fixture_init(&whole, 300, 66000);
    fixture_init(&parts, 300, 66000);
    loss_run(&whole, 0, 300, 100);
    double sum = 0;
    for (int64_t first = 0; first < 300; first += 100) {
        loss_run(&parts, first, 100, 100);
        sum += parts.loss_sum;
    }
    assert_memory_equal(whole.log_probs, parts.log_probs, 300 * sizeof(float));
    assert_memory_equal(whole.d_hidden, parts.d_hidden, 300 * WIDTH * sizeof(float));
    assert_true(fabs(sum - whole.loss_sum) < 1e-6);
    for (int64_t i = 0; i < 66000 * WIDTH; i++)
        assert_true(fabsf(whole.d_head[i] - parts.d_head[i]) <= 1e-6f);
    fixture_clear(&whole);
    fixture_clear(&parts);
}

static void without_gradients_only_log_probabilities_come(void **state)
{
    fixture f;
    fixture_init(&f, 10, 17);
    tm_head_loss_args args = {.hidden = tm_mat_of(f.hidden, 10, WIDTH),
                              .head = tm_weight_f32(f.head, 17, WIDTH),
                              .labels = f.labels,
                              .log_probs = f.log_probs};
    tm_head_loss(f.dev, &args);
    float kept[10];
    memcpy(kept, f.log_probs, sizeof kept);
    loss_run(&f, 0, 10, 8);
    assert_memory_equal(kept, f.log_probs, sizeof kept);
    fixture_clear(&f);
}

static void without_memory_the_device_remembers(void **state)
{
    fixture f;
    fixture_init(&f, 10, 17);
    tm_head_loss_args args = {.hidden = tm_mat_of(f.hidden, 10, WIDTH),
                              .head = tm_weight_f32(f.head, 17, WIDTH),
                              .labels = f.labels,
                              .log_probs = f.log_probs,
                              .loss_sum = &f.loss_sum};
    tm_alloc_fail_at(2, true);
    tm_head_loss(f.dev, &args);
    tm_alloc_fail_at(0, false);
    assert_int_equal(tm_device_status(f.dev, NULL), TM_ENOMEM);
    fixture_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_and_the_count_leave_out_ignored_labels),
        cmocka_unit_test(equal_logits_lose_the_logarithm_of_the_vocabulary),
        cmocka_unit_test(chunks_change_no_bits),
        cmocka_unit_test(without_gradients_only_log_probabilities_come),
        cmocka_unit_test(without_memory_the_device_remembers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
