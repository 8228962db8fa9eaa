// SPDX-License-Identifier: Apache-2.0
// Packing documents into batches, one piece at a time.
#include "stages/train/pack.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/base/random.h"

struct tm_pack {
    tm_pack_options options;
    tm_documents documents;
    tm_pack_cursor at, done;

    uint32_t *order;  // the loaded window's permutation
    uint64_t order_epoch, order_window, order_n;
    bool order_loaded;

    int32_t *ids, *labels, *positions, *cu_seqlens;
    uint32_t n_tokens, n_segments;
    bool given;       // the batch was handed out
    bool full_epoch;  // the current epoch is seen from its first document
    bool any;         // it gave an input
};

static tm_status check(const tm_pack_options *o, tm_error *err)
{
    if (o->tokens == 0 || o->tokens > (1u << 24))
        return tm_fail(err, TM_EINVAL, "a batch has 1 to 16,777,216 tokens, not %u", o->tokens);
    if (o->length == 0 || o->length > o->tokens)
        return tm_fail(err, TM_EINVAL, "length must be in 1..%u (the tokens of a batch), got %u", o->tokens,
                       o->length);
    if (o->window > (1u << 24)) return tm_fail(err, TM_EINVAL, "shuffle window of %u documents", o->window);
    return TM_OK;
}

tm_status tm_pack_new(tm_pack **out, const tm_pack_options *options, const tm_documents *documents,
                      tm_error *err)
{
    TM_TRY(check(options, err));
    tm_pack *p = tm_calloc(1, sizeof *p);
    if (!p) return tm_fail(err, TM_ENOMEM, "no memory for packing");
    p->options = *options;
    p->documents = *documents;
    p->full_epoch = true;
    p->ids = tm_calloc(options->tokens, sizeof *p->ids);
    p->labels = tm_calloc(options->tokens, sizeof *p->labels);
    p->positions = tm_calloc(options->tokens, sizeof *p->positions);
    p->cu_seqlens = tm_calloc((size_t)options->tokens + 1, sizeof *p->cu_seqlens);
    p->order = tm_calloc((size_t)options->window + 1, sizeof *p->order);
    if (!p->ids || !p->labels || !p->positions || !p->cu_seqlens || !p->order) {
        tm_pack_free(p);
        return tm_fail(err, TM_ENOMEM, "no memory for batches of %u tokens", options->tokens);
    }
    *out = p;
    return TM_OK;
}

void tm_pack_free(tm_pack *p)
{
    if (!p) return;
    tm_free(p->ids);
    tm_free(p->labels);
    tm_free(p->positions);
    tm_free(p->cu_seqlens);
    tm_free(p->order);
    tm_free(p);
}

static void shuffle(tm_pack *p, uint64_t window, uint64_t n)
{
    uint64_t key = tm_random_u64(p->options.seed, p->at.epoch, window);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t j = tm_random_below(key, 0, i, i + 1);
        p->order[i] = p->order[j];
        p->order[j] = (uint32_t)i;
    }
    p->order_epoch = p->at.epoch;
    p->order_window = window;
    p->order_n = n;
    p->order_loaded = true;
}

// Load the window that holds the cursor's document. TM_DONE: the epoch has no such document.
static tm_status load_window(tm_pack *p, tm_error *err)
{
    uint64_t size = p->options.window, window = p->at.document / size, have = 0;
    if (p->order_loaded && p->order_epoch == p->at.epoch && p->order_window == window)
        return p->at.document - window * size < p->order_n ? TM_OK : TM_DONE;
    uint64_t end = (window + 1) * size;
    tm_status status = p->documents.reach(p->documents.ctx, end, &have, err);
    if (status != TM_OK) return status;
    if (have <= p->at.document) return TM_DONE;
    shuffle(p, window, have < end ? have - window * size : size);
    if (have < end)
        p->at.horizon = UINT64_MAX;
    else if (p->at.horizon < end)
        p->at.horizon = end;
    return TM_OK;
}

// The number of the cursor's document in the data.
static tm_status locate(tm_pack *p, uint64_t *index, tm_error *err)
{
    if (p->options.window > 0) {
        tm_status status = load_window(p, err);
        if (status != TM_OK) return status;
        uint64_t first = p->order_window * p->options.window;
        *index = first + p->order[p->at.document - first];
        return TM_OK;
    }
    uint64_t have = 0;
    tm_status status = p->documents.reach(p->documents.ctx, p->at.document + 1, &have, err);
    if (status != TM_OK) return status;
    if (have <= p->at.document) return TM_DONE;
    if (p->at.horizon <= p->at.document) p->at.horizon = p->at.document + 1;
    *index = p->at.document;
    return TM_OK;
}

static tm_status next_epoch(tm_pack *p, tm_error *err)
{
    if (p->full_epoch && !p->any)
        return tm_fail(err, TM_EINVAL, "the data (%" PRIu64 " documents) has nothing to train on",
                       p->at.document);
    p->at.epoch++;
    p->at.document = p->at.offset = 0;
    p->at.horizon = UINT64_MAX;
    p->full_epoch = true;
    p->any = false;
    return TM_OK;
}

// Inputs that a document gives under the rule for overlong ones; `less` if that is fewer than it has.
static uint64_t inputs_of(const tm_pack *p, const tm_document *d, bool *less)
{
    *less = false;
    if (d->n == 0) return 0;
    uint64_t n = d->n + (p->options.bos >= 0) + (p->options.eos >= 0) - 1;
    if (n <= p->options.length || p->options.overlong == TM_OVERLONG_CUT) return n;
    *less = true;
    return p->options.overlong == TM_OVERLONG_DROP ? 0 : p->options.length;
}

static uint32_t token_at(const tm_pack *p, const tm_document *d, uint64_t k)
{
    if (p->options.bos >= 0) {
        if (k == 0) return (uint32_t)p->options.bos;
        k--;
    }
    return k < d->n ? d->ids[k] : (uint32_t)p->options.eos;
}

static bool is_label(const tm_pack *p, const tm_document *d, uint64_t k)
{
    if (!d->mask) return true;
    k -= p->options.bos >= 0;
    return d->mask[k < d->n ? k : d->n - 1] != 0;
}

static void add_segment(tm_pack *p, const tm_document *d, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t k = p->at.offset + i;
        uint32_t at = p->n_tokens + i;
        p->ids[at] = (int32_t)token_at(p, d, k);
        p->labels[at] = is_label(p, d, k + 1) ? (int32_t)token_at(p, d, k + 1) : -1;
        p->positions[at] = (int32_t)i;
    }
    p->n_tokens += n;
    p->cu_seqlens[++p->n_segments] = (int32_t)p->n_tokens;
    p->at.offset += n;
    p->any = true;
}

// Add the next piece of the cursor's document. TM_DONE: it waits for the next batch.
static tm_status add_piece(tm_pack *p, uint64_t index, tm_error *err)
{
    tm_document d;
    tm_status status = p->documents.get(p->documents.ctx, index, &d, err);
    if (status != TM_OK) return status;
    bool less;
    uint64_t n = inputs_of(p, &d, &less), left = n > p->at.offset ? n - p->at.offset : 0;
    uint32_t room = p->options.tokens - p->n_tokens;
    uint64_t piece = left < p->options.length ? left : p->options.length;
    if (piece > room && p->options.whole) return TM_DONE;
    if (piece > room) piece = room;
    if (piece > 0) add_segment(p, &d, (uint32_t)piece);
    if (piece == left) {
        p->at.dropped += less;
        p->at.document++;
        p->at.offset = 0;
    }
    return TM_OK;
}

// One step of filling: a piece, or the turn of an epoch. TM_DONE: the batch is complete as it is.
static tm_status fill(tm_pack *p, tm_error *err)
{
    if (p->options.epochs > 0 && p->at.epoch >= p->options.epochs) return TM_DONE;
    uint64_t index = 0;
    tm_status status = locate(p, &index, err);
    if (status == TM_DONE) return next_epoch(p, err);
    return status == TM_OK ? add_piece(p, index, err) : status;
}

static tm_status give(tm_pack *p, tm_tokens *batch)
{
    *batch = (tm_tokens){
        .n_tokens = (int32_t)p->n_tokens,
        .n_segments = (int32_t)p->n_segments,
        .ids = p->ids,
        .labels = p->labels,
        .positions = p->positions,
        .cu_seqlens = p->cu_seqlens,
    };
    p->given = true;
    p->done = p->at;
    return TM_OK;
}

tm_status tm_pack_next(tm_pack *p, tm_tokens *batch, tm_error *err)
{
    if (p->given) {
        p->n_tokens = p->n_segments = 0;
        p->given = false;
    }
    while (p->n_tokens < p->options.tokens) {
        tm_status status = fill(p, err);
        if (status == TM_DONE) break;
        if (status != TM_OK) return status;
    }
    return p->n_tokens > 0 ? give(p, batch) : TM_DONE;
}

tm_pack_cursor tm_pack_tell(const tm_pack *p)
{
    return p->done;
}

void tm_pack_seek(tm_pack *p, tm_pack_cursor cursor)
{
    p->at = p->done = cursor;
    p->order_loaded = false;
    p->n_tokens = p->n_segments = 0;
    p->given = false;
    p->full_epoch = cursor.document == 0 && cursor.offset == 0;
    p->any = false;
}

void tm_pack_cursor_text(tm_pack_cursor c, char text[TM_PACK_CURSOR_TEXT])
{
    snprintf(text, TM_PACK_CURSOR_TEXT, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, c.epoch,
             c.document, c.offset, c.horizon, c.dropped);
}

bool tm_pack_cursor_parse(const char *text, tm_pack_cursor *c)
{
    int end = 0;
    int n = sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 "%n", &c->epoch,
                   &c->document, &c->offset, &c->horizon, &c->dropped, &end);
    return n == 5 && text[end] == '\0';
}
