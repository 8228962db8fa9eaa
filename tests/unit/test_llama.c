// SPDX-License-Identifier: Apache-2.0
// The fixtures are made by tests/fixtures/make_llama.py: what torch and transformers compute.
#include "stages/model/decode.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stages/train/trainer.h"

#define TOLERANCE 1e-4  // of the tensor's largest value: float32 sums in another order

static const char *const fixtures[] = {"tests/fixtures/llama", "tests/fixtures/llama_tied",
                                       "tests/fixtures/llama_qwen2", "tests/fixtures/llama_qwen3"};
enum { N_FIXTURES = 4 };

// A fixture: the model and what is expected of it.
typedef struct fixture {
    tm_device *dev;
    tm_hf_folder folder;
    tm_safetensors expect;
    tm_model *model;
    tm_tokens batch;
} fixture;

static const void *data_of(const fixture *f, const char *name, size_t *bytes)
{
    const tm_st_tensor *t = tm_safetensors_find(&f->expect, name);
    if (!t) fail_msg("the fixture has no %s", name);
    if (bytes) *bytes = t->data.size;
    return t->data.data;
}

static fixture open_fixture(const char *path, int threads)
{
    fixture f = {0};
    char expect[128];
    size_t bytes;
    tm_error err = {0};
    snprintf(expect, sizeof expect, "%s/expect.safetensors", path);
    assert_int_equal(tm_device_open_cpu(threads, &f.dev, NULL), TM_OK);
    if (tm_hf_folder_open(&f.folder, path, &err) < 0 || tm_safetensors_open(&f.expect, expect, &err) < 0 ||
        tm_model_load(&f.model, &f.folder, &err) < 0)
        fail_msg("%s", err.text);
    f.batch.ids = data_of(&f, "ids", &bytes);
    f.batch.n_tokens = (int32_t)(bytes / 4);
    f.batch.labels = data_of(&f, "labels", NULL);
    f.batch.positions = data_of(&f, "positions", NULL);
    f.batch.cu_seqlens = data_of(&f, "cu_seqlens", &bytes);
    f.batch.n_segments = (int32_t)(bytes / 4) - 1;
    return f;
}

static void close_fixture(fixture *f)
{
    tm_model_free(f->model);
    tm_safetensors_close(&f->expect);
    tm_hf_folder_close(&f->folder);
    tm_device_close(f->dev);
}

static void compare(const char *name, const float *ours, const float *theirs, size_t n)
{
    float largest = 0, off = 0;
    for (size_t i = 0; i < n; i++) {
        largest = fmaxf(largest, fabsf(theirs[i]));
        off = fmaxf(off, fabsf(ours[i] - theirs[i]));
        if (isnan(ours[i])) fail_msg("%s: element %zu is not a number", name, i);
    }
    if (!(off <= TOLERANCE * largest)) fail_msg("%s: off by %g, its largest value is %g", name, off, largest);
}

static void compare_tensor(const fixture *f, const char *name, const float *ours)
{
    size_t bytes;
    const float *theirs = data_of(f, name, &bytes);
    compare(name, ours, theirs, bytes / 4);
}

static void compare_slab(const fixture *f, const char *prefix, const float *slab)
{
    for (size_t i = 0; i < f->model->map.n_params; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", prefix, f->model->map.params[i].name);
        compare_tensor(f, name, slab + f->model->map.params[i].offset);
    }
}

static void logits_and_losses_are_those_of_the_reference(void **state)
{
    for (int i = 0; i < N_FIXTURES; i++) {
        fixture f = open_fixture(fixtures[i], 2);
        tm_pass *pass;
        tm_loss loss;
        int32_t T = f.batch.n_tokens;
        uint32_t vocab = f.model->config.vocab;
        float *logits = calloc((size_t)T * vocab, sizeof *logits),
              *log_probs = calloc((size_t)T, sizeof *log_probs);
        assert_int_equal(tm_pass_new(&pass, f.model, f.dev, TM_PASS_FORWARD, (uint32_t)T, NULL), TM_OK);
        assert_int_equal(tm_pass_forward(pass, &f.batch, NULL), TM_OK);
        tm_pass_logits(pass, 0, T, logits);
        compare_tensor(&f, "logits", logits);
        tm_pass_score(pass, &loss, log_probs);
        compare_tensor(&f, "log_probs", log_probs);
        const double *sum = data_of(&f, "loss_sum", NULL);
        assert_true(fabs(loss.sum - *sum) < 1e-5 * *sum);
        assert_int_equal(loss.count, *(const int64_t *)data_of(&f, "count", NULL));
        free(logits);
        free(log_probs);
        tm_pass_free(pass);
        close_fixture(&f);
    }
}

static tm_trainer *reference_trainer(const fixture *f, uint32_t micro)
{
    tm_trainer *t;
    tm_trainer_options o = tm_trainer_defaults(2e-3, 10, (uint32_t)f->batch.n_tokens);
    o.schedule.kind = tm_schedule_find("constant");
    o.schedule.warmup = 0;
    o.eps = 1e-2;
    o.clip = 0.5;
    o.accumulate = micro;
    assert_int_equal(tm_trainer_new(&t, f->model, f->dev, &o, NULL), TM_OK);
    return t;
}

// The four segments of a fixture in `micro` batches of 4 / micro segments.
static void split(const tm_tokens *b, uint32_t micro, tm_tokens *parts, int32_t bounds[4][5])
{
    int32_t each = 4 / (int32_t)micro;
    for (int32_t i = 0; i < (int32_t)micro; i++) {
        int32_t at = b->cu_seqlens[i * each];
        for (int32_t s = 0; s <= each; s++) bounds[i][s] = b->cu_seqlens[i * each + s] - at;
        parts[i] =
            (tm_tokens){bounds[i][each], each, b->ids + at, b->labels + at, b->positions + at, bounds[i]};
    }
}

static void gradients_and_ten_clipped_steps_are_those_of_the_reference_in_1_2_and_4_parts(void **state)
{
    for (int i = 0; i < 3 * N_FIXTURES; i++) {
        fixture f = open_fixture(fixtures[i % N_FIXTURES], 2);
        uint32_t micro = 1u << i / N_FIXTURES;
        tm_trainer *t = reference_trainer(&f, micro);
        tm_tokens parts[4];
        int32_t bounds[4][5];
        split(&f.batch, micro, parts, bounds);
        const double *losses = data_of(&f, "step_loss", NULL), *norms = data_of(&f, "step_norm", NULL);
        for (int s = 0; s < 10; s++) {
            tm_step step;
            assert_int_equal(tm_trainer_update(t, parts, micro, &step, NULL), TM_OK);
            if (s == 0) compare_slab(&f, "grad.", tm_trainer_grads(t));
            assert_true(fabs(step.loss - losses[s]) <= TOLERANCE * losses[s]);
            assert_true(fabs(step.grad_norm - norms[s]) <= TOLERANCE * norms[s]);
            assert_int_equal(step.step, s + 1);
        }
        compare_slab(&f, "after.", f.model->params);
        tm_trainer_free(t);
        close_fixture(&f);
    }
}

// Gradient of one pass with the given weights and labels; free it with tm_param_slab_free.
static float *gradient(const fixture *f, const int32_t *labels, const float *weights, tm_loss *loss)
{
    tm_pass *pass;
    float *grads;
    tm_tokens b = f->batch;
    b.labels = labels;
    assert_int_equal(tm_pass_new(&pass, f->model, f->dev, TM_PASS_TRAIN, (uint32_t)b.n_tokens, NULL), TM_OK);
    assert_int_equal(tm_param_slab_new(&f->model->map, &grads, NULL), TM_OK);
    assert_int_equal(tm_pass_forward(pass, &b, NULL), TM_OK);
    tm_pass_backward(pass, weights, 10, grads, loss);
    tm_pass_free(pass);
    return grads;
}

static void weights_multiply_the_gradients_of_their_tokens(void **state)
{
    fixture f = open_fixture(fixtures[1], 2);
    int32_t labels[64];
    float weights[64];
    tm_loss some, all;
    for (int32_t i = 0; i < f.batch.n_tokens; i++) {
        weights[i] = i % 3 == 0 ? 0 : 1;
        labels[i] = i % 3 == 0 ? -1 : f.batch.labels[i];
    }
    float *masked = gradient(&f, labels, NULL, &some),
          *weighted = gradient(&f, f.batch.labels, weights, &all);
    compare("weights of 0 and 1", weighted, masked, f.model->map.n_floats);
    assert_true(all.count > some.count);
    for (int32_t i = 0; i < f.batch.n_tokens; i++) weights[i] *= -2.5f;
    tm_param_slab_free(weighted);
    weighted = gradient(&f, f.batch.labels, weights, &all);
    for (size_t i = 0; i < f.model->map.n_floats; i++) masked[i] *= -2.5f;
    compare("weights of 0 and -2.5", weighted, masked, f.model->map.n_floats);
    tm_param_slab_free(weighted);
    tm_param_slab_free(masked);
    close_fixture(&f);
}

static void a_document_leaves_the_logits_of_the_others_bit_for_bit(void **state)
{
    fixture f = open_fixture(fixtures[0], 2);
    tm_pass *pass;
    int32_t T = f.batch.n_tokens, first = f.batch.cu_seqlens[1], ids[64];
    size_t width = f.model->config.width;
    assert_int_equal(tm_pass_new(&pass, f.model, f.dev, TM_PASS_FORWARD, (uint32_t)T, NULL), TM_OK);
    assert_int_equal(tm_pass_forward(pass, &f.batch, NULL), TM_OK);
    float *before = malloc((size_t)T * width * sizeof *before);
    memcpy(before, tm_pass_hidden(pass), (size_t)T * width * sizeof *before);
    for (int32_t i = 0; i < T; i++) ids[i] = i < first ? (f.batch.ids[i] + 1) % 29 : f.batch.ids[i];
    tm_tokens other = f.batch;
    other.ids = ids;
    assert_int_equal(tm_pass_forward(pass, &other, NULL), TM_OK);
    size_t own = (size_t)first * width, rest = ((size_t)T - (size_t)first) * width;
    assert_memory_equal(before + own, tm_pass_hidden(pass) + own, rest * sizeof *before);
    assert_memory_not_equal(before, tm_pass_hidden(pass), own * sizeof *before);
    free(before);
    tm_pass_free(pass);
    close_fixture(&f);
}

static void a_step_has_the_same_bits_on_1_2_and_3_threads(void **state)
{
    float *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        fixture f = open_fixture(fixtures[1], threads);
        tm_trainer *t = reference_trainer(&f, 1);
        tm_step step;
        for (int s = 0; s < 3; s++) assert_int_equal(tm_trainer_update(t, &f.batch, 1, &step, NULL), TM_OK);
        size_t bytes = f.model->map.n_floats * sizeof(float);
        if (!first) {
            first = malloc(bytes);
            memcpy(first, f.model->params, bytes);
        }
        assert_memory_equal(first, f.model->params, bytes);
        tm_trainer_free(t);
        close_fixture(&f);
    }
    free(first);
}

static void decoding_token_by_token_gives_the_logits_of_the_whole(void **state)
{
    fixture f = open_fixture(fixtures[0], 2);
    tm_decoder *d;
    const float *logits, *theirs = data_of(&f, "logits", NULL);
    uint32_t vocab = f.model->config.vocab;
    int32_t first = f.batch.cu_seqlens[1], last = f.batch.cu_seqlens[2];
    assert_int_equal(tm_decoder_new(&d, f.model, f.dev, 20, NULL), TM_OK);
    for (int turn = 0; turn < 2; turn++) {
        int32_t at = first;
        for (int32_t n = turn ? 7 : 1; at < last; at += n, n = 1) {
            assert_int_equal(tm_decoder_feed(d, f.batch.ids + at, n, &logits, NULL), TM_OK);
            compare("logits", logits, theirs + (size_t)(at + n - 1) * vocab, vocab);
        }
        assert_int_equal(tm_decoder_size(d), last - first);
        tm_decoder_cut(d, 0);
    }
    assert_int_equal(tm_decoder_feed(d, f.batch.ids, 21, &logits, NULL), TM_EINVAL);
    tm_decoder_free(d);
    close_fixture(&f);
}

static void a_prompt_longer_than_a_chunk_is_fed_in_parts_with_the_same_result(void **state)
{
    tm_device *dev;
    tm_model *m;
    tm_decoder *d;
    const float *logits;
    tm_model_config config = {.layers = 2,
                              .width = 16,
                              .heads = 2,
                              .vocab = 11,
                              .length = 600,
                              .init_std = 0.3,
                              .bos = -1,
                              .eos = -1,
                              .pad = -1};
    int32_t ids[600], positions[600], bounds[] = {0, 600};
    for (int32_t i = 0; i < 600; i++) ids[i] = i * 7 % 11, positions[i] = i;
    assert_int_equal(tm_device_open_cpu(2, &dev, NULL), TM_OK);
    assert_int_equal(tm_model_init(&m, &config, dev, 3, NULL), TM_OK);
    assert_int_equal(tm_decoder_new(&d, m, dev, 600, NULL), TM_OK);
    assert_int_equal(tm_decoder_feed(d, ids, 600, &logits, NULL), TM_OK);
    tm_pass *pass;
    float whole[11];
    tm_tokens all = {600, 1, ids, NULL, positions, bounds};
    assert_int_equal(tm_pass_new(&pass, m, dev, TM_PASS_FORWARD, 600, NULL), TM_OK);
    assert_int_equal(tm_pass_forward(pass, &all, NULL), TM_OK);
    tm_pass_logits(pass, 599, 1, whole);
    compare("logits", logits, whole, 11);
    tm_pass_free(pass);
    tm_decoder_free(d);
    tm_model_free(m);
    tm_device_close(dev);
}

static void a_batch_that_cannot_be_is_refused_with_its_reason(void **state)
{
    fixture f = open_fixture(fixtures[0], 1);
    tm_pass *pass;
    tm_error err = {0};
    int32_t ids[4] = {1, 2, 3, 4}, positions[4] = {0, 1, 2, 3}, labels[4] = {-1, -1, -1, -1},
            bounds[3] = {0, 2, 4};
    tm_tokens good = {4, 2, ids, labels, positions, bounds}, b = good;
    assert_int_equal(tm_pass_new(&pass, f.model, f.dev, TM_PASS_FORWARD, 4, NULL), TM_OK);
    assert_int_equal(tm_pass_forward(pass, &b, &err), TM_OK);
    b.n_tokens = 5;
    assert_int_equal(tm_pass_forward(pass, &b, &err), TM_EINVAL);
    b.n_tokens = 3;
    assert_int_equal(tm_pass_forward(pass, &b, &err), TM_EINVAL);
    b = good;
    bounds[1] = 4;
    assert_int_equal(tm_pass_forward(pass, &b, &err), TM_EINVAL);
    bounds[1] = 2;
    ids[2] = 29;
    assert_int_equal(tm_pass_forward(pass, &b, &err), TM_EINVAL);
    assert_non_null(strstr(err.text, "id 29"));
    ids[2] = 3;
    labels[0] = 29;
    assert_int_equal(tm_pass_forward(pass, &b, &err), TM_EINVAL);
    labels[0] = -1;
    positions[3] = 64;
    assert_int_equal(tm_pass_forward(pass, &b, &err), TM_EINVAL);
    assert_non_null(strstr(err.text, "position 64"));
    tm_pass_free(pass);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_and_losses_are_those_of_the_reference),
        cmocka_unit_test(gradients_and_ten_clipped_steps_are_those_of_the_reference_in_1_2_and_4_parts),
        cmocka_unit_test(weights_multiply_the_gradients_of_their_tokens),
        cmocka_unit_test(a_document_leaves_the_logits_of_the_others_bit_for_bit),
        cmocka_unit_test(a_step_has_the_same_bits_on_1_2_and_3_threads),
        cmocka_unit_test(decoding_token_by_token_gives_the_logits_of_the_whole),
        cmocka_unit_test(a_prompt_longer_than_a_chunk_is_fed_in_parts_with_the_same_result),
        cmocka_unit_test(a_batch_that_cannot_be_is_refused_with_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
