// SPDX-License-Identifier: Apache-2.0
// Port types: what can flow along a link. A row per type; stages name types by text in their ports.
//
// A type is a data log (chunks with a fixed schema), or a tree log (snapshots: folders of files). On top of
// the name, attributes travel at plan time (tokenizer, length, dtype ...): see tm_attrs in engine/stage.h.
#pragma once

#include "engine/batch.h"

typedef struct tm_type {
    const char *name;
    const char *brief;
    const char *entry;   // what one entry is called: "chunk", "snapshot"
    bool tree;           // entries are folders; no columns
    const tm_col *cols;
    size_t n_cols;
} tm_type;

const tm_type *tm_type_find(const char *name);  // NULL if there is none
const tm_type *tm_type_at(size_t i);            // NULL behind the last

// Columns of documents. `id` is 32 hexadecimal digits (+ "#n" for the n-th of several that one record
// became), `meta` a JSON object as text, or empty.
enum { TM_DOC_ID, TM_DOC_TEXT, TM_DOC_SOURCE, TM_DOC_META };
// Columns of tokens: one document each; `bytes` is the length of its text in UTF-8.
enum { TM_TOK_ID, TM_TOK_IDS, TM_TOK_BYTES };
// Columns of examples: a text to learn from; `mask` has one byte per id, 1 where the id is learned.
enum { TM_EXA_ID, TM_EXA_IDS, TM_EXA_MASK };
// Columns of pairs: two answers to one prompt, as ids. An answer has its end token, and all of it is learned.
enum { TM_PAIR_ID, TM_PAIR_PROMPT, TM_PAIR_CHOSEN, TM_PAIR_REJECTED };
// Further columns of scored pairs: summed log-probabilities (nats) of the answers under the reference model.
enum { TM_PAIR_REF_CHOSEN = TM_PAIR_REJECTED + 1, TM_PAIR_REF_REJECTED };
// Columns of metrics: `step` is that of the snapshot measured (or the training step), `error` a standard
// error or NaN, `count` what the mean runs over.
enum { TM_MET_STEP, TM_MET_NAME, TM_MET_VALUE, TM_MET_ERROR, TM_MET_COUNT };

typedef struct tm_doc {
    tm_view id, text, source, meta;
} tm_doc;

tm_status tm_docs_add(tm_batch *docs, const tm_doc *doc, tm_error *err);
tm_doc tm_docs_get(const tm_batch *docs, size_t row);

typedef struct tm_metric {
    int64_t step;
    tm_view name;
    double value, error;
    int64_t count;
} tm_metric;

tm_status tm_metrics_add(tm_batch *metrics, const tm_metric *metric, tm_error *err);
tm_metric tm_metrics_get(const tm_batch *metrics, size_t row);
