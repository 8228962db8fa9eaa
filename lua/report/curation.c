// SPDX-License-Identifier: Apache-2.0
// The funnel of each curate chain, its scores, and examples of what it removed and kept.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/cli/counts.h"
#include "lua/report/chain.h"
#include "lua/report/documents.h"

#define BINS 24
#define MOST_HISTOGRAMS 8
#define MOST_EXAMPLES 10

// ---- the funnel ----

static const json_t *find_counts(const tm_report *report, const tm_past_node *node, json_t **own)
{
    *own = NULL;
    if (node->counts) return node->counts;
    const tm_record *record = tm_report_record(report, node);
    *own = record ? json_loads(record->json, 0, NULL) : NULL;
    return json_object_get(*own, "counts");
}

static void reasons(const tm_report *report, const tm_past_node *node, tm_buf *page)
{
    const char *name;
    json_t *n, *own;
    char text[TM_COUNT_TEXT];
    bool first = true;
    const json_t *counts = find_counts(report, node, &own);
    json_object_foreach((json_t *)counts, name, n)
    {
        if (strncmp(name, "removed.", 8) != 0) continue;
        tm_html(page, "%s%s %s", first ? "" : ", ", name + 8, tm_count_text(json_integer_value(n), text));
        first = false;
    }
    json_decref(own);
}

static void bar(tm_buf *page, double kept, double removed, double all)
{
    double w = 150 / (all > 0 ? all : 1), cut = removed > 0 && removed * w < 1 ? 1 : removed * w;
    tm_html(
        page,
        "<td class=\"share\"><svg width=\"152\" height=\"14\" aria-hidden=\"true\"><title>kept and removed</title>"
        "<rect class=\"bar b0\" width=\"%.1f\" height=\"14\"/>",
        kept * w);
    if (removed > 0)
        tm_html(page, "<rect class=\"bar b1\" x=\"%.1f\" width=\"%.1f\" height=\"14\"/>", kept * w + 1, cut);
    tm_buf_str(page, "</svg></td>");
}

static void funnel_rows(const tm_report *report, const tm_chain *c, tm_buf *page)
{
    char in[TM_COUNT_TEXT], out[TM_COUNT_TEXT], cut[TM_COUNT_TEXT];
    for (size_t i = 0; i < c->n; i++) {
        const char *slash = strrchr(c->steps[i]->name, '/');
        tm_html(
            page,
            "<tr><th scope=\"row\">%s</th><td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td>",
            slash ? slash + 1 : c->steps[i]->stage, tm_count_text(c->in[i], in),
            c->removed[i] ? tm_count_text(c->removed[i], cut) : "0", tm_count_text(c->kept[i], out));
        bar(page, (double)c->kept[i], (double)c->removed[i], (double)c->all);
        tm_buf_str(page, "<td class=\"fold\">");
        reasons(report, c->steps[i], page);
        tm_buf_str(page, "</td></tr>\n");
    }
}

static void funnel(const tm_report *report, const tm_chain *c, tm_buf *page)
{
    char kept[TM_COUNT_TEXT], all[TM_COUNT_TEXT];
    const char *name = c->steps[c->n - 1]->name;
    tm_html(page, "<h3>%s: %s of %s documents kept", name, tm_count_text(c->kept[c->n - 1], kept),
            tm_count_text(c->all, all));
    if (c->all) tm_html(page, " (%.1f %%)", 100.0 * (double)c->kept[c->n - 1] / (double)c->all);
    tm_buf_str(page, "</h3>\n");
    tm_report_wide(page, "What each step removed");
    tm_html(page,
            "<table><caption>What each step of %s removed</caption><thead><tr><th scope=\"col\">step</th>"
            "<th scope=\"col\" class=\"n\">in</th><th scope=\"col\" class=\"n\">removed</th>"
            "<th scope=\"col\" class=\"n\">kept</th><th scope=\"col\">share</th><th scope=\"col\">reasons</th>"
            "</tr></thead><tbody>\n",
            name);
    funnel_rows(report, c, page);
    tm_buf_str(page, "</tbody></table></div>\n");
}

// ---- histograms ----

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

// The values of both lists without the outermost hundredths. False: there is nothing to draw.
static bool find_range(const tm_numbers *a, const tm_numbers *b, double *min, double *max)
{
    size_t n = 0;
    double *all = tm_calloc(a->n + b->n + 1, sizeof *all);
    if (!all) return false;
    for (size_t i = 0; i < a->n + b->n; i++) {
        double v = i < a->n ? a->v[i] : b->v[i - a->n];
        if (isfinite(v)) all[n++] = v;
    }
    qsort(all, n, sizeof *all, by_value);
    *min = n ? all[n / 100] : 0;
    *max = n ? all[n - 1 - n / 100] : 0;
    tm_free(all);
    return n >= 8 && *max > *min;
}

static void fill(const tm_numbers *list, double min, double max, bool tens, tm_bars *bars)
{
    for (size_t i = 0; i < list->n; i++) {
        double v = tens ? log10(list->v[i]) : list->v[i], part = (v - min) / (max - min) * BINS;
        int bin = part < 0 ? 0 : part >= BINS ? BINS - 1 : (int)part;
        if (isfinite(list->v[i])) bars->counts[bin]++;
    }
}

// A bound that is near is part of the picture.
static void widen(double mark, double *min, double *max)
{
    if (!isfinite(mark) || mark < *min - 0.6 * (*max - *min) || mark > *max + 0.6 * (*max - *min)) return;
    if (mark <= *min) *min = mark - 0.02 * (*max - mark);
    if (mark >= *max) *max = mark + 0.02 * (mark - *min);
}

static void histogram(tm_buf *page, const char *id, const char *title, const char *about,
                      const tm_numbers *kept, const tm_numbers *removed, const double bounds[2])
{
    double min, max, marks[2] = {NAN, NAN};
    tm_bars bars[2] = {{.name = "kept"}, {.name = "removed"}};
    if (!find_range(kept, removed, &min, &max)) return;
    bool tens = min > 0 && max > 50 * min;
    if (tens) min = log10(min), max = log10(max);
    for (int i = 0; bounds && i < 2; i++) {
        marks[i] = tens ? log10(bounds[i]) : bounds[i];
        widen(marks[i], &min, &max);
    }
    fill(kept, min, max, tens, &bars[0]);
    fill(removed, min, max, tens, &bars[1]);
    tm_html(page, "<figure><figcaption>%s<br><small>%s</small></figcaption>", title, about);
    tm_chart_bars(page, id, title, min, max, tens, BINS, bars, 2, marks);
    tm_buf_str(page, "</figure>\n");
}

static void in_kilobytes(tm_numbers *list)
{
    for (size_t i = 0; i < list->n; i++) list->v[i] /= 1000;
}

static void histograms(const char *chain, int number, tm_documents *d, tm_buf *page)
{
    char id[48];
    int n = 0;
    tm_buf_str(page, "<div class=\"charts\">\n");
    in_kilobytes(&d->kept_bytes);
    in_kilobytes(&d->removed_bytes);
    snprintf(id, sizeof id, "sizes%d", number);
    histogram(page, id, "size of documents", "kilobytes of text", &d->kept_bytes, &d->removed_bytes, NULL);
    for (size_t i = 0; i < d->n_reasons && n < MOST_HISTOGRAMS; i++) {
        const tm_reason *reason = &d->reasons[i];
        if (!reason->filter) continue;
        double marks[2] = {reason->min, reason->max};
        snprintf(id, sizeof id, "scores%d-%d", number, n++);
        histogram(page, id, reason->name, reason->filter->measures, &reason->kept, &reason->removed, marks);
    }
    tm_buf_str(page, "</div>\n");
    if (n)
        tm_html(
            page,
            "<p>Scores of removed documents are those on record; those of kept ones were measured for this report on the text "
            "that %s gave. Values beyond the outermost hundredth stand in the outermost bars.</p>\n",
            chain);
    if (d->every > 1) tm_html(page, "<p>Of every %zu chunks one was read.</p>\n", d->every);
}

// ---- examples ----

static void example(tm_buf *page, const char *badge, const char *class, const tm_shown *s)
{
    char value[TM_HTML_NUMBER], size[TM_COUNT_TEXT];
    tm_html(
        page,
        "<article class=\"example\"><h4><span class=\"%s\">%s</span> <span class=\"source\">%s</span></h4><p class=\"about\">%s",
        class, badge, s->source, tm_size_text(s->bytes, size));
    if (isfinite(s->value)) tm_html(page, ", value %s", tm_html_value(s->value, value));
    if (s->of) tm_html(page, ", like %s", s->of);
    tm_buf_str(page, "</p><pre dir=\"auto\" tabindex=\"0\">");
    tm_html(page, "%s%s", s->text, s->text && s->bytes > strlen(s->text) ? " …" : "");
    tm_buf_str(page, "</pre></article>\n");
}

static void examples(const char *chain, const tm_documents *d, tm_buf *page)
{
    char badge[128];
    int n = 0;
    if (!d->n_reasons && !d->n_kept) return;
    tm_html(page,
            "<details open><summary>Examples of what %s removed and kept</summary><div class=\"examples\">\n",
            chain);
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < d->n_reasons && n < MOST_EXAMPLES; i++) {
            const tm_reason *reason = &d->reasons[i];
            if (k >= reason->n_examples || (k && i > 1)) continue;
            snprintf(badge, sizeof badge, "✗ %s", reason->name);
            example(page, badge, "failed", &reason->examples[k]);
            n++;
        }
    for (int i = 0; i < d->n_kept; i++) example(page, "✓ kept", "done", &d->kept[i]);
    tm_buf_str(page, "</div></details>\n");
}

void tm_report_curation(const tm_report *report, tm_buf *page)
{
    bool open = false;
    int number = 0;
    tm_chain c;
    for (size_t i = 0; i < report->past.n_nodes; i++) {
        if (!tm_chain_find(&report->past, &report->past.nodes[i], &c)) continue;
        tm_documents d;
        if (!open) tm_report_open(page, "curation", "Curation");
        open = true;
        funnel(report, &c, page);
        if (tm_documents_read(report, c.steps, c.n, &d, NULL) >= 0) {
            const char *name = c.steps[c.n - 1]->name;
            histograms(name, number++, &d, page);
            examples(name, &d, page);
        }
        tm_documents_clear(&d);
    }
    if (open) tm_report_close(page);
}
