// SPDX-License-Identifier: Apache-2.0
// Metrics by name.
#include "stages/judge/metric_table.h"

#include <stdio.h>
#include <stdlib.h>

void tm_metric_table_clear(tm_metric_table *table)
{
    for (size_t i = 0; i < table->n; i++) tm_free(table->rows[i].name);
    tm_free(table->rows);
    tm_hash_map_clear(&table->places);
    *table = (tm_metric_table){0};
}

static tm_hash place_of(const char *name)
{
    return tm_hash_of(name, strlen(name));
}

static tm_status append(tm_metric_table *table, const tm_metric_row *row, tm_error *err)
{
    if (table->n == table->capacity) {
        size_t capacity = table->capacity ? 2 * table->capacity : 32;
        tm_metric_row *rows = tm_realloc(table->rows, capacity * sizeof *rows);
        if (!rows) return tm_fail(err, TM_ENOMEM, "no memory for %zu metrics", capacity);
        table->rows = rows;
        table->capacity = capacity;
    }
    char *name = tm_strdup(row->name);
    if (!name || !tm_hash_map_put(&table->places, place_of(name), table->n)) {
        tm_free(name);
        return tm_fail(err, TM_ENOMEM, "no memory for a metric");
    }
    table->rows[table->n] = *row;
    table->rows[table->n++].name = name;
    return TM_OK;
}

tm_status tm_metric_table_put(tm_metric_table *table, const tm_metric_row *row, tm_error *err)
{
    uint64_t place;
    if (!tm_hash_map_get(&table->places, place_of(row->name), &place)) return append(table, row, err);
    char *name = table->rows[place].name;
    table->rows[place] = *row;
    table->rows[place].name = name;
    return TM_OK;
}

const tm_metric_row *tm_metric_table_find(const tm_metric_table *table, const char *name)
{
    uint64_t place;
    return tm_hash_map_get(&table->places, place_of(name), &place) ? &table->rows[place] : NULL;
}

const char *tm_metric_table_nearest(const tm_metric_table *table, const char *name)
{
    const char **names = tm_calloc(table->n + 1, sizeof *names);
    for (size_t i = 0; names && i < table->n; i++) names[i] = table->rows[i].name;
    const char *near = names ? tm_nearest(name, names) : NULL;
    tm_free(names);
    return near;
}

size_t tm_metric_measure_at(const char *name)
{
    size_t at = strlen(name), dots = 0;
    while (at > 0 && !(name[at - 1] == '.' && ++dots == 2)) at--;
    return at;
}

const char *tm_metric_prefix(const char *port, const char *input)
{
    const char *rest = port + strlen(input);
    return *rest == '.' ? rest + 1 : "";
}

bool tm_metric_names(const json_t *attrs, const char *prefix, json_t *names)
{
    const json_t *known = json_object_get(attrs, "metrics");
    size_t i;
    json_t *name;
    json_array_foreach((json_t *)known, i, name)
    {
        tm_buf full = {0};
        tm_buf_fmt(&full, "%s%s%s", prefix, prefix[0] ? "." : "", json_string_value(name));
        if (!full.failed) json_array_append_new(names, json_string(full.data));
        tm_buf_clear(&full);
    }
    return known != NULL;
}

static void list_all(const json_t *names, char *text, size_t size)
{
    size_t i, at = (size_t)snprintf(text, size, "there is: ");
    json_t *name;
    json_array_foreach((json_t *)names, i, name) if (at < size) at +=
        (size_t)snprintf(text + at, size - at, "%s%s", i ? ", " : "", json_string_value(name));
    if (at >= size) snprintf(text + size - 5, 5, " ...");
}

// "text.bits_per_byte" ends with the measure "bits_per_byte".
static bool ends_with_measure(const char *name, const char *measure)
{
    size_t n = strlen(name), end = strlen(measure);
    return n > end && name[n - end - 1] == '.' && strcmp(name + n - end, measure) == 0;
}

tm_status tm_metric_known(const json_t *names, const char *name, tm_option_fault *fault, tm_error *err)
{
    size_t n = json_array_size(names), i;
    const char **all = tm_calloc(n + 1, sizeof *all);
    json_t *one;
    bool found = false;
    if (!all) return tm_fail(err, TM_ENOMEM, "no memory for names");
    json_array_foreach((json_t *)names, i, one)
    {
        all[i] = json_string_value(one);
        found |= strcmp(all[i], name) == 0;
    }
    const char *near = tm_nearest(name, all);
    for (i = 0; i < n && !near; i++)
        if (ends_with_measure(all[i], name)) near = all[i];
    if (near)
        snprintf(fault->fix, sizeof fault->fix, "did you mean %s?", near);
    else
        list_all(names, fault->fix, sizeof fault->fix);
    tm_free(all);
    if (!found) return tm_fail(err, TM_EINVAL, "there will be no metric %s", name);
    fault->fix[0] = 0;
    return TM_OK;
}
