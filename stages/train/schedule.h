// SPDX-License-Identifier: Apache-2.0
// The learning rate as a function of the step.
//
// Each kind says how far its curve is the same for every longer run: a run whose total is raised goes on from
// there. Warmup is counted in steps, never as a share of the total, for that reason.
#pragma once

#include "engine/base/status.h"

typedef struct tm_schedule_kind tm_schedule_kind;

typedef struct tm_schedule {
    const tm_schedule_kind *kind;
    double peak;      // the learning rate at its highest
    double floor;     // share of the peak where the curve ends, 0..1
    double decay;     // wsd: share of the total that is decay
    uint64_t warmup;  // steps of linear warmup: the first update has peak / warmup
    uint64_t total;   // steps of the run
} tm_schedule;

struct tm_schedule_kind {
    const char *name;   // "wsd", "cosine", "linear", "constant"
    const char *brief;  // one line for help
    double (*factor)(const tm_schedule *s, uint64_t step);  // without warmup
    uint64_t (*extends)(const tm_schedule *s);
};

const tm_schedule_kind *tm_schedule_find(const char *name);  // NULL: no such kind
const tm_schedule_kind *tm_schedule_at(size_t i);            // NULL after the last

// wsd with 20 % decay to 0, 50 steps of warmup.
tm_schedule tm_schedule_default(double peak, uint64_t total);

// TM_EINVAL says which number is outside its range.
tm_status tm_schedule_check(const tm_schedule *schedule, tm_error *err);

// The rate of update `step`, 0 for the first; steps beyond the total get the last rate.
double tm_schedule_rate(const tm_schedule *schedule, uint64_t step);

// The first N rates are the same for every larger total (and, but for the total, equal options).
uint64_t tm_schedule_extends(const tm_schedule *schedule);
