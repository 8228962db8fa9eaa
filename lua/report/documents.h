// SPDX-License-Identifier: Apache-2.0
// A look at the documents that a curate chain kept and removed: examples, reasons, scores.
//
// Of large corpora every so-many-th chunk is read, of what was kept and what was removed alike.
#pragma once

#include "lua/report/parts.h"
#include "stages/text/quality.h"

typedef struct tm_numbers { // a list that grows; what memory does not suffice for is left out
    double *v;
    size_t n, capacity;
} tm_numbers;

typedef struct tm_shown {  // the beginning of a document
    char *source, *text, *of;
    double value;
    size_t bytes;
} tm_shown;

typedef struct tm_reason {
    char name[96];  // "gopher.word_count"
    const tm_quality_filter *filter;  // or NULL: not one of the table of rules
    double min, max;                  // its bounds
    tm_numbers removed, kept;         // scores as recorded; of what was kept, measured now
    size_t n;                         // documents seen
    tm_shown examples[2];
    int n_examples;
} tm_reason;

typedef struct tm_documents {
    tm_reason *reasons;
    size_t n_reasons;
    tm_shown kept[3];
    int n_kept;
    tm_numbers kept_bytes, removed_bytes;
    size_t every;  // of so many chunks one was read
} tm_documents;

// `steps`: the nodes of a chain, the last one its end. Free with tm_documents_clear.
tm_status tm_documents_read(const tm_report *report, const tm_past_node *const *steps, size_t n,
                            tm_documents *documents, tm_error *err);
void tm_documents_clear(tm_documents *documents);
