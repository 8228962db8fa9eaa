// SPDX-License-Identifier: Apache-2.0
// Learning-rate schedules: one row each.
#include "stages/train/schedule.h"

#include <math.h>
#include <string.h>

static uint64_t decay_start(const tm_schedule *s)
{
    return s->total - (uint64_t)ceil(s->decay * (double)s->total);
}

// How far step lies between `from` and the end, in (0, 1): the last update still moves the weights.
static double progress(const tm_schedule *s, uint64_t step, uint64_t from)
{
    if (step < from) return 0;
    return (double)(step - from + 1) / (double)(s->total - from + 1);
}

// Warmup, stable, decay along 1 - sqrt (Haegele et al. 2024, "Scaling laws beyond fixed training durations").
static double wsd_factor(const tm_schedule *s, uint64_t step)
{
    return 1 - (1 - s->floor) * sqrt(progress(s, step, decay_start(s)));
}

static double cosine_factor(const tm_schedule *s, uint64_t step)
{
    return s->floor + (1 - s->floor) * 0.5 * (1 + cos(M_PI * progress(s, step, s->warmup)));
}

static double linear_factor(const tm_schedule *s, uint64_t step)
{
    return 1 - (1 - s->floor) * progress(s, step, s->warmup);
}

static double constant_factor(const tm_schedule *s, uint64_t step)
{
    return 1;
}

static uint64_t constant_extends(const tm_schedule *s)
{
    return UINT64_MAX;
}

static uint64_t warmup_extends(const tm_schedule *s)
{
    return s->warmup < s->total ? s->warmup : s->total;
}

static const tm_schedule_kind kinds[] = {
    {"wsd",      "warmup, stable, decay over the last share of the run", wsd_factor,      decay_start},
    {"cosine",   "warmup, then half a cosine down to the floor",         cosine_factor,   warmup_extends},
    {"linear",   "warmup, then a line down to the floor",                linear_factor,   warmup_extends},
    {"constant", "warmup, then the peak",                                constant_factor, constant_extends},
};

#define N_KINDS (sizeof kinds / sizeof kinds[0])

const tm_schedule_kind *tm_schedule_at(size_t i)
{
    return i < N_KINDS ? &kinds[i] : NULL;
}

const tm_schedule_kind *tm_schedule_find(const char *name)
{
    for (size_t i = 0; i < N_KINDS; i++) {
        if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    }
    return NULL;
}

tm_schedule tm_schedule_default(double peak, uint64_t total)
{
    return (tm_schedule){.kind = &kinds[0], .peak = peak, .decay = 0.2, .warmup = 50, .total = total};
}

tm_status tm_schedule_check(const tm_schedule *s, tm_error *err)
{
    if (!(s->peak >= 0 && isfinite(s->peak)))
        return tm_fail(err, TM_EINVAL, "learning rate must be 0 or more, got %g", s->peak);
    if (!(s->floor >= 0 && s->floor <= 1))
        return tm_fail(err, TM_EINVAL, "schedule: floor must be in 0..1, got %g", s->floor);
    if (!(s->decay >= 0 && s->decay <= 1))
        return tm_fail(err, TM_EINVAL, "schedule: decay must be in 0..1, got %g", s->decay);
    if (s->total == 0) return tm_fail(err, TM_EINVAL, "schedule: a run needs at least one step");
    return TM_OK;
}

// Warmup is a ceiling over the curve, so that a run shorter than its warmup is the beginning of a longer one.
double tm_schedule_rate(const tm_schedule *s, uint64_t step)
{
    if (step >= s->total) step = s->total - 1;
    double factor = s->kind->factor(s, step);
    double ramp = step < s->warmup ? (double)(step + 1) / (double)s->warmup : 1;
    return s->peak * fmin(factor, ramp);
}

uint64_t tm_schedule_extends(const tm_schedule *s)
{
    return s->kind->extends(s);
}
