// SPDX-License-Identifier: Apache-2.0
// The sections of a report, and what they share.
#pragma once

#include "engine/stage.h"
#include "engine/store_key.h"
#include "lua/past/past.h"
#include "lua/report/report.h"

// A section writes nothing where there is nothing to say; failures are of memory alone, which the buffer
// remembers.
typedef void tm_report_section(const tm_report *report, tm_buf *page);
tm_report_section tm_report_head, tm_report_picture, tm_report_timeline, tm_report_curves, tm_report_curation,
    tm_report_measures, tm_report_samples, tm_report_lineage, tm_report_facts, tm_report_nodes;

// <section> with its heading; `id` is also that of the entry in the contents.
void tm_report_open(tm_buf *page, const char *id, const char *title);
void tm_report_close(tm_buf *page);
// A box that scrolls by itself, for what is wider than a phone, called `label`; is closed by </div>.
void tm_report_wide(tm_buf *page, const char *label);
// The frame of a page: head, styles, policy; and its end with the script.
void tm_report_frame(tm_buf *page, const char *title);
void tm_report_frame_end(tm_buf *page);

// "done" "cached" "failed" ... as a sign before the word: not by colour alone.
const char *tm_report_sign(const char *state);
const char *tm_report_class(const char *state);  // of the style sheet: "done", "cached", "failed", "other"

// Rows of a table that has one for each node.
#define TM_REPORT_ROWS 1000

// Whether a node is "END/STEP" of a chain whose last step is called END; gives END, or NULL.
const tm_past_node *tm_report_chain(const tm_past *past, const tm_past_node *node);
// The node that gives an input of a recorded plan, or NULL; and "NODE.PORT" of it as text.
const tm_past_node *tm_report_maker(const tm_report *report, const json_t *input);
void tm_report_source(tm_buf *page, const tm_past_node *maker, const json_t *input);
// The key record of a node's work, or NULL. Borrowed from the store.
const tm_record *tm_report_record(const tm_report *report, const tm_past_node *node);
bool tm_report_executed(const tm_past_node *node);
// A node whose work another one did has the state of that one.
void tm_report_share(tm_past *past);
const char *tm_report_family(const tm_past_node *node);  // of its stage, "" if the program has none

// A text of at most `most` letters: of a longer one the beginning and the end.
const char *tm_report_cut(const char *whole, int most, char text[256]);

// A value of an option or parameter, as a graph file has it: wsd { warmup = 10, decay = 0.5 }.
void tm_report_value(tm_buf *page, const json_t *value);

// "2026-11-21 15:28:46"
const char *tm_report_date(int64_t ms, char text[TM_HTML_NUMBER]);
// What a node made: "1,027 records", "5 snapshots", "" where it is not known.
const char *tm_report_made(const tm_past_node *node, char text[96]);

// ---- drawing (chart.c) ----

typedef struct tm_curve {
    const char *name;
    size_t n;
    const int64_t *xs;
    const double *ys;
    int style;     // 0...: colour and dashes
    bool earlier;  // of another run: thin
} tm_curve;

// The same as a folded table; not all steps of long ones.
void tm_chart_table(tm_buf *page, const char *caption, const tm_curve *curves, size_t n);
// A chart of curves with a title, a text alternative and names at the curves' ends.
void tm_chart_curves(tm_buf *page, const char *id, const char *title, const tm_curve *curves, size_t n);

typedef struct tm_bars {
    const char *name;
    double counts[24];
} tm_bars;
// Bars of several kinds upon one another over [min, max); marks: bounds to draw (NAN: none). `tens`: these
// numbers are logarithms to the base of ten.
void tm_chart_bars(tm_buf *page, const char *id, const char *title, double min, double max, bool tens,
                   int n_bins, const tm_bars *bars, size_t n, const double marks[2]);

// Round steps for an axis of about `n` parts.
double tm_chart_step(double range, int n);
