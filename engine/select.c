// SPDX-License-Identifier: Apache-2.0
// Selectors over logs of snapshots.
#include "engine/select.h"

#include <math.h>

int64_t tm_snapshot_step(tm_store *store, tm_hash hash)
{
    tm_tree tree = {0};
    if (tm_tree_get(store, hash, &tree, NULL) < 0) return -1;
    const json_t *step = json_object_get(tree.attributes, "step");
    int64_t value = json_is_integer(step) ? json_integer_value(step) : -1;
    tm_tree_clear(&tree);
    return value;
}

bool tm_select_each(const tm_select *select, int64_t step)
{
    return select->every <= 0 || (step >= 0 && step % select->every == 0);
}

bool tm_select_better(const char *metric, double value, double best)
{
    bool less = strstr(metric, "loss") || strstr(metric, "perplexity") || strstr(metric, "bits_per_byte");
    return less ? value < best : value > best;
}

static bool find_step(tm_store *store, const tm_artifact *snapshots, int64_t step, size_t *index)
{
    for (size_t i = 0; i < snapshots->count; i++)
        if (tm_snapshot_step(store, snapshots->entries[i].hash) == step) {
            *index = i;
            return true;
        }
    return false;
}

// The step with the best value of a metric, from a metrics artifact: of those that have a snapshot.
static tm_status best_step(tm_store *store, const char *metric, const tm_artifact *snapshots, tm_hash hash,
                           int64_t *step, tm_error *err)
{
    tm_artifact log = {0};
    const tm_type *type = tm_type_find("metrics");
    bool any = false;
    double best = 0;
    TM_TRY(tm_artifact_get(store, hash, &log, err));
    tm_status status = TM_OK;
    for (size_t i = 0; status >= 0 && i < log.count; i++) {
        tm_blob blob = {0};
        tm_batch *batch = NULL;
        status = tm_store_get(store, log.entries[i].hash, &blob, err);
        if (status >= 0)
            status = tm_batch_decode(tm_view_of(blob.data, blob.size), type->cols, type->n_cols, &batch, err);
        for (size_t row = 0; status >= 0 && row < tm_batch_rows(batch); row++) {
            tm_metric m = tm_metrics_get(batch, row);
            if (!tm_view_eq(m.name, tm_view_str(metric)) || isnan(m.value)) continue;
            size_t index;
            if (any && !tm_select_better(metric, m.value, best)) continue;
            if (!find_step(store, snapshots, m.step, &index)) continue;
            any = true;
            best = m.value;
            *step = m.step;
        }
        tm_batch_unref(batch);
        tm_blob_clear(&blob);
    }
    tm_artifact_clear(&log);
    if (status >= 0 && !any)
        return tm_fail_as(err, TM_ENOENT, "TM0508", "no snapshot has the metric \"%s\"", metric);
    return status;
}

tm_status tm_select_entry(tm_store *store, const tm_select *select, const tm_artifact *log, tm_hash metrics,
                          size_t *index, tm_error *err)
{
    if (!log->count) return tm_fail_as(err, TM_ENOENT, "TM0508", "the log has no snapshots");
    int64_t step = select->at;
    if (select->kind == TM_SELECT_BEST && tm_hash_none(metrics))
        return tm_fail_as(err, TM_ENOENT, "TM0508", "nothing was measured of it that a best one could have");
    if (select->kind == TM_SELECT_BEST) TM_TRY(best_step(store, select->metric, log, metrics, &step, err));
    *index = log->count - 1;
    if (select->kind == TM_SELECT_LAST || select->kind == TM_SELECT_LATEST) return TM_OK;
    if (find_step(store, log, step, index)) return TM_OK;
    return tm_fail_as(err, TM_ENOENT, "TM0508", "there is no snapshot of step %lld", (long long)step);
}
