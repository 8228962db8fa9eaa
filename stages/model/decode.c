// SPDX-License-Identifier: Apache-2.0
// Reading on over a cache.
#include "stages/model/decode.h"

enum {
    CHUNK = 256,            // tokens of a prompt that are computed together
    MOST_BYTES = 256 << 20, // of a cache of several sequences
};

struct tm_decoder {
    const tm_model *model;
    tm_pass *pass;
    tm_cache cache;              // sequence after sequence
    int32_t capacity, width, at; // of each; how many; the one that is turned to
    int32_t sizes[TM_ROWS_ALIKE];
    uint32_t *ids;  // what the cache holds
    int32_t positions[CHUNK], labels[CHUNK];
    float *logits; // [width, vocab]
};

static int32_t width_of(const tm_model_config *c, uint32_t capacity, size_t wanted)
{
    size_t token = sizeof(float) * 2 * c->layers * c->kv_heads * c->head_dim;
    size_t fit = MOST_BYTES / (token * capacity), most = wanted < TM_ROWS_ALIKE ? wanted : TM_ROWS_ALIKE;
    if (fit < most) most = fit;
    return most > 0 ? (int32_t)most : 1;
}

static tm_status make_room(tm_decoder *d, tm_device *device, tm_error *err)
{
    const tm_model_config *c = &d->model->config;
    d->cache.capacity = d->width * d->capacity;
    size_t tokens = (size_t)d->cache.capacity, cells = tokens * c->layers * c->kv_heads * c->head_dim;
    d->cache.keys = tm_calloc(cells, sizeof(float));
    d->cache.values = tm_calloc(cells, sizeof(float));
    d->logits = tm_calloc((size_t)d->width * c->vocab, sizeof *d->logits);
    d->ids = tm_calloc(tokens, sizeof *d->ids);
    if (!d->cache.keys || !d->cache.values || !d->logits || !d->ids)
        return tm_fail(err, TM_ENOMEM, "no memory for a cache of %zu tokens", tokens);
    int32_t most = d->capacity < CHUNK ? d->capacity : CHUNK;
    return tm_pass_new(&d->pass, d->model, device, TM_PASS_FORWARD,
                       (uint32_t)(most < d->width ? d->width : most), err);
}

tm_status tm_decoder_new_wide(tm_decoder **out, const tm_model *model, tm_device *device, uint32_t capacity,
                              size_t wanted, tm_error *err)
{
    const tm_model_config *c = &model->config;
    if (capacity == 0 || capacity > c->length)
        return tm_fail(err, TM_EINVAL, "generation over %u tokens; the model has %u positions", capacity,
                       c->length);
    tm_decoder *d = tm_calloc(1, sizeof *d);
    if (!d) return tm_fail(err, TM_ENOMEM, "no memory for generation");
    d->model = model;
    d->capacity = (int32_t)capacity;
    d->width = width_of(c, capacity, wanted);
    tm_status status = make_room(d, device, err);
    if (status < 0) {
        tm_decoder_free(d);
        return status;
    }
    *out = d;
    return TM_OK;
}

tm_status tm_decoder_new(tm_decoder **out, const tm_model *model, tm_device *device, uint32_t capacity,
                         tm_error *err)
{
    return tm_decoder_new_wide(out, model, device, capacity, 1, err);
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

int32_t tm_decoder_width(const tm_decoder *d)
{
    return d->width;
}

void tm_decoder_turn(tm_decoder *d, int32_t sequence)
{
    tm_assert(sequence >= 0 && sequence < d->width);
    d->at = sequence;
}

void tm_decoder_cut(tm_decoder *d, int32_t size)
{
    if (size < d->sizes[d->at]) d->sizes[d->at] = size > 0 ? size : 0;
}

int32_t tm_decoder_size(const tm_decoder *d)
{
    return d->sizes[d->at];
}

int32_t tm_decoder_capacity(const tm_decoder *d)
{
    return d->capacity;
}

const tm_model *tm_decoder_model(const tm_decoder *d)
{
    return d->model;
}

static uint32_t *held_ids(tm_decoder *d)
{
    return d->ids + (size_t)d->at * (size_t)d->capacity;
}

// `labels` may be NULL.
static tm_status feed_chunk(tm_decoder *d, const int32_t *ids, const int32_t *labels, int32_t n,
                            tm_error *err)
{
    int32_t size = d->sizes[d->at], bounds[2] = {0, n}, start = d->at * d->capacity, count = size + n;
    for (int32_t i = 0; i < n; i++) d->positions[i] = size + i;
    tm_tokens batch = {
        .n_tokens = n,
        .n_segments = 1,
        .ids = ids,
        .labels = labels,
        .positions = d->positions,
        .cu_seqlens = bounds,
    };
    TM_TRY(tm_pass_extend(d->pass, &batch, &d->cache, (tm_cache_rows){&start, &count}, err));
    memcpy(held_ids(d) + size, ids, (size_t)n * sizeof *ids);
    d->sizes[d->at] = count;
    return TM_OK;
}

static tm_status check_room(const tm_decoder *d, int32_t n, tm_error *err)
{
    int32_t size = d->sizes[d->at];
    if (n >= 1 && n <= d->capacity - size) return TM_OK;
    return tm_fail(err, TM_EINVAL, "%d more tokens; %d of %d are used", n, size, d->capacity);
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
    const uint32_t *held = held_ids(d);
    while (same < n - 1 && same < d->sizes[d->at] && held[same] == ids[same]) same++;
    tm_decoder_cut(d, same);
    if (kept) *kept = same;
    return tm_decoder_feed(d, (const int32_t *)ids + same, n - same, logits, err);
}

tm_status tm_decoder_step(tm_decoder *d, const int32_t *sequences, const int32_t *ids, int32_t n,
                          const float **logits, tm_error *err)
{
    int32_t bounds[TM_ROWS_ALIKE + 1], starts[TM_ROWS_ALIKE], counts[TM_ROWS_ALIKE];
    tm_assert(n <= d->width);
    for (int32_t i = 0; i < n; i++) {
        tm_decoder_turn(d, sequences[i]);
        TM_TRY(check_room(d, 1, err));
        bounds[i] = i;
        starts[i] = d->at * d->capacity;
        counts[i] = d->sizes[d->at] + 1;
        d->positions[i] = d->sizes[d->at];
    }
    bounds[n] = n;
    tm_tokens batch = {
        .n_tokens = n, .n_segments = n, .ids = ids, .positions = d->positions, .cu_seqlens = bounds};
    TM_TRY(tm_pass_extend(d->pass, &batch, &d->cache, (tm_cache_rows){starts, counts}, err));
    for (int32_t i = 0; i < n; i++) {
        tm_decoder_turn(d, sequences[i]);
        held_ids(d)[d->sizes[d->at]++] = (uint32_t)ids[i];
    }
    tm_pass_logits(d->pass, 0, n, d->logits);
    *logits = d->logits;
    return TM_OK;
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
