// SPDX-License-Identifier: Apache-2.0
// Token documents of an input port, by number, as packing wants them. They are taken from the port when they
// are first asked for, so that training starts with the first chunk, and kept (4 bytes a token) for later
// epochs.
#pragma once

#include "engine/stage.h"
#include "stages/train/pack.h"

typedef struct tm_feed {
    tm_work *work;
    const char *port;
    tm_batch **chunks;
    uint64_t *first;      // number of the first document of each chunk
    size_t n_chunks, capacity;
    uint64_t n_documents;
    bool ended;
} tm_feed;

void tm_feed_init(tm_feed *feed, tm_work *work, const char *port);
void tm_feed_clear(tm_feed *feed);
tm_documents tm_feed_documents(tm_feed *feed);  // borrows the feed
