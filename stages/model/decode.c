// SPDX-License-Identifier: Apache-2.0
// Reading on over a cache.
#include "stages/model/decode.h"

#define CHUNK 256  // tokens of a prompt that are computed together

struct tm_decoder {
    const tm_model *model;
    tm_pass *pass;
    tm_cache cache;
    uint32_t *ids;  // what the cache holds
    int32_t positions[CHUNK], labels[CHUNK];
    float *logits;
};

tm_status tm_decoder_new(tm_decoder **out, const tm_model *model, tm_device *device, uint32_t capacity,
                         tm_error *err)
{
    const tm_model_config *c = &model->config;
    if (capacity == 0 || capacity > c->length)
        return tm_fail(err, TM_EINVAL, "generation over %u tokens; the model has %u positions", capacity,
                       c->length);
    tm_decoder *d = tm_calloc(1, sizeof *d);
    if (!d) return tm_fail(err, TM_ENOMEM, "no memory for generation");
    d->model = model;
    size_t cells = (size_t)capacity * c->layers * c->kv_heads * c->head_dim;
    d->cache = (tm_cache){
        .keys = tm_calloc(cells, sizeof(float)),
        .values = tm_calloc(cells, sizeof(float)),
        .capacity = (int32_t)capacity,
    };
    d->logits = tm_calloc(c->vocab, sizeof *d->logits);
    d->ids = tm_calloc(capacity, sizeof *d->ids);
    tm_status status = TM_OK;
    if (!d->cache.keys || !d->cache.values || !d->logits || !d->ids)
        status = tm_fail(err, TM_ENOMEM, "no memory for a cache of %u tokens", capacity);
    if (status == TM_OK)
        status =
            tm_pass_new(&d->pass, model, device, TM_PASS_FORWARD, capacity < CHUNK ? capacity : CHUNK, err);
    if (status < 0) {
        tm_decoder_free(d);
        return status;
    }
    *out = d;
    return TM_OK;
}

void tm_decoder_free(tm_decoder *d)
{
    if (!d) return;
    tm_pass_free(d->pass);
    tm_free(d->cache.keys);
    tm_free(d->cache.values);
    tm_free(d->logits);
    tm_free(d->ids);
    tm_free(d);
}

void tm_decoder_cut(tm_decoder *d, int32_t size)
{
    if (size < d->cache.size) d->cache.size = size > 0 ? size : 0;
}

int32_t tm_decoder_size(const tm_decoder *d)
{
    return d->cache.size;
}

int32_t tm_decoder_capacity(const tm_decoder *d)
{
    return d->cache.capacity;
}

const tm_model *tm_decoder_model(const tm_decoder *d)
{
    return d->model;
}

// `labels` may be NULL.
static tm_status feed_chunk(tm_decoder *d, const int32_t *ids, const int32_t *labels, int32_t n,
                            tm_error *err)
{
    int32_t bounds[2] = {0, n}, size = d->cache.size;
    for (int32_t i = 0; i < n; i++) d->positions[i] = d->cache.size + i;
    tm_tokens batch = {
        .n_tokens = n,
        .n_segments = 1,
        .ids = ids,
        .labels = labels,
        .positions = d->positions,
        .cu_seqlens = bounds,
    };
    TM_TRY(tm_pass_extend(d->pass, &batch, &d->cache, err));
    memcpy(d->ids + size, ids, (size_t)n * sizeof *ids);
    return TM_OK;
}

static tm_status check_room(const tm_decoder *d, int32_t n, tm_error *err)
{
    if (n >= 1 && n <= d->cache.capacity - d->cache.size) return TM_OK;
    return tm_fail(err, TM_EINVAL, "%d more tokens; %d of %d are used", n, d->cache.size, d->cache.capacity);
}

tm_status tm_decoder_feed(tm_decoder *d, const int32_t *ids, int32_t n, const float **logits, tm_error *err)
{
    TM_TRY(check_room(d, n, err));
    int32_t last = 0;
    for (int32_t at = 0; at < n; at += last) {
        last = n - at < CHUNK ? n - at : CHUNK;
        TM_TRY(feed_chunk(d, ids + at, NULL, last, err));
    }
    tm_pass_logits(d->pass, last - 1, 1, d->logits);
    *logits = d->logits;
    return TM_OK;
}

tm_status tm_decoder_read(tm_decoder *d, const uint32_t *ids, int32_t n, const float **logits, int32_t *kept,
                          tm_error *err)
{
    int32_t same = 0;
    while (same < n - 1 && same < d->cache.size && d->ids[same] == ids[same]) same++;
    tm_decoder_cut(d, same);
    if (kept) *kept = same;
    return tm_decoder_feed(d, (const int32_t *)ids + same, n - same, logits, err);
}

tm_status tm_decoder_score(tm_decoder *d, const uint32_t *ids, int32_t n, float *log_probs, tm_error *err)
{
    tm_loss unused;
    float scores[CHUNK];
    tm_decoder_cut(d, 0);
    TM_TRY(check_room(d, n, err));
    for (int32_t at = 0, part; at < n - 1; at += part) {
        part = n - 1 - at < CHUNK ? n - 1 - at : CHUNK;
        for (int32_t i = 0; i < part; i++) d->labels[i] = (int32_t)ids[at + i + 1];
        TM_TRY(feed_chunk(d, (const int32_t *)ids + at, d->labels, part, err));
        tm_pass_score(d->pass, &unused, scores);
        memcpy(log_probs + at, scores, (size_t)part * sizeof *scores);
    }
    return TM_OK;
}
