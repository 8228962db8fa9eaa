// SPDX-License-Identifier: Apache-2.0
// Tables of measures, from the metrics logs of judges.
#include "lua/console/measures.h"

#include <stdlib.h>

#include "engine/store_artifact.h"
#include "lua/cli/fold.h"
#include "lua/cli/measured.h"
#include "lua/cli/table.h"

#define NAME 96
#define CELL (2 * TM_MEASURED_TEXT + 4)

typedef struct measure {
    char model[NAME], name[NAME]; // "" and "text.loss" of a single model
    int64_t step;
    double value, error;
    int made, order;  // when its model is made, in the graph; the place in the log
} measure;

typedef struct measures {
    measure *rows;
    size_t n;
} measures;

// [MODEL.]TASK.MEASURE: the last two parts name the measure.
static void split_name(tm_view name, measure *m)
{
    size_t dots = 0, at = name.size;
    while (at > 0 && !(name.data[at - 1] == '.' && ++dots == 2)) at--;
    snprintf(m->model, sizeof m->model, "%.*s", at ? (int)at - 1 : 0, name.data);
    snprintf(m->name, sizeof m->name, "%.*s", (int)(name.size - at), name.data + at);
}

static measure *find(const measures *all, const char *model, const char *name)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->rows[i].model, model) == 0 && strcmp(all->rows[i].name, name) == 0)
            return &all->rows[i];
    return NULL;
}

// Later snapshots take the place of earlier ones.
static bool add_row(measures *all, const tm_metric *metric)
{
    measure m = {.step = metric->step, .value = metric->value, .error = metric->error};
    split_name(metric->name, &m);
    measure *old = find(all, m.model, m.name);
    if (old) {
        *old = m;
        return true;
    }
    measure *rows = realloc(all->rows, (all->n + 1) * sizeof *rows);
    if (!rows) return false;
    all->rows = rows;
    rows[all->n++] = m;
    return true;
}

static bool add_entry(measures *all, tm_store *store, tm_hash hash)
{
    const tm_type *type = tm_type_find("metrics");
    tm_blob blob = {0};
    tm_batch *batch = NULL;
    bool good =
        tm_store_get(store, hash, &blob, NULL) >= 0 &&
        tm_batch_decode(tm_view_of(blob.data, blob.size), type->cols, type->n_cols, &batch, NULL) >= 0;
    for (size_t row = 0; good && row < tm_batch_rows(batch); row++) {
        tm_metric m = tm_metrics_get(batch, row);
        good = add_row(all, &m);
    }
    tm_batch_unref(batch);
    tm_blob_clear(&blob);
    return good;
}

static void cell(const measure *m, char text[CELL])
{
    tm_measured both = m ? tm_measured_of(m->value, m->error) : (tm_measured){"-", ""};
    snprintf(text, CELL, "%s%s%s", both.value, both.error[0] ? " +- " : "", both.error);
}

// The first row of each model, or of each measure.
static bool is_first(const measures *all, size_t i, bool model)
{
    for (size_t k = 0; k < i; k++)
        if (model ? strcmp(all->rows[k].model, all->rows[i].model) == 0
                  : strcmp(all->rows[k].name, all->rows[i].name) == 0)
            return false;
    return true;
}

static size_t count_first(const measures *all, bool model)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++) n += is_first(all, i, model);
    return n;
}

static const char *title_of(const measure *m, bool model, char title[NAME + 8])
{
    if (!model) snprintf(title, NAME + 8, "%s", m->name);
    else if (m->model[0]) snprintf(title, NAME + 8, "%s", m->model);
    else snprintf(title, NAME + 8, "step %lld", (long long)m->step);
    return title;
}

// Models side by side; of many, as in a sweep, each has a row.
static void print_table(const measures *all, const char *node, FILE *file)
{
    char text[CELL], title[NAME + 8];
    size_t n_models = count_first(all, true);
    bool across = n_models <= 5 || n_models <= count_first(all, false);
    tm_table *table = tm_table_new();
    tm_table_column(table, node, false);
    for (size_t i = 0; i < all->n; i++)
        if (is_first(all, i, across)) tm_table_column(table, title_of(&all->rows[i], across, title), false);
    for (size_t i = 0; i < all->n; i++) {
        const measure *row = &all->rows[i];
        if (!is_first(all, i, !across)) continue;
        tm_table_cell(table, "  %s", title_of(row, !across, title));
        for (size_t k = 0; k < all->n; k++) {
            const measure *column = &all->rows[k];
            if (!is_first(all, k, across)) continue;
            cell(across ? find(all, column->model, row->name) : find(all, row->model, column->name), text);
            tm_table_cell(table, "%s", text);
        }
    }
    if (tm_fold_room(file) < TM_FOLD_NONE) tm_table_print_parts(table, 1, file);
    else tm_table_print(table, file);  // to be pasted: whole
    tm_table_free(table);
}

// Where in the graph the model that a judge calls `label` is made.
static int made_at(const tm_node *judge, const char *label)
{
    for (size_t i = 0; i < judge->n_links; i++) {
        const char *port = judge->links[i].port;
        if (strcmp(port + (port[0] == '.'), label) == 0) return judge->links[i].from->index;
    }
    return -1;
}

static int by_making(const void *a, const void *b)
{
    const measure *x = a, *y = b;
    return x->made != y->made ? (x->made > y->made) - (x->made < y->made) : x->order - y->order;
}

static void sort_models(measures *all, const tm_node *judge)
{
    for (size_t i = 0; i < all->n; i++) {
        all->rows[i].made = made_at(judge, all->rows[i].model);
        all->rows[i].order = (int)i;
    }
    if (all->n) qsort(all->rows, all->n, sizeof *all->rows, by_making);
}

static void print_judge(const tm_plan *plan, const tm_plan_node *p, FILE *file)
{
    measures all = {0};
    tm_artifact log = {0};
    bool good = tm_artifact_get(plan->store, p->outputs[0], &log, NULL) >= 0 && log.count;
    for (size_t i = 0; good && i < log.count; i++) good = add_entry(&all, plan->store, log.entries[i].hash);
    sort_models(&all, p->node);
    if (good && all.n) print_table(&all, p->node->name, file);
    tm_artifact_clear(&log);
    free(all.rows);
}

// A table of all models has it: of the exam of one point of a sweep, and of any exam without `by`.
static bool is_compared(const tm_plan *plan, const tm_plan_node *judge)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = &plan->nodes[i];
        bool compare = strcmp(p->node->stage->name, "compare") == 0 && p->wanted && p->known;
        bool all = json_array_size(json_object_get(p->node->options, "by")) == 0;
        for (size_t k = 0; compare && k < p->node->n_links; k++)
            if (tm_plan_canonical(plan, p->node->links[k].from) == judge &&
                (all || strchr(judge->node->name, '/')))
                return true;
    }
    return false;
}

void tm_measures_print(const tm_plan *plan, FILE *file)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = tm_plan_canonical(plan, plan->graph->nodes[i]);
        bool judge = strcmp(p->node->stage->family, "judge") == 0 &&
                     strcmp(p->node->stage->outputs[0].type, "metrics") == 0;
        if (p->wanted && p->known && judge && p->node == plan->graph->nodes[i] && !is_compared(plan, p))
            print_judge(plan, p, file);
    }
}
