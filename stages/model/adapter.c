// SPDX-License-Identifier: Apache-2.0
// The adapter's map, its first values, and folding it into the weights.
#include "stages/model/adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/hash.h"

static const char *const names[TM_LORA_TARGETS] = {
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
};

static const tm_lora_target starts[TM_LORA_GROUPS + 1] = {TM_LORA_Q, TM_LORA_O, TM_LORA_GATE, TM_LORA_DOWN,
                                                          TM_LORA_TARGETS};

tm_lora_target tm_lora_group_first(tm_lora_group group)
{
    return starts[group];
}

tm_lora_target tm_lora_group_end(tm_lora_group group)
{
    return starts[group + 1];
}

const char *tm_lora_target_name(tm_lora_target target)
{
    return names[target];
}

int tm_lora_target_find(const char *name)
{
    for (int t = 0; t < TM_LORA_TARGETS; t++) {
        size_t n = strlen(names[t]) - strlen("_proj");
        if (strcmp(name, names[t]) == 0 || (strlen(name) == n && memcmp(name, names[t], n) == 0)) return t;
    }
    return -1;
}

// ---- the map

int64_t tm_lora_inputs(const tm_model_config *c, tm_lora_target t)
{
    if (t == TM_LORA_O) return (int64_t)c->heads * c->head_dim;
    return t == TM_LORA_DOWN ? c->ffn : c->width;
}

static int64_t outputs_of(const tm_model_config *c, tm_lora_target t)
{
    if (t == TM_LORA_Q) return (int64_t)c->heads * c->head_dim;
    if (t == TM_LORA_K || t == TM_LORA_V) return (int64_t)c->kv_heads * c->head_dim;
    return t == TM_LORA_GATE || t == TM_LORA_UP ? c->ffn : c->width;
}

static void align(tm_param_map *map)
{
    map->n_floats = (map->n_floats + 15) / 16 * 16;
}

static size_t add(tm_param_map *map, uint32_t layer, tm_lora_target t, const char *part, int64_t rows,
                  int64_t cols)
{
    tm_param *p = &map->params[map->n_params++];
    *p = (tm_param){.rank = 2, .shape = {(uint64_t)rows, (uint64_t)cols}, .offset = map->n_floats};
    p->count = p->shape[0] * p->shape[1];
    snprintf(p->name, sizeof p->name, "base_model.model.model.layers.%u.%s.%s.%s.weight", layer,
             t < TM_LORA_GATE ? "self_attn" : "mlp", names[t], part);
    map->n_floats += p->count;
    map->n_values += p->count;
    return p->offset;
}

static void lay_out_group(tm_adapter *a, uint32_t layer, tm_lora_group group)
{
    tm_adapter_part *parts = a->parts[layer];
    for (tm_lora_target t = starts[group]; t < starts[group + 1]; t++) {
        if (parts[t].rank) parts[t].a = add(&a->map, layer, t, "lora_A", parts[t].rank, parts[t].in);
    }
    align(&a->map);
    for (tm_lora_target t = starts[group]; t < starts[group + 1]; t++) {
        if (!parts[t].rank) continue;
        parts[t].b = add(&a->map, layer, t, "lora_B", parts[t].out, parts[t].rank);
        align(&a->map);
    }
}

static void lay_out(tm_adapter *a)
{
    for (uint32_t i = 0; i < a->n_layers; i++) {
        for (tm_lora_group g = 0; g < TM_LORA_GROUPS; g++) lay_out_group(a, i, g);
    }
    a->map.n_matrix = a->map.n_floats;
}

// ---- life

static tm_status check(const tm_lora *lora, tm_error *err)
{
    if (lora->rank == 0 || lora->rank > 65536)
        return tm_fail(err, TM_EINVAL, "adapter: the rank must be in 1..65536, got %u", lora->rank);
    if (!(isfinite(lora->alpha) && lora->alpha > 0))
        return tm_fail(err, TM_EINVAL, "adapter: alpha must be above 0, got %g", lora->alpha);
    if (!(lora->dropout >= 0 && lora->dropout < 1))
        return tm_fail(err, TM_EINVAL, "adapter: dropout must be in [0, 1), got %g", lora->dropout);
    if (lora->targets == 0 || lora->targets > TM_LORA_ALL)
        return tm_fail(err, TM_EINVAL, "adapter: it has no linear layer to adapt");
    return TM_OK;
}

static void set_parts(tm_adapter *a, const tm_model_config *c, const uint32_t *ranks, const double *alphas)
{
    for (uint32_t i = 0; i < a->n_layers; i++) {
        int64_t column = 0;
        for (tm_lora_target t = 0, g = 0; t < TM_LORA_TARGETS; t++) {
            size_t at = (size_t)i * TM_LORA_TARGETS + t;
            if (t == starts[g + 1]) g++, column = 0;
            tm_adapter_part *part = &a->parts[i][t];
            part->rank = ranks ? ranks[at] : a->lora.targets >> t & 1 ? a->lora.rank : 0;
            part->alpha = alphas ? alphas[at] : a->lora.alpha;
            part->in = tm_lora_inputs(c, t);
            part->out = outputs_of(c, t);
            part->column = column;
            column += part->out;
        }
    }
}

static tm_status set_up(tm_adapter *a, const tm_model_config *config, const uint32_t *ranks,
                        const double *alphas, tm_error *err)
{
    size_t n = (size_t)config->layers * TM_LORA_TARGETS;
    a->n_layers = config->layers;
    a->parts = tm_calloc(config->layers, sizeof *a->parts);
    a->map.params = tm_calloc(2 * n, sizeof *a->map.params);
    if (!a->parts || !a->map.params)
        return tm_fail(err, TM_ENOMEM, "no memory for the adapter of %u layers", config->layers);
    set_parts(a, config, ranks, alphas);
    lay_out(a);
    return tm_param_slab_new(&a->map, &a->params, err);
}

tm_status tm_adapter_new(tm_adapter **out, const tm_model_config *config, const tm_lora *lora,
                         const uint32_t *ranks, const double *alphas, tm_error *err)
{
    TM_TRY(check(lora, err));
    tm_adapter *a = tm_calloc(1, sizeof *a);
    if (!a) return tm_fail(err, TM_ENOMEM, "no memory for an adapter");
    a->lora = *lora;
    tm_status status = set_up(a, config, ranks, alphas, err);
    if (status < 0) {
        tm_adapter_free(a);
        return status;
    }
    *out = a;
    return TM_OK;
}

void tm_adapter_free(tm_adapter *a)
{
    if (!a) return;
    tm_param_map_clear(&a->map);
    tm_param_slab_free(a->params);
    tm_free(a->parts);
    tm_free(a);
}

static bool is_a(const tm_param *p)
{
    return strstr(p->name, ".lora_A.") != NULL;
}

void tm_adapter_init(tm_adapter *a, tm_device *device, uint64_t seed)
{
    for (size_t i = 0; i < a->map.n_params; i++) {
        const tm_param *p = &a->map.params[i];
        float bound = (float)(1 / sqrt((double)p->shape[1]));
        if (is_a(p))
            tm_random_uniform(device, a->params + p->offset, (int64_t)p->count, -bound, bound, seed,
                              tm_hash64(p->name, strlen(p->name), 0));
        else
            tm_fill(device, a->params + p->offset, (int64_t)p->count, 0);
    }
}

int64_t tm_adapter_rank(const tm_adapter *a, uint32_t layer, tm_lora_group group)
{
    int64_t sum = 0;
    for (tm_lora_target t = starts[group]; t < starts[group + 1]; t++) sum += a->parts[layer][t].rank;
    return sum;
}

float tm_adapter_scale(const tm_adapter *a, const tm_adapter_part *part)
{
    return (float)(part->alpha / (a->lora.rslora ? sqrt((double)part->rank) : part->rank));
}

// ---- merging

// Where the weight [out, in] of a linear lies in the model's slab.
static size_t weight_at(const tm_param_layer *at, tm_lora_target t, const tm_adapter_part *part)
{
    size_t group = t < TM_LORA_O      ? at->qkv
                   : t == TM_LORA_O   ? at->o
                   : t < TM_LORA_DOWN ? at->gate_up
                                      : at->down;
    return group + (size_t)(part->column * part->in);
}

void tm_adapter_merge(const tm_adapter *a, const tm_param_map *map, float *slab, tm_device *device)
{
    for (uint32_t i = 0; i < a->n_layers; i++) {
        for (tm_lora_target t = 0; t < TM_LORA_TARGETS; t++) {
            const tm_adapter_part *part = &a->parts[i][t];
            if (!part->rank) continue;
            tm_mat w = tm_mat_of(slab + weight_at(&map->layers[i], t, part), part->out, part->in);
            tm_mat b = tm_mat_of(a->params + part->b, part->out, part->rank);
            tm_matmul(device, w, b, TM_N, tm_weight_f32(a->params + part->a, part->rank, part->in), TM_N,
                      tm_adapter_scale(a, part), TM_ADD);
        }
    }
}
