// SPDX-License-Identifier: Apache-2.0
// Token documents of an input port, by number, as packing wants them. They are taken from the port when they
// are first asked for, so that training starts with the first chunk, and kept (4 bytes a token) for later
// epochs.
#pragma once

#include "engine/stage.h"
#include "stages/train/pack.h"

// What a row of the port becomes.
typedef enum {
    TM_FEED_TOKENS,   // `tokens`: a document, all of it labels
    TM_FEED_EXAMPLES, // `examples`: a document with a mask
    TM_FEED_PAIRS,    // `scored_pairs`: the chosen answer behind its prompt, with the rejected one as partner
} tm_feed_rows;

// Room for a pair: its two texts, put together from prompt and answers.
typedef struct tm_pair_room {
    uint32_t *ids[2];
    uint8_t *masks[2];
    size_t capacity[2];
    tm_document rejected;
} tm_pair_room;

typedef struct tm_feed {
    tm_work *work;
    const char *port;
    tm_feed_rows rows;
    tm_batch **chunks;
    uint64_t *first; // number of the first document of each chunk
    size_t n_chunks, capacity;
    uint64_t n_documents;
    bool ended;
    tm_pair_room room;
} tm_feed;

void tm_feed_init(tm_feed *feed, tm_work *work, const char *port, tm_feed_rows rows);
void tm_feed_clear(tm_feed *feed);
tm_documents tm_feed_documents(tm_feed *feed); // borrows the feed
// The id of a document that was taken already; borrowed from the feed.
tm_view tm_feed_id(const tm_feed *feed, uint64_t i);

// Row `row` of a batch of pairs, scored or not, as a document with a partner; valid until the room is used
// again.
tm_status tm_pair_document(const tm_batch *pairs, size_t row, bool scored, tm_pair_room *room,
                           tm_document *document, tm_error *err);
void tm_pair_room_clear(tm_pair_room *room);
