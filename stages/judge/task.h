// SPDX-License-Identifier: Apache-2.0
// Tasks of tm.evaluate: what is measured on a model.
//
// A task is a file in stages/ with two rows of one name: the value that graphs write (const tm_value
// tm_value_NAME, family "task", its main input the documents of the task), and the work behind it (const
// tm_task tm_task_NAME). The build collects both.
#pragma once

#include "stages/judge/texts.h"
#include "stages/model/model.h"
#include "stages/text/tokenizer_folder.h"

#define TM_TASK_MEASURES 8

// The model at hand, with its own tokenizer. Everything is borrowed.
typedef struct tm_subject {
    tm_work *work; // for progress and the log
    const char *folder;
    const tm_model *model;
    const tm_tokenizer *tokenizer;
    tm_device *device;
} tm_subject;

typedef struct tm_measure {
    double value;
    double error;   // standard error, over records where nothing else is said; NaN: none
    uint64_t count; // what the mean runs over
} tm_measure;

typedef struct tm_task {
    const char *name; // that of the value
    const char
        *measures[TM_TASK_MEASURES + 1]; // what it measures, the one to watch first; NULL behind the last
    const char *shape; // that its documents must have: NULL (plain text), "chat", "preference", "any"
    size_t state_size; // zeroed
    // Once per worker: take the documents of `port`. `end` follows also if it fails.
    tm_status (*begin)(void *state, const void *options, tm_work *work, const char *port, tm_error *err);
    // Per model: fill one result per measure. Must depend on its arguments alone, not on threads or time.
    tm_status (*measure)(const void *state, const void *options, const tm_subject *subject,
                         tm_measure *results, tm_error *err);
    void (*end)(void *state);
} tm_task;

extern const tm_task *const tm_tasks[]; // made by stages/rows.sh; NULL-terminated
const tm_task *tm_task_find(const char *name);

// The mean of numbers and its standard error (sample standard deviation over the root of their number, as in
// lm-evaluation-harness; NaN for fewer than two). Sums run in the order of the values.
tm_measure tm_measure_mean(const double *values, size_t n);

// The ratio of two sums over records (nats to tokens), with its standard error over records (Cochran
// 1977, 6.3; NaN for fewer than two). `count` is the sum of the sizes.
tm_measure tm_measure_ratio(const double *sums, const double *sizes, size_t n);

// Records that a task cannot use: told of in the log (the first 20) and left out. TM_EINVAL, TM_EFORMAT and
// TM_EFAILED are the record's own fault and give TM_OK; other failures are passed on.
typedef struct tm_left_out {
    tm_work *work;
    uint64_t n;
} tm_left_out;
tm_status tm_leave_out(tm_left_out *left_out, tm_view id, tm_status status, tm_error *err);
