// SPDX-License-Identifier: Apache-2.0
// Metrics that a run leaves.
#include "lua/past/kept_metrics.h"

#include <math.h>
#include <stdio.h>

#include "engine/base/io.h"
#include "engine/base/json.h"
#include "lua/past/past_series.h"

static tm_status file_path(tm_store *store, const char *run, char path[TM_PATH_MAX], tm_error *err)
{
    char folder[TM_PATH_MAX];
    TM_TRY(tm_run_folder(store, run, folder, err));
    return tm_path(path, err, "%s/metrics", folder);
}

// ---- writing ----

static json_t *last_of(const tm_past_series *s)
{
    size_t i = s->n - 1;
    json_t *point = json_pack("{s:s, s:I, s:I}", "name", s->name, "step", (json_int_t)s->steps[i], "count",
                              (json_int_t)s->counts[i]);
    if (isfinite(s->values[i])) json_object_set_new(point, "value", json_real(s->values[i]));
    if (isfinite(s->errors[i])) json_object_set_new(point, "error", json_real(s->errors[i]));
    return point;
}

static json_t *all_of(const tm_past *past)
{
    json_t *all = json_object();
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_node *node = &past->nodes[i];
        json_t *points = json_array();
        for (size_t k = 0; k < node->n_series; k++)
            if (node->series[k].n) json_array_append_new(points, last_of(&node->series[k]));
        if (json_array_size(points)) json_object_set(all, node->name, points);
        json_decref(points);
    }
    return all;
}

static tm_status write_all(const tm_past *past, const char *path, tm_error *err)
{
    json_t *all = all_of(past);
    char *text = all ? json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(all);
    if (!text) return tm_fail(err, TM_ENOMEM, "no memory for the metrics of run %s", past->run);
    tm_status status = tm_file_write(path, text, strlen(text), false, err);
    tm_json_free(text);
    return status;
}

tm_status tm_kept_metrics_write(tm_store *store, const char *run, tm_error *err)
{
    char path[TM_PATH_MAX];
    tm_past past = {0};
    tm_status status = file_path(store, run, path, err);
    if (status >= 0) status = tm_past_read(store, run, &past, err);
    if (status >= 0) status = tm_past_results(&past, store, err);
    if (status >= 0) status = write_all(&past, path, err);
    tm_past_clear(&past);
    return status;
}

// ---- reading ----

static double number_or_nan(const json_t *number)
{
    return json_is_number(number) ? json_number_value(number) : NAN;
}

static tm_status add(tm_past_node *node, const json_t *points, tm_error *err)
{
    size_t i;
    json_t *one;
    json_array_foreach(points, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        tm_past_point point = {.step = json_integer_value(json_object_get(one, "step")),
                               .time = -1,
                               .count = json_integer_value(json_object_get(one, "count")),
                               .value = number_or_nan(json_object_get(one, "value")),
                               .error = number_or_nan(json_object_get(one, "error"))};
        if (name) TM_TRY(tm_past_add(node, name, &point, err));
    }
    return TM_OK;
}

tm_status tm_kept_metrics_read(tm_past *past, tm_store *store, tm_error *err)
{
    char path[TM_PATH_MAX];
    const char *name;
    tm_buf text = {0};
    tm_status status = TM_OK;
    json_t *all = NULL, *points;
    if (file_path(store, past->run, path, NULL) >= 0 && tm_file_read(path, &text, NULL) >= 0)
        tm_json_parse(tm_buf_view(&text), &all, NULL);
    tm_buf_clear(&text);
    json_object_foreach(all, name, points)
    {
        tm_past_node *node = tm_past_find(past, name);
        if (node && status >= 0) status = add(node, points, err);
    }
    json_decref(all);
    return status;
}
