// SPDX-License-Identifier: Apache-2.0
// The model whose snapshot tm.best gave, found by its hash: so also where nothing was run.
#include "lua/console/winner.h"

#include "engine/store_artifact.h"
#include "lua/cli/measured.h"
#include "stages/judge/trials.h"

// The link of the model that came out, or NULL.
static const tm_link *find_chosen(const tm_plan *plan, const tm_plan_node *best)
{
    tm_artifact given = {0};
    const tm_link *found = NULL;
    bool there = tm_artifact_get(plan->store, best->outputs[0], &given, NULL) >= 0 && given.count == 1;
    for (size_t i = 0; there && !found && i < best->node->n_links; i++) {
        const tm_link *link = &best->node->links[i];
        tm_hash hash;
        if (!link->row->name[0] && tm_plan_link_hash(plan, link, &hash, NULL) >= 0 &&
            tm_hash_eq(hash, given.entries[0].hash))
            found = link;
    }
    tm_artifact_clear(&given);
    return found;
}

// The metric of that name in one entry of a log.
static bool find_metric(tm_store *store, tm_hash entry, const char *name, tm_metric *metric)
{
    const tm_type *type = tm_type_find("metrics");
    tm_blob blob = {0};
    tm_batch *batch = NULL;
    bool found = false;
    bool good =
        tm_store_get(store, entry, &blob, NULL) >= 0 &&
        tm_batch_decode(tm_view_of(blob.data, blob.size), type->cols, type->n_cols, &batch, NULL) >= 0;
    for (size_t row = 0; good && !found && row < tm_batch_rows(batch); row++) {
        *metric = tm_metrics_get(batch, row);
        found = metric->name.size == strlen(name) && memcmp(metric->name.data, name, metric->name.size) == 0;
    }
    tm_batch_unref(batch);
    tm_blob_clear(&blob);
    return found;
}

static void print_best(const tm_plan *plan, const tm_plan_node *best, FILE *file)
{
    const tm_link *link = find_chosen(plan, best);
    const char *label = link ? tm_metric_prefix(link->port, "") : "";
    const char *by = json_string_value(json_object_get(best->node->options, "by"));
    const char *over = json_string_value(json_object_get(best->node->options, "over"));
    char name[TM_TRIAL_NAME], mean[TM_TRIAL_NAME];
    tm_artifact log = {0};
    tm_metric metric;
    if (!label[0] || !by) return;
    snprintf(name, sizeof name, "%s.%s", label, by);
    tm_trial_name(name, over, mean);
    int port = tm_stage_output(best->node->stage, "metrics");
    if (tm_artifact_get(plan->store, best->outputs[port], &log, NULL) >= 0 && log.count &&
        find_metric(plan->store, log.entries[0].hash, mean, &metric)) {
        tm_measured m = tm_measured_of(metric.value, metric.error);
        fprintf(file, "best: %s (%s %s%s%s", label, by, m.value, m.error[0] ? " +- " : "", m.error);
        if (over) fprintf(file, ", the mean over %s", over);
        fputc(')', file);
        if (strcmp(best->node->name, "best") != 0) fprintf(file, ", called %s", best->node->name);
        fputc('\n', file);
    }
    tm_artifact_clear(&log);
}

void tm_winner_print(const tm_plan *plan, FILE *file)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = tm_plan_canonical(plan, plan->graph->nodes[i]);
        bool best = strcmp(p->node->stage->name, "best") == 0 && p->node == plan->graph->nodes[i];
        if (best && p->wanted && p->known) print_best(plan, p, file);
    }
}
