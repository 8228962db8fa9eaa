// SPDX-License-Identifier: Apache-2.0
// Forward and backward through the blocks, and the plan of their memory.
#include "stages/model/pass.h"

#include <math.h>

#include "stages/model/adapter_pass.h"

// What a layer keeps of its forward pass; T is the number of tokens planned for.
typedef struct layer_acts {
    float *x;                // [T, C] the residual stream that comes in
    float *norm1, *rstd1;    // [T, C], [T]
    float *qkv;              // [T, Q + 2 KV] rotated
    float *qk_raw;           // [T, Q + KV] before the norms of q and k
    float *q_rstd, *k_rstd;  // [T, heads], [T, kv_heads]
    float *mix, *lse;        // [T, Q], [T, heads] attention's output
    float *x_mid;            // [T, C] the residual stream between attention and feed-forward
    float *norm2, *rstd2;
    float *gate_up;  // [T, 2 F]
    float *act;      // [T, F]
    float *h[TM_LORA_GROUPS];  // [T, ranks] between A and B of an adapter
} layer_acts;

struct tm_pass {
    const tm_model *model;
    tm_device *dev;
    tm_pass_kind kind;
    int64_t max_tokens;
    int64_t width, q, kv, ffn;  // C, heads * D, kv_heads * D, F
    tm_tokens batch;
    layer_acts *layers;
    float *x_last, *hidden, *rstd_last;  // what leaves the blocks; after the last norm
    float *rope;                         // [length, D]
    float *dx, *d_norm, *d_qkv, *d_mix, *d_act;
    float *d_h, *room;        // [T, ranks], [T, inputs] for an adapter
    tm_adapter_noise noise;
    float *d_adapter;         // slab of the backward pass at hand
    uint32_t lowest;          // layer below which nothing is trained
    float *arena;
    size_t n_floats;          // of the arena
};

// ---- memory

// Hands out 64-byte aligned pieces; with base NULL it only counts.
typedef struct arena {
    float *base;
    size_t used;
} arena;

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static float *take(arena *a, int64_t rows, int64_t cols)
{
    size_t at = a->used;
    a->used += ((size_t)rows * (size_t)cols + 15) / 16 * 16;
    return a->base ? a->base + at : NULL;
}

// The largest rank of a group over the layers from i to the last.
static int64_t largest_rank(const tm_adapter *adapter, uint32_t i, tm_lora_group group)
{
    int64_t largest = 0;
    for (; adapter && i < adapter->n_layers; i++)
        largest = max_of(largest, tm_adapter_rank(adapter, i, group));
    return largest;
}

static void plan_layer(const tm_pass *p, arena *a, uint32_t i)
{
    layer_acts *l = &p->layers[i];
    int64_t T = p->max_tokens;
    const tm_model_config *c = &p->model->config;
    l->norm1 = take(a, T, p->width);
    l->rstd1 = take(a, T, 1);
    l->qkv = take(a, T, p->q + 2 * p->kv);
    l->qk_raw = c->qk_norm ? take(a, T, p->q + p->kv) : NULL;
    l->q_rstd = take(a, T, c->heads);
    l->k_rstd = take(a, T, c->kv_heads);
    l->mix = take(a, T, p->q);
    l->lse = take(a, T, c->heads);
    l->norm2 = take(a, T, p->width);
    l->rstd2 = take(a, T, 1);
    l->gate_up = take(a, T, 2 * p->ffn);
    l->act = take(a, T, p->ffn);
    for (tm_lora_group g = 0; p->model->adapter && g < TM_LORA_GROUPS; g++)
        l->h[g] = take(a, T, largest_rank(p->model->adapter, i, g));
}

static void plan_layers(tm_pass *p, arena *a)
{
    bool train = p->kind == TM_PASS_TRAIN;
    float *x = take(a, p->max_tokens, p->width);
    for (uint32_t i = 0; i < p->model->config.layers; i++) {
        layer_acts *l = &p->layers[i];
        if (train || i == 0)
            plan_layer(p, a, i);
        else
            *l = p->layers[0];
        l->x = x;
        l->x_mid = train ? take(a, p->max_tokens, p->width) : x;
        x = train ? take(a, p->max_tokens, p->width) : x;
    }
    p->x_last = x;
}

// What an adapter needs besides the layers' parts.
static void plan_adapter(tm_pass *p, arena *a)
{
    const tm_adapter *adapter = p->model->adapter;
    int64_t ranks = 0, inputs = max_of(p->width, max_of(p->q, p->ffn));
    for (tm_lora_group g = 0; g < TM_LORA_GROUPS; g++) ranks = max_of(ranks, largest_rank(adapter, 0, g));
    p->d_h = take(a, p->max_tokens, ranks);
    if (adapter->lora.dropout > 0) p->room = take(a, p->max_tokens, inputs);
}

static void plan(tm_pass *p, arena *a)
{
    int64_t T = p->max_tokens;
    plan_layers(p, a);
    p->hidden = take(a, T, p->width);
    p->rstd_last = take(a, T, 1);
    p->rope = take(a, p->model->config.length, p->model->config.head_dim);
    if (p->kind != TM_PASS_TRAIN) return;
    p->dx = take(a, T, p->width);
    p->d_norm = take(a, T, p->width);
    p->d_qkv = take(a, T, p->q + 2 * p->kv);
    p->d_mix = take(a, T, p->q);
    p->d_act = take(a, T, p->ffn);
    if (p->model->adapter) plan_adapter(p, a);
}

static void set_sizes(tm_pass *p)
{
    const tm_model_config *c = &p->model->config;
    p->width = c->width;
    p->q = (int64_t)c->heads * c->head_dim;
    p->kv = (int64_t)c->kv_heads * c->head_dim;
    p->ffn = c->ffn;
}

static tm_status allocate(tm_pass *p, tm_error *err)
{
    arena a = {0};
    p->layers = tm_calloc(p->model->config.layers, sizeof *p->layers);
    if (!p->layers) return tm_fail(err, TM_ENOMEM, "no memory for activations");
    plan(p, &a);
    p->n_floats = a.used;
    tm_param_map room = {.n_floats = a.used};
    if (tm_param_slab_new(&room, &p->arena, NULL) < 0)
        return tm_fail(err, TM_ENOMEM, "no memory for %zu bytes of activations (%lld tokens)",
                       a.used * sizeof(float), (long long)p->max_tokens);
    a = (arena){.base = p->arena};
    plan(p, &a);
    return TM_OK;
}

static tm_status make_rope(tm_pass *p, tm_error *err)
{
    const tm_model_config *c = &p->model->config;
    float *inv_freq = tm_calloc(c->head_dim / 2, sizeof *inv_freq);
    if (!inv_freq) return tm_fail(err, TM_ENOMEM, "no memory for rotary positions");
    tm_model_config_rope(c, inv_freq);
    tm_rope_table(p->dev, tm_mat_of(p->rope, c->length, c->head_dim), inv_freq, 1);
    tm_free(inv_freq);
    return tm_device_status(p->dev, err);
}

// The lowest layer that has something to train.
static uint32_t lowest_layer(const tm_adapter *adapter)
{
    for (uint32_t i = 0; adapter && i < adapter->n_layers; i++) {
        for (tm_lora_group g = 0; g < TM_LORA_GROUPS; g++) {
            if (tm_adapter_rank(adapter, i, g)) return i;
        }
    }
    return 0;
}

tm_status tm_pass_new(tm_pass **out, const tm_model *model, tm_device *device, tm_pass_kind kind,
                      uint32_t max_tokens, tm_error *err)
{
    if (max_tokens == 0 || max_tokens > (1u << 24))
        return tm_fail(err, TM_EINVAL, "a batch has 1 to 16,777,216 tokens, not %u", max_tokens);
    tm_assert(kind != TM_PASS_TRAIN || !model->half);
    tm_pass *p = tm_calloc(1, sizeof *p);
    if (!p) return tm_fail(err, TM_ENOMEM, "no memory for a pass");
    p->model = model;
    p->dev = device;
    p->kind = kind;
    p->max_tokens = max_tokens;
    p->lowest = lowest_layer(model->adapter);
    if (kind == TM_PASS_TRAIN && model->adapter) p->noise.rate = (float)model->adapter->lora.dropout;
    set_sizes(p);
    tm_status status = allocate(p, err);
    if (status == TM_OK) status = make_rope(p, err);
    if (status < 0) {
        tm_pass_free(p);
        return status;
    }
    *out = p;
    return TM_OK;
}

const char *const *tm_pass_ops(void)
{
    static const char *const ops[] = {"attention", "copy", "embed", "glu", "linear", "rmsnorm", "rope",
                                      "rope_table", NULL};
    return ops;
}

uint64_t tm_pass_bytes(const tm_pass *p)
{
    return p->n_floats * sizeof(float);
}

void tm_pass_quiet(tm_pass *p)
{
    p->noise.rate = 0;
}

void tm_pass_noise(tm_pass *p, uint64_t seed, uint64_t draw)
{
    p->noise.seed = seed;
    p->noise.draw = draw;
}

void tm_pass_free(tm_pass *p)
{
    if (!p) return;
    tm_param_slab_free(p->arena);
    tm_free(p->layers);
    tm_free(p);
}

// ---- views

static tm_mat rows(const tm_pass *p, float *data, int64_t cols)
{
    return tm_mat_of(data, p->batch.n_tokens, cols);
}

static tm_weight weight(const tm_pass *p, size_t offset, int64_t out, int64_t in)
{
    const tm_model *m = p->model;
    if (m->half) return (tm_weight){m->half + offset, out, in, in, TM_BF16};
    return tm_weight_f32(m->params + offset, out, in);
}

// A vector of the slab, or NULL where the model has none.
static float *vector(float *slab, size_t offset)
{
    return offset == SIZE_MAX ? NULL : slab + offset;
}

static float eps(const tm_pass *p)
{
    return (float)p->model->config.norm_eps;
}

// The adapter's part of a group of linears that read x.
static tm_adapter_call adapter_call(const tm_pass *p, uint32_t i, tm_lora_group group, tm_mat x)
{
    return (tm_adapter_call){
        .adapter = p->model->adapter,
        .layer = i,
        .group = group,
        .noise = p->noise,
        .x = x,
        .h = rows(p, p->layers[i].h[group], tm_adapter_rank(p->model->adapter, i, group)),
        .room = rows(p, p->room, x.cols),
    };
}

static void adapt(tm_pass *p, uint32_t i, tm_lora_group group, tm_mat y, tm_mat x)
{
    if (!p->model->adapter) return;
    tm_adapter_call call = adapter_call(p, i, group, x);
    tm_adapter_forward(p->dev, &call, y);
}

// ---- forward

static tm_status check_batch(const tm_pass *p, const tm_tokens *b, tm_error *err)
{
    const tm_model_config *c = &p->model->config;
    if (b->n_tokens < 1 || b->n_tokens > p->max_tokens)
        return tm_fail(err, TM_EINVAL, "a batch of %d tokens, planned for %lld", b->n_tokens,
                       (long long)p->max_tokens);
    if (b->n_segments < 1 || b->cu_seqlens[0] != 0 || b->cu_seqlens[b->n_segments] != b->n_tokens)
        return tm_fail(err, TM_EINVAL, "the segments do not cover the %d tokens of the batch", b->n_tokens);
    for (int32_t i = 0; i < b->n_segments; i++) {
        if (b->cu_seqlens[i] >= b->cu_seqlens[i + 1])
            return tm_fail(err, TM_EINVAL, "segment %d of the batch is empty", i);
    }
    for (int32_t i = 0; i < b->n_tokens; i++) {
        if (b->ids[i] < 0 || (uint32_t)b->ids[i] >= c->vocab)
            return tm_fail(err, TM_EINVAL, "token %d of the batch has id %d, the vocabulary %u entries", i,
                           b->ids[i], c->vocab);
        if (b->labels && b->labels[i] >= 0 && (uint32_t)b->labels[i] >= c->vocab)
            return tm_fail(err, TM_EINVAL, "label %d of the batch is %d, the vocabulary has %u entries", i,
                           b->labels[i], c->vocab);
        if (b->positions[i] < 0 || (uint32_t)b->positions[i] >= c->length)
            return tm_fail(err, TM_EINVAL, "token %d of the batch is at position %d, the model has %u", i,
                           b->positions[i], c->length);
    }
    return TM_OK;
}

static tm_attention_shape attention_shape(const tm_pass *p, uint32_t layer)
{
    const tm_model_config *c = &p->model->config;
    return (tm_attention_shape){
        .q_heads = c->heads,
        .kv_heads = c->kv_heads,
        .head_size = c->head_dim,
        .scale = (float)(1 / sqrt((double)c->head_dim)),
        .window = tm_model_config_window(c, layer),
        .docs = p->batch.n_segments,
        .q_start = p->batch.cu_seqlens,
    };
}

static void project_qkv(tm_pass *p, uint32_t i)
{
    const tm_model_config *c = &p->model->config;
    const tm_param_layer *at = &p->model->map.layers[i];
    layer_acts *l = &p->layers[i];
    float *w = p->model->params;
    tm_mat qkv = rows(p, l->qkv, p->q + 2 * p->kv);
    tm_linear(p->dev, qkv, rows(p, l->norm1, p->width), weight(p, at->qkv, qkv.cols, p->width),
              vector(w, at->qkv_bias), 1, TM_SET);
    adapt(p, i, TM_LORA_QKV, qkv, rows(p, l->norm1, p->width));
    tm_mat q = tm_mat_cols(qkv, 0, p->q), k = tm_mat_cols(qkv, p->q, p->kv);
    if (c->qk_norm) {
        tm_copy(p->dev, rows(p, l->qk_raw, p->q + p->kv), tm_mat_cols(qkv, 0, p->q + p->kv));
        tm_rmsnorm(p->dev, q, l->q_rstd, q, w + at->q_norm, c->heads, eps(p), 0);
        tm_rmsnorm(p->dev, k, l->k_rstd, k, w + at->k_norm, c->kv_heads, eps(p), 0);
    }
    tm_mat table = tm_mat_of(p->rope, c->length, c->head_dim);
    tm_rope(p->dev, q, c->heads, p->batch.positions, table);
    tm_rope(p->dev, k, c->kv_heads, p->batch.positions, table);
}

// What a batch goes on behind.
typedef struct behind {
    const tm_cache *cache;
    tm_cache_rows at;
} behind;

static void attend(tm_pass *p, uint32_t i)
{
    layer_acts *l = &p->layers[i];
    tm_attention_shape shape = attention_shape(p, i);
    tm_mat qkv = rows(p, l->qkv, p->q + 2 * p->kv);
    tm_attention(p->dev, rows(p, l->mix, p->q), l->lse, tm_mat_cols(qkv, 0, p->q),
                 tm_mat_cols(qkv, p->q, p->kv), tm_mat_cols(qkv, p->q + p->kv, p->kv), &shape);
}

// The new keys and values go behind those of the cache, and the queries see both.
static void attend_cached(tm_pass *p, uint32_t i, const behind *held)
{
    layer_acts *l = &p->layers[i];
    const tm_cache *cache = held->cache;
    const int32_t *start = held->at.start, *count = held->at.count, *bounds = p->batch.cu_seqlens;
    tm_mat qkv = rows(p, l->qkv, p->q + 2 * p->kv);
    size_t layer = (size_t)i * (size_t)cache->capacity * (size_t)p->kv;
    tm_mat keys = tm_mat_of(cache->keys + layer, cache->capacity, p->kv);
    tm_mat values = tm_mat_of(cache->values + layer, cache->capacity, p->kv);
    for (int32_t s = 0; s < p->batch.n_segments; s++) {
        int32_t n = bounds[s + 1] - bounds[s], first = start[s] + count[s] - n;
        tm_mat from = tm_mat_rows(qkv, bounds[s], n);
        tm_copy(p->dev, tm_mat_rows(keys, first, n), tm_mat_cols(from, p->q, p->kv));
        tm_copy(p->dev, tm_mat_rows(values, first, n), tm_mat_cols(from, p->q + p->kv, p->kv));
    }
    tm_attention_shape shape = attention_shape(p, i);
    shape.k_start = start;
    shape.k_count = count;
    tm_attention(p->dev, rows(p, l->mix, p->q), NULL, tm_mat_cols(qkv, 0, p->q), keys, values, &shape);
}

// to = from + x W^T + bias; `to` may be `from`.
static void add_residual(tm_pass *p, float *to, float *from, tm_mat x, tm_weight w, const float *bias)
{
    tm_mat y = rows(p, to, p->width);
    if (to != from) tm_copy(p->dev, y, rows(p, from, p->width));
    tm_linear(p->dev, y, x, w, bias, 1, TM_ADD);
}

static void feed_forward(tm_pass *p, uint32_t i, float *out)
{
    const tm_param_layer *at = &p->model->map.layers[i];
    layer_acts *l = &p->layers[i];
    float *w = p->model->params;
    tm_rmsnorm(p->dev, rows(p, l->norm2, p->width), l->rstd2, rows(p, l->x_mid, p->width), w + at->norm2, 1,
               eps(p), 0);
    tm_mat gate_up = rows(p, l->gate_up, 2 * p->ffn), act = rows(p, l->act, p->ffn);
    tm_linear(p->dev, gate_up, rows(p, l->norm2, p->width), weight(p, at->gate_up, 2 * p->ffn, p->width),
              vector(w, at->gate_up_bias), 1, TM_SET);
    adapt(p, i, TM_LORA_GATE_UP, gate_up, rows(p, l->norm2, p->width));
    tm_glu(p->dev, act, tm_mat_cols(gate_up, 0, p->ffn), tm_mat_cols(gate_up, p->ffn, p->ffn), TM_SILU);
    add_residual(p, out, l->x_mid, act, weight(p, at->down, p->width, p->ffn), vector(w, at->down_bias));
    adapt(p, i, TM_LORA_ACT, rows(p, out, p->width), act);
}

static void block(tm_pass *p, uint32_t i, const behind *held)
{
    const tm_param_layer *at = &p->model->map.layers[i];
    layer_acts *l = &p->layers[i];
    float *w = p->model->params, *out = i + 1 < p->model->config.layers ? p->layers[i + 1].x : p->x_last;
    tm_rmsnorm(p->dev, rows(p, l->norm1, p->width), l->rstd1, rows(p, l->x, p->width), w + at->norm1, 1,
               eps(p), 0);
    project_qkv(p, i);
    if (held)
        attend_cached(p, i, held);
    else
        attend(p, i);
    add_residual(p, l->x_mid, l->x, rows(p, l->mix, p->q), weight(p, at->o, p->width, p->q),
                 vector(w, at->o_bias));
    adapt(p, i, TM_LORA_MIX, rows(p, l->x_mid, p->width), rows(p, l->mix, p->q));
    feed_forward(p, i, out);
}

static void forward(tm_pass *p, const behind *held)
{
    const tm_model *m = p->model;
    tm_embed(p->dev, rows(p, p->layers[0].x, p->width), weight(p, m->map.embed, m->config.vocab, p->width),
             p->batch.ids, 1, TM_SET);
    for (uint32_t i = 0; i < m->config.layers; i++) block(p, i, held);
    tm_rmsnorm(p->dev, rows(p, p->hidden, p->width), p->rstd_last, rows(p, p->x_last, p->width),
               m->params + m->map.norm, 1, eps(p), 0);
}

tm_status tm_pass_forward(tm_pass *p, const tm_tokens *batch, tm_error *err)
{
    TM_TRY(check_batch(p, batch, err));
    p->batch = *batch;
    forward(p, NULL);
    return tm_device_status(p->dev, err);
}

tm_status tm_pass_extend(tm_pass *p, const tm_tokens *batch, const tm_cache *cache, tm_cache_rows at,
                         tm_error *err)
{
    TM_TRY(check_batch(p, batch, err));
    for (int32_t i = 0; i < batch->n_segments; i++) {
        int32_t n = batch->cu_seqlens[i + 1] - batch->cu_seqlens[i];
        if (at.start[i] < 0 || at.count[i] < n || at.count[i] > cache->capacity - at.start[i])
            return tm_fail(err, TM_EINVAL, "%d tokens as the last of %d from %d on, in a cache of %d", n,
                           at.count[i], at.start[i], cache->capacity);
    }
    p->batch = *batch;
    forward(p, &(behind){cache, at});
    return tm_device_status(p->dev, err);
}

const float *tm_pass_hidden(const tm_pass *p)
{
    return p->hidden;
}

// ---- loss

static tm_weight head(const tm_pass *p)
{
    return weight(p, p->model->map.head, p->model->config.vocab, p->width);
}

static void run_loss(tm_pass *p, tm_head_loss_args *args, tm_loss *loss)
{
    int64_t count = 0;
    loss->sum = 0;
    args->hidden = rows(p, p->hidden, p->width);
    args->head = head(p);
    args->labels = p->batch.labels;
    args->loss_sum = &loss->sum;
    args->count = &count;
    tm_head_loss(p->dev, args);
    loss->count = (uint64_t)count;
}

void tm_pass_score(tm_pass *p, tm_loss *loss, float *log_probs)
{
    run_loss(p, &(tm_head_loss_args){.log_probs = log_probs, .denominator = 1}, loss);
}

void tm_pass_logits(tm_pass *p, int32_t first, int32_t n, float *logits)
{
    tm_mat hidden = tm_mat_rows(rows(p, p->hidden, p->width), first, n);
    tm_linear(p->dev, tm_mat_of(logits, n, p->model->config.vocab), hidden, head(p), NULL, 1, TM_SET);
}

// ---- backward

// In what follows `grads` is NULL where the model's own weights are frozen.

// Gradients of one linear layer's weight and bias.
static void linear_grads(tm_pass *p, float *grads, size_t w, size_t bias, tm_mat dy, tm_mat x)
{
    if (!grads) return;
    tm_linear_grad_w(p->dev, tm_mat_of(grads + w, dy.cols, x.cols), dy, x, 1);
    if (bias != SIZE_MAX) tm_linear_grad_bias(p->dev, grads + bias, dy);
}

// Gradients of the adapter of a group; that of its input is added to dx.
static void adapter_grads(tm_pass *p, uint32_t i, tm_lora_group group, tm_mat dx, tm_mat dy, tm_mat x)
{
    if (!p->model->adapter) return;
    tm_adapter_call call = adapter_call(p, i, group, x);
    tm_adapter_backward(p->dev, &call, p->d_adapter, dx, dy, rows(p, p->d_h, call.h.cols));
}

// d_norm is the gradient of a norm's output; its part of the residual stream's gradient is added to dx.
static void norm_grads(tm_pass *p, float *grads, size_t gain, float *x, const float *rstd)
{
    tm_mat dy = rows(p, p->d_norm, p->width), in = rows(p, x, p->width);
    if (grads) tm_rmsnorm_grad_w(p->dev, grads + gain, dy, in, rstd, 1);
    tm_rmsnorm_grad_x(p->dev, rows(p, p->dx, p->width), dy, in, p->model->params + gain, rstd, 1, 0, TM_ADD);
}

static void feed_forward_grad(tm_pass *p, uint32_t i, float *grads)
{
    const tm_param_layer *at = &p->model->map.layers[i];
    layer_acts *l = &p->layers[i];
    tm_mat dx = rows(p, p->dx, p->width), d_act = rows(p, p->d_act, p->ffn);
    tm_mat gate_up = rows(p, l->gate_up, 2 * p->ffn);
    tm_mat gate = tm_mat_cols(gate_up, 0, p->ffn), up = tm_mat_cols(gate_up, p->ffn, p->ffn);
    linear_grads(p, grads, at->down, at->down_bias, dx, rows(p, l->act, p->ffn));
    tm_linear_grad_x(p->dev, d_act, dx, weight(p, at->down, p->width, p->ffn), 1, TM_SET);
    adapter_grads(p, i, TM_LORA_ACT, d_act, dx, rows(p, l->act, p->ffn));
    tm_glu_grad(p->dev, gate, up, d_act, gate, up, TM_SILU);
    tm_mat d_norm = rows(p, p->d_norm, p->width), norm2 = rows(p, l->norm2, p->width);
    linear_grads(p, grads, at->gate_up, at->gate_up_bias, gate_up, norm2);
    tm_linear_grad_x(p->dev, d_norm, gate_up, weight(p, at->gate_up, 2 * p->ffn, p->width), 1, TM_SET);
    adapter_grads(p, i, TM_LORA_GATE_UP, d_norm, gate_up, norm2);
    norm_grads(p, grads, at->norm2, l->x_mid, l->rstd2);
}

// From the gradients of rotated, normed q and k to those of the projection's output.
static void unrotate(tm_pass *p, uint32_t i, float *grads)
{
    const tm_model_config *c = &p->model->config;
    const tm_param_layer *at = &p->model->map.layers[i];
    layer_acts *l = &p->layers[i];
    tm_mat d_qkv = rows(p, p->d_qkv, p->q + 2 * p->kv), table = tm_mat_of(p->rope, c->length, c->head_dim);
    tm_mat dq = tm_mat_cols(d_qkv, 0, p->q), dk = tm_mat_cols(d_qkv, p->q, p->kv);
    tm_rope_grad(p->dev, dq, c->heads, p->batch.positions, table);
    tm_rope_grad(p->dev, dk, c->kv_heads, p->batch.positions, table);
    if (!c->qk_norm) return;
    tm_mat raw = rows(p, l->qk_raw, p->q + p->kv);
    tm_mat q = tm_mat_cols(raw, 0, p->q), k = tm_mat_cols(raw, p->q, p->kv);
    const float *w = p->model->params;
    if (grads) {
        tm_rmsnorm_grad_w(p->dev, grads + at->q_norm, dq, q, l->q_rstd, c->heads);
        tm_rmsnorm_grad_w(p->dev, grads + at->k_norm, dk, k, l->k_rstd, c->kv_heads);
    }
    tm_rmsnorm_grad_x(p->dev, dq, dq, q, w + at->q_norm, l->q_rstd, c->heads, 0, TM_SET);
    tm_rmsnorm_grad_x(p->dev, dk, dk, k, w + at->k_norm, l->k_rstd, c->kv_heads, 0, TM_SET);
}

static void attention_grad(tm_pass *p, uint32_t i, float *grads)
{
    const tm_param_layer *at = &p->model->map.layers[i];
    layer_acts *l = &p->layers[i];
    int64_t q = p->q, kv = p->kv;
    tm_mat dx = rows(p, p->dx, p->width), mix = rows(p, l->mix, q), d_mix = rows(p, p->d_mix, q);
    tm_mat qkv = rows(p, l->qkv, q + 2 * kv), d_qkv = rows(p, p->d_qkv, q + 2 * kv);
    linear_grads(p, grads, at->o, at->o_bias, dx, mix);
    tm_linear_grad_x(p->dev, d_mix, dx, weight(p, at->o, p->width, q), 1, TM_SET);
    adapter_grads(p, i, TM_LORA_MIX, d_mix, dx, mix);
    tm_attention_shape shape = attention_shape(p, i);
    tm_attention_grad(p->dev, tm_mat_cols(d_qkv, 0, q), tm_mat_cols(d_qkv, q, kv),
                      tm_mat_cols(d_qkv, q + kv, kv), d_mix, tm_mat_cols(qkv, 0, q), tm_mat_cols(qkv, q, kv),
                      tm_mat_cols(qkv, q + kv, kv), mix, l->lse, &shape);
    unrotate(p, i, grads);
    tm_mat norm1 = rows(p, l->norm1, p->width), d_norm = rows(p, p->d_norm, p->width);
    bool last = !grads && i == p->lowest;  // nothing below is trained: its gradient is of no use
    linear_grads(p, grads, at->qkv, at->qkv_bias, d_qkv, norm1);
    if (!last) tm_linear_grad_x(p->dev, d_norm, d_qkv, weight(p, at->qkv, q + 2 * kv, p->width), 1, TM_SET);
    adapter_grads(p, i, TM_LORA_QKV, last ? (tm_mat){0} : d_norm, d_qkv, norm1);
    if (!last) norm_grads(p, grads, at->norm1, l->x, l->rstd1);
}

// The loss, and the gradient of what leaves the blocks.
static void head_grads(tm_pass *p, const float *weights, double denominator, float *grads, tm_loss *loss)
{
    const tm_model *m = p->model;
    tm_mat d_hidden = rows(p, p->d_norm, p->width), x = rows(p, p->x_last, p->width);
    tm_head_loss_args args = {.weights = weights, .denominator = denominator, .d_hidden = d_hidden};
    if (grads) args.d_head = tm_mat_of(grads + m->map.head, m->config.vocab, p->width);
    run_loss(p, &args, loss);
    if (grads) tm_rmsnorm_grad_w(p->dev, grads + m->map.norm, d_hidden, x, p->rstd_last, 1);
    tm_rmsnorm_grad_x(p->dev, rows(p, p->dx, p->width), d_hidden, x, m->params + m->map.norm, p->rstd_last, 1,
                      0, TM_SET);
}

void tm_pass_backward(tm_pass *p, const float *weights, double denominator, float *slab, tm_loss *loss)
{
    tm_assert(p->kind == TM_PASS_TRAIN);
    const tm_model *m = p->model;
    float *grads = m->adapter ? NULL : slab;
    p->d_adapter = m->adapter ? slab : NULL;
    head_grads(p, weights, denominator, grads, loss);
    for (uint32_t i = m->config.layers; i-- > p->lowest;) {
        feed_forward_grad(p, i, grads);
        attention_grad(p, i, grads);
    }
    if (grads)
        tm_embed_grad(p->dev, tm_mat_of(grads + m->map.embed, m->config.vocab, p->width),
                      rows(p, p->dx, p->width), p->batch.ids, 1);
}
