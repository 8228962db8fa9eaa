// SPDX-License-Identifier: Apache-2.0
// Documents of a port by number.
#include "stages/train/feed.h"

void tm_feed_init(tm_feed *feed, tm_work *work, const char *port, tm_feed_rows rows)
{
    *feed = (tm_feed){.work = work, .port = port, .rows = rows};
}

void tm_feed_clear(tm_feed *feed)
{
    for (size_t i = 0; i < feed->n_chunks; i++) tm_batch_unref(feed->chunks[i]);
    tm_free(feed->chunks);
    tm_free(feed->first);
    tm_pair_room_clear(&feed->room);
    *feed = (tm_feed){0};
}

static tm_status keep(tm_feed *feed, tm_batch *chunk, tm_error *err)
{
    if (feed->n_chunks == feed->capacity) {
        size_t capacity = feed->capacity ? 2 * feed->capacity : 32;
        tm_batch **chunks = tm_realloc(feed->chunks, capacity * sizeof *chunks);
        if (chunks) feed->chunks = chunks;
        uint64_t *first = tm_realloc(feed->first, capacity * sizeof *first);
        if (first) feed->first = first;
        if (!chunks || !first) {
            tm_batch_unref(chunk);
            return tm_fail(err, TM_ENOMEM, "no memory for %zu chunks of tokens", capacity);
        }
        feed->capacity = capacity;
    }
    feed->first[feed->n_chunks] = feed->n_documents;
    feed->chunks[feed->n_chunks++] = chunk;
    feed->n_documents += tm_batch_rows(chunk);
    return TM_OK;
}

static tm_status reach(void *ctx, uint64_t want, uint64_t *have, tm_error *err)
{
    tm_feed *feed = ctx;
    while (feed->n_documents < want && !feed->ended) {
        tm_batch *chunk;
        tm_status status = tm_take(feed->work, feed->port, &chunk, err);
        if (status < 0) return status;
        if (status == TM_DONE) feed->ended = true;
        else TM_TRY(keep(feed, chunk, err));
    }
    *have = feed->n_documents;
    return TM_OK;
}

// ---- pairs ----

void tm_pair_room_clear(tm_pair_room *room)
{
    for (int i = 0; i < 2; i++) {
        tm_free(room->ids[i]);
        tm_free(room->masks[i]);
    }
    *room = (tm_pair_room){0};
}

static tm_status reserve(tm_pair_room *room, int side, size_t n, tm_error *err)
{
    if (n <= room->capacity[side]) return TM_OK;
    size_t capacity = 2 * n + 64;
    uint32_t *ids = tm_realloc(room->ids[side], capacity * sizeof *ids);
    if (ids) room->ids[side] = ids;
    uint8_t *mask = tm_realloc(room->masks[side], capacity);
    if (mask) room->masks[side] = mask;
    if (!ids || !mask) return tm_fail(err, TM_ENOMEM, "no memory for a pair of %zu tokens", n);
    room->capacity[side] = capacity;
    return TM_OK;
}

// Prompt and answer one after the other; the answer alone is learned.
static tm_status join(const tm_batch *pairs, size_t row, int side, tm_pair_room *room, tm_document *document,
                      tm_error *err)
{
    size_t n_prompt, n_answer;
    const uint32_t *prompt = tm_batch_get_u32s(pairs, TM_PAIR_PROMPT, row, &n_prompt);
    const uint32_t *answer =
        tm_batch_get_u32s(pairs, side ? TM_PAIR_REJECTED : TM_PAIR_CHOSEN, row, &n_answer);
    TM_TRY(reserve(room, side, n_prompt + n_answer, err));
    if (n_prompt) memcpy(room->ids[side], prompt, n_prompt * sizeof *prompt);
    if (n_answer) memcpy(room->ids[side] + n_prompt, answer, n_answer * sizeof *answer);
    memset(room->masks[side], 0, n_prompt);
    memset(room->masks[side] + n_prompt, 1, n_answer);
    *document = (tm_document){.ids = room->ids[side], .mask = room->masks[side], .n = n_prompt + n_answer};
    return TM_OK;
}

tm_status tm_pair_document(const tm_batch *pairs, size_t row, bool scored, tm_pair_room *room,
                           tm_document *document, tm_error *err)
{
    TM_TRY(join(pairs, row, 0, room, document, err));
    TM_TRY(join(pairs, row, 1, room, &room->rejected, err));
    document->partner = &room->rejected;
    if (!scored) return TM_OK;
    document->score = tm_batch_get_f64(pairs, TM_PAIR_REF_CHOSEN, row);
    room->rejected.score = tm_batch_get_f64(pairs, TM_PAIR_REF_REJECTED, row);
    return TM_OK;
}

// ---- rows ----

static tm_status example(const tm_batch *examples, size_t row, tm_document *document, tm_error *err)
{
    tm_view mask = tm_batch_get_bytes(examples, TM_EXA_MASK, row);
    *document = (tm_document){.mask = (const uint8_t *)mask.data};
    document->ids = tm_batch_get_u32s(examples, TM_EXA_IDS, row, &document->n);
    if (mask.size == document->n) return TM_OK;
    return tm_fail(err, TM_EFORMAT, "an example has %zu ids and a mask of %zu", document->n, mask.size);
}

// The chunk and the row of a document.
static const tm_batch *find(const tm_feed *feed, uint64_t i, size_t *row)
{
    size_t low = 0, high = feed->n_chunks;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (feed->first[middle] <= i) low = middle;
        else high = middle;
    }
    *row = (size_t)(i - feed->first[low]);
    return feed->chunks[low];
}

static tm_status get(void *ctx, uint64_t i, tm_document *document, tm_error *err)
{
    tm_feed *feed = ctx;
    size_t row;
    const tm_batch *chunk = find(feed, i, &row);
    if (feed->rows == TM_FEED_PAIRS) return tm_pair_document(chunk, row, true, &feed->room, document, err);
    if (feed->rows == TM_FEED_EXAMPLES) return example(chunk, row, document, err);
    *document = (tm_document){0};
    document->ids = tm_batch_get_u32s(chunk, TM_TOK_IDS, row, &document->n);
    return TM_OK;
}

tm_view tm_feed_id(const tm_feed *feed, uint64_t i)
{
    size_t row;
    const tm_batch *chunk = find(feed, i, &row);
    static const size_t columns[] = {[TM_FEED_TOKENS] = TM_TOK_ID,
                                     [TM_FEED_EXAMPLES] = TM_EXA_ID,
                                     [TM_FEED_PAIRS] = TM_PAIR_ID};
    return tm_batch_get_bytes(chunk, columns[feed->rows], row);
}

tm_documents tm_feed_documents(tm_feed *feed)
{
    return (tm_documents){.ctx = feed, .reach = reach, .get = get};
}
