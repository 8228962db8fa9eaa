// SPDX-License-Identifier: Apache-2.0
// Curves as a table, for those who do not see them.
#include <stdlib.h>

#include "lua/report/parts.h"

#define TABLE_ROWS 24

static int by_step(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static const double *value_at(const tm_curve *c, int64_t step)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->xs[i] == step) return &c->ys[i];
    return NULL;
}

// Steps of all curves, each once.
static int64_t *all_steps(const tm_curve *curves, size_t n_curves, size_t *n)
{
    size_t most = 0;
    for (size_t k = 0; k < n_curves; k++) most += curves[k].n;
    int64_t *steps = tm_calloc(most + 1, sizeof *steps);
    *n = 0;
    for (size_t k = 0; steps && k < n_curves; k++)
        for (size_t i = 0; i < curves[k].n; i++) steps[(*n)++] = curves[k].xs[i];
    if (!steps) return NULL;
    qsort(steps, *n, sizeof *steps, by_step);
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++)
        if (!kept || steps[kept - 1] != steps[i]) steps[kept++] = steps[i];
    *n = kept;
    return steps;
}

// A step that a sparse curve has is never left out.
static bool shown(const tm_curve *curves, size_t n_curves, const int64_t *steps, size_t i, size_t n)
{
    size_t every = (n + TABLE_ROWS - 1) / TABLE_ROWS;
    if (i % every == 0 || i + 1 == n) return true;
    for (size_t k = 0; k < n_curves; k++)
        if (curves[k].n <= TABLE_ROWS / 2 && value_at(&curves[k], steps[i])) return true;
    return false;
}

void tm_chart_table(tm_buf *page, const char *caption, const tm_curve *curves, size_t n_curves)
{
    size_t n;
    char text[TM_HTML_NUMBER];
    int64_t *steps = all_steps(curves, n_curves, &n);
    if (!steps) return;
    tm_buf_str(page, "<details><summary>As a table</summary>\n");
    tm_report_wide(page, caption);
    tm_html(page, "<table><caption>%s, by step</caption><thead><tr><th scope=\"col\">step</th>",
            caption);
    for (size_t k = 0; k < n_curves; k++)
        tm_html(page, "<th scope=\"col\" class=\"n\">%s</th>", curves[k].name);
    tm_buf_str(page, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++) {
        if (!shown(curves, n_curves, steps, i, n)) continue;
        tm_html(page, "<tr><th scope=\"row\">%lld</th>", (long long)steps[i]);
        for (size_t k = 0; k < n_curves; k++) {
            const double *value = value_at(&curves[k], steps[i]);
            tm_html(page, "<td class=\"n\">%s</td>", value ? tm_html_value(*value, text) : "");
        }
        tm_buf_str(page, "</tr>\n");
    }
    tm_buf_str(page, "</tbody></table></div></details>");
    tm_free(steps);
}
