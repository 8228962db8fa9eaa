// SPDX-License-Identifier: Apache-2.0
// Trials of a sweep that differ in one value alone (a seed), taken together.
#pragma once

#include "stages/judge/metric_table.h"

#define TM_LABEL 192

// `label` without the value that is called `over`: of "lr=1e-4,seed=2.base" over "seed" is left
// "lr=1e-4.base". `over` NULL: as it is.
void tm_label_without(const char *label, const char *over, char into[TM_LABEL]);

// The name of a metric with its label so shortened.
#define TM_TRIAL_NAME 384
void tm_trial_name(const char *name, const char *over, char into[TM_TRIAL_NAME]);

// The mean over the trials, under names so shortened. A row of several has the standard error of their mean
// and their number; one that stands alone is as it was. Values that are not numbers make a mean that is none.
tm_status tm_trial_means(const tm_metric_table *table, const char *over, tm_metric_table *means,
                         tm_error *err);
