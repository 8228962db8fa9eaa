// SPDX-License-Identifier: Apache-2.0
// Means over trials.
#include "stages/judge/trials.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// Length of the value at `text`: a number, or up to a comma or dot.
static size_t value_length(const char *text)
{
    char *end;
    strtod(text, &end);
    size_t n = (size_t)(end - text);
    if (n && text[n - 1] == '.') n--;
    bool number = n && (!text[n] || text[n] == ',' || text[n] == '.');
    return number ? n : strcspn(text, ",.");
}

void tm_label_without(const char *label, const char *over, char into[TM_LABEL])
{
    size_t length = over ? strlen(over) : 0;
    const char *at = label;
    snprintf(into, TM_LABEL, "%s", label);
    for (; length && *at; at += strcspn(at, ",.") + (at[strcspn(at, ",.")] != 0))
        if (strncmp(at, over, length) == 0 && at[length] == '=') break;
    if (!length || !*at) return;
    const char *behind = at + length + 1 + value_length(at + length + 1);
    size_t before = (size_t)(at - label);
    if (before && *behind != ',')
        before--; // the sign before it goes with it
    else if (*behind)
        behind++; // or the one behind it
    snprintf(into, TM_LABEL, "%.*s%s", (int)before, label, behind);
}

void tm_trial_name(const char *name, const char *over, char into[TM_TRIAL_NAME])
{
    char label[TM_LABEL], without[TM_LABEL];
    size_t at = tm_metric_measure_at(name);
    snprintf(label, sizeof label, "%.*s", at ? (int)at - 1 : 0, name);
    tm_label_without(label, over, without);
    snprintf(into, TM_TRIAL_NAME, "%s%s%s", without, without[0] ? "." : "", name + at);
}

// Sums are taken of the distances from the first trial: small numbers, whose squares lose nothing.
typedef struct group {
    double first, sum, squares;
    int64_t n;
} group;

static void add(group *g, double value)
{
    if (!g->n) g->first = value;
    double away = value - g->first;
    g->sum += away;
    g->squares += away * away;
    g->n++;
}

static void conclude(const group *g, tm_metric_row *row)
{
    if (g->n < 2) return;
    double n = (double)g->n, away = g->sum / n, spread = g->squares - g->sum * away;
    row->value = g->first + away;
    row->error = sqrt((spread < 0 ? 0 : spread) / (n - 1) / n);
    row->count = g->n;
}

static tm_status collect(const tm_metric_table *table, const char *over, group *groups,
                         tm_metric_table *means, tm_error *err)
{
    for (size_t i = 0; i < table->n; i++) {
        char name[TM_TRIAL_NAME];
        tm_metric_row row = table->rows[i];
        tm_trial_name(row.name, over, name);
        row.name = name;
        const tm_metric_row *place = tm_metric_table_find(means, name);
        if (!place) TM_TRY(tm_metric_table_put(means, &row, err));
        place = tm_metric_table_find(means, name);
        add(&groups[place - means->rows], row.value);
    }
    return TM_OK;
}

tm_status tm_trial_means(const tm_metric_table *table, const char *over, tm_metric_table *means,
                         tm_error *err)
{
    group *groups = tm_calloc(table->n + 1, sizeof *groups);
    if (!groups) return tm_fail(err, TM_ENOMEM, "no memory for the means of %zu metrics", table->n);
    tm_status status = collect(table, over, groups, means, err);
    for (size_t i = 0; status >= 0 && i < means->n; i++) conclude(&groups[i], &means->rows[i]);
    tm_free(groups);
    return status;
}
