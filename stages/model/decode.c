// SPDX-License-Identifier: Apache-2.0
// Generation over a cache, and sampling.
#include "stages/model/decode.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/random.h"

#define CHUNK 256  // tokens of a prompt that are computed together

struct tm_decoder {
    const tm_model *model;
    tm_pass *pass;
    tm_cache cache;
    int32_t positions[CHUNK];
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
    tm_status status = TM_OK;
    if (!d->cache.keys || !d->cache.values || !d->logits)
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
    tm_free(d);
}

void tm_decoder_reset(tm_decoder *d)
{
    d->cache.size = 0;
}

int32_t tm_decoder_size(const tm_decoder *d)
{
    return d->cache.size;
}

static tm_status feed_chunk(tm_decoder *d, const int32_t *ids, int32_t n, tm_error *err)
{
    int32_t bounds[2] = {0, n};
    for (int32_t i = 0; i < n; i++) d->positions[i] = d->cache.size + i;
    tm_tokens batch = {
        .n_tokens = n,
        .n_segments = 1,
        .ids = ids,
        .positions = d->positions,
        .cu_seqlens = bounds,
    };
    return tm_pass_extend(d->pass, &batch, &d->cache, err);
}

tm_status tm_decoder_feed(tm_decoder *d, const int32_t *ids, int32_t n, const float **logits, tm_error *err)
{
    if (n < 1 || n > d->cache.capacity - d->cache.size)
        return tm_fail(err, TM_EINVAL, "%d more tokens; %d of %d are used", n, d->cache.size,
                       d->cache.capacity);
    int32_t last = 0;
    for (int32_t at = 0; at < n; at += last) {
        last = n - at < CHUNK ? n - at : CHUNK;
        TM_TRY(feed_chunk(d, ids + at, last, err));
    }
    tm_pass_logits(d->pass, last - 1, 1, d->logits);
    *logits = d->logits;
    return TM_OK;
}

// ---- sampling

static int32_t largest(const float *logits, uint32_t vocab)
{
    int32_t best = 0;
    for (uint32_t i = 1; i < vocab; i++) {
        if (logits[i] > logits[best] || isnan(logits[best])) best = (int32_t)i;
    }
    return isnan(logits[best]) ? 0 : best;
}

static int by_logit(const void *a, const void *b)
{
    const tm_choice *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static uint32_t gather(const float *logits, uint32_t vocab, tm_choice *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < vocab; i++) {
        if (!isnan(logits[i])) out[n++] = (tm_choice){logits[i], (int32_t)i};
    }
    return n;
}

// Turn logits into exp((logit - top) / temperature); returns their sum.
static double weigh(tm_choice *c, uint32_t n, float top, double temperature)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        c[i].logit = c[i].logit == top ? 1 : (float)exp(((double)c[i].logit - top) / temperature);
        sum += c[i].logit;
    }
    return sum;
}

// Keep the likeliest until their share reaches top_p; `sum` becomes that of the kept.
static uint32_t nucleus(const tm_choice *c, uint32_t n, double top_p, double *sum)
{
    double reached = 0;
    for (uint32_t i = 0; i < n; i++) {
        reached += c[i].logit;
        if (reached >= top_p * *sum) {
            *sum = reached;
            return i + 1;
        }
    }
    return n;
}

int32_t tm_sample(const tm_sampler *s, uint64_t index, const float *logits, uint32_t vocab,
                  tm_choice *scratch)
{
    enum { STREAM = 0x73616d70 };
    if (s->temperature <= 0) return largest(logits, vocab);
    uint32_t n = gather(logits, vocab, scratch);
    if (n == 0) return 0;
    bool sorted = (s->top_k > 0 && s->top_k < n) || s->top_p < 1;
    if (sorted) qsort(scratch, n, sizeof *scratch, by_logit);
    if (s->top_k > 0 && s->top_k < n) n = s->top_k;
    double sum = weigh(scratch, n, logits[largest(logits, vocab)], s->temperature);
    if (s->top_p < 1) n = nucleus(scratch, n, s->top_p, &sum);
    double left = tm_random_unit(s->seed, STREAM, index) * sum;
    for (uint32_t i = 0; i < n; i++) {
        left -= scratch[i].logit;
        if (left < 0) return scratch[i].id;
    }
    return scratch[n - 1].id;
}
