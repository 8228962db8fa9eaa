// SPDX-License-Identifier: Apache-2.0
// A model of the fixtures with letters for tokens; two of them are the halves of one character.
#include "stages/model/generate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { VOCAB = 29, CAPACITY = 60 };

typedef struct fixture {
    tm_device *dev;
    tm_model *model;
    tm_decoder *decoder;
    tm_bpe *bpe;
    tm_bpe_ids prompt;
    tm_buf heard;
    int pieces, most; // heard so far; after so many the listener has enough
} fixture;

// a ... z, then the two bytes of e with an acute accent, then the end.
static tm_bpe *letters(void)
{
    static char texts[VOCAB][8];
    tm_bpe_entry entries[VOCAB];
    for (uint32_t i = 0; i < VOCAB; i++) {
        snprintf(texts[i], sizeof texts[i], "%c", 'a' + (int)i);
        if (i == 26) snprintf(texts[i], sizeof texts[i], "\u00c3");
        if (i == 27) snprintf(texts[i], sizeof texts[i], "\u00a9");
        if (i == 28) snprintf(texts[i], sizeof texts[i], "<end>");
        entries[i] = (tm_bpe_entry){tm_view_str(texts[i]), i};
    }
    tm_bpe_spec spec = {
        .pretokenizer = TM_PRETOKENIZE_GPT2, .vocab = entries, .n_vocab = VOCAB, .unk = TM_BPE_NONE};
    tm_bpe *bpe = NULL;
    tm_error err = {0};
    if (tm_bpe_new(&spec, &bpe, &err) < 0) fail_msg("%s", err.text);
    return bpe;
}

static bool hear(void *listener, tm_view text)
{
    fixture *f = listener;
    tm_buf whole = {0};
    assert_int_equal(tm_bpe_repair(text, false, &whole), text.size); // whole characters
    if (text.size) assert_memory_equal(whole.data, text.data, text.size);
    tm_buf_clear(&whole);
    tm_buf_add(&f->heard, text.data, text.size);
    return ++f->pieces < f->most;
}

static fixture open_fixture(void)
{
    static uint32_t prompt[] = {3, 17, 5, 28, 9};
    fixture f = {.prompt = {prompt, 5, 5}, .most = 1000, .bpe = letters()};
    tm_hf_folder folder;
    tm_error err = {0};
    assert_int_equal(tm_device_open_cpu(2, &f.dev, NULL), TM_OK);
    if (tm_hf_folder_open(&folder, "tests/fixtures/llama", &err) < 0 ||
        tm_model_load(&f.model, &folder, &err) < 0)
        fail_msg("%s", err.text);
    tm_hf_folder_close(&folder);
    assert_int_equal(f.model->config.vocab, VOCAB);
    assert_int_equal(tm_decoder_new(&f.decoder, f.model, f.dev, CAPACITY, NULL), TM_OK);
    return f;
}

static void close_fixture(fixture *f)
{
    tm_buf_clear(&f->heard);
    tm_bpe_free(f->bpe);
    tm_decoder_free(f->decoder);
    tm_model_free(f->model);
    tm_device_close(f->dev);
}

static tm_answer generate(fixture *f, const tm_generation *how)
{
    tm_answer answer = {0};
    tm_error err = {0};
    if (tm_generate(f->decoder, f->bpe, &f->prompt, how, &answer, &err) < 0) fail_msg("%s", err.text);
    return answer;
}

static void greedy_tokens_are_the_likeliest_one_after_the_other(void **state)
{
    fixture f = open_fixture();
    tm_answer a = generate(&f, &(tm_generation){.n_tokens = 30, .log_probs = true});
    assert_int_equal(a.ids.size, 30);
    assert_int_equal(a.ended, TM_ENDED_TOKENS);
    uint32_t all[CAPACITY];
    memcpy(all, f.prompt.data, sizeof *all * f.prompt.size);
    memcpy(all + f.prompt.size, a.ids.data, sizeof *all * a.ids.size);
    for (int32_t i = 0; i < 30; i++) {
        const float *logits;
        tm_decoder_cut(f.decoder, 0);
        assert_int_equal(tm_decoder_read(f.decoder, all, 5 + i, &logits, NULL, NULL), TM_OK);
        for (int k = 0; k < VOCAB; k++) assert_true(logits[k] <= logits[a.ids.data[i]] + 1e-4f);
        double off = tm_log_prob(logits, VOCAB, (int32_t)a.ids.data[i]) - a.log_probs[i];
        assert_true(off < 1e-4 && off > -1e-4);
    }
    tm_answer_clear(&a);
    close_fixture(&f);
}

static void what_is_heard_is_the_text_in_whole_characters(void **state)
{
    fixture f = open_fixture();
    int broken = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        tm_generation how = {.sampler = {.temperature = 3, .top_p = 1, .seed = seed},
                             .n_tokens = 40,
                             .hear = hear,
                             .listener = &f};
        tm_buf_reset(&f.heard);
        tm_answer a = generate(&f, &how);
        tm_buf text = {0};
        assert_int_equal(tm_bpe_decode(f.bpe, a.ids.data, a.ids.size, true, &text, NULL), TM_OK);
        assert_int_equal(f.heard.size, text.size);
        assert_memory_equal(f.heard.data, text.data, text.size);
        assert_int_equal(a.text.size, text.size);
        assert_memory_equal(a.text.data, text.data, text.size);
        broken += memmem(text.data, text.size, "\ufffd", 3) != NULL;
        tm_buf_clear(&text);
        tm_answer_clear(&a);
    }
    assert_true(broken > 5); // halves of characters did occur
    close_fixture(&f);
}

static void a_stop_string_or_an_end_token_ends_the_text(void **state)
{
    fixture f = open_fixture();
    tm_sampler warm = {.temperature = 2, .top_p = 1, .seed = 2};
    tm_answer free = generate(&f, &(tm_generation){.sampler = warm, .n_tokens = 30});
    assert_true(free.text.size > 12);
    char stop[4] = {0}; // out of the middle, over the border of two tokens at least
    memcpy(stop, free.text.data + 6, 3);
    const char *first = memmem(free.text.data, free.text.size, stop, 3);
    tm_generation how = {.sampler = warm,
                         .n_tokens = 30,
                         .stops = (const char *[]){"never", stop},
                         .n_stops = 2,
                         .hear = hear,
                         .listener = &f};
    tm_answer a = generate(&f, &how);
    assert_int_equal(a.ended, TM_ENDED_STOP);
    assert_string_equal(a.stop, stop);
    assert_int_equal(a.text.size, first - free.text.data);
    assert_int_equal(f.heard.size, a.text.size);
    assert_true(a.ids.size < 30);
    assert_memory_equal(a.ids.data, free.ids.data, a.ids.size * sizeof *a.ids.data);
    uint32_t end = free.ids.data[4];
    tm_answer b = generate(&f, &(tm_generation){.sampler = warm, .n_tokens = 30, .ends = &end, .n_ends = 1});
    assert_int_equal(b.ended, TM_ENDED_END);
    assert_true(b.ids.size <= 5 && b.ids.data[b.ids.size - 1] == end);
    tm_answer_clear(&free);
    tm_answer_clear(&a);
    tm_answer_clear(&b);
    close_fixture(&f);
}

static void a_listener_that_has_enough_ends_the_text(void **state)
{
    fixture f = open_fixture();
    f.most = 4;
    tm_answer a = generate(&f, &(tm_generation){.n_tokens = 30, .hear = hear, .listener = &f});
    assert_int_equal(a.ended, TM_ENDED_ASKED);
    assert_int_equal(a.ids.size, 4);
    tm_answer_clear(&a);
    close_fixture(&f);
}

static void a_full_cache_ends_the_text_and_a_prompt_without_room_is_refused(void **state)
{
    fixture f = open_fixture();
    tm_error err = {0};
    tm_answer a = generate(&f, &(tm_generation){.n_tokens = 1000});
    assert_int_equal(a.ended, TM_ENDED_FULL);
    assert_int_equal(a.ids.size, CAPACITY - 5);
    uint32_t many[CAPACITY] = {0};
    tm_bpe_ids prompt = {many, CAPACITY, CAPACITY};
    tm_generation how = {.n_tokens = 1};
    assert_int_equal(tm_generate(f.decoder, f.bpe, &prompt, &how, &a, &err), TM_EINVAL);
    assert_non_null(strstr(err.text, "60 tokens"));
    prompt.size = 0;
    assert_int_equal(tm_generate(f.decoder, f.bpe, &prompt, &how, &a, &err), TM_EINVAL);
    tm_answer_clear(&a);
    close_fixture(&f);
}

static void a_prompt_that_goes_on_is_read_from_where_it_differs(void **state)
{
    fixture f = open_fixture();
    tm_answer a = generate(&f, &(tm_generation){.n_tokens = 6}), b;
    uint32_t longer[20];
    assert_int_equal(a.n_kept, 0);
    memcpy(longer, f.prompt.data, 5 * sizeof *longer);
    memcpy(longer + 5, a.ids.data, 6 * sizeof *longer);
    longer[11] = 4;
    f.prompt = (tm_bpe_ids){longer, 12, 20};
    b = generate(&f, &(tm_generation){.n_tokens = 6});
    assert_int_equal(b.n_kept, 10); // the last token of an answer is chosen, not read
    tm_decoder_cut(f.decoder, 0);
    tm_answer again = generate(&f, &(tm_generation){.n_tokens = 6});
    assert_int_equal(again.n_kept, 0);
    assert_memory_equal(again.ids.data, b.ids.data, 6 * sizeof *longer);
    tm_answer_clear(&a);
    tm_answer_clear(&b);
    tm_answer_clear(&again);
    close_fixture(&f);
}

static void a_score_is_the_log_probability_of_each_token_also_over_chunks(void **state)
{
    fixture f = open_fixture();
    tm_decoder *d;
    tm_model *m;
    tm_model_config config = f.model->config;
    enum { N = 300 };
    uint32_t ids[N];
    float scores[N];
    config.length = N;
    assert_int_equal(tm_model_init(&m, &config, f.dev, 4, NULL), TM_OK);
    assert_int_equal(tm_decoder_new(&d, m, f.dev, N, NULL), TM_OK);
    for (uint32_t i = 0; i < N; i++) ids[i] = i * 7 % VOCAB;
    for (int turn = 0; turn < 2; turn++) assert_int_equal(tm_decoder_score(d, ids, N, scores, NULL), TM_OK);
    tm_decoder_cut(d, 0);
    for (int32_t i = 0; i + 1 < N; i++) {
        const float *logits;
        assert_int_equal(tm_decoder_feed(d, (const int32_t *)ids + i, 1, &logits, NULL), TM_OK);
        double off = tm_log_prob(logits, VOCAB, (int32_t)ids[i + 1]) - (double)scores[i];
        assert_true(off < 1e-4 && off > -1e-4);
    }
    tm_decoder_free(d);
    tm_model_free(m);
    close_fixture(&f);
}

static void weights_in_16_bits_give_the_same_logits_and_only_where_nothing_is_lost(void **state)
{
    fixture f = open_fixture();
    const float *logits;
    float whole[VOCAB];
    int32_t ids[20];
    for (int32_t i = 0; i < 20; i++) ids[i] = i * 5 % VOCAB;
    assert_int_equal(tm_model_halve(f.model, NULL), TM_OK);
    assert_null(f.model->half); // the fixture's weights are no bf16
    for (size_t i = 0; i < f.model->map.n_matrix; i++)
        f.model->params[i] = tm_bf16_float(tm_bf16_of(f.model->params[i]));
    for (int32_t n = 1; n <= 20; n += 19) { // both kinds of product
        tm_decoder_cut(f.decoder, 0);
        assert_int_equal(tm_decoder_feed(f.decoder, ids, n, &logits, NULL), TM_OK);
        memcpy(whole, logits, sizeof whole);
        tm_model *again;
        tm_decoder *d;
        assert_int_equal(tm_model_new(&again, &f.model->config, NULL), TM_OK);
        memcpy(again->params, f.model->params, f.model->map.n_floats * sizeof(float));
        assert_int_equal(tm_model_halve(again, NULL), TM_OK);
        assert_non_null(again->half);
        assert_int_equal(tm_decoder_new(&d, again, f.dev, CAPACITY, NULL), TM_OK);
        assert_int_equal(tm_decoder_feed(d, ids, n, &logits, NULL), TM_OK);
        for (int k = 0; k < VOCAB; k++)
            assert_true(logits[k] - whole[k] < 1e-5f && whole[k] - logits[k] < 1e-5f);
        tm_decoder_free(d);
        tm_model_free(again);
    }
    close_fixture(&f);
}

// ---- many prompts ----

enum { N_PROMPTS = 31 };

typedef struct expected {
    tm_answer alone[N_PROMPTS];
    size_t told[N_PROMPTS], n_told;
} expected;

static tm_status answered(void *listener, size_t i, const tm_answer *answer, tm_error *err)
{
    expected *e = listener;
    const tm_answer *alone = &e->alone[i];
    assert_int_equal(answer->ids.size, alone->ids.size);
    assert_memory_equal(answer->ids.data, alone->ids.data, alone->ids.size * sizeof *alone->ids.data);
    assert_memory_equal(answer->log_probs, alone->log_probs, alone->ids.size * sizeof(double));
    assert_true(tm_view_eq(tm_buf_view(&answer->text), tm_buf_view(&alone->text)));
    assert_int_equal(answer->ended, alone->ended);
    assert_ptr_equal(answer->stop, alone->stop);
    e->told[e->n_told++] = i;
    return TM_OK;
}

static void generate_beside(fixture *f, const tm_prompts *prompts, const tm_generation *how, size_t width)
{
    tm_decoder *d;
    tm_error err = {0};
    assert_int_equal(tm_decoder_new_wide(&d, f->model, f->dev, CAPACITY, width, NULL), TM_OK);
    assert_int_equal(tm_decoder_width(d), width < TM_ROWS_ALIKE ? width : TM_ROWS_ALIKE);
    if (tm_generate_all(d, f->bpe, prompts, how, &err) < 0) fail_msg("%s", err.text);
    tm_decoder_free(d);
}

// Prompts of 1 to 40 tokens, so that some are read in blocks and some in rows; answers end in every way.
static void answers_side_by_side_have_the_bits_of_each_alone(void **state)
{
    static uint32_t ids[N_PROMPTS][40];
    static const char *const stops[] = {"ab", "q"};
    static const uint32_t ends[] = {VOCAB - 1};
    fixture f = open_fixture();
    tm_bpe_ids prompts[N_PROMPTS];
    expected e = {0};
    tm_generation how = {.sampler = {.temperature = 1.5, .top_p = 0.95, .seed = 3},
                         .n_tokens = 35,
                         .ends = ends,
                         .n_ends = 1,
                         .stops = stops,
                         .n_stops = 2,
                         .log_probs = true};
    bool seen[TM_ENDED_ASKED] = {false};
    for (uint32_t i = 0; i < N_PROMPTS; i++) {
        uint32_t n = i * 13 % 40 + 1;
        for (uint32_t k = 0; k < n; k++) ids[i][k] = (i * 5 + k * k + 1) % VOCAB;
        f.prompt = prompts[i] = (tm_bpe_ids){ids[i], n, 40};
        tm_decoder_cut(f.decoder, 0);
        e.alone[i] = generate(&f, &how);
        seen[e.alone[i].ended] = true;
    }
    for (int k = 0; k < TM_ENDED_ASKED; k++) assert_true(seen[k]);
    for (size_t width = 1; width <= 2 * TM_ROWS_ALIKE; width = width * 3 - 1 + width / 2) {
        e.n_told = 0;
        generate_beside(&f, &(tm_prompts){prompts, N_PROMPTS, answered, &e}, &how, width);
        assert_int_equal(e.n_told, N_PROMPTS);
        if (width == 1)
            for (size_t i = 0; i < N_PROMPTS; i++) assert_int_equal(e.told[i], i);
    }
    for (size_t i = 0; i < N_PROMPTS; i++) tm_answer_clear(&e.alone[i]);
    close_fixture(&f);
}

static tm_status enough(void *listener, size_t i, const tm_answer *answer, tm_error *err)
{
    return ++*(int *)listener == 2 ? tm_fail(err, TM_EFAILED, "enough") : TM_OK;
}

static void what_the_listener_of_many_refuses_ends_them(void **state)
{
    fixture f = open_fixture();
    int told = 0;
    tm_error err = {0};
    tm_bpe_ids prompts[5];
    tm_decoder *d;
    for (int i = 0; i < 5; i++) prompts[i] = f.prompt;
    assert_int_equal(tm_decoder_new_wide(&d, f.model, f.dev, CAPACITY, 3, NULL), TM_OK);
    tm_prompts many = {prompts, 5, enough, &told};
    assert_int_equal(tm_generate_all(d, f.bpe, &many, &(tm_generation){.n_tokens = 4}, &err), TM_EFAILED);
    assert_string_equal(err.text, "enough");
    prompts[4].size = 0;
    told = -10;
    assert_int_equal(tm_generate_all(d, f.bpe, &many, &(tm_generation){.n_tokens = 4}, &err), TM_EINVAL);
    assert_int_equal(told, -7);
    tm_decoder_free(d);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_tokens_are_the_likeliest_one_after_the_other),
        cmocka_unit_test(what_is_heard_is_the_text_in_whole_characters),
        cmocka_unit_test(a_stop_string_or_an_end_token_ends_the_text),
        cmocka_unit_test(a_listener_that_has_enough_ends_the_text),
        cmocka_unit_test(a_full_cache_ends_the_text_and_a_prompt_without_room_is_refused),
        cmocka_unit_test(a_prompt_that_goes_on_is_read_from_where_it_differs),
        cmocka_unit_test(weights_in_16_bits_give_the_same_logits_and_only_where_nothing_is_lost),
        cmocka_unit_test(a_score_is_the_log_probability_of_each_token_also_over_chunks),
        cmocka_unit_test(answers_side_by_side_have_the_bits_of_each_alone),
        cmocka_unit_test(what_the_listener_of_many_refuses_ends_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
