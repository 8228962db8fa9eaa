// SPDX-License-Identifier: Apache-2.0
#include "stages/model/params.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static tm_model_config shape(uint32_t layers, bool tie)
{
    tm_model_config c = {.layers = layers, .width = 24, .heads = 4, .kv_heads = 2, .vocab = 13, .tie = tie};
    assert_int_equal(tm_model_config_complete(&c, NULL), TM_OK);
    return c;
}

static tm_param_map map_of(tm_model_config c)
{
    tm_param_map map;
    assert_int_equal(tm_param_map_make(&map, &c, NULL), TM_OK);
    return map;
}

static size_t offset(const tm_param_map *map, const char *name)
{
    const tm_param *p = tm_param_find(map, name);
    if (!p) fail_msg("no tensor %s", name);
    return p->offset;
}

static void q_k_v_and_gate_up_lie_together_and_vectors_behind_all_matrices(void **state)
{
    tm_param_map map = map_of(shape(2, false));
    size_t q = offset(&map, "model.layers.1.self_attn.q_proj.weight");
    assert_int_equal(q, map.layers[1].qkv);
    assert_int_equal(offset(&map, "model.layers.1.self_attn.k_proj.weight"), q + 24 * 24);
    assert_int_equal(offset(&map, "model.layers.1.self_attn.v_proj.weight"), q + 24 * 24 + 12 * 24);
    size_t gate = offset(&map, "model.layers.0.mlp.gate_proj.weight");
    assert_int_equal(offset(&map, "model.layers.0.mlp.up_proj.weight"), gate + 64 * 24);
    for (size_t i = 0; i < map.n_params; i++) {
        const tm_param *p = &map.params[i];
        assert_true(p->rank == 2 ? p->offset + p->count <= map.n_matrix : p->offset >= map.n_matrix);
        for (size_t k = 0; k < i; k++)
            assert_true(map.params[k].offset + map.params[k].count <= p->offset);
    }
    tm_param_map_clear(&map);
}

static void a_tied_model_has_one_table_and_counts_it_once(void **state)
{
    tm_param_map tied = map_of(shape(1, true)), untied = map_of(shape(1, false));
    assert_int_equal(tied.head, tied.embed);
    assert_null(tm_param_find(&tied, "lm_head.weight"));
    assert_int_equal(untied.n_values - tied.n_values, 13 * 24);
    tm_param_map_clear(&tied);
    tm_param_map_clear(&untied);
}

static void biases_and_head_norms_are_there_when_the_shape_has_them(void **state)
{
    tm_model_config c = shape(1, true);
    c.qkv_bias = c.o_bias = c.mlp_bias = c.qk_norm = true;
    tm_param_map all = map_of(c), none = map_of(shape(1, true));
    assert_int_equal(all.n_params - none.n_params, 3 + 1 + 3 + 2);
    size_t q = offset(&all, "model.layers.0.self_attn.q_proj.bias");
    assert_int_equal(offset(&all, "model.layers.0.self_attn.v_proj.bias"), q + 24 + 12);
    assert_int_equal(tm_param_find(&all, "model.layers.0.self_attn.k_norm.weight")->count, 6);
    assert_true(none.layers[0].qkv_bias == SIZE_MAX && none.layers[0].q_norm == SIZE_MAX);
    tm_param_map_clear(&all);
    tm_param_map_clear(&none);
}

static void fresh_values_depend_on_seed_and_name_alone(void **state)
{
    tm_device *dev;
    float *a, *b;
    tm_param_map small = map_of(shape(1, false)), large = map_of(shape(4, false));
    assert_int_equal(tm_device_open_cpu(2, &dev, NULL), TM_OK);
    assert_int_equal(tm_param_slab_new(&small, &a, NULL), TM_OK);
    assert_int_equal(tm_param_slab_new(&large, &b, NULL), TM_OK);
    assert_int_equal((uintptr_t)a % 64, 0);
    tm_param_init(&small, dev, a, 7);
    tm_param_init(&large, dev, b, 7);
    const char *name = "model.layers.0.self_attn.k_proj.weight";
    const tm_param *p = tm_param_find(&small, name);
    assert_memory_equal(a + p->offset, b + offset(&large, name), p->count * 4);
    assert_memory_not_equal(a + p->offset, b + offset(&large, "model.layers.1.self_attn.k_proj.weight"),
                            p->count * 4);
    tm_param_init(&small, dev, a, 8);
    assert_memory_not_equal(a + p->offset, b + offset(&large, name), p->count * 4);
    assert_true(a[offset(&small, "model.norm.weight")] == 1);
    tm_param_slab_free(a);
    tm_param_slab_free(b);
    tm_param_map_clear(&small);
    tm_param_map_clear(&large);
    tm_device_close(dev);
}

static double deviation(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sqrt(sum / (double)n);
}

static void residual_projections_begin_smaller(void **state)
{
    tm_device *dev;
    float *slab;
    tm_model_config c = shape(8, false);
    c.init_std = 0.1;
    tm_param_map map = map_of(c);
    assert_int_equal(tm_device_open_cpu(1, &dev, NULL), TM_OK);
    assert_int_equal(tm_param_slab_new(&map, &slab, NULL), TM_OK);
    tm_param_init(&map, dev, slab, 1);
    double up = deviation(slab + map.layers[3].gate_up, 128 * 24),
           down = deviation(slab + map.layers[3].down, 24 * 64);
    assert_true(fabs(up - 0.1) < 0.01);
    assert_true(fabs(down - 0.1 / 4) < 0.0025);
    tm_param_slab_free(slab);
    tm_param_map_clear(&map);
    tm_device_close(dev);
}

static void other_storage_types_are_converted_and_other_shapes_refused(void **state)
{
    static const uint16_t halfs[6] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0x7c00};
    static const float values[6] = {1, -2, 0x1p-24f, 65504, -0.0f, INFINITY};
    static const uint16_t brains[6] = {0x3f80, 0xc000, 0x0001, 0x4780, 0x8000, 0x7f80};
    static const float brain_values[6] = {1, -2, 0x1p-133f, 65536, -0.0f, INFINITY};
    tm_param p = {.name = "p", .rank = 2, .shape = {2, 3}, .offset = 1, .count = 6};
    float slab[8] = {0};
    tm_st_tensor half = {"p", TM_ST_F16, 2, {2, 3}, tm_view_of(halfs, 12)};
    tm_st_tensor brain = {"p", TM_ST_BF16, 2, {2, 3}, tm_view_of(brains, 12)};
    assert_int_equal(tm_param_put(NULL, slab, &p, &half, NULL), TM_OK);
    assert_memory_equal(slab + 1, values, sizeof values);
    assert_int_equal(tm_param_put(NULL, slab, &p, &brain, NULL), TM_OK);
    assert_memory_equal(slab + 1, brain_values, sizeof values);
    assert_true(slab[0] == 0 && slab[7] == 0);
    tm_error err = {0};
    half.shape[0] = 3, half.shape[1] = 2;
    assert_int_equal(tm_param_put(NULL, slab, &p, &half, &err), TM_EFORMAT);
    assert_string_equal(err.text, "tensor p is [3,2], expected [2,3]");
    tm_st_tensor ints = {"p", TM_ST_I8, 2, {2, 3}, tm_view_of(halfs, 6)};
    assert_int_equal(tm_param_put(NULL, slab, &p, &ints, &err), TM_EUNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(q_k_v_and_gate_up_lie_together_and_vectors_behind_all_matrices),
        cmocka_unit_test(a_tied_model_has_one_table_and_counts_it_once),
        cmocka_unit_test(biases_and_head_norms_are_there_when_the_shape_has_them),
        cmocka_unit_test(fresh_values_depend_on_seed_and_name_alone),
        cmocka_unit_test(residual_projections_begin_smaller),
        cmocka_unit_test(other_storage_types_are_converted_and_other_shapes_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
