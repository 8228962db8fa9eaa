// SPDX-License-Identifier: Apache-2.0
// Fine-tuning and preferences against torch. The fixtures are made by tests/fixtures/make_tune.py: rows with
// masks (two rows are a pair), means of the objective's measures, and every gradient.
#include "stages/train/objective.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stages/train/trainer.h"

#define TOLERANCE 1e-4 // of the tensor's largest value: float32 sums in another order

typedef struct fixture {
    tm_device *dev;
    tm_hf_folder folder;
    tm_safetensors expect;
    tm_model *model;
    bool pairs;
    const int32_t *ids, *mask, *starts;
    const double *scores;
    size_t n_rows;
    uint32_t row_ids[2][64];
    uint8_t row_mask[2][64];
    tm_document partner;
} fixture;

static const void *data_of(const fixture *f, const char *name, size_t *bytes)
{
    const tm_st_tensor *t = tm_safetensors_find(&f->expect, name);
    if (bytes) *bytes = t ? t->data.size : 0;
    return t ? t->data.data : NULL;
}

static fixture open_fixture(const char *name)
{
    fixture f = {0};
    char path[128];
    size_t bytes;
    snprintf(path, sizeof path, "tests/fixtures/tune/%s.safetensors", name);
    assert_int_equal(tm_device_open_cpu(2, &f.dev, NULL), TM_OK);
    assert_int_equal(tm_hf_folder_open(&f.folder, "tests/fixtures/llama", NULL), TM_OK);
    assert_int_equal(tm_safetensors_open(&f.expect, path, NULL), TM_OK);
    assert_int_equal(tm_model_load(&f.model, &f.folder, NULL), TM_OK);
    f.ids = data_of(&f, "ids", NULL);
    f.mask = data_of(&f, "mask", NULL);
    f.starts = data_of(&f, "starts", &bytes);
    f.scores = data_of(&f, "scores", NULL);
    f.n_rows = bytes / 4 - 1;
    f.pairs = f.scores != NULL;
    return f;
}

static void close_fixture(fixture *f)
{
    tm_model_free(f->model);
    tm_safetensors_close(&f->expect);
    tm_hf_folder_close(&f->folder);
    tm_device_close(f->dev);
}

static tm_document row_of(fixture *f, size_t row, int place)
{
    size_t from = (size_t)f->starts[row], n = (size_t)f->starts[row + 1] - from;
    for (size_t i = 0; i < n; i++) {
        f->row_ids[place][i] = (uint32_t)f->ids[from + i];
        f->row_mask[place][i] = (uint8_t)f->mask[from + i];
    }
    return (tm_document){.ids = f->row_ids[place],
                         .mask = f->row_mask[place],
                         .n = n,
                         .score = f->scores ? f->scores[row] : 0};
}

static tm_status reach(void *ctx, uint64_t want, uint64_t *have, tm_error *err)
{
    const fixture *f = ctx;
    *have = f->pairs ? f->n_rows / 2 : f->n_rows;
    return TM_OK;
}

static tm_status get(void *ctx, uint64_t i, tm_document *document, tm_error *err)
{
    fixture *f = ctx;
    size_t row = (size_t)i * (f->pairs ? 2 : 1);
    *document = row_of(f, row, 0);
    if (!f->pairs) return TM_OK;
    f->partner = row_of(f, row + 1, 1);
    document->partner = &f->partner;
    return TM_OK;
}

// How the rows come to the trainer.
typedef struct packing {
    const char *name;
    uint32_t tokens, accumulate;
} packing;

static tm_step one_step(fixture *f, const packing *how, const tm_objective *objective, const void *options,
                        tm_trainer **trainer)
{
    tm_pack *pack;
    tm_step step;
    tm_error err = {0};
    tm_documents documents = {f, reach, get};
    tm_pack_options p = {.tokens = how->tokens,
                         .length = 42,
                         .bos = -1,
                         .eos = -1,
                         .whole = true,
                         .window = 8,
                         .seed = 4,
                         .epochs = 1};
    tm_trainer_options o = tm_trainer_defaults(1e-3, 10, how->tokens);
    o.objective = objective;
    o.objective_options = options;
    o.accumulate = how->accumulate;
    assert_int_equal(tm_pack_new(&pack, &p, &documents, NULL), TM_OK);
    assert_int_equal(tm_trainer_new(trainer, f->model, f->dev, &o, NULL), TM_OK);
    if (tm_trainer_step(*trainer, pack, &step, &err) != TM_OK) fail_msg("%s", err.text);
    tm_tokens more;
    assert_int_equal(tm_pack_next(pack, &more, NULL), TM_DONE);
    tm_pack_free(pack);
    return step;
}

static void compare_grads(const fixture *f, const char *how, const float *grads)
{
    for (size_t i = 0; i < f->model->map.n_params; i++) {
        const tm_param *p = &f->model->map.params[i];
        char name[128];
        float largest = 0, off = 0;
        snprintf(name, sizeof name, "grad.%s", p->name);
        const float *theirs = data_of(f, name, NULL);
        assert_non_null(theirs);
        for (size_t k = 0; k < p->count; k++) {
            largest = fmaxf(largest, fabsf(theirs[k]));
            off = fmaxf(off, fabsf(grads[p->offset + k] - theirs[k]));
        }
        if (!(off <= TOLERANCE * largest)) fail_msg("%s: %s is off by %g of %g", how, name, off, largest);
    }
}

static void check(const char *name, const packing *how, const tm_objective *objective, const void *options)
{
    fixture f = open_fixture(name);
    tm_trainer *trainer;
    size_t bytes;
    const double *means = data_of(&f, "means", &bytes);
    tm_step step = one_step(&f, how, objective, options, &trainer);
    for (size_t k = 0; k < bytes / 8; k++)
        if (!(fabs(step.means[k] - means[k]) <= 1e-5 * fmax(1, fabs(means[k]))))
            fail_msg("%s, %s: %s is %.9g, expected %.9g", name, how->name, objective->measures[k],
                     step.means[k], means[k]);
    compare_grads(&f, how->name, tm_trainer_grads(trainer));
    tm_trainer_free(trainer);
    close_fixture(&f);
}

// 103 tokens in six rows of 3 to 40.
static const packing packings[] = {
    {"packed into one batch", 200, 1},
    {"packed into two", 60, 2},
    {"packed into four", 42, 4},
    {"as many batches as it takes", 42, 16},
};

static void fine_tuning_learns_the_masked_tokens_as_torch_does_however_rows_are_packed(void **state)
{
    for (size_t i = 0; i < sizeof packings / sizeof packings[0]; i++)
        check("sft", &packings[i], &tm_objective_next_token, NULL);
}

static const packing pair_packings[] = {
    {"all pairs in one batch", 300, 1},
    {"pairs in two batches", 84, 2},
    {"pairs in as many batches as it takes", 60, 8},
};

static void preferences_are_learned_as_torch_does_with_the_loss(const char *name, tm_preference preference)
{
    for (size_t i = 0; i < sizeof pair_packings / sizeof pair_packings[0]; i++)
        check(name, &pair_packings[i], &tm_objective_preference, &preference);
}

static void preferences_are_learned_as_torch_does_with_the_sigmoid_loss(void **state)
{
    preferences_are_learned_as_torch_does_with_the_loss("sigmoid", (tm_preference){.beta = 0.3});
}

static void preferences_are_learned_as_torch_does_with_label_smoothing(void **state)
{
    preferences_are_learned_as_torch_does_with_the_loss("smooth",
                                                        (tm_preference){.beta = 0.3, .label_smoothing = 0.2});
}

static void preferences_are_learned_as_torch_does_with_the_ipo_loss(void **state)
{
    preferences_are_learned_as_torch_does_with_the_loss(
        "ipo", (tm_preference){.loss = TM_PREFERENCE_IPO, .beta = 0.3});
}

// The log-probabilities of all rows under the model itself, one pair at a time.
static void score_by_itself(fixture *f, double *scores)
{
    tm_pack *pack;
    tm_pass *pass;
    tm_tokens b;
    float log_probs[100];
    size_t row = 0;
    tm_documents documents = {f, reach, get};
    tm_pack_options p = {.tokens = 60, .length = 42, .bos = -1, .eos = -1, .whole = true, .epochs = 1};
    assert_int_equal(tm_pack_new(&pack, &p, &documents, NULL), TM_OK);
    assert_int_equal(tm_pass_new(&pass, f->model, f->dev, TM_PASS_FORWARD, 60, NULL), TM_OK);
    while (tm_pack_next(pack, &b, NULL) == TM_OK) {
        tm_loss loss;
        assert_int_equal(tm_pass_forward(pass, &b, NULL), TM_OK);
        tm_pass_score(pass, &loss, log_probs);
        for (int32_t s = 0; s < b.n_segments; s++, row++) {
            scores[row] = 0;
            for (int32_t i = b.cu_seqlens[s]; i < b.cu_seqlens[s + 1]; i++)
                if (b.labels[i] >= 0) scores[row] += (double)log_probs[i];
        }
    }
    assert_int_equal(row, f->n_rows);
    tm_pass_free(pass);
    tm_pack_free(pack);
}

static void a_model_that_is_its_own_reference_has_the_loss_ln_2_and_no_rewards(void **state)
{
    fixture f = open_fixture("sigmoid");
    double scores[32];
    tm_trainer *trainer;
    tm_preference preference = {.beta = 0.3};
    score_by_itself(&f, scores);
    f.scores = scores;
    tm_step step = one_step(&f, &pair_packings[0], &tm_objective_preference, &preference, &trainer);
    assert_true(fabs(step.loss - M_LN2) < 1e-6);
    assert_true(fabs(step.means[1]) < 1e-5 && fabs(step.means[2]) < 1e-5);
    tm_trainer_free(trainer);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fine_tuning_learns_the_masked_tokens_as_torch_does_however_rows_are_packed),
        cmocka_unit_test(preferences_are_learned_as_torch_does_with_the_sigmoid_loss),
        cmocka_unit_test(preferences_are_learned_as_torch_does_with_label_smoothing),
        cmocka_unit_test(preferences_are_learned_as_torch_does_with_the_ipo_loss),
        cmocka_unit_test(a_model_that_is_its_own_reference_has_the_loss_ln_2_and_no_rewards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
