// SPDX-License-Identifier: Apache-2.0
#include "stages/model/adapter.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/io.h"
#include "stages/model/adapter_files.h"
#include "stages/model/pass.h"

// Three documents of a small model with grouped heads; every matrix large enough to matter.
enum { T = 23, VOCAB = 13 };
static const int32_t bounds[] = {0, 9, 10, 23};

typedef struct setup {
    tm_device *dev;
    tm_model *model;
    int32_t ids[T], labels[T], positions[T];
    tm_tokens batch;
} setup;

static setup *begin(const tm_lora *lora, int threads)
{
    setup *s = calloc(1, sizeof *s);
    tm_model_config c = {.layers = 3,
                         .width = 24,
                         .heads = 4,
                         .kv_heads = 2,
                         .ffn = 40,
                         .vocab = VOCAB,
                         .length = 16,
                         .tie = true,
                         .init_std = 0.25};
    assert_int_equal(tm_device_open_cpu(threads, &s->dev, NULL), TM_OK);
    assert_int_equal(tm_model_init(&s->model, &c, s->dev, 4, NULL), TM_OK);
    assert_int_equal(tm_model_adapt(s->model, lora, s->dev, 8, NULL), TM_OK);
    for (int32_t i = 0, d = 0; i < T; i++) {
        if (i == bounds[d + 1]) d++;
        s->ids[i] = (i * 5 + 2) % VOCAB;
        s->labels[i] = i % 4 == 1 ? -1 : (i * 7 + 3) % VOCAB;
        s->positions[i] = i - bounds[d];
    }
    s->batch = (tm_tokens){T, 3, s->ids, s->labels, s->positions, bounds};
    return s;
}

static void end(setup *s)
{
    tm_model_free(s->model);
    tm_device_close(s->dev);
    free(s);
}

// B is zero at the beginning, and a zero B accepts any gradient of A.
static void shake(setup *s)
{
    tm_adapter *a = s->model->adapter;
    tm_random_normal(s->dev, a->params, (int64_t)a->map.n_floats, 0, 0.2f, 77, 0);
}

static tm_lora plain(void)
{
    return (tm_lora){.rank = 3, .alpha = 6, .targets = TM_LORA_ALL};
}

static float *logits_of(setup *s)
{
    tm_pass *pass;
    float *logits = calloc((size_t)T * VOCAB, sizeof *logits);
    assert_int_equal(tm_pass_new(&pass, s->model, s->dev, TM_PASS_FORWARD, T, NULL), TM_OK);
    assert_int_equal(tm_pass_forward(pass, &s->batch, NULL), TM_OK);
    tm_pass_logits(pass, 0, T, logits);
    tm_pass_free(pass);
    return logits;
}

static double off(const float *a, const float *b, size_t n)
{
    double largest = 0, worst = 0;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(b[i]));
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    }
    return worst / largest;
}

static void a_fresh_adapter_changes_no_bit_of_the_logits(void **state)
{
    tm_lora lora = plain();
    setup *s = begin(&lora, 2);
    float *with = logits_of(s);
    tm_adapter_free(s->model->adapter);
    s->model->adapter = NULL;
    float *without = logits_of(s);
    assert_memory_equal(with, without, (size_t)T * VOCAB * sizeof *with);
    free(with);
    free(without);
    end(s);
}

static void fresh_values_lie_within_one_over_the_root_of_the_inputs_and_depend_on_seed_and_name(void **state)
{
    tm_lora lora = plain(), larger = {.rank = 5, .alpha = 1, .targets = TM_LORA_ALL};
    setup *s = begin(&lora, 1), *other = begin(&larger, 2);
    const tm_adapter *a = s->model->adapter;
    const char *name = "base_model.model.model.layers.1.mlp.down_proj.lora_A.weight";
    const tm_param *p = tm_param_find(&a->map, name), *q = tm_param_find(&other->model->adapter->map, name);
    assert_non_null(p);
    assert_int_equal(p->shape[0], 3);
    assert_int_equal(p->shape[1], 40);
    double bound = 1 / sqrt(40.0), sum = 0, largest = 0;
    for (size_t i = 0; i < p->count; i++) {
        sum += (double)a->params[p->offset + i];
        largest = fmax(largest, fabs((double)a->params[p->offset + i]));
    }
    assert_true(largest <= bound && largest > 0.9 * bound);
    assert_true(fabs(sum / (double)p->count) < 0.2 * bound);
    assert_memory_equal(a->params + p->offset, other->model->adapter->params + q->offset,
                        p->count * sizeof(float));
    p = tm_param_find(&a->map, "base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight");
    for (size_t i = 0; i < p->count; i++) assert_true(a->params[p->offset + i] == 0);
    end(s);
    end(other);
}

// Loss and gradient of a training pass.
static double loss_of(setup *s, float *grads)
{
    tm_pass *pass;
    tm_loss loss;
    assert_int_equal(tm_pass_new(&pass, s->model, s->dev, TM_PASS_TRAIN, T, NULL), TM_OK);
    tm_pass_noise(pass, 5, 9);
    assert_int_equal(tm_pass_forward(pass, &s->batch, NULL), TM_OK);
    if (grads)
        tm_pass_backward(pass, NULL, 1, grads, &loss);
    else
        tm_pass_score(pass, &loss, NULL);
    tm_pass_free(pass);
    return loss.sum;
}

// One tensor moved along its gradient: the loss must move by step * |gradient|.
static void compare_slope(setup *s, const tm_param *p, const float *grads)
{
    float *w = s->model->adapter->params + p->offset, was[512];
    const float *g = grads + p->offset;
    double square = 0, moved[2];
    assert_true(p->count <= 512);
    memcpy(was, w, p->count * sizeof *w);
    for (size_t i = 0; i < p->count; i++) square += (double)g[i] * (double)g[i];
    double length = sqrt(square), step = 4e-3;
    assert_true(length > 0);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < p->count; i++)
            w[i] = was[i] + (float)((side ? step : -step) * (double)g[i] / length);
        moved[side] = loss_of(s, NULL);
    }
    memcpy(w, was, p->count * sizeof *w);
    double slope = (moved[1] - moved[0]) / (2 * step);
    if (fabs(slope - length) > 0.01 * length + 2e-3)
        fail_msg("%s: slope %g, gradient %g", p->name, slope, length);
}

static void gradients_are_the_slopes_of_the_loss(void **state)
{
    const tm_lora cases[] = {
        {.rank = 3, .alpha = 6, .targets = TM_LORA_ALL},
        {.rank = 4, .alpha = 2, .targets = 1u << TM_LORA_Q | 1u << TM_LORA_V, .rslora = true},
        {.rank = 2, .alpha = 2, .targets = 1u << TM_LORA_UP | 1u << TM_LORA_DOWN},
        {.rank = 3, .alpha = 3, .targets = TM_LORA_ALL, .dropout = 0.3},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        setup *s = begin(&cases[c], 2);
        tm_trainable what = tm_model_trainable(s->model);
        float *grads;
        shake(s);
        assert_ptr_equal(what.map, &s->model->adapter->map);
        assert_int_equal(tm_param_slab_new(what.map, &grads, NULL), TM_OK);
        loss_of(s, grads);
        for (size_t i = 0; i < what.map->n_params; i++) compare_slope(s, &what.map->params[i], grads);
        tm_param_slab_free(grads);
        end(s);
    }
}

static void merged_weights_give_the_logits_of_the_adapter(void **state)
{
    const tm_lora cases[] = {plain(), {.rank = 4, .alpha = 2, .targets = TM_LORA_ALL, .rslora = true}};
    for (int c = 0; c < 2; c++) {
        setup *s = begin(&cases[c], 2);
        float *fresh = logits_of(s);
        shake(s);
        float *apart = logits_of(s);
        tm_model_merge(s->model, s->dev);
        assert_null(s->model->adapter);
        float *merged = logits_of(s);
        assert_true(off(merged, apart, (size_t)T * VOCAB) < 1e-5);
        assert_true(off(fresh, apart, (size_t)T * VOCAB) > 1e-2);
        free(fresh);
        free(apart);
        free(merged);
        end(s);
    }
}

static void a_gradient_has_the_same_bits_on_1_2_and_3_threads(void **state)
{
    tm_lora lora = {.rank = 3, .alpha = 6, .targets = TM_LORA_ALL, .dropout = 0.2};
    float *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        setup *s = begin(&lora, threads);
        tm_trainable what = tm_model_trainable(s->model);
        float *grads;
        shake(s);
        assert_int_equal(tm_param_slab_new(what.map, &grads, NULL), TM_OK);
        loss_of(s, grads);
        if (first) assert_memory_equal(first, grads, what.map->n_floats * sizeof *grads);
        if (first)
            tm_param_slab_free(grads);
        else
            first = grads;
        end(s);
    }
    tm_param_slab_free(first);
}

static void dropout_is_a_function_of_seed_and_draw_and_only_in_training(void **state)
{
    tm_lora lora = {.rank = 3, .alpha = 6, .targets = TM_LORA_ALL, .dropout = 0.5};
    setup *s = begin(&lora, 2);
    double sums[4];
    const uint64_t keys[4][2] = {{1, 1}, {1, 1}, {1, 2}, {2, 1}};
    shake(s);
    for (int i = 0; i < 4; i++) {
        tm_pass *pass;
        tm_loss loss;
        assert_int_equal(tm_pass_new(&pass, s->model, s->dev, TM_PASS_TRAIN, T, NULL), TM_OK);
        tm_pass_noise(pass, keys[i][0], keys[i][1]);
        assert_int_equal(tm_pass_forward(pass, &s->batch, NULL), TM_OK);
        tm_pass_score(pass, &loss, NULL);
        sums[i] = loss.sum;
        tm_pass_free(pass);
    }
    assert_true(sums[0] == sums[1] && sums[0] != sums[2] && sums[0] != sums[3] && sums[2] != sums[3]);
    float *dropped = logits_of(s);
    s->model->adapter->lora.dropout = 0;
    float *whole = logits_of(s);
    assert_memory_equal(dropped, whole, (size_t)T * VOCAB * sizeof *whole);
    free(dropped);
    free(whole);
    end(s);
}

// ---- files

static char place[] = "/tmp/tidemill-adapter-XXXXXX";

static void path_of(char path[256], const char *name)
{
    snprintf(path, 256, "%s/%s", place, name);
}

// The base and a snapshot of the adapter on it, as trainers leave them.
static void write_snapshot(setup *s, const char *name)
{
    char base[256], folder[256];
    tm_error err = {0};
    path_of(base, "base-of-all");
    path_of(folder, name);
    if (tm_model_write_base(s->model, base, &err) < 0 ||
        tm_model_write(s->model, folder, NULL, 0, &err) < 0 || tm_hf_folder_link_base(base, folder, &err) < 0)
        fail_msg("%s", err.text);
}

static tm_status load(const char *name, bool apart, tm_model **model, tm_error *err)
{
    char path[256];
    tm_hf_folder folder;
    path_of(path, name);
    TM_TRY(tm_hf_folder_open(&folder, path, err));
    tm_status status = apart ? tm_model_load_apart(model, &folder, err) : tm_model_load(model, &folder, err);
    tm_hf_folder_close(&folder);
    return status;
}

static void swap_model(setup *s, tm_model *model)
{
    tm_model_free(s->model);
    s->model = model;
}

static void a_snapshot_gives_the_adapter_bit_for_bit_or_the_merged_weights(void **state)
{
    tm_lora lora = {.rank = 3, .alpha = 4.5, .targets = TM_LORA_ALL & ~2u, .dropout = 0.25, .rslora = true};
    setup *s = begin(&lora, 2);
    tm_model *apart, *merged = NULL;
    tm_error err = {0};
    size_t n = (size_t)T * VOCAB;
    shake(s);
    write_snapshot(s, "tuned");
    float *before = logits_of(s);
    if (load("tuned", true, &apart, &err) < 0 || load("tuned", false, &merged, &err) < 0)
        fail_msg("%s", err.text);
    const tm_lora *read = &apart->adapter->lora;
    assert_true(read->rank == 3 && read->alpha == 4.5 && read->dropout == 0.25 && read->rslora);
    assert_int_equal(read->targets, lora.targets);
    swap_model(s, apart);
    float *after = logits_of(s);
    assert_memory_equal(before, after, n * sizeof *after);
    swap_model(s, merged);
    assert_null(merged->adapter);
    float *folded = logits_of(s);
    assert_true(off(folded, before, n) < 1e-5);
    free(before);
    free(after);
    free(folded);
    end(s);
}

static void ranks_and_alphas_of_single_linears_survive_the_files(void **state)
{
    tm_lora lora = plain();
    uint32_t ranks[3 * TM_LORA_TARGETS] = {[1] = 2, [7] = 5, [8] = 3, [16] = 3, [20] = 1};
    double alphas[3 * TM_LORA_TARGETS];
    for (int i = 0; i < 3 * TM_LORA_TARGETS; i++) alphas[i] = i == 7 ? 9 : 6;
    setup *s = begin(&lora, 1);
    tm_adapter_free(s->model->adapter);
    s->model->adapter = NULL;
    tm_adapter *a;
    assert_int_equal(tm_adapter_new(&a, &s->model->config, &lora, ranks, alphas, NULL), TM_OK);
    s->model->adapter = a;
    shake(s);
    write_snapshot(s, "uneven");
    float *before = logits_of(s);
    tm_model *again;
    tm_error err = {0};
    if (load("uneven", true, &again, &err) < 0) fail_msg("%s", err.text);
    for (uint32_t i = 0; i < 3 * TM_LORA_TARGETS; i++) {
        const tm_adapter_part *part = &again->adapter->parts[i / TM_LORA_TARGETS][i % TM_LORA_TARGETS];
        assert_int_equal(part->rank, ranks[i]);
        if (part->rank) assert_true(part->alpha == alphas[i]);
    }
    swap_model(s, again);
    float *after = logits_of(s);
    assert_memory_equal(before, after, (size_t)T * VOCAB * sizeof *after);
    free(before);
    free(after);
    end(s);
}

// Read an adapter of which one thing is changed: the configuration, or the name of a tensor.
static void refuse(setup *s, const char *json, const char *tensor, tm_status status, const char *says)
{
    tm_model_files files;
    tm_safetensors file;
    tm_adapter *a;
    tm_error err = {0};
    tm_buf bytes = {0};
    assert_int_equal(tm_model_files_make(&files, s->model, NULL, 0, NULL), TM_OK);
    const tm_content *weights = &files.hf.files[1];
    for (size_t i = 0; i < weights->n_pieces; i++)
        tm_buf_add(&bytes, weights->pieces[i].data, weights->pieces[i].size);
    char *name = tensor ? strstr(bytes.data + 8, "layers.0.self_attn.q_proj.lora_A") : NULL;
    if (name) memcpy(name, tensor, strlen(tensor));
    assert_int_equal(tm_safetensors_parse(&file, tm_buf_view(&bytes), NULL), TM_OK);
    assert_int_equal(tm_adapter_read(&a, &s->model->config, tm_view_str(json), &file, &err), status);
    if (status < 0)
        assert_non_null(strstr(err.text, says));
    else
        tm_adapter_free(a);
    tm_safetensors_close(&file);
    tm_buf_clear(&bytes);
    tm_model_files_clear(&files);
}

static void what_is_no_plain_adapter_is_refused_with_its_reason(void **state)
{
    static const char good[] = "{\"peft_type\":\"LORA\",\"r\":3,\"lora_alpha\":6}";
    tm_lora lora = plain();
    setup *s = begin(&lora, 1);
    refuse(s, good, NULL, TM_OK, "");
    refuse(s, "{", NULL, TM_EFORMAT, "adapter_config.json");
    refuse(s, "[]", NULL, TM_EFORMAT, "peft_type");
    refuse(s, "{\"peft_type\":\"IA3\"}", NULL, TM_EUNSUPPORTED, "IA3");
    refuse(s, "{\"peft_type\":\"LORA\",\"use_dora\":true}", NULL, TM_EUNSUPPORTED, "use_dora");
    refuse(s, "{\"peft_type\":\"LORA\",\"bias\":\"all\"}", NULL, TM_EUNSUPPORTED, "bias");
    refuse(s, "{\"peft_type\":\"LORA\",\"init_lora_weights\":\"pissa\"}", NULL, TM_EUNSUPPORTED, "pissa");
    refuse(s, "{\"peft_type\":\"LORA\",\"r\":0}", NULL, TM_EFORMAT, "r is 0");
    refuse(s, "{\"peft_type\":\"LORA\",\"lora_alpha\":\"6\"}", NULL, TM_EFORMAT, "lora_alpha");
    refuse(s, "{\"peft_type\":\"LORA\",\"alpha_pattern\":{\"q.*\":1}}", NULL, TM_EUNSUPPORTED, "q.*");
    refuse(s, good, "layers.3", TM_EUNSUPPORTED, "layers.3");
    refuse(s, good, "layers.0.self_attn.q_proj.lora_C", TM_EUNSUPPORTED, "lora_C");
    refuse(s, good, "layers.0.self_attn.x_proj", TM_EUNSUPPORTED, "x_proj");
    end(s);
}

static void an_adapter_without_its_base_is_refused_with_the_remedy(void **state)
{
    tm_lora lora = plain();
    setup *s = begin(&lora, 1);
    char folder[256];
    tm_model *model;
    tm_error err = {0};
    path_of(folder, "alone");
    assert_int_equal(tm_model_write(s->model, folder, NULL, 0, NULL), TM_OK);
    assert_int_equal(load("alone", false, &model, &err), TM_ENOENT);
    assert_non_null(strstr(err.text, "without the model it adapts"));
    assert_non_null(strstr(err.hint, "alone/base"));
    end(s);
}

static int make_place(void **state)
{
    return mkdtemp(place) ? 0 : 1;
}

static int remove_place(void **state)
{
    return tm_dir_remove(place, NULL) == TM_OK ? 0 : 1;
}

// ---- what peft computes (tests/fixtures/make_lora.py)

static const char *const fixtures[] = {"tests/fixtures/lora", "tests/fixtures/lora_rslora"};

// A model from a fixture's folder, and what is expected of it.
typedef struct fixture {
    tm_device *dev;
    tm_model *model;
    tm_safetensors expect;
    tm_tokens batch;
} fixture;

static const void *data_of(const fixture *f, const char *name, size_t *n)
{
    const tm_st_tensor *t = tm_safetensors_find(&f->expect, name);
    if (!t) fail_msg("the fixture has no %s", name);
    *n = t->data.size / 4;
    return t->data.data;
}

static fixture open_fixture(const char *path, bool apart)
{
    fixture f = {0};
    tm_hf_folder folder;
    char expect[256];
    size_t n;
    tm_error err = {0};
    snprintf(expect, sizeof expect, "%s/expect.safetensors", path);
    assert_int_equal(tm_device_open_cpu(2, &f.dev, NULL), TM_OK);
    if (tm_hf_folder_open(&folder, path, &err) < 0 || tm_safetensors_open(&f.expect, expect, &err) < 0 ||
        (apart ? tm_model_load_apart(&f.model, &folder, &err) : tm_model_load(&f.model, &folder, &err)) < 0)
        fail_msg("%s", err.text);
    tm_hf_folder_close(&folder);
    f.batch.ids = data_of(&f, "ids", &n);
    f.batch.n_tokens = (int32_t)n;
    f.batch.labels = data_of(&f, "labels", &n);
    f.batch.positions = data_of(&f, "positions", &n);
    f.batch.cu_seqlens = data_of(&f, "cu_seqlens", &n);
    f.batch.n_segments = (int32_t)n - 1;
    return f;
}

static void close_fixture(fixture *f)
{
    tm_model_free(f->model);
    tm_safetensors_close(&f->expect);
    tm_device_close(f->dev);
}

static void compare(const fixture *f, const char *name, const float *ours, double tolerance)
{
    size_t n;
    const float *theirs = data_of(f, name, &n);
    double by = off(ours, theirs, n);
    if (!(by <= tolerance)) fail_msg("%s: off by %g of the largest value", name, by);
}

static void compare_logits(const fixture *f, const char *name, double tolerance)
{
    tm_pass *pass;
    float *logits = calloc((size_t)f->batch.n_tokens * f->model->config.vocab, sizeof *logits);
    assert_int_equal(tm_pass_new(&pass, f->model, f->dev, TM_PASS_FORWARD, (uint32_t)f->batch.n_tokens, NULL),
                     TM_OK);
    assert_int_equal(tm_pass_forward(pass, &f->batch, NULL), TM_OK);
    tm_pass_logits(pass, 0, f->batch.n_tokens, logits);
    compare(f, name, logits, tolerance);
    free(logits);
    tm_pass_free(pass);
}

static void logits_with_the_adapter_are_those_of_peft(void **state)
{
    for (int i = 0; i < 2; i++) {
        fixture f = open_fixture(fixtures[i], true);
        compare_logits(&f, "logits", 1e-5);
        close_fixture(&f);
    }
}

static void merged_logits_are_those_of_peft(void **state)
{
    for (int i = 0; i < 2; i++) {
        fixture f = open_fixture(fixtures[i], false);
        assert_null(f.model->adapter);
        compare_logits(&f, "merged", 1e-5);
        close_fixture(&f);
    }
}

static void gradients_of_a_and_b_are_those_of_peft(void **state)
{
    for (int i = 0; i < 2; i++) {
        fixture f = open_fixture(fixtures[i], true);
        tm_trainable what = tm_model_trainable(f.model);
        tm_pass *pass;
        tm_loss loss;
        float *grads;
        size_t n;
        const int64_t *count = data_of(&f, "count", &n);
        assert_int_equal(tm_pass_new(&pass, f.model, f.dev, TM_PASS_TRAIN, (uint32_t)f.batch.n_tokens, NULL),
                         TM_OK);
        assert_int_equal(tm_param_slab_new(what.map, &grads, NULL), TM_OK);
        assert_int_equal(tm_pass_forward(pass, &f.batch, NULL), TM_OK);
        tm_pass_backward(pass, NULL, (double)*count, grads, &loss);
        assert_int_equal(loss.count, *count);
        const double *sum = data_of(&f, "loss_sum", &n);
        assert_true(fabs(loss.sum - *sum) < 1e-5 * *sum);
        for (size_t k = 0; k < what.map->n_params; k++) {
            char name[128];
            snprintf(name, sizeof name, "grad.%s", what.map->params[k].name);
            compare(&f, name, grads + what.map->params[k].offset, 1e-4);
        }
        tm_param_slab_free(grads);
        tm_pass_free(pass);
        close_fixture(&f);
    }
}

static void an_adapter_that_cannot_be_is_refused_with_its_reason(void **state)
{
    const struct {
        tm_lora lora;
        const char *says;
    } cases[] = {
        {{.rank = 0, .alpha = 1, .targets = 1}, "rank"},
        {{.rank = 2, .alpha = 0, .targets = 1}, "alpha"},
        {{.rank = 2, .alpha = (double)NAN, .targets = 1}, "alpha"},
        {{.rank = 2, .alpha = 1, .targets = 0}, "no linear"},
        {{.rank = 2, .alpha = 1, .targets = 1, .dropout = 1}, "dropout"},
    };
    tm_lora good = plain();
    setup *s = begin(&good, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tm_adapter *a;
        tm_error err = {0};
        assert_int_equal(tm_adapter_new(&a, &s->model->config, &cases[i].lora, NULL, NULL, &err), TM_EINVAL);
        assert_non_null(strstr(err.text, cases[i].says));
    }
    assert_int_equal(tm_model_adapt(s->model, &good, s->dev, 1, NULL), TM_EINVAL);
    assert_int_equal(tm_lora_target_find("gate_proj"), TM_LORA_GATE);
    assert_int_equal(tm_lora_target_find("down"), TM_LORA_DOWN);
    assert_int_equal(tm_lora_target_find("q_proj_"), -1);
    assert_int_equal(tm_lora_target_find("lm_head"), -1);
    end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_adapter_changes_no_bit_of_the_logits),
        cmocka_unit_test(fresh_values_lie_within_one_over_the_root_of_the_inputs_and_depend_on_seed_and_name),
        cmocka_unit_test(gradients_are_the_slopes_of_the_loss),
        cmocka_unit_test(merged_weights_give_the_logits_of_the_adapter),
        cmocka_unit_test(a_gradient_has_the_same_bits_on_1_2_and_3_threads),
        cmocka_unit_test(dropout_is_a_function_of_seed_and_draw_and_only_in_training),
        cmocka_unit_test(an_adapter_that_cannot_be_is_refused_with_its_reason),
        cmocka_unit_test(logits_with_the_adapter_are_those_of_peft),
        cmocka_unit_test(merged_logits_are_those_of_peft),
        cmocka_unit_test(gradients_of_a_and_b_are_those_of_peft),
        cmocka_unit_test(a_snapshot_gives_the_adapter_bit_for_bit_or_the_merged_weights),
        cmocka_unit_test(ranks_and_alphas_of_single_linears_survive_the_files),
        cmocka_unit_test(what_is_no_plain_adapter_is_refused_with_its_reason),
        cmocka_unit_test(an_adapter_without_its_base_is_refused_with_the_remedy),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
