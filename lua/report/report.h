// SPDX-License-Identifier: Apache-2.0
// The report of a run: one HTML file that needs nothing else, made from the run's journal and the store.
//
// page.c puts the sections together; each is a file of its own. Everything reads without the script, nothing
// is loaded from elsewhere (a policy in the page forbids it), and no colour says what a word does not say.
#pragma once

#include "lua/past/past.h"
#include "lua/report/html.h"

// What may be spent on a report.
typedef struct tm_report_means {
    double sample_seconds;  // on letting models speak, in all; 0: they are not asked
    int64_t model_bytes;    // larger models are not asked
    int64_t read_bytes;     // of documents, for examples and scores
} tm_report_means;

extern const tm_report_means tm_report_quick;   // for the end of a run: a fraction of a second
extern const tm_report_means tm_report_patient;  // for people who ask for one

#define TM_REPORT_EARLIER 3

typedef struct tm_report {
    tm_store *store;
    tm_past past;
    tm_past earlier[TM_REPORT_EARLIER];  // runs of the same graph file before this one, the latest first
    size_t n_earlier;
    tm_report_means means;
    json_t *makers;  // recipe -> place in past.nodes
} tm_report;

// `run`: "r12", or NULL for the latest. Appends the page.
tm_status tm_report_page(tm_store *store, const char *run, const tm_report_means *means, tm_buf *page,
                         tm_error *err);
// Two runs side by side.
tm_status tm_report_compare(tm_store *store, const char *a, const char *b, tm_buf *page, tm_error *err);
// Write the report of a run that ended beside its journal; `path` receives where.
tm_status tm_report_leave(tm_store *store, const char *run, char path[TM_PATH_MAX], tm_error *err);
