// SPDX-License-Identifier: Apache-2.0
// Documents of a port by number.
#include "stages/train/feed.h"

void tm_feed_init(tm_feed *feed, tm_work *work, const char *port)
{
    *feed = (tm_feed){.work = work, .port = port};
}

void tm_feed_clear(tm_feed *feed)
{
    for (size_t i = 0; i < feed->n_chunks; i++) tm_batch_unref(feed->chunks[i]);
    tm_free(feed->chunks);
    tm_free(feed->first);
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

static tm_status get(void *ctx, uint64_t i, tm_document *document, tm_error *err)
{
    const tm_feed *feed = ctx;
    size_t low = 0, high = feed->n_chunks;
    (void)err;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (feed->first[middle] <= i) low = middle;
        else high = middle;
    }
    *document = (tm_document){0};
    document->ids = tm_batch_get_u32s(feed->chunks[low], TM_TOK_IDS, (size_t)(i - feed->first[low]),
                                      &document->n);
    return TM_OK;
}

tm_documents tm_feed_documents(tm_feed *feed)
{
    return (tm_documents){.ctx = feed, .reach = reach, .get = get};
}
