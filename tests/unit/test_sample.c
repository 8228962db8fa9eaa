// SPDX-License-Identifier: Apache-2.0
// tests/fixtures/sample.json is made by make_sample.py: the filters in another form.
#include "stages/model/sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static const tm_seen unseen = {0};

static void sampling_keeps_to_its_limits_and_its_seed(void **state)
{
    float logits[5] = {1, 3, NAN, 2, 3};
    tm_choice scratch[5];
    tm_sampler greedy = {.top_p = 1}, one = {.temperature = 1, .top_k = 1, .top_p = 1};
    tm_sampler nucleus = {.temperature = 1, .top_p = 0.5}, two = {.temperature = 1, .top_k = 2, .top_p = 1};
    assert_int_equal(tm_sample(&greedy, 0, logits, 5, unseen, scratch), 1);
    int seen[5] = {0};
    for (uint64_t i = 0; i < 200; i++) {
        assert_int_equal(tm_sample(&one, i, logits, 5, unseen, scratch), 1);
        int a = tm_sample(&two, i, logits, 5, unseen, scratch);
        assert_int_equal(a, tm_sample(&two, i, logits, 5, unseen, scratch));
        assert_true(a == 1 || a == 4);
        int b = tm_sample(&nucleus, i, logits, 5, unseen, scratch);
        assert_true(b == 1 || b == 4);
        seen[a]++;
    }
    assert_true(seen[1] > 60 && seen[4] > 60);
    float none[2] = {NAN, NAN};
    assert_int_equal(tm_sample(&greedy, 0, none, 2, unseen, scratch), 0);
    assert_int_equal(tm_sample(&two, 0, none, 2, unseen, scratch), 0);
}

static void sampling_follows_the_probabilities(void **state)
{
    float logits[3] = {0, logf(2), logf(5)};
    tm_choice scratch[3];
    tm_sampler plain = {.temperature = 1, .top_p = 1, .seed = 9},
               hot = {.temperature = 2, .top_p = 1, .seed = 9};
    int n[3] = {0}, h[3] = {0};
    enum { TRIES = 40000 };
    for (uint64_t i = 0; i < TRIES; i++) {
        n[tm_sample(&plain, i, logits, 3, unseen, scratch)]++;
        h[tm_sample(&hot, i, logits, 3, unseen, scratch)]++;
    }
    double sum = 1 + sqrt(2) + sqrt(5);
    for (int i = 0; i < 3; i++) {
        double p = (i == 0 ? 1 : i == 1 ? 2 : 5) / 8.0, q = sqrt(p * 8) / sum;
        assert_true(fabs(n[i] / (double)TRIES - p) < 5 * sqrt(p * (1 - p) / TRIES));
        assert_true(fabs(h[i] / (double)TRIES - q) < 5 * sqrt(q * (1 - q) / TRIES));
    }
}

static double option(const json_t *row, const char *name, double without)
{
    const json_t *value = json_object_get(json_object_get(row, "options"), name);
    return value ? json_number_value(value) : without;
}

static void check_row(const json_t *row)
{
    enum { VOCAB = 29 };
    float logits[VOCAB];
    uint32_t seen[8];
    double p[VOCAB] = {0}, sum;
    tm_choice choices[VOCAB];
    const json_t *want = json_object_get(row, "p");
    for (size_t i = 0; i < VOCAB; i++)
        logits[i] = (float)json_number_value(json_array_get(json_object_get(row, "logits"), i));
    for (size_t i = 0; i < 8; i++)
        seen[i] = (uint32_t)json_integer_value(json_array_get(json_object_get(row, "seen"), i));
    tm_sampler s = {.temperature = option(row, "temperature", 1),
                    .repetition = option(row, "repetition", 1),
                    .top_k = (uint32_t)option(row, "top_k", 0),
                    .top_p = option(row, "top_p", 1),
                    .min_p = option(row, "min_p", 0)};
    uint32_t n = tm_sample_choices(&s, logits, VOCAB, (tm_seen){seen, 8}, choices, &sum);
    for (uint32_t i = 0; i < n; i++) p[choices[i].id] = choices[i].weight / sum;
    for (size_t i = 0; i < VOCAB; i++) {
        double theirs = json_number_value(json_array_get(want, i));
        assert_true((p[i] > 0) == (theirs > 0));
        assert_true(fabs(p[i] - theirs) <= 1e-6);
    }
}

static void filters_leave_what_they_leave_in_another_form(void **state)
{
    json_t *rows = json_load_file("tests/fixtures/sample.json", 0, NULL);
    assert_true(json_array_size(rows) > 15);
    for (size_t i = 0; i < json_array_size(rows); i++) check_row(json_array_get(rows, i));
    json_decref(rows);
}

static void a_choice_depends_on_seed_and_index_alone(void **state)
{
    float logits[300];
    tm_choice scratch[300];
    int same = 0;
    for (int i = 0; i < 300; i++) logits[i] = sinf((float)i);
    tm_sampler a = {.temperature = 1, .top_p = 0.9, .min_p = 0.01, .seed = 4}, b = a;
    b.seed = 5;
    for (uint64_t i = 0; i < 100; i++) {
        int32_t x = tm_sample(&a, i, logits, 300, unseen, scratch);
        assert_int_equal(x, tm_sample(&a, i, logits, 300, unseen, scratch));
        same += x == tm_sample(&b, i, logits, 300, unseen, scratch);
    }
    assert_true(same < 20);
}

static void a_penalty_moves_greedy_choices_away_from_what_was_seen(void **state)
{
    float logits[4] = {NAN, 2, 1.9f, -1};
    tm_choice scratch[4];
    tm_sampler s = {.repetition = 1.2, .top_p = 1};
    uint32_t seen[3] = {1, 1, 900};
    assert_int_equal(tm_sample(&s, 0, logits, 4, unseen, scratch), 1);
    assert_int_equal(tm_sample(&s, 0, logits, 4, (tm_seen){seen, 3}, scratch), 2);
    s.repetition = 1;
    assert_int_equal(tm_sample(&s, 0, logits, 4, (tm_seen){seen, 3}, scratch), 1);
}

static void a_log_probability_is_that_of_the_model_before_filters(void **state)
{
    float logits[3] = {100, 100 + logf(2), 100 + logf(5)};
    assert_true(fabs(tm_log_prob(logits, 3, 1) - log(0.25)) < 1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampling_keeps_to_its_limits_and_its_seed),
        cmocka_unit_test(sampling_follows_the_probabilities),
        cmocka_unit_test(filters_leave_what_they_leave_in_another_form),
        cmocka_unit_test(a_choice_depends_on_seed_and_index_alone),
        cmocka_unit_test(a_penalty_moves_greedy_choices_away_from_what_was_seen),
        cmocka_unit_test(a_log_probability_is_that_of_the_model_before_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
