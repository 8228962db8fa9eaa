// SPDX-License-Identifier: Apache-2.0
// Packing: a stream of tokenized documents into batches of a fixed number of tokens.
//
// A document of tokens t with its marks is s = [bos] t [eos]; inputs are s without its last token, labels s
// without its first. It is cut into pieces of `length` inputs; every token of s but the first is a label
// exactly once, and no label crosses a document. Pieces lie one after the other, each a segment with
// positions from 0, until the batch is full; a piece that is cut there goes on as a segment of the next
// batch.
//
// Order: the pieces of a window of documents are shuffled together, so that a small batch holds pieces of
// many documents; the order in window w of epoch e is a permutation keyed by (seed, e, w). Documents appended
// to the data change no full window before them. The place in this sequence is a cursor of a few numbers;
// seek to it and the same batches follow.
//
// A document may have a partner (the other answer of a pair): the two are segments one after the other of one
// batch, never cut. If one of them is longer than `length`, or both together than a batch, they are left out,
// whatever `overlong` says. Pieces without a label are left out too.
#pragma once

#include "stages/model/pass.h"

// `mask` (NULL: all ones) has a byte a token: 0 keeps it from being a label; the end mark goes by the last
// token.
typedef struct tm_document {
    const uint32_t *ids;
    const uint8_t *mask;
    size_t n;
    double score;                       // of the segment (tm_tokens.scores)
    const struct tm_document *partner;  // or NULL
} tm_document;

// Documents by number. Both calls may answer TM_AGAIN while the producer is still at work.
typedef struct tm_documents {
    void *ctx;
    // Wait for document number `want - 1`: TM_OK with *have >= want, or with *have < want when the data has
    // ended and holds *have documents.
    tm_status (*reach)(void *ctx, uint64_t want, uint64_t *have, tm_error *err);
    // Tokens of document i (i < have); valid until the next call.
    tm_status (*get)(void *ctx, uint64_t i, tm_document *document, tm_error *err);
} tm_documents;

typedef enum {
    TM_OVERLONG_CUT,       // into pieces
    TM_OVERLONG_TRUNCATE,  // the rest is left out
    TM_OVERLONG_DROP,      // the document is left out
} tm_overlong;

typedef struct tm_pack_options {
    uint32_t tokens;  // of a batch
    uint32_t length;  // of a segment, at most; no more than tokens
    int64_t bos, eos; // -1: none
    bool whole;       // a piece is never cut to fill a batch: it waits for the next (fine-tuning)
    tm_overlong overlong;
    uint32_t window;  // documents of a shuffle window; 0: documents in order, nothing is shuffled
    uint64_t seed;
    uint64_t epochs;  // 0: without end
    bool held_out;    // what the data are, in messages
} tm_pack_options;

// Where the sequence of batches stands. Plain numbers: copy it, store it, compare it.
typedef struct tm_pack_cursor {
    uint64_t epoch, window;
    uint64_t piece;    // in the shuffled order of the window
    uint64_t offset;   // inputs of it that are done
    uint64_t horizon;  // documents of the data on which the batches so far depend; UINT64_MAX: on its end
    uint64_t dropped;  // documents of finished windows that were left out or shortened for their length
} tm_pack_cursor;

typedef struct tm_pack tm_pack;

// TM_EINVAL names the option that is outside its range.
tm_status tm_pack_new(tm_pack **pack, const tm_pack_options *options, const tm_documents *documents,
                      tm_error *err);
void tm_pack_free(tm_pack *pack);

// The next batch, valid until the next call. TM_AGAIN: documents are missing yet, call again later; TM_DONE:
// all epochs are over (the last batch may be short). TM_EINVAL: data without a single label.
tm_status tm_pack_next(tm_pack *pack, tm_tokens *batch, tm_error *err);

// Which documents the last batch has pieces of: those that are not among the `n` numbers yet are added, up to
// `most` in all. Gives how many there are now.
size_t tm_pack_documents(const tm_pack *pack, uint64_t *numbers, size_t n, size_t most);

// The place after the last complete batch; go to a place. Its `epoch` is `epochs` if the data ended while the
// batch was filled.
tm_pack_cursor tm_pack_tell(const tm_pack *pack);
void tm_pack_seek(tm_pack *pack, tm_pack_cursor cursor);

// As text for metadata: six numbers separated by blanks.
#define TM_PACK_CURSOR_TEXT 136
void tm_pack_cursor_text(tm_pack_cursor cursor, char text[TM_PACK_CURSOR_TEXT]);
bool tm_pack_cursor_parse(const char *text, tm_pack_cursor *cursor);
