// SPDX-License-Identifier: Apache-2.0
// Two runs side by side: what was set differently, what came of it.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/cli/counts.h"
#include "lua/cli/measured.h"
#include "lua/lock/git.h"
#include "lua/past/differ.h"
#include "lua/past/fact.h"
#include "lua/past/graph_name.h"
#include "lua/report/chain.h"
#include "lua/report/measures.h"

typedef struct pair {
    tm_report a, b;
} pair;

static void cell_json(tm_buf *page, const json_t *v)
{
    tm_buf_str(page, "<td>");
    tm_report_value(page, v);
    tm_buf_str(page, "</td>");
}

static void begin_table(const pair *p, tm_buf *page, const char *caption, const char *first,
                        const char *last)
{
    tm_report_wide(page, caption);
    tm_html(page, "<table class=\"sort\"><caption>%s</caption><thead><tr>", caption);
    tm_html(page, "<th scope=\"col\">%s</th><th scope=\"col\">%s</th><th scope=\"col\">%s</th>", first,
            p->a.past.run, p->b.past.run);
    if (last) tm_html(page, "<th scope=\"col\" class=\"n\">%s</th>", last);
    tm_buf_str(page, "</tr></thead><tbody>\n");
}

static void end_table(tm_buf *page)
{
    tm_buf_str(page, "</tbody></table></div>\n");
}

static const json_t *param_of(const tm_past *past, const char *name)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(past->record, "params"), i, one)
    {
        const char *own = json_string_value(json_object_get(one, "name"));
        if (own && strcmp(own, name) == 0) return json_object_get(one, "value");
    }
    return NULL;
}

static int differing(const pair *p, const tm_past *from, bool only_here, tm_buf *page)
{
    size_t i;
    json_t *one;
    int n = 0;
    json_array_foreach(json_object_get(from->record, "params"), i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        const json_t *a = name ? param_of(&p->a.past, name) : NULL,
                     *b = name ? param_of(&p->b.past, name) : NULL;
        if (!name || (only_here && a) || (a && b && json_equal(a, b))) continue;
        tm_html(page, "<tr><th scope=\"row\">%s</th>", name);
        cell_json(page, a);
        cell_json(page, b);
        tm_buf_str(page, "</tr>\n");
        n++;
    }
    return n;
}

// What differs in the work of a node, field by field.
static int changed_fields(const tm_past_node *a, const tm_past_node *b, tm_buf *page)
{
    size_t i;
    json_t *one, *all = tm_differ_own(json_object_get(a->plan, "own"), json_object_get(b->plan, "own"));
    json_array_foreach(all, i, one)
    {
        const char *field = json_string_value(json_object_get(one, "field"));
        const json_t *before = json_object_get(one, "before"), *after = json_object_get(one, "after");
        tm_html(page, "<tr><th scope=\"row\">%s: %s</th>", a->name, field);
        if (before || after) {
            cell_json(page, before);
            cell_json(page, after);
        } else tm_html(page, "<td></td><td>%s</td>", json_string_value(json_object_get(one, "text")));
        tm_buf_str(page, "</tr>\n");
    }
    int n = (int)json_array_size(all);
    json_decref(all);
    return n;
}

static void settings(const pair *p, tm_buf *page)
{
    tm_buf rows = {0};
    int n = differing(p, &p->a.past, false, &rows) + differing(p, &p->b.past, true, &rows);
    for (size_t i = 0; i < p->a.past.n_nodes; i++) {
        const tm_past_node *other = tm_past_find(&p->b.past, p->a.past.nodes[i].name);
        if (other) n += changed_fields(&p->a.past.nodes[i], other, &rows);
        else if (++n)
            tm_html(&rows, "<tr><th scope=\"row\">%s</th><td>there</td><td>–</td></tr>\n",
                    p->a.past.nodes[i].name);
    }
    for (size_t i = 0; i < p->b.past.n_nodes; i++)
        if (!tm_past_find(&p->a.past, p->b.past.nodes[i].name) && ++n)
            tm_html(&rows, "<tr><th scope=\"row\">%s</th><td>–</td><td>there</td></tr>\n",
                    p->b.past.nodes[i].name);
    tm_report_open(page, "settings", "What differs");
    if (n) {
        begin_table(p, page, "Parameters, options and nodes that differ", "what", NULL);
        tm_buf_add(page, rows.data, rows.size);
        end_table(page);
    } else {
        tm_buf_str(page, "<p>The same parameters, nodes and options.</p>\n");
    }
    page->failed |= rows.failed;
    tm_buf_clear(&rows);
    tm_report_close(page);
}

// ---- figures ----

static void text_row(tm_buf *page, const char *name, const char *a, const char *b)
{
    tm_html(page, "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s</td></tr>\n", name, a, b);
}

static void outline(const pair *p, tm_buf *page)
{
    const tm_past *a = &p->a.past, *b = &p->b.past;
    char x[160], y[160];
    begin_table(p, page, "When they were begun, how long they took, and from which code", "what", NULL);
    const char *path = tm_graph_path(a->record), *other = tm_graph_path(b->record);
    int apart = tm_graph_apart(path, other);
    text_row(page, "graph", tm_graph_tail(path, apart), tm_graph_tail(other, apart));
    text_row(page, "state", tm_past_status(a), tm_past_status(b));
    text_row(page, "begun", tm_report_date(a->start_ms, x), tm_report_date(b->start_ms, y));
    text_row(page, "time", tm_duration_text(tm_past_seconds(a), x), tm_duration_text(tm_past_seconds(b), y));
    if (a->note || b->note) text_row(page, "note", a->note ? a->note : "–", b->note ? b->note : "–");
    bool git = json_object_get(a->record, "git") || json_object_get(b->record, "git");
    tm_git_text(json_object_get(a->record, "git"), x, sizeof x);
    tm_git_text(json_object_get(b->record, "git"), y, sizeof y);
    if (git) text_row(page, "code", x[0] ? x : "–", y[0] ? y : "–");
    end_table(page);
}

// ---- measures ----

static void measure_row(tm_buf *page, const tm_past_node *node, const tm_past_series *x,
                        const tm_past_series *y)
{
    double a = x->values[x->n - 1], b = y->values[y->n - 1], d = b - a;
    double ea = x->errors[x->n - 1], eb = y->errors[y->n - 1], e = sqrt(ea * ea + eb * eb);
    tm_html(page, "<tr><th scope=\"row\">%s: %s</th><td class=\"n\">", node->name, x->name);
    tm_measure_cell(page, x);
    tm_buf_str(page, "</td><td class=\"n\">");
    tm_measure_cell(page, y);
    tm_html(page, "</td><td class=\"n\" data-v=\"%.9g\">%s%s", d, d > 0 ? "+" : "",
            tm_measured_of(d, e).value);
    const char *verdict = d != 0 ? tm_verdict(a, ea, b, eb) : NULL;
    if (verdict) tm_html(page, " <span class=\"about\">%s</span>", verdict);
    tm_buf_str(page, "</td></tr>\n");
}

static void measures(const pair *p, tm_buf *page)
{
    bool open = false;
    for (size_t i = 0; i < p->a.past.n_nodes; i++) {
        const tm_past_node *node = &p->a.past.nodes[i], *other = tm_past_find(&p->b.past, node->name);
        for (size_t k = 0; other && k < node->n_series; k++) {
            const tm_past_series *y = tm_past_metric(other, node->series[k].name);
            if (!y || !y->n || !node->series[k].n) continue;
            if (!open) {
                tm_report_open(page, "measures", "Measures");
                tm_buf_str(
                    page,
                    "<p>Last values, with standard errors where there are some. A difference is within error "
                    "if it is at most twice its own standard error, that of both values together. Both were judged "
                    "on the same documents only if these are the same in both runs.</p>\n");
                begin_table(p, page, "Measures of both runs", "measure", "difference");
            }
            open = true;
            measure_row(page, node, &node->series[k], y);
        }
    }
    if (open) {
        end_table(page);
        tm_report_close(page);
    }
}

// ---- curves ----

static bool worth(const tm_past_series *x, const tm_past_series *y)
{
    return x->n > 1 && y && y->n > 1 &&
           (x->n != y->n || memcmp(x->values, y->values, x->n * sizeof *x->values) != 0);
}

static void curves(const pair *p, tm_buf *page)
{
    int n = 0;
    char id[32], names[2][140], title[300];
    for (size_t i = 0; i < p->a.past.n_nodes; i++) {
        const tm_past_node *node = &p->a.past.nodes[i], *other = tm_past_find(&p->b.past, node->name);
        for (size_t k = 0; other && k < node->n_series && n < 24; k++) {
            const tm_past_series *x = &node->series[k], *y = tm_past_metric(other, x->name);
            if (!worth(x, y)) continue;
            if (!n) tm_report_open(page, "curves", "Curves");
            if (!n) tm_buf_str(page, "<div class=\"charts\">\n");
            snprintf(id, sizeof id, "curve%d", n++);
            snprintf(title, sizeof title, "%.120s: %s", node->name, x->name);
            snprintf(names[0], sizeof names[0], "%s", p->a.past.run);
            snprintf(names[1], sizeof names[1], "%s", p->b.past.run);
            tm_curve pairs[2] = {{names[0], x->n, x->steps, x->values, 0, false},
                                 {names[1], y->n, y->steps, y->values, 1, false}};
            tm_html(page, "<figure><figcaption>%s</figcaption>", title);
            tm_chart_curves(page, id, title, pairs, 2);
            tm_chart_table(page, title, pairs, 2);
            tm_buf_str(page, "</figure>\n");
        }
    }
    if (n) {
        tm_buf_str(page, "</div>\n");
        tm_report_close(page);
    }
}

// ---- curation ----

static void count_cells(tm_buf *page, int64_t a, int64_t b)
{
    char text[TM_COUNT_TEXT];
    tm_html(page, "<td class=\"n\">%s</td>", a < 0 ? "–" : tm_count_text(a, text));
    tm_html(page, "<td class=\"n\">%s</td>", b < 0 ? "–" : tm_count_text(b, text));
    if (a >= 0 && b >= 0)
        tm_html(page, "<td class=\"n\">%s%s</td></tr>\n", b > a ? "+" : "", tm_count_text(b - a, text));
    else tm_buf_str(page, "<td class=\"n\">–</td></tr>\n");
}

// What a step is called within its chain. The last has the name of the chain, and may be another one in each
// run: it is called as a step before it would be, "gopher", or "gopher.2" behind another.
static const char *step_name(const tm_chain *c, size_t i, char text[64])
{
    int n = 1;
    const char *slash = strrchr(c->steps[i]->name, '/'), *stage = c->steps[i]->stage;
    for (size_t k = 0; k < i; k++) n += strcmp(c->steps[k]->stage, stage) == 0;
    if (i + 1 < c->n)
        snprintf(text, 64, "%.63s", slash ? slash + 1 : c->steps[i]->name);
    else if (n > 1)
        snprintf(text, 64, "%.48s.%d", stage, n);
    else
        snprintf(text, 64, "%.63s", stage);
    return text;
}

static int64_t removed_at(const tm_chain *c, const char *step)
{
    char text[64];
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(step_name(c, i, text), step) == 0) return c->removed[i];
    return -1;
}

static void chains(const pair *p, const tm_chain *x, const tm_chain *y, tm_buf *page)
{
    char caption[224], step[64];
    const char *name = x->steps[x->n - 1]->name;
    snprintf(caption, sizeof caption, "Documents of %.180s", name);
    begin_table(p, page, caption, "what", "difference");
    tm_buf_str(page, "<tr><th scope=\"row\">came in</th>");
    count_cells(page, x->all, y->all);
    for (size_t i = 0; i < x->n; i++) {
        tm_html(page, "<tr><th scope=\"row\">removed by %s</th>", step_name(x, i, step));
        count_cells(page, x->removed[i], removed_at(y, step));
    }
    for (size_t i = 0; i < y->n; i++)
        if (removed_at(x, step_name(y, i, step)) < 0) {
            tm_html(page, "<tr><th scope=\"row\">removed by %s</th>", step);
            count_cells(page, -1, y->removed[i]);
        }
    tm_buf_str(page, "<tr><th scope=\"row\">kept</th>");
    count_cells(page, x->kept[x->n - 1], y->kept[y->n - 1]);
    end_table(page);
}

static void curation(const pair *p, tm_buf *page)
{
    bool open = false;
    tm_chain x, y;
    for (size_t i = 0; i < p->a.past.n_nodes; i++) {
        const tm_past_node *other = tm_past_find(&p->b.past, p->a.past.nodes[i].name);
        if (!other || !tm_chain_find(&p->a.past, &p->a.past.nodes[i], &x) ||
            !tm_chain_find(&p->b.past, other, &y))
            continue;
        if (!open) tm_report_open(page, "curation", "Curation");
        open = true;
        chains(p, &x, &y, page);
    }
    if (open) tm_report_close(page);
}

// ---- time ----

static void times(const pair *p, tm_buf *page)
{
    char a[TM_COUNT_TEXT], b[TM_COUNT_TEXT];
    tm_report_open(page, "times", "Time of each node");
    begin_table(p, page, "Seconds at work; cached nodes took none", "node", "difference");
    for (size_t i = 0; i < p->a.past.n_nodes; i++) {
        const tm_past_node *x = &p->a.past.nodes[i], *y = tm_past_find(&p->b.past, x->name);
        if (!y || (x->seconds < 0 && y->seconds < 0)) continue;
        tm_html(
            page,
            "<tr><th scope=\"row\">%s</th><td class=\"n\" data-v=\"%.3f\">%s</td><td class=\"n\" data-v=\"%.3f\">%s</td>",
            x->name, x->seconds, x->seconds < 0 ? x->state : tm_duration_text(x->seconds, a), y->seconds,
            y->seconds < 0 ? y->state : tm_duration_text(y->seconds, b));
        if (x->seconds >= 0 && y->seconds >= 0)
            tm_html(page, "<td class=\"n\">%s%s</td></tr>\n", y->seconds < x->seconds ? "−" : "+",
                    tm_duration_text(fabs(y->seconds - x->seconds), a));
        else tm_buf_str(page, "<td class=\"n\">–</td></tr>\n");
    }
    end_table(page);
    tm_report_close(page);
}

static void write_page(const pair *p, tm_buf *page)
{
    char title[96];
    snprintf(title, sizeof title, "%s and %s", p->a.past.run, p->b.past.run);
    tm_report_frame(page, title);
    tm_html(page, "<header><h1>Runs %s</h1></header>\n<main id=\"main\">\n", title);
    tm_buf_str(page, "<section aria-labelledby=\"runs-h\"><h2 id=\"runs-h\">The runs</h2>\n");
    outline(p, page);
    tm_report_close(page);
    settings(p, page);
    measures(p, page);
    curves(p, page);
    curation(p, page);
    times(p, page);
    tm_buf_str(
        page,
        "</main>\n<footer><p>Made by Tidemill from the journals of both runs and what their store has.</p></footer>\n");
    tm_report_frame_end(page);
}

static tm_status read_run(tm_report *r, tm_store *store, const char *run, tm_error *err)
{
    r->store = store;
    TM_TRY(tm_past_read(store, run, &r->past, err));
    return tm_past_results(&r->past, store, err);
}

tm_status tm_report_compare(tm_store *store, const char *a, const char *b, tm_buf *page, tm_error *err)
{
    pair *p = tm_calloc(1, sizeof *p);
    if (!p) return tm_fail(err, TM_ENOMEM, "no memory for a report");
    tm_status status = read_run(&p->a, store, a, err);
    if (status >= 0) status = read_run(&p->b, store, b, err);
    if (status >= 0) {
        write_page(p, page);
        status = tm_buf_status(page, err);
    }
    if (p->a.past.record) tm_past_clear(&p->a.past);
    if (p->b.past.record) tm_past_clear(&p->b.past);
    tm_free(p);
    return status;
}
