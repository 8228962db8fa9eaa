// SPDX-License-Identifier: Apache-2.0
// Tasks by name, and means.
#include "stages/judge/task.h"

#include <math.h>

const tm_task *tm_task_find(const char *name)
{
    for (const tm_task *const *t = tm_tasks; *t; t++)
        if (strcmp((*t)->name, name) == 0) return *t;
    return NULL;
}

tm_measure tm_measure_mean(const double *values, size_t n)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += values[i];
    double mean = n ? sum / (double)n : NAN;
    for (size_t i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
    double error = n > 1 ? sqrt(squares / (double)(n - 1) / (double)n) : NAN;
    return (tm_measure){mean, error, n};
}

tm_measure tm_measure_ratio(const double *sums, const double *sizes, size_t n)
{
    double sum = 0, size = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        sum += sums[i];
        size += sizes[i];
    }
    double ratio = sum / size;
    for (size_t i = 0; i < n; i++) {
        double off = sums[i] - ratio * sizes[i];
        squares += off * off;
    }
    double error = n > 1 ? sqrt(squares * (double)n / (double)(n - 1)) / size : NAN;
    return (tm_measure){ratio, error, (uint64_t)size};
}
