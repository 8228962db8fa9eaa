// SPDX-License-Identifier: Apache-2.0
// Packing documents into batches, one piece at a time.
#include "stages/train/pack.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/base/random.h"

typedef struct piece {
    uint64_t document;
    uint64_t first;  // input of it
    uint32_t n;
} piece;

struct tm_pack {
    tm_pack_options options;
    tm_documents documents;
    tm_pack_cursor at, done;

    piece *order;  // the pieces of the loaded window, shuffled
    size_t n_order, order_capacity;
    uint64_t order_dropped;  // documents of the window that `overlong` left out or shortened
    bool order_loaded;

    int32_t *ids, *labels, *positions, *cu_seqlens;
    double *scores;
    uint64_t *from;  // the document of each segment
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
    p->scores = tm_calloc(options->tokens, sizeof *p->scores);
    p->from = tm_calloc(options->tokens, sizeof *p->from);
    if (!p->ids || !p->labels || !p->positions || !p->cu_seqlens || !p->scores || !p->from) {
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
    tm_free(p->scores);
    tm_free(p->from);
    tm_free(p->order);
    tm_free(p);
}

// ---- the order of pieces

static uint64_t full_inputs(const tm_pack *p, const tm_document *d)
{
    return d->n ? d->n + (p->options.bos >= 0) + (p->options.eos >= 0) - 1 : 0;
}

// Inputs that a document gives under the rule for overlong ones; `less` if that is fewer than it has.
static uint64_t inputs_of(const tm_pack *p, const tm_document *d, bool *less)
{
    uint64_t n = full_inputs(p, d);
    *less = false;
    if (n <= p->options.length || p->options.overlong == TM_OVERLONG_CUT) return n;
    *less = true;
    return p->options.overlong == TM_OVERLONG_DROP ? 0 : p->options.length;
}

// Inputs of a pair, which is there whole or not at all.
static uint64_t inputs_of_pair(const tm_pack *p, const tm_document *d, bool *less)
{
    uint64_t n = full_inputs(p, d), other = full_inputs(p, d->partner), length = p->options.length;
    *less = n > length || other > length || n + other > p->options.tokens;
    return *less || n == 0 || other == 0 ? 0 : n + other;
}

static tm_status reserve(tm_pack *p, size_t n, tm_error *err)
{
    if (n <= p->order_capacity) return TM_OK;
    size_t capacity = 2 * n + 64;
    piece *order = capacity < SIZE_MAX / sizeof *order ? tm_realloc(p->order, capacity * sizeof *order)
                                                       : NULL;
    if (!order) return tm_fail(err, TM_ENOMEM, "no memory for the order of %zu pieces", n);
    p->order = order;
    p->order_capacity = capacity;
    return TM_OK;
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

static bool any_label(const tm_pack *p, const tm_document *d, uint64_t first, uint64_t n)
{
    if (!d->mask) return n > 0;
    for (uint64_t i = 0; i < n; i++)
        if (is_label(p, d, first + i + 1)) return true;
    return false;
}

static bool has_label(const tm_pack *p, const tm_document *d, uint64_t first, uint64_t n)
{
    if (!d->partner) return any_label(p, d, first, n);
    return any_label(p, d, 0, full_inputs(p, d)) && any_label(p, d->partner, 0, full_inputs(p, d->partner));
}

static tm_status add_pieces(tm_pack *p, uint64_t document, tm_error *err)
{
    tm_document d;
    bool less;
    tm_status status = p->documents.get(p->documents.ctx, document, &d, err);
    if (status != TM_OK) return status;
    uint64_t n = d.partner ? inputs_of_pair(p, &d, &less) : inputs_of(p, &d, &less);
    uint64_t length = d.partner ? p->options.tokens : p->options.length;
    p->order_dropped += less;
    TM_TRY(reserve(p, p->n_order + n / length + 1, err));
    for (uint64_t first = 0; first < n; first += length) {
        uint64_t size = n - first < length ? n - first : length;
        if (has_label(p, &d, first, size)) p->order[p->n_order++] = (piece){document, first, (uint32_t)size};
    }
    return TM_OK;
}

static void shuffle(tm_pack *p)
{
    uint64_t key = tm_random_u64(p->options.seed, p->at.epoch, p->at.window);
    for (size_t i = 1; i < p->n_order; i++) {
        size_t j = tm_random_below(key, 0, i, i + 1);
        piece other = p->order[i];
        p->order[i] = p->order[j];
        p->order[j] = other;
    }
}

// List and shuffle the pieces of the cursor's window. TM_DONE: the epoch has no such window.
static tm_status load_window(tm_pack *p, tm_error *err)
{
    uint64_t size = p->options.window ? p->options.window : 1, first = p->at.window * size, have = 0;
    tm_status status = p->documents.reach(p->documents.ctx, first + size, &have, err);
    if (status != TM_OK) return status;
    if (have <= first) return TM_DONE;
    uint64_t end = have < first + size ? have : first + size;
    p->n_order = p->order_dropped = 0;
    for (uint64_t i = first; i < end; i++) {
        status = add_pieces(p, i, err);
        if (status != TM_OK) return status;
    }
    if (p->options.window) shuffle(p);
    if (end < first + size)
        p->at.horizon = UINT64_MAX;
    else if (p->at.horizon < end)
        p->at.horizon = end;
    p->order_loaded = true;
    return TM_OK;
}

static tm_status nothing(const tm_pack *p, tm_error *err)
{
    unsigned long long dropped = p->at.dropped;
    const char *what = p->options.held_out ? "valid has nothing to measure on"
                                           : "the data has nothing to train on";
    if (dropped) {
        tm_fail_as(err, TM_EINVAL, "TM0303", "%s: %llu texts are longer than length (%u tokens)", what,
                   dropped, p->options.length);
        tm_hint(err, "a larger length (and batch), or overlong = \"truncate\"");
        return TM_EINVAL;
    }
    tm_fail_as(err, TM_EINVAL, "TM0303", "%s", what);
    if (p->options.held_out)
        tm_hint(err,
                "hold out a larger share, or cut documents into pieces first: tm.split { tm.cut { docs }, "
                "valid = 0.1 }");
    else
        tm_hint(err, "see what went into it: `tidemill status` counts the records of each node");
    return TM_EINVAL;
}

static tm_status next_epoch(tm_pack *p, tm_error *err)
{
    if (p->full_epoch && !p->any) return nothing(p, err);
    p->at.epoch++;
    p->at.window = p->at.piece = p->at.offset = 0;
    p->at.horizon = UINT64_MAX;
    p->full_epoch = true;
    p->any = false;
    return TM_OK;
}

static void next_window(tm_pack *p)
{
    p->at.window++;
    p->at.piece = p->at.offset = 0;
    p->at.dropped += p->order_dropped;
    p->order_loaded = false;
}

// ---- filling

static void add_segment(tm_pack *p, const tm_document *d, uint64_t first, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t k = first + i;
        uint32_t at = p->n_tokens + i;
        p->ids[at] = (int32_t)token_at(p, d, k);
        p->labels[at] = is_label(p, d, k + 1) ? (int32_t)token_at(p, d, k + 1) : -1;
        p->positions[at] = (int32_t)i;
    }
    p->n_tokens += n;
    p->scores[p->n_segments++] = d->score;
    p->cu_seqlens[p->n_segments] = (int32_t)p->n_tokens;
    p->any = true;
}

static void add_pair(tm_pack *p, const tm_document *d)
{
    add_segment(p, d, 0, (uint32_t)full_inputs(p, d));
    add_segment(p, d->partner, 0, (uint32_t)full_inputs(p, d->partner));
}

// Add what fits of the cursor's piece. TM_DONE: it waits for the next batch.
static tm_status add_piece(tm_pack *p, tm_error *err)
{
    const piece *next = &p->order[p->at.piece];
    uint32_t left = p->at.offset < next->n ? next->n - (uint32_t)p->at.offset : 0;
    uint32_t room = p->options.tokens - p->n_tokens;
    if (left > room && p->options.whole) return TM_DONE;
    tm_document d;
    tm_status status = p->documents.get(p->documents.ctx, next->document, &d, err);
    if (status != TM_OK) return status;
    if (left > room && d.partner) return TM_DONE;
    uint32_t n = left < room ? left : room, segment = p->n_segments;
    if (n > 0 && d.partner) add_pair(p, &d);
    else if (n > 0) add_segment(p, &d, next->first + p->at.offset, n);
    for (; segment < p->n_segments; segment++) p->from[segment] = next->document;
    p->at.offset += n;
    if (n < left) return TM_OK;
    p->at.piece++;
    p->at.offset = 0;
    return TM_OK;
}

// One step of filling: a piece, or the turn of a window or an epoch. TM_DONE: the batch is complete as it is.
static tm_status fill(tm_pack *p, tm_error *err)
{
    if (p->options.epochs > 0 && p->at.epoch >= p->options.epochs) return TM_DONE;
    tm_status status = p->order_loaded ? TM_OK : load_window(p, err);
    if (status == TM_DONE) return next_epoch(p, err);
    if (status != TM_OK) return status;
    if (p->at.piece < p->n_order) return add_piece(p, err);
    next_window(p);
    return TM_OK;
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
        .scores = p->scores,
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

size_t tm_pack_documents(const tm_pack *p, uint64_t *numbers, size_t n, size_t most)
{
    for (uint32_t i = 0; i < p->n_segments && n < most; i++) {
        size_t k = 0;
        while (k < n && numbers[k] != p->from[i]) k++;
        if (k == n) numbers[n++] = p->from[i];
    }
    return n;
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
    p->full_epoch = cursor.window == 0 && cursor.piece == 0 && cursor.offset == 0;
    p->any = false;
}

void tm_pack_cursor_text(tm_pack_cursor c, char text[TM_PACK_CURSOR_TEXT])
{
    const uint64_t n[] = {c.epoch, c.window, c.piece, c.offset, c.horizon, c.dropped};
    size_t at = 0;
    for (size_t i = 0; i < 6; i++)
        at += (size_t)snprintf(text + at, TM_PACK_CURSOR_TEXT - at, "%s%" PRIu64, i ? " " : "", n[i]);
}

bool tm_pack_cursor_parse(const char *text, tm_pack_cursor *c)
{
    uint64_t *const n[] = {&c->epoch, &c->window, &c->piece, &c->offset, &c->horizon, &c->dropped};
    for (size_t i = 0; i < 6; i++) {
        int used = 0;
        if (sscanf(text, i ? " %" SCNu64 "%n" : "%" SCNu64 "%n", n[i], &used) != 1) return false;
        text += used;
    }
    return *text == '\0';
}
