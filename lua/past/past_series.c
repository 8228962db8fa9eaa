// SPDX-License-Identifier: Apache-2.0
// Series of metrics.
#include "lua/past/past_series.h"

#include <stdio.h>

const tm_past_series *tm_past_metric(const tm_past_node *node, const char *name)
{
    for (size_t i = 0; i < node->n_series; i++)
        if (strcmp(node->series[i].name, name) == 0) return &node->series[i];
    return NULL;
}

void tm_past_series_clear(tm_past_series *s)
{
    tm_free(s->steps);
    tm_free(s->times);
    tm_free(s->counts);
    tm_free(s->values);
    tm_free(s->errors);
    *s = (tm_past_series){0};
}

static tm_past_series *series_named(tm_past_node *node, const char *name)
{
    tm_past_series *found = (tm_past_series *)tm_past_metric(node, name);
    if (found) return found;
    tm_past_series *all = tm_realloc(node->series, (node->n_series + 1) * sizeof *all);
    if (!all) return NULL;
    node->series = all;
    all[node->n_series] = (tm_past_series){0};
    snprintf(all[node->n_series].name, sizeof all->name, "%s", name);
    return &all[node->n_series++];
}

static bool grow(void **array, size_t capacity, size_t size)
{
    void *grown = tm_realloc(*array, capacity * size);
    if (grown) *array = grown;
    return grown != NULL;
}

static bool make_room(tm_past_series *s)
{
    if (s->n < s->capacity) return true;
    size_t capacity = s->capacity ? 2 * s->capacity : 16;
    bool good = grow((void **)&s->steps, capacity, sizeof *s->steps) &&
                grow((void **)&s->times, capacity, sizeof *s->times) &&
                grow((void **)&s->counts, capacity, sizeof *s->counts) &&
                grow((void **)&s->values, capacity, sizeof *s->values) &&
                grow((void **)&s->errors, capacity, sizeof *s->errors);
    if (good) s->capacity = capacity;
    return good;
}

static void set(tm_past_series *s, size_t i, const tm_past_point *point)
{
    s->steps[i] = point->step;
    s->times[i] = point->time;
    s->counts[i] = point->count;
    s->values[i] = point->value;
    s->errors[i] = point->error;
}

static void move_up(tm_past_series *s, size_t at)
{
    size_t n = s->n++ - at;
    memmove(s->steps + at + 1, s->steps + at, n * sizeof *s->steps);
    memmove(s->times + at + 1, s->times + at, n * sizeof *s->times);
    memmove(s->counts + at + 1, s->counts + at, n * sizeof *s->counts);
    memmove(s->values + at + 1, s->values + at, n * sizeof *s->values);
    memmove(s->errors + at + 1, s->errors + at, n * sizeof *s->errors);
}

tm_status tm_past_add(tm_past_node *node, const char *name, const tm_past_point *point, tm_error *err)
{
    tm_past_point it = *point;
    tm_past_series *s = series_named(node, name);
    if (!s || !make_room(s)) return tm_fail(err, TM_ENOMEM, "no memory for metrics of %s", node->name);
    size_t at = s->n;
    while (at > 0 && s->steps[at - 1] >= it.step) at--; // nearly always the last
    if (at < s->n && s->steps[at] == it.step) {
        if (it.time < 0) it.time = s->times[at];
    } else {
        move_up(s, at);
    }
    set(s, at, &it);
    return TM_OK;
}
