// SPDX-License-Identifier: Apache-2.0
#include "stages/train/trainer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// A corpus of `have` documents over ten tokens, each counting upward from another start.
typedef struct corpus {
    uint64_t have;
    bool ended;
    uint32_t ids[64];
} corpus;

static tm_status reach(void *ctx, uint64_t want, uint64_t *have, tm_error *err)
{
    corpus *c = ctx;
    *have = c->have;
    return c->have >= want || c->ended ? TM_OK : TM_AGAIN;
}

static tm_status get(void *ctx, uint64_t i, tm_document *document, tm_error *err)
{
    corpus *c = ctx;
    size_t n = 5 + i * 13 % 40;
    for (size_t k = 0; k < n; k++) c->ids[k] = (uint32_t)((i + k) % 10);
    *document = (tm_document){.ids = c->ids, .n = n};
    return TM_OK;
}

typedef struct setup {
    tm_device *dev;
    tm_model *model;
    tm_pack *pack;
    tm_trainer *trainer;
    corpus data;
} setup;

static setup *begin(uint64_t steps, uint32_t accumulate)
{
    setup *s = calloc(1, sizeof *s);
    s->data = (corpus){.have = 40, .ended = true};
    tm_model_config c = {.layers = 2,
                         .width = 32,
                         .heads = 4,
                         .kv_heads = 2,
                         .vocab = 12,
                         .length = 32,
                         .tie = true,
                         .init_std = 0.02};
    tm_pack_options p = {.tokens = 48, .length = 32, .bos = 10, .eos = 11, .window = 16, .seed = 3};
    tm_trainer_options o = tm_trainer_defaults(3e-3, steps, 48);
    tm_documents documents = {&s->data, reach, get};
    o.schedule.warmup = 3;
    o.accumulate = accumulate;
    assert_int_equal(tm_device_open_cpu(2, &s->dev, NULL), TM_OK);
    assert_int_equal(tm_model_init(&s->model, &c, s->dev, 1, NULL), TM_OK);
    assert_int_equal(tm_pack_new(&s->pack, &p, &documents, NULL), TM_OK);
    assert_int_equal(tm_trainer_new(&s->trainer, s->model, s->dev, &o, NULL), TM_OK);
    return s;
}

static void end(setup *s)
{
    tm_trainer_free(s->trainer);
    tm_pack_free(s->pack);
    tm_model_free(s->model);
    tm_device_close(s->dev);
    free(s);
}

static tm_step steps(setup *s, int n)
{
    tm_step step = {0};
    for (int i = 0; i < n; i++) assert_int_equal(tm_trainer_step(s->trainer, s->pack, &step, NULL), TM_OK);
    return step;
}

static void a_model_learns_to_count(void **state)
{
    setup *s = begin(120, 1);
    tm_step first = steps(s, 1), last = steps(s, 119);
    assert_true(first.loss > 2.2 && first.loss < 2.8);
    assert_true(last.loss < 0.6);
    assert_int_equal(last.step, 120);
    assert_int_equal(last.n_tokens, 48);
    tm_step over;
    assert_int_equal(tm_trainer_step(s->trainer, s->pack, &over, NULL), TM_DONE);
    end(s);
}

// The state as one piece of memory.
static tm_buf saved(const tm_trainer *t)
{
    tm_trainer_state state;
    tm_buf bytes = {0};
    assert_int_equal(tm_trainer_save(t, &state, NULL), TM_OK);
    assert_string_equal(state.file.name, "training_state.safetensors");
    for (size_t i = 0; i < state.file.n_pieces; i++)
        tm_buf_add(&bytes, state.file.pieces[i].data, state.file.pieces[i].size);
    tm_trainer_state_clear(&state);
    return bytes;
}

static void a_restored_trainer_continues_bit_for_bit(void **state)
{
    for (uint32_t accumulate = 1; accumulate <= 2; accumulate++) {
        setup *whole = begin(20, accumulate), *first = begin(20, accumulate), *second = begin(20, accumulate);
        size_t bytes = whole->model->map.n_floats * sizeof(float);
        steps(whole, 20);
        steps(first, 7);
        tm_buf kept = saved(first->trainer);
        assert_int_equal(tm_trainer_restore(second->trainer, tm_buf_view(&kept), NULL), TM_OK);
        memcpy(second->model->params, first->model->params, bytes);
        tm_pack_seek(second->pack, tm_trainer_cursor(second->trainer));
        assert_int_equal(tm_trainer_steps(second->trainer), 7);
        tm_step step = steps(second, 13);
        assert_int_equal(step.step, 20);
        assert_memory_equal(whole->model->params, second->model->params, bytes);
        tm_buf a = saved(whole->trainer), b = saved(second->trainer);
        assert_int_equal(a.size, b.size);
        assert_memory_equal(a.data, b.data, a.size);
        tm_buf_clear(&a);
        tm_buf_clear(&b);
        tm_buf_clear(&kept);
        end(whole);
        end(first);
        end(second);
    }
}

static void state_of_another_shape_or_cut_short_is_refused(void **state)
{
    setup *s = begin(5, 1);
    tm_error err = {0};
    tm_buf kept = saved(s->trainer);
    assert_int_equal(tm_trainer_restore(s->trainer, tm_view_of(kept.data, kept.size - 1), &err), TM_EFORMAT);
    char *name = memmem(kept.data, kept.size, "exp_avg.model.norm", 18);
    name[0] = 'E';
    assert_int_equal(tm_trainer_restore(s->trainer, tm_buf_view(&kept), &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "exp_avg.model.norm.weight"));
    tm_buf_clear(&kept);
    end(s);
}

static void a_step_that_is_not_a_number_changes_nothing_and_says_so(void **state)
{
    setup *s = begin(20, 1);
    tm_error err = {0};
    tm_step step;
    steps(s, 2);
    s->model->params[s->model->map.layers[0].qkv] = NAN;
    size_t bytes = s->model->map.n_floats * sizeof(float);
    float *before = malloc(bytes);
    memcpy(before, s->model->params, bytes);
    assert_int_equal(tm_trainer_step(s->trainer, s->pack, &step, &err), TM_EFAILED);
    assert_int_equal(step.step, 3);
    assert_false(isfinite(step.loss));
    assert_non_null(strstr(err.text, "step 3: loss"));
    assert_memory_equal(before, s->model->params, bytes);
    assert_int_equal(tm_trainer_steps(s->trainer), 2);
    free(before);
    end(s);
}

static void a_step_waits_for_data_and_keeps_what_it_drew(void **state)
{
    setup *stream = begin(4, 4), *whole = begin(4, 4);
    stream->data.ended = false;
    stream->data.have = 0;
    int waited = 0;
    for (int done = 0; done < 4;) {
        tm_step step;
        tm_status status = tm_trainer_step(stream->trainer, stream->pack, &step, NULL);
        if (status == TM_OK) {
            done++;
            continue;
        }
        assert_int_equal(status, TM_AGAIN);
        waited++;
        if (stream->data.have == 40) stream->data.ended = true;
        else stream->data.have++;
    }
    assert_true(waited > 10);
    steps(whole, 4);
    assert_memory_equal(whole->model->params, stream->model->params,
                        whole->model->map.n_floats * sizeof(float));
    end(stream);
    end(whole);
}

static void decay_shrinks_matrices_and_leaves_vectors(void **state)
{
    setup *s = begin(10, 1);
    const tm_param_map *map = &s->model->map;
    int32_t ids[2] = {1, 1}, labels[2] = {2, 2}, positions[2] = {0, 1}, bounds[2] = {0, 2};
    tm_tokens b = {2, 1, ids, labels, positions, bounds};
    float unused = s->model->params[map->embed + 5 * 32], norm = s->model->params[map->norm];
    tm_step step;
    assert_int_equal(tm_trainer_update(s->trainer, &b, 1, &step, NULL), TM_OK);
    assert_true(step.rate == 1e-3);
    float moved = fabsf(s->model->params[map->norm] - norm);
    assert_true(moved > 0.0009f && moved < 0.00101f);
    assert_true(unused != s->model->params[map->embed + 5 * 32]);
    end(s);
}

static void a_step_without_labels_is_refused(void **state)
{
    setup *s = begin(10, 1);
    int32_t ids[2] = {1, 1}, labels[2] = {-1, -1}, positions[2] = {0, 1}, bounds[2] = {0, 2};
    tm_tokens b = {2, 1, ids, labels, positions, bounds};
    tm_step step;
    assert_int_equal(tm_trainer_update(s->trainer, &b, 1, &step, NULL), TM_EINVAL);
    end(s);
}

static void options_outside_their_range_are_refused_by_name(void **state)
{
    setup *s = begin(10, 1);
    tm_trainer *t;
    static const char *const names[] = {"beta1", "beta2", "eps", "decay", "accumulate", "learning rate"};
    for (int i = 0; i < 6; i++) {
        tm_error err = {0};
        tm_trainer_options o = tm_trainer_defaults(1e-3, 10, 16);
        if (i == 0) o.beta1 = 1;
        if (i == 1) o.beta2 = -0.1;
        if (i == 2) o.eps = 0;
        if (i == 3) o.weight_decay = -1;
        if (i == 4) o.accumulate = 0;
        if (i == 5) o.schedule.peak = INFINITY;
        assert_int_equal(tm_trainer_new(&t, s->model, s->dev, &o, &err), TM_EINVAL);
        assert_non_null(strstr(err.text, names[i]));
    }
    end(s);
}

static void a_failed_allocation_is_reported_and_leaks_nothing(void **state)
{
    setup *s = begin(10, 1);
    tm_trainer_options o = tm_trainer_defaults(1e-3, 10, 16);
    tm_trainer *t = NULL;
    for (uint64_t n = 1; n < 100 && !t; n++) {
        tm_alloc_fail_at(n, false);
        tm_status status = tm_trainer_new(&t, s->model, s->dev, &o, NULL);
        tm_alloc_fail_at(0, false);
        assert_int_equal(status, t ? TM_OK : TM_ENOMEM);
        if (t) assert_true(n > 7);
    }
    tm_trainer_free(t);
    end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_learns_to_count),
        cmocka_unit_test(a_restored_trainer_continues_bit_for_bit),
        cmocka_unit_test(state_of_another_shape_or_cut_short_is_refused),
        cmocka_unit_test(a_step_that_is_not_a_number_changes_nothing_and_says_so),
        cmocka_unit_test(a_step_waits_for_data_and_keeps_what_it_drew),
        cmocka_unit_test(decay_shrinks_matrices_and_leaves_vectors),
        cmocka_unit_test(a_step_without_labels_is_refused),
        cmocka_unit_test(options_outside_their_range_are_refused_by_name),
        cmocka_unit_test(a_failed_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
