// SPDX-License-Identifier: Apache-2.0
#include "stages/text/bpe_train.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *const texts[] = {
    "The moon drives the tide, the tide drives the mill.",
    "aaaa aaaaaa aaaaaaa abab ababab bababa",
    "when the moon is full the tide is high, when the tide is high the mill is loud",
    "thethe thethethe hehehe the then them",
};
#define N_TEXTS (sizeof texts / sizeof *texts)

static tm_bpe_counter *count(size_t first, size_t n)
{
    tm_bpe_counter *counter = tm_bpe_counter_new(TM_PRETOKENIZE_GPT2, false);
    assert_non_null(counter);
    for (size_t i = first; i < first + n; i++)
        assert_int_equal(tm_bpe_counter_add(counter, tm_view_str(texts[i % N_TEXTS]), NULL), TM_OK);
    return counter;
}

static tm_bpe *train(const tm_bpe_counter *counter, size_t size, uint64_t min_frequency)
{
    tm_bpe *bpe = NULL;
    tm_bpe_training options = {.size = size, .min_frequency = min_frequency};
    tm_error err = {0};
    if (tm_bpe_train(counter, &options, &bpe, &err) < 0) fail_msg("%s", err.text);
    return bpe;
}

static void assert_same(const tm_bpe *a, const tm_bpe *b)
{
    const tm_bpe_spec *x = tm_bpe_parts(a), *y = tm_bpe_parts(b);
    assert_int_equal(x->n_vocab, y->n_vocab);
    assert_int_equal(x->n_merges, y->n_merges);
    assert_memory_equal(x->merges, y->merges, x->n_merges * sizeof *x->merges);
    for (size_t i = 0; i < x->n_vocab; i++) assert_true(tm_view_eq(x->vocab[i].text, y->vocab[i].text));
}

static void the_most_frequent_pair_comes_first(void **state)
{
    tm_bpe_counter *counter = count(0, N_TEXTS);
    tm_bpe *bpe = train(counter, 300, 0);
    const tm_bpe_spec *spec = tm_bpe_parts(bpe);
    assert_int_equal(spec->n_vocab, 300);
    assert_int_equal(spec->n_merges, 44);
    tm_view first = tm_bpe_bytes(bpe, 256);
    assert_int_equal(first.size, 2);
    assert_memory_equal(first.data, "he", 2);
    tm_bpe_free(bpe);
    tm_bpe_counter_free(counter);
}

static void neither_order_nor_spread_of_the_texts_matters(void **state)
{
    tm_bpe_counter *one = count(0, N_TEXTS), *turned = count(2, N_TEXTS);
    tm_bpe_counter *a = count(3, 1), *b = count(0, 3);
    assert_int_equal(tm_bpe_counter_merge(a, b, NULL), TM_OK);
    assert_int_equal(tm_bpe_counter_pieces(a), tm_bpe_counter_pieces(one));
    tm_bpe *want = train(one, 330, 0), *got1 = train(turned, 330, 0), *got2 = train(a, 330, 0);
    assert_same(want, got1);
    assert_same(want, got2);
    tm_bpe_free(want);
    tm_bpe_free(got1);
    tm_bpe_free(got2);
    tm_bpe_counter_free(one);
    tm_bpe_counter_free(turned);
    tm_bpe_counter_free(a);
    tm_bpe_counter_free(b);
}

static void rare_pairs_and_small_sizes_stop_the_training(void **state)
{
    tm_bpe_counter *counter = count(0, N_TEXTS);
    tm_bpe *none = train(counter, 10, 0), *often = train(counter, 5000, 5), *all = train(counter, 5000, 0);
    assert_int_equal(tm_bpe_size(none), 256);
    assert_int_equal(tm_bpe_parts(none)->n_merges, 0);
    assert_true(tm_bpe_size(often) < tm_bpe_size(all));
    assert_true(tm_bpe_size(all) < 400);
    tm_bpe_free(none);
    tm_bpe_free(often);
    tm_bpe_free(all);
    tm_bpe_counter_free(counter);
}

static void special_tokens_come_first_and_once(void **state)
{
    tm_bpe_counter *counter = count(0, N_TEXTS);
    const tm_view special[] = {tm_view_str("<s>"), tm_view_str("he"), tm_view_str("<s>"), tm_view_str("a b")};
    tm_bpe_training options = {.size = 300, .special = special, .n_special = 4};
    tm_bpe *bpe;
    assert_int_equal(tm_bpe_train(counter, &options, &bpe, NULL), TM_OK);
    assert_int_equal(tm_bpe_parts(bpe)->n_added, 3);
    assert_int_equal(tm_bpe_find(bpe, tm_view_str("<s>")), 0);
    assert_int_equal(tm_bpe_find(bpe, tm_view_str("he")), 1);  // a merge that makes it gives the same id
    assert_int_equal(tm_bpe_find(bpe, tm_view_str("a b")), 2);
    assert_int_equal(tm_bpe_parts(bpe)->n_merges, 300 - 256 - 3 + 1);
    tm_bpe_free(bpe);
    options.special = (const tm_view[]){tm_view_str("")};
    options.n_special = 1;
    assert_int_equal(tm_bpe_train(counter, &options, &bpe, NULL), TM_EINVAL);
    options = (tm_bpe_training){.size = (size_t)TM_BPE_IDS_MAX + 1};
    assert_int_equal(tm_bpe_train(counter, &options, &bpe, NULL), TM_EINVAL);
    tm_bpe_counter_free(counter);
}

static void no_text_at_all_trains_the_bytes(void **state)
{
    tm_bpe_counter *counter = count(0, 0);
    tm_bpe *bpe = train(counter, 1000, 0);
    assert_int_equal(tm_bpe_size(bpe), 256);
    tm_bpe_free(bpe);
    tm_bpe_counter_free(counter);
}

static tm_status train_failing_at(uint64_t n, uint64_t *done)
{
    tm_alloc_fail_at(n, false);
    tm_status status = TM_ENOMEM;
    tm_bpe *bpe = NULL;
    tm_bpe_counter *counter = tm_bpe_counter_new(TM_PRETOKENIZE_GPT2, true);
    if (counter) status = tm_bpe_counter_add(counter, tm_view_str("the mill the tide e\u0323\u0301"), NULL);
    tm_bpe_training options = {.size = 270, .special = (const tm_view[]){tm_view_str("<s>")}, .n_special = 1};
    if (status == TM_OK) status = tm_bpe_train(counter, &options, &bpe, NULL);
    *done = tm_alloc_fail_at(0, false);
    tm_bpe_free(bpe);
    tm_bpe_counter_free(counter);
    return status;
}

static void every_failed_allocation_is_an_error_and_leaks_nothing(void **state)
{
    uint64_t n = 0, done;
    do {
        tm_status status = train_failing_at(++n, &done);
        assert_int_equal(status, done >= n ? TM_ENOMEM : TM_OK);
    } while (done >= n);
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_frequent_pair_comes_first),
        cmocka_unit_test(neither_order_nor_spread_of_the_texts_matters),
        cmocka_unit_test(rare_pairs_and_small_sizes_stop_the_training),
        cmocka_unit_test(special_tokens_come_first_and_once),
        cmocka_unit_test(no_text_at_all_trains_the_bytes),
        cmocka_unit_test(every_failed_allocation_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
