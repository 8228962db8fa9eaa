// SPDX-License-Identifier: Apache-2.0
// The map from tensor names to the slab, and the slab's first values.
#include "stages/model/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/hash.h"
#include "stages/format/half.h"

#define ABSENT SIZE_MAX

// Lays parameters out one after the other.
typedef struct layout {
    tm_param_map *map;
    const tm_model_config *config;
} layout;

static void align(layout *l)
{
    l->map->n_floats = (l->map->n_floats + 15) / 16 * 16;
}

// Append one tensor; returns its offset. Tensors that follow one another without align() are one block.
static size_t add(layout *l, const char *name, uint64_t rows, uint64_t cols, double std, float constant)
{
    tm_param *p = &l->map->params[l->map->n_params++];
    *p = (tm_param){.rank = cols ? 2 : 1, .shape = {rows, cols}, .std = std, .constant = constant};
    p->offset = l->map->n_floats;
    p->count = rows * (cols ? cols : 1);
    snprintf(p->name, sizeof p->name, "%s", name);
    l->map->n_floats += p->count;
    l->map->n_values += p->count;
    return p->offset;
}

static size_t add_layer(layout *l, uint32_t layer, const char *part, uint64_t rows, uint64_t cols, double std,
                        float constant)
{
    char name[TM_PARAM_NAME];
    snprintf(name, sizeof name, "model.layers.%u.%s", layer, part);
    return add(l, name, rows, cols, std, constant);
}

static void add_matrices(layout *l, uint32_t i)
{
    const tm_model_config *c = l->config;
    tm_param_layer *at = &l->map->layers[i];
    uint64_t q = (uint64_t)c->heads * c->head_dim, kv = (uint64_t)c->kv_heads * c->head_dim;
    double std = c->init_std, out_std = std / sqrt(2.0 * c->layers);
    at->qkv = add_layer(l, i, "self_attn.q_proj.weight", q, c->width, std, 0);
    add_layer(l, i, "self_attn.k_proj.weight", kv, c->width, std, 0);
    add_layer(l, i, "self_attn.v_proj.weight", kv, c->width, std, 0);
    align(l);
    at->o = add_layer(l, i, "self_attn.o_proj.weight", c->width, q, out_std, 0);
    align(l);
    at->gate_up = add_layer(l, i, "mlp.gate_proj.weight", c->ffn, c->width, std, 0);
    add_layer(l, i, "mlp.up_proj.weight", c->ffn, c->width, std, 0);
    align(l);
    at->down = add_layer(l, i, "mlp.down_proj.weight", c->width, c->ffn, out_std, 0);
    align(l);
}

static size_t add_vector(layout *l, uint32_t i, bool there, const char *part, uint64_t n, float constant)
{
    if (!there) return ABSENT;
    size_t offset = add_layer(l, i, part, n, 0, 0, constant);
    align(l);
    return offset;
}

static void add_biases(layout *l, uint32_t i)
{
    const tm_model_config *c = l->config;
    tm_param_layer *at = &l->map->layers[i];
    uint64_t q = (uint64_t)c->heads * c->head_dim, kv = (uint64_t)c->kv_heads * c->head_dim;
    at->qkv_bias = at->gate_up_bias = ABSENT;
    if (c->qkv_bias) {
        at->qkv_bias = add_layer(l, i, "self_attn.q_proj.bias", q, 0, 0, 0);
        add_layer(l, i, "self_attn.k_proj.bias", kv, 0, 0, 0);
        add_layer(l, i, "self_attn.v_proj.bias", kv, 0, 0, 0);
        align(l);
    }
    at->o_bias = add_vector(l, i, c->o_bias, "self_attn.o_proj.bias", c->width, 0);
    if (c->mlp_bias) {
        at->gate_up_bias = add_layer(l, i, "mlp.gate_proj.bias", c->ffn, 0, 0, 0);
        add_layer(l, i, "mlp.up_proj.bias", c->ffn, 0, 0, 0);
        align(l);
    }
    at->down_bias = add_vector(l, i, c->mlp_bias, "mlp.down_proj.bias", c->width, 0);
}

static void add_vectors(layout *l, uint32_t i)
{
    const tm_model_config *c = l->config;
    tm_param_layer *at = &l->map->layers[i];
    at->norm1 = add_vector(l, i, true, "input_layernorm.weight", c->width, 1);
    at->norm2 = add_vector(l, i, true, "post_attention_layernorm.weight", c->width, 1);
    at->q_norm = add_vector(l, i, c->qk_norm, "self_attn.q_norm.weight", c->head_dim, 1);
    at->k_norm = add_vector(l, i, c->qk_norm, "self_attn.k_norm.weight", c->head_dim, 1);
    add_biases(l, i);
}

static void lay_out(layout *l)
{
    const tm_model_config *c = l->config;
    tm_param_map *map = l->map;
    map->embed = add(l, "model.embed_tokens.weight", c->vocab, c->width, c->init_std, 0);
    align(l);
    for (uint32_t i = 0; i < c->layers; i++) add_matrices(l, i);
    map->head = c->tie ? map->embed : add(l, "lm_head.weight", c->vocab, c->width, c->init_std, 0);
    align(l);
    map->n_matrix = map->n_floats;
    for (uint32_t i = 0; i < c->layers; i++) add_vectors(l, i);
    map->norm = add(l, "model.norm.weight", c->width, 0, 0, 1);
    align(l);
}

tm_status tm_param_map_make(tm_param_map *map, const tm_model_config *config, tm_error *err)
{
    enum { PER_LAYER = 18 };
    *map = (tm_param_map){0};
    map->params = tm_calloc((size_t)config->layers * PER_LAYER + 3, sizeof *map->params);
    map->layers = tm_calloc(config->layers, sizeof *map->layers);
    if (!map->params || !map->layers) {
        tm_param_map_clear(map);
        return tm_fail(err, TM_ENOMEM, "no memory for the tensors of %u layers", config->layers);
    }
    layout l = {map, config};
    lay_out(&l);
    return TM_OK;
}

void tm_param_map_clear(tm_param_map *map)
{
    tm_free(map->params);
    tm_free(map->layers);
    *map = (tm_param_map){0};
}

tm_status tm_param_slab_new(const tm_param_map *map, float **slab, tm_error *err)
{
    size_t bytes = map->n_floats * sizeof(float);
    char *raw = map->n_floats < SIZE_MAX / 8 ? tm_calloc(1, bytes + 128) : NULL;
    if (!raw) return tm_fail(err, TM_ENOMEM, "no memory for %zu bytes of parameters", bytes);
    char *at = (char *)(((uintptr_t)raw + 64 + 63) / 64 * 64);
    memcpy(at - sizeof raw, &raw, sizeof raw);
    *slab = (float *)at;
    return TM_OK;
}

void tm_param_slab_free(float *slab)
{
    if (!slab) return;
    char *raw;
    memcpy(&raw, (char *)slab - sizeof raw, sizeof raw);
    tm_free(raw);
}

void tm_param_init(const tm_param_map *map, tm_device *device, float *slab, uint64_t seed)
{
    for (size_t i = 0; i < map->n_params; i++) {
        const tm_param *p = &map->params[i];
        if (p->std > 0)
            tm_random_normal(device, slab + p->offset, (int64_t)p->count, 0, (float)p->std, seed,
                             tm_hash64(p->name, strlen(p->name), 0));
        else
            tm_fill(device, slab + p->offset, (int64_t)p->count, p->constant);
    }
}

const tm_param *tm_param_find(const tm_param_map *map, const char *name)
{
    for (size_t i = 0; i < map->n_params; i++) {
        if (strcmp(map->params[i].name, name) == 0) return &map->params[i];
    }
    return NULL;
}

void tm_param_tensors(const tm_param_map *map, const float *slab, const char *prefix, char *names,
                      tm_st_tensor *out)
{
    for (size_t i = 0; i < map->n_params; i++) {
        const tm_param *p = &map->params[i];
        const char *name = p->name;
        if (names) {
            char *slot = names + i * (TM_PARAM_NAME + 16);
            snprintf(slot, TM_PARAM_NAME + 16, "%s%s", prefix, p->name);
            name = slot;
        }
        out[i] = (tm_st_tensor){.name = name, .dtype = TM_ST_F32, .rank = p->rank};
        memcpy(out[i].shape, p->shape, sizeof p->shape);
        out[i].data = tm_view_of(slab + p->offset, p->count * sizeof(float));
    }
}

// ---- reading values of other types

static void convert(float *to, const tm_st_tensor *from, size_t n)
{
    const char *data = from->data.data;
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        double wide;
        if (from->dtype == TM_ST_F64) {
            memcpy(&wide, data + i * 8, 8);
            to[i] = (float)wide;
        } else {
            memcpy(&half, data + i * 2, 2);
            to[i] = from->dtype == TM_ST_BF16 ? tm_brain_float(half) : tm_f16_float(half);
        }
    }
}

static void shape_text(char *text, size_t size, uint32_t rank, const uint64_t *shape)
{
    size_t at = (size_t)snprintf(text, size, "[");
    for (uint32_t i = 0; i < rank && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%llu", i ? "," : "", (unsigned long long)shape[i]);
    if (at < size) snprintf(text + at, size - at, "]");
}

tm_status tm_param_check(const tm_param *p, const tm_st_tensor *from, tm_error *err)
{
    if (from->rank != p->rank || memcmp(from->shape, p->shape, p->rank * sizeof(uint64_t)) != 0) {
        char have[128], want[128];
        shape_text(have, sizeof have, from->rank, from->shape);
        shape_text(want, sizeof want, p->rank, p->shape);
        return tm_fail(err, TM_EFORMAT, "tensor %s is %s, expected %s", from->name, have, want);
    }
    bool fits = from->dtype == TM_ST_F32 || from->dtype == TM_ST_F64 || from->dtype == TM_ST_F16 ||
                from->dtype == TM_ST_BF16;
    if (fits) return TM_OK;
    return tm_fail(err, TM_EUNSUPPORTED, "tensor %s: weights of type %s", from->name,
                   tm_st_dtype_name(from->dtype));
}

tm_status tm_param_put(const tm_param_map *map, float *slab, const tm_param *p, const tm_st_tensor *from,
                       tm_error *err)
{
    TM_TRY(tm_param_check(p, from, err));
    float *to = slab + p->offset;
    if (from->dtype == TM_ST_F32) memcpy(to, from->data.data, p->count * sizeof(float));
    else convert(to, from, p->count);
    return TM_OK;
}
