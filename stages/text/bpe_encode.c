// SPDX-License-Identifier: Apache-2.0
// Encoding: added tokens, normalization, pieces, and for each piece its ids, mostly out of a cache.
//
// Pieces are looked up in batches, so that the lines of the cache are on their way before they are needed.
#include <stdlib.h>

#include "stages/text/bpe_cache.h"
#include "stages/text/bpe_nfc.h"
#include "stages/text/bpe_parts.h"

#define BATCH 512

struct tm_bpe_encoder {
    const tm_bpe *bpe;
    tm_bpe_cache cache;
    tm_bpe_heap heap;
    tm_buf normal, spaced, spelled;
};

// --- Ids

void tm_bpe_ids_clear(tm_bpe_ids *ids)
{
    tm_free(ids->data);
    *ids = (tm_bpe_ids){0};
}

static bool reserve(tm_bpe_ids *ids, size_t more)
{
    if (more <= ids->capacity - ids->size) return true;
    size_t capacity = ids->capacity + ids->capacity / 2 + more + 64;
    uint32_t *data = tm_realloc(ids->data, capacity * sizeof *data);
    if (!data) return false;
    ids->data = data;
    ids->capacity = capacity;
    return true;
}

static tm_status no_memory(tm_error *err)
{
    return tm_fail(err, TM_ENOMEM, "out of memory for the ids of a text");
}

static bool push(tm_bpe_ids *ids, uint32_t id)
{
    if (!reserve(ids, 1)) return false;
    ids->data[ids->size++] = id;
    return true;
}

// --- The encoder

// Entries of the vocabulary are known from the start. The highest ids go in first and are the first to go.
static void fill_cache(tm_bpe_encoder *encoder)
{
    for (size_t id = encoder->bpe->size; id-- > 0;) {
        const tm_bpe_token *token = &encoder->bpe->tokens[id];
        if (token->whole) tm_bpe_cache_preload(&encoder->cache, token->bytes, (uint32_t)id);
    }
}

tm_bpe_encoder *tm_bpe_encoder_new(const tm_bpe *bpe)
{
    tm_bpe_encoder *encoder = tm_calloc(1, sizeof *encoder);
    if (!encoder) return NULL;
    encoder->bpe = bpe;
    if (!tm_bpe_cache_init(&encoder->cache)) {
        tm_bpe_encoder_free(encoder);
        return NULL;
    }
    fill_cache(encoder);
    return encoder;
}

void tm_bpe_encoder_free(tm_bpe_encoder *encoder)
{
    if (!encoder) return;
    tm_bpe_cache_clear(&encoder->cache);
    tm_bpe_heap_clear(&encoder->heap);
    tm_buf_clear(&encoder->normal);
    tm_buf_clear(&encoder->spaced);
    tm_buf_clear(&encoder->spelled);
    tm_free(encoder);
}

// --- One piece

// The symbols that a piece begins as: one a byte; what has none becomes `unk` or nothing.
static size_t symbols(const tm_bpe *bpe, tm_view piece, uint32_t *ids)
{
    size_t n = 0;
    bool after_unk = false;
    for (size_t i = 0; i < piece.size; i++) {
        uint32_t id = bpe->of_byte[(uint8_t)piece.data[i]];
        bool unknown = id == TM_BPE_NONE;
        if (!unknown)
            ids[n++] = id;
        else if (bpe->spec.unk != TM_BPE_NONE && !(after_unk && bpe->spec.fuse_unk))
            ids[n++] = bpe->spec.unk;
        after_unk = unknown;
    }
    return n;
}

// The id of a piece that is an entry and comes out whole, or TM_BPE_NONE.
static tm_status find_whole(tm_bpe_encoder *encoder, tm_view piece, uint32_t *id, tm_error *err)
{
    *id = TM_BPE_NONE;
    if (piece.size > encoder->bpe->longest) return TM_OK;
    tm_buf_reset(&encoder->spelled);
    tm_bpe_spell(piece, &encoder->spelled);
    TM_TRY(tm_buf_status(&encoder->spelled, err));
    uint32_t found = tm_bpe_find(encoder->bpe, tm_buf_view(&encoder->spelled));
    if (found != TM_BPE_NONE && encoder->bpe->tokens[found].whole) *id = found;
    return TM_OK;
}

// Put the ids of a piece at `out`, which has room for one a byte.
static tm_status merge_piece(tm_bpe_encoder *encoder, tm_view piece, uint32_t *out, size_t *n, tm_error *err)
{
    *n = 1;
    TM_TRY(find_whole(encoder, piece, out, err));
    if (out[0] != TM_BPE_NONE) return TM_OK;
    size_t n_symbols = symbols(encoder->bpe, piece, out);
    *n = tm_bpe_merge_long(encoder->bpe, &encoder->heap, out, n_symbols);
    if (*n || !n_symbols) return TM_OK;
    return tm_fail(err, TM_ENOMEM, "out of memory for a piece of %zu bytes", piece.size);
}

// Append the ids of a piece that the lines of the cache do not have.
static __attribute__((noinline)) tm_status add_piece(tm_bpe_encoder *encoder, tm_view piece, tm_bpe_ids *ids,
                                                     tm_error *err)
{
    if (piece.size >= UINT32_MAX)
        return tm_fail(err, TM_EUNSUPPORTED, "a piece of %zu bytes; the limit is 4 GiB", piece.size);
    if (!reserve(ids, piece.size)) return tm_fail(err, TM_ENOMEM, "out of memory for %zu ids", piece.size);
    uint32_t *out = ids->data + ids->size;
    size_t n;
    const uint32_t *known = tm_bpe_cache_get_long(&encoder->cache, piece, &n);
    if (known) {
        memcpy(out, known, n * sizeof *out);
    } else {
        TM_TRY(merge_piece(encoder, piece, out, &n, err));
        tm_bpe_cache_put(&encoder->cache, piece, out, n);
    }
    ids->size += n;
    return TM_OK;
}

// --- A text without added tokens

typedef struct pieces {
    size_t n, ends[BATCH];
    tm_bpe_key keys[BATCH];
    const tm_bpe_line *lines[BATCH];
} pieces;

static tm_bpe_key key_near_end(const char *p, size_t n)
{
    char padded[16] = {0};
    memcpy(padded, p, n);
    return tm_bpe_key_of(padded, n);
}

// Keys of the pieces in a batch, and the lines that may have them on their way.
static void probe(const tm_bpe_encoder *encoder, tm_view text, size_t begin, pieces *batch)
{
    size_t last_room = text.size < 16 ? 0 : text.size - 15;  // before it, 16 bytes can be read
    for (size_t i = 0; i < batch->n; begin = batch->ends[i++]) {
        size_t size = batch->ends[i] - begin;
        tm_bpe_key key = {0, 0};
        if (size <= TM_BPE_KEY_BYTES)
            key = begin < last_room ? tm_bpe_key_of(text.data + begin, size)
                                    : key_near_end(text.data + begin, size);
        batch->keys[i] = key;
        batch->lines[i] = &encoder->cache.lines[tm_bpe_line_of(key)];
        __builtin_prefetch(batch->lines[i]);
    }
}

// Append the ids of a batch; there is room for TM_BPE_KEY_IDS + 1 a piece.
static tm_status add_batch(tm_bpe_encoder *encoder, tm_view text, size_t begin, const pieces *batch,
                           tm_bpe_ids *ids, tm_error *err)
{
    uint32_t *out = ids->data + ids->size;
    for (size_t i = 0; i < batch->n; begin = batch->ends[i++]) {
        tm_bpe_key key = batch->keys[i];
        const struct tm_bpe_short *entry = batch->lines[i]->entries;
        entry += !tm_bpe_key_eq(entry->key, key);
        if (__builtin_expect(tm_bpe_key_eq(entry->key, key) && key.high, true)) {
            memcpy(out, entry->ids, sizeof entry->ids + sizeof entry->n);
            out += entry->n;
            continue;
        }
        ids->size = (size_t)(out - ids->data);
        TM_TRY(add_piece(encoder, tm_view_of(text.data + begin, batch->ends[i] - begin), ids, err));
        if (!reserve(ids, (batch->n - i) * (TM_BPE_KEY_IDS + 1))) return no_memory(err);
        out = ids->data + ids->size;
    }
    ids->size = (size_t)(out - ids->data);
    return TM_OK;
}

static tm_status add_pieces(tm_bpe_encoder *encoder, tm_view text, tm_bpe_ids *ids, tm_error *err)
{
    pieces batch;
    for (size_t at = 0, begin = 0;; begin = at) {
        batch.n = tm_pretokenize(encoder->bpe->spec.pretokenizer, text, &at, batch.ends, BATCH);
        if (!batch.n) return TM_OK;
        if (!reserve(ids, BATCH * (TM_BPE_KEY_IDS + 1))) return no_memory(err);
        probe(encoder, text, begin, &batch);
        TM_TRY(add_batch(encoder, text, begin, &batch, ids, err));
    }
}

static tm_status add_plain(tm_bpe_encoder *encoder, tm_view text, tm_bpe_ids *ids, tm_error *err)
{
    if (!encoder->bpe->spec.add_prefix_space || !text.size || text.data[0] == ' ')
        return add_pieces(encoder, text, ids, err);
    tm_buf_reset(&encoder->spaced);
    tm_buf_char(&encoder->spaced, ' ');
    tm_buf_add(&encoder->spaced, text.data, text.size);
    TM_TRY(tm_buf_status(&encoder->spaced, err));
    return add_pieces(encoder, tm_buf_view(&encoder->spaced), ids, err);
}

// --- Whole texts

typedef tm_status part_fn(tm_bpe_encoder *encoder, tm_view text, bool plain, tm_bpe_ids *ids, tm_error *err);

// The added tokens of one set, and what is between them by `part`.
static tm_status add_parts(tm_bpe_encoder *encoder, const tm_bpe_needles *needles, part_fn *part,
                           tm_view text, bool plain, tm_bpe_ids *ids, tm_error *err)
{
    tm_bpe_search search = {.needles = needles, .text = text, .plain = plain};
    while (needles->n && tm_bpe_search_next(&search)) {
        if (search.gap.size) TM_TRY(part(encoder, search.gap, plain, ids, err));
        if (!push(ids, search.id)) return no_memory(err);
    }
    tm_view rest = needles->n ? search.gap : text;
    return rest.size ? part(encoder, rest, plain, ids, err) : TM_OK;
}

static tm_status add_last(tm_bpe_encoder *encoder, tm_view text, bool plain, tm_bpe_ids *ids, tm_error *err)
{
    return add_plain(encoder, text, ids, err);
}

static tm_status add_normal(tm_bpe_encoder *encoder, tm_view text, bool plain, tm_bpe_ids *ids, tm_error *err)
{
    if (encoder->bpe->spec.nfc && !tm_nfc_is_normal(text)) {
        tm_buf_reset(&encoder->normal);
        TM_TRY(tm_nfc_add(text, &encoder->normal, err));
        text = tm_buf_view(&encoder->normal);
    }
    return add_parts(encoder, &encoder->bpe->normal, add_last, text, plain, ids, err);
}

static tm_status add_all(tm_bpe_ids *ids, const uint32_t *more, size_t n, tm_error *err)
{
    if (!reserve(ids, n)) return no_memory(err);
    if (n) memcpy(ids->data + ids->size, more, n * sizeof *more);
    ids->size += n;
    return TM_OK;
}

static tm_status encode(tm_bpe_encoder *encoder, tm_view text, unsigned flags, tm_bpe_ids *ids, tm_error *err)
{
    const tm_bpe_spec *spec = &encoder->bpe->spec;
    if (!reserve(ids, text.size / 4)) return no_memory(err);  // what most texts need
    if (flags & TM_BPE_TEMPLATE) TM_TRY(add_all(ids, spec->prefix, spec->n_prefix, err));
    TM_TRY(add_parts(encoder, &encoder->bpe->raw, add_normal, text, flags & TM_BPE_PLAIN, ids, err));
    return flags & TM_BPE_TEMPLATE ? add_all(ids, spec->suffix, spec->n_suffix, err) : TM_OK;
}

tm_status tm_bpe_encode(tm_bpe_encoder *encoder, tm_view text, unsigned flags, tm_bpe_ids *ids, tm_error *err)
{
    size_t before = ids->size;
    tm_status status = encode(encoder, text, flags, ids, err);
    if (status < 0) ids->size = before;
    return status;
}
