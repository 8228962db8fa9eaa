// SPDX-License-Identifier: Apache-2.0
// What was measured by step: a chart for each quantity of a node, with the same of earlier runs.
#include <math.h>
#include <stdio.h>

#include "lua/report/parts.h"

#define MOST_CHARTS 24
#define MOST_CURVES 6

typedef struct chart {
    const tm_past_node *node;
    char quantity[96];                    // "loss" of train.loss and valid.loss
    tm_curve curves[MOST_CURVES];
    char names[MOST_CURVES][128];
    size_t n;
} chart;

// "loss" of "train.loss"; measures of judges stay as they are.
static const char *quantity_of(const char *name)
{
    bool split = strncmp(name, "train.", 6) == 0 || strncmp(name, "valid.", 6) == 0;
    return split ? name + 6 : name;
}

// More than by rounding.
static bool changes(const tm_past_series *s)
{
    for (size_t i = 1; i < s->n; i++)
        if (fabs(s->values[i] - s->values[0]) > 1e-9 * fabs(s->values[0])) return true;
    return false;
}

// The exponential of a loss that has a chart shows nothing more.
static bool told_already(const tm_past_node *node, const char *name)
{
    char loss[128];
    const char *dot = strrchr(name, '.');
    if (!dot || strcmp(dot, ".perplexity") != 0) return false;
    snprintf(loss, sizeof loss, "%.*s.loss", (int)(dot - name), name);
    return tm_past_metric(node, loss) != NULL;
}

static bool same_values(const tm_past_series *a, const tm_past_series *b)
{
    return a->n == b->n && memcmp(a->values, b->values, a->n * sizeof *a->values) == 0;
}

// A curve is called by what the title does not say: "train", "valid", "r3 valid".
static void add_curve(chart *c, const tm_past_series *s, const char *run, int style, bool earlier)
{
    if (c->n == MOST_CURVES) return;
    size_t head = strlen(s->name) - strlen(quantity_of(s->name));
    snprintf(c->names[c->n], sizeof c->names[c->n], "%s%s%.*s", earlier || !head ? run : "",
             earlier && head ? " " : "", head ? (int)head - 1 : 0, s->name);
    c->curves[c->n] = (tm_curve){c->names[c->n], s->n, s->steps, s->values, style, earlier};
    c->n++;
}

static void add_earlier(const tm_report *report, chart *c, const tm_past_series *s, int style)
{
    for (size_t i = 0; i < report->n_earlier; i++) {
        const tm_past_node *node = tm_past_find(&report->earlier[i], c->node->name);
        const tm_past_series *other = node ? tm_past_metric(node, s->name) : NULL;
        bool known = !other || other->n < 2 || same_values(s, other);
        for (size_t k = 0; k < i && !known; k++) {
            const tm_past_node *before = tm_past_find(&report->earlier[k], c->node->name);
            const tm_past_series *shown = before ? tm_past_metric(before, s->name) : NULL;
            known = shown && same_values(shown, other);
        }
        if (!known) add_curve(c, other, report->earlier[i].run, style + 2 + (int)i, true);
    }
}

static void fill(const tm_report *report, const tm_past_node *node, size_t first, chart *c)
{
    *c = (chart){.node = node};
    snprintf(c->quantity, sizeof c->quantity, "%s", quantity_of(node->series[first].name));
    const tm_past_series *last = NULL;
    for (size_t i = first; i < node->n_series; i++) {
        const tm_past_series *s = &node->series[i];
        if (s->n < 2 || strcmp(quantity_of(s->name), c->quantity) != 0) continue;
        add_curve(c, s, report->past.run, (int)c->n, false);
        last = s;
    }
    if (last) add_earlier(report, c, last, 0);
}

static bool begins_chart(const tm_past_node *node, size_t i)
{
    const tm_past_series *s = &node->series[i];
    if (s->n < 2 || !changes(s) || told_already(node, s->name)) return false;
    for (size_t k = 0; k < i; k++)
        if (node->series[k].n >= 2 && strcmp(quantity_of(node->series[k].name), quantity_of(s->name)) == 0)
            return false;
    return true;
}

static void draw(const chart *c, int number, tm_buf *page)
{
    char id[32], title[224];
    snprintf(id, sizeof id, "curve%d", number);
    snprintf(title, sizeof title, "%.120s: %.90s", c->node->name, c->quantity);
    tm_html(page, "<figure><figcaption>%s</figcaption>", title);
    tm_chart_curves(page, id, title, c->curves, c->n);
    tm_chart_table(page, title, c->curves, c->n);
    tm_buf_str(page, "</figure>\n");
}

static int count_charts(const tm_past *past)
{
    int n = 0;
    for (size_t i = 0; i < past->n_nodes; i++)
        for (size_t s = 0; s < past->nodes[i].n_series; s++) n += begins_chart(&past->nodes[i], s);
    return n;
}

void tm_report_curves(const tm_report *report, tm_buf *page)
{
    const tm_past *past = &report->past;
    int all = count_charts(past), n = 0;
    if (!all) return;
    tm_report_open(page, "curves", "Training and evaluation by step");
    if (report->n_earlier)
        tm_buf_str(
            page,
            "<p>Thin curves are those of earlier runs of the same graph file, where they differ.</p>\n");
    tm_buf_str(page, "<div class=\"charts\">\n");
    chart *c = tm_calloc(1, sizeof *c);
    for (size_t i = 0; c && i < past->n_nodes; i++)
        for (size_t s = 0; s < past->nodes[i].n_series; s++)
            if (begins_chart(&past->nodes[i], s) && n < MOST_CHARTS) {
                fill(report, &past->nodes[i], s, c);
                draw(c, n++, page);
            }
    tm_free(c);
    tm_buf_str(page, "</div>\n");
    if (n < all)
        tm_html(page, "<p>%d of %d charts. <code>tidemill inspect %s:NODE.metrics</code> has all.</p>\n", n,
                all, past->run);
    tm_report_close(page);
}
