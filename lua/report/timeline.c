// SPDX-License-Identifier: Apache-2.0
// When each node was at work, and how many cores were lent meanwhile.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/cli/counts.h"
#include "lua/report/parts.h"

#define LEFT 176.0
#define WIDTH 960.0
#define RIGHT 76.0
#define ROW 21.0
#define CORES 74.0
#define MOST_ROWS 100

typedef struct line {              // a node, or nodes of one group that were executed together
    const tm_past_node *first, *last;
    int n;
} line;

typedef struct timeline {
    const tm_report *report;
    line *lines;
    size_t n;
    double end_ms;
} timeline;

static int64_t group_of(const tm_past_node *node)
{
    const json_t *group = json_object_get(node->plan, "group");
    return json_is_integer(group) ? json_integer_value(group) : -1;
}

static int by_begin(const void *a, const void *b)
{
    const line *x = a, *y = b;
    int64_t p = x->first->spans[0].begin_ms, q = y->first->spans[0].begin_ms;
    return p != q ? (p > q) - (p < q) : (x->first > y->first) - (x->first < y->first);
}

static bool collect(timeline *t)
{
    const tm_past *past = &t->report->past;
    t->lines = tm_calloc(past->n_nodes + 1, sizeof *t->lines);
    for (size_t i = 0; t->lines && i < past->n_nodes; i++) {
        const tm_past_node *node = &past->nodes[i];
        line *before = t->n ? &t->lines[t->n - 1] : NULL;
        if (!tm_report_executed(node)) continue;
        if (before && group_of(node) >= 0 && group_of(before->last) == group_of(node) &&
            before->first->spans[0].begin_ms == node->spans[0].begin_ms) {
            before->last = node;
            before->n++;
        } else {
            t->lines[t->n++] = (line){node, node, 1};
        }
    }
    if (t->lines) qsort(t->lines, t->n, sizeof *t->lines, by_begin);
    return t->lines != NULL;
}

static double length_of(const line *l)
{
    const tm_past_span *last = &l->first->spans[l->first->n_spans - 1];
    return last->end_ms >= 0 ? (double)(last->end_ms - l->first->spans[0].begin_ms) : 1e18;
}

static int longest_first(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x < *y) - (*x > *y);
}

// Of too many nodes those that took longest are shown: as long as this, or longer.
static double shortest_shown(const timeline *t)
{
    double *all = t->n > MOST_ROWS ? tm_calloc(t->n, sizeof *all) : NULL, least = 0;
    if (!all) return 0;
    for (size_t i = 0; i < t->n; i++) all[i] = length_of(&t->lines[i]);
    qsort(all, t->n, sizeof *all, longest_first);
    least = all[MOST_ROWS - 1];
    tm_free(all);
    return least;
}

static double span_end(const timeline *t, const tm_past_span *span)
{
    return span->end_ms >= 0 ? (double)span->end_ms : t->end_ms;
}

static double x_of(const timeline *t, double ms)
{
    return LEFT + (t->end_ms > 0 ? ms / t->end_ms : 0) * (WIDTH - LEFT - RIGHT);
}

static void draw_name(tm_buf *page, const line *l, double y)
{
    char text[96], cut[256];
    const char *name = l->first->name, *slash = strrchr(name, '/');
    if (strlen(name) > 24 && slash) name = slash + 1;  // the point of a sweep, a step of a chain
    if (l->n > 1) snprintf(text, sizeof text, "%s %d fused", tm_report_cut(name, 15, cut), l->n);
    else snprintf(text, sizeof text, "%s", tm_report_cut(name, 24, cut));
    tm_html(page, "<text class=\"name end\" x=\"%.0f\" y=\"%.1f\">%s</text>", LEFT - 8, y + 14, text);
}

static void draw_line(const timeline *t, const line *l, double y, tm_buf *page)
{
    char time[TM_COUNT_TEXT], end[TM_COUNT_TEXT];
    double last = 0;
    tm_html(page, "<g><title>%s", l->first->name);
    if (l->n > 1) tm_html(page, " to %s, executed together", l->last->name);
    tm_html(page, ": from %s to %s, %s</title>",
            tm_duration_text((double)l->first->spans[0].begin_ms / 1000, time),
            tm_duration_text(span_end(t, &l->first->spans[l->first->n_spans - 1]) / 1000, end),
            l->last->state);
    draw_name(page, l, y);
    for (size_t i = 0; i < l->first->n_spans; i++) {
        const tm_past_span *span = &l->first->spans[i];
        double from = x_of(t, (double)span->begin_ms), to = x_of(t, span_end(t, span));
        tm_html(page,
                "<rect class=\"span %s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" rx=\"2\"/>",
                tm_report_class(l->last->state), from, y + 3, to - from < 1.5 ? 1.5 : to - from, ROW - 6);
        last = to;
    }
    const tm_past_span *span = &l->first->spans[l->first->n_spans - 1];
    double seconds = l->last->seconds >= 0 ? l->last->seconds
                                           : (span_end(t, span) - (double)span->begin_ms) / 1000;
    tm_html(page, "<text class=\"time\" x=\"%.1f\" y=\"%.1f\">%s %s</text></g>\n", last + 5, y + 14,
            tm_report_sign(l->last->state), tm_duration_text(seconds, time));
}

static const char *moment(double seconds, char text[TM_HTML_NUMBER])
{
    long long s = llround(seconds), m = s / 60, h = s / 3600;
    if (seconds < 60)
        snprintf(text, TM_HTML_NUMBER, "%g s", seconds);
    else if (h < 1)
        snprintf(text, TM_HTML_NUMBER, s % 60 ? "%lld min %lld s" : "%lld min", m, s % 60);
    else if (h < 24)
        snprintf(text, TM_HTML_NUMBER, m % 60 ? "%lld h %lld min" : "%lld h", h, m % 60);
    else
        snprintf(text, TM_HTML_NUMBER, h % 24 ? "%lld d %lld h" : "%lld d", h / 24, h % 24);
    return text;
}

// Between two marks of an axis: of more than a minute, a time that clocks have.
static double step_of(double seconds)
{
    static const double steps[] = {15,   30,   60,   120,   300,   600,   900,  1800,
                                   3600, 7200, 10800, 21600, 43200, 86400, 172800};
    size_t n = sizeof steps / sizeof *steps, i = 0;
    if (seconds <= 60) return tm_chart_step(seconds, 8);
    while (i < n && seconds / steps[i] > 8) i++;
    return i < n ? steps[i] : 86400 * ceil(seconds / 86400 / 8);
}

static void draw_axis(const timeline *t, double height, tm_buf *page)
{
    double seconds = t->end_ms / 1000, step = step_of(seconds);
    char text[TM_HTML_NUMBER];
    for (int i = 0; i <= 16 && i * step <= seconds * 1.0001; i++) {
        double s = i * step, x = x_of(t, s * 1000);
        tm_html(
            page,
            "<path class=\"grid\" d=\"M%.1f 18V%.0f\"/><text class=\"tick mid\" x=\"%.1f\" y=\"12\">%s</text>",
            x, height, x, s > 0 ? moment(s, text) : "0");
    }
}

// ---- cores ----

typedef struct change {
    double ms;
    int64_t cores;
} change;

static int by_time(const void *a, const void *b)
{
    const change *x = a, *y = b;
    return x->ms != y->ms ? (x->ms > y->ms) - (x->ms < y->ms) : (x->cores > y->cores) - (x->cores < y->cores);
}

static bool cores_known(const timeline *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->lines[i].last->cores > 0) return true;
    return false;
}

static size_t collect_changes(const timeline *t, change *changes, bool known)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; k < t->lines[i].first->n_spans; k++) {
            const tm_past_span *span = &t->lines[i].first->spans[k];
            int64_t cores = known ? t->lines[i].last->cores : 1;
            if (cores <= 0) cores = json_integer_value(json_object_get(t->report->past.record, "cores"));
            changes[n++] = (change){(double)span->begin_ms, cores};
            changes[n++] = (change){span_end(t, span), -cores};
        }
    qsort(changes, n, sizeof *changes, by_time);
    return n;
}

// Cores lent by time; of runs that did not record them, nodes at work.
static void draw_cores(const timeline *t, double top, bool known, tm_buf *page)
{
    size_t n_spans = 0;
    for (size_t i = 0; i < t->n; i++) n_spans += t->lines[i].first->n_spans;
    change *changes = tm_calloc(2 * n_spans + 1, sizeof *changes);
    if (!changes) return;
    size_t n = collect_changes(t, changes, known);
    int64_t now = 0, most = known ? json_integer_value(json_object_get(t->report->past.record, "cores")) : 1;
    if (most < 1) most = 1;
    for (size_t i = 0; i < n; i++) {
        now += changes[i].cores;
        if (!known && now > most) most = now;
    }
    tm_html(page, "<text class=\"name end\" x=\"%.0f\" y=\"%.0f\">%s</text>", LEFT - 8, top + CORES / 2 + 4,
            known ? "cores lent, at most" : "nodes at work");
    tm_html(page,
            "<text class=\"tick end\" x=\"%.0f\" y=\"%.0f\">%lld</text><path class=\"area\" d=\"M%.1f %.1f",
            LEFT - 8, top + 10, (long long)most, LEFT, top + CORES);
    now = 0;
    for (size_t i = 0; i < n; i++) {
        now += changes[i].cores;
        int64_t shown = now < most ? now : most;
        if (i + 1 < n && changes[i + 1].ms == changes[i].ms) continue;
        tm_html(page, "H%.1fV%.1f", x_of(t, changes[i].ms),
                top + CORES - (CORES - 4) * (double)shown / (double)most);
    }
    tm_html(page, "V%.1fZ\"/><path class=\"axis\" d=\"M%.0f %.1fH%.0f\"/>\n", top + CORES, LEFT, top + CORES,
            WIDTH - RIGHT);
    tm_free(changes);
}

static void draw(const timeline *t, tm_buf *page)
{
    char time[TM_COUNT_TEXT];
    size_t n = t->n < MOST_ROWS ? t->n : MOST_ROWS;
    double top = 24 + ROW * (double)n, height = top + 12 + CORES + 4;
    tm_report_wide(page, "Timeline");
    tm_html(
        page,
        "<svg class=\"timeline\" viewBox=\"0 0 %.0f %.0f\" role=\"group\" aria-labelledby=\"time-t time-d\">"
        "<title id=\"time-t\">When each node was at work</title><desc id=\"time-d\">%zu bars over %s. The table "
        "of nodes has the times as numbers.</desc>\n",
        WIDTH, height, n, tm_duration_text(t->end_ms / 1000, time));
    draw_axis(t, top, page);
    double least = shortest_shown(t);
    for (size_t i = 0, row = 0; i < t->n && row < n; i++)
        if (length_of(&t->lines[i]) >= least) draw_line(t, &t->lines[i], 20 + ROW * (double)row++, page);
    draw_cores(t, top + 12, cores_known(t), page);
    tm_buf_str(page, "</svg></div>\n");
    if (n < t->n) tm_html(page, "<p>The %zu of %zu nodes that took longest.</p>\n", n, t->n);
}

void tm_report_timeline(const tm_report *report, tm_buf *page)
{
    timeline t = {.report = report, .end_ms = tm_past_seconds(&report->past) * 1000};
    if (!collect(&t)) page->failed = true;
    size_t cached = 0;
    for (size_t i = 0; i < report->past.n_nodes; i++)
        cached += !report->past.nodes[i].same && strcmp(report->past.nodes[i].state, "cached") == 0;
    if (t.end_ms < (double)report->past.last_ms) t.end_ms = (double)report->past.last_ms;
    if (report->past.n_nodes) {
        tm_report_open(page, "timeline", "Timeline");
        if (t.n) draw(&t, page);
        else tm_buf_str(page, "<p>No node was executed.</p>\n");
        if (cached && t.n)
            tm_html(page, "<p>%zu more node%s cached: made before, and took no time.</p>\n", cached,
                    cached == 1 ? " was" : "s were");
        tm_report_close(page);
    }
    tm_free(t.lines);
}
