// SPDX-License-Identifier: Apache-2.0
// What judges found: a row a measure, a column a model, with standard errors.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/cli/measured.h"
#include "lua/report/measures.h"

#define MOST 64

// [MODEL.]TASK.MEASURE: the last two parts name the measure.
// Of "[MODEL.]TASK.MEASURE": "MODEL" or "", and "TASK.MEASURE", which points into `name`.
static void split(const char *name, char model[96], const char **measure)
{
    size_t at = strlen(name);
    int dots = 0;
    while (at > 0 && !(name[at - 1] == '.' && ++dots == 2)) at--;
    snprintf(model, 96, "%.*s", at ? (int)at - 1 : 0, name);
    *measure = name + at;
}

static bool is_judge(const tm_past_node *node)
{
    return strcmp(tm_report_family(node), "judge") == 0 && node->n_series && !strchr(node->name, '/');
}

static bool ends(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);
    return n >= k && strcmp(name + n - k, end) == 0;
}

static bool less_is_better(const char *measure)
{
    return ends(measure, "loss") || ends(measure, "perplexity") || ends(measure, "bits_per_byte");
}

typedef struct sheet {
    char models[MOST][96];
    const char *rows[MOST];
    size_t n_models, n_rows;
} sheet;

static size_t model_at(sheet *s, const char *model)
{
    size_t i = 0;
    while (i < s->n_models && strcmp(s->models[i], model) != 0) i++;
    if (i == s->n_models && i < MOST) snprintf(s->models[s->n_models++], 96, "%s", model);
    return i;
}

static void read_sheet(const tm_past_node *node, sheet *s)
{
    for (size_t i = 0; i < node->n_series; i++) {
        char model[96];
        const char *measure;
        split(node->series[i].name, model, &measure);
        model_at(s, model);
        size_t k = 0;
        while (k < s->n_rows && strcmp(s->rows[k], measure) != 0) k++;
        if (k < s->n_rows || k == MOST) continue;
        for (s->n_rows++; k > 0 && strcmp(s->rows[k - 1], measure) > 0; k--) s->rows[k] = s->rows[k - 1];
        s->rows[k] = measure;
    }
}

// Where in the graph the model that a judge calls so is made.
static int made_at(const tm_report *report, const tm_past_node *judge, const char *model)
{
    const char *port;
    json_t *input;
    json_object_foreach(json_object_get(judge->plan, "inputs"), port, input)
    {
        const tm_past_node *maker = tm_report_maker(report, input);
        if (maker && strcmp(port + (port[0] == '.'), model) == 0) return (int)(maker - report->past.nodes);
    }
    return -1;
}

// Models stand in the order in which they were made.
static void sort_models(const tm_report *report, const tm_past_node *judge, sheet *s)
{
    for (size_t i = 1; i < s->n_models; i++)
        for (size_t k = i; k > 0; k--) {
            char moving[96];
            if (made_at(report, judge, s->models[k - 1]) <= made_at(report, judge, s->models[k])) break;
            memcpy(moving, s->models[k], sizeof moving);
            memcpy(s->models[k], s->models[k - 1], sizeof moving);
            memcpy(s->models[k - 1], moving, sizeof moving);
        }
}

static const tm_past_series *cell_of(const tm_past_node *node, const char *model, const char *measure)
{
    char name[224];
    snprintf(name, sizeof name, "%s%s%s", model, model[0] ? "." : "", measure);
    return tm_past_metric(node, name);
}

static tm_measured last_of(const tm_past_series *s)
{
    return tm_measured_of(s->values[s->n - 1], s->errors[s->n - 1]);
}

static bool reads_same(const tm_past_series *a, const tm_past_series *b)
{
    return strcmp(last_of(a).value, last_of(b).value) == 0;
}

// NULL where all read the same.
static const tm_past_series *best_of(const tm_past_node *node, const sheet *s, const char *measure)
{
    const tm_past_series *best = NULL;
    bool less = less_is_better(measure), differ = false;
    for (size_t k = 0; k < s->n_models; k++) {
        const tm_past_series *one = cell_of(node, s->models[k], measure);
        if (!one || !one->n) continue;
        double value = one->values[one->n - 1], now = best ? best->values[best->n - 1] : 0;
        differ |= best && !reads_same(one, best);
        if (!best || (less ? value < now : value > now)) best = one;
    }
    return differ ? best : NULL;
}

void tm_measure_cell(tm_buf *page, const tm_past_series *s)
{
    if (!s || !s->n) {
        tm_buf_str(page, "–");
        return;
    }
    tm_measured m = last_of(s);
    tm_html(page, "%s", m.value);
    if (m.error[0]) tm_html(page, " <span class=\"error\">± %s</span>", m.error);
}

static void body(const tm_past_node *node, const sheet *s, tm_buf *page)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        const tm_past_series *best = best_of(node, s, s->rows[i]);
        bool more = strstr(s->rows[i], "tokens") || strstr(s->rows[i], "bzip2");
        tm_html(page, "<tr><th scope=\"row\">%s</th>", s->rows[i]);
        for (size_t k = 0; k < s->n_models; k++) {
            const tm_past_series *one = cell_of(node, s->models[k], s->rows[i]);
            bool star = one && one->n && best && reads_same(one, best) && !more;
            tm_html(page, "<td class=\"n%s\">", star ? " best" : "");
            if (star) tm_buf_str(page, "<span role=\"img\" aria-label=\"best: \">★</span> ");
            tm_measure_cell(page, one);
            tm_buf_str(page, "</td>");
        }
        tm_buf_str(page, "</tr>\n");
    }
}

static void one_judge(const tm_report *report, const tm_past_node *node, sheet *s, tm_buf *page)
{
    *s = (sheet){0};
    read_sheet(node, s);
    sort_models(report, node, s);
    const tm_past_series *first = &node->series[0];
    tm_report_wide(page, node->name);
    tm_html(page, "<table class=\"sort\"><caption>%s", node->name);
    if (first->n > 1) tm_html(page, ", at step %lld, the last", (long long)first->steps[first->n - 1]);
    tm_buf_str(page, "</caption><thead><tr><th scope=\"col\">measure</th>");
    for (size_t k = 0; k < s->n_models; k++)
        tm_html(page, "<th scope=\"col\" class=\"n\">%s</th>", s->models[k][0] ? s->models[k] : "value");
    tm_buf_str(page, "</tr></thead><tbody>\n");
    body(node, s, page);
    tm_buf_str(page, "</tbody></table></div>\n");
}

void tm_report_measures(const tm_report *report, tm_buf *page)
{
    const tm_past *past = &report->past;
    sheet *s = NULL;
    for (size_t i = 0; i < past->n_nodes; i++) {
        if (!is_judge(&past->nodes[i])) continue;
        if (!s) {
            s = tm_calloc(1, sizeof *s);
            tm_report_open(page, "evaluation", "Evaluation");
            tm_buf_str(
                page,
                "<p>Behind ± is the standard error over records. ★ marks the best of a row (or several that "
                "read the same), whether or not the difference is larger than the errors.</p>\n");
        }
        if (s) one_judge(report, &past->nodes[i], s, page);
    }
    if (s) tm_report_close(page);
    tm_free(s);
}
