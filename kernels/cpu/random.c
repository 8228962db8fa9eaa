// SPDX-License-Identifier: Apache-2.0
// Random tensors: every element is a function of (seed, stream, index).
#include "kernels/cpu/cpu.h"

#include "engine/base/random.h"

typedef struct random_args {
    float *x;
    int64_t n;
    float a, b;  // mean and deviation, or low and high
    uint64_t seed, stream;
} random_args;

// Elements 2p and 2p + 1 are the two normals of one pair of uniforms (Box & Muller 1958).
static void normal_pairs(const void *arg, int64_t first, int64_t last)
{
    const random_args *r = arg;
    for (int64_t p = first; p < last; p++) {
        double u = 1 - tm_random_unit(r->seed, r->stream, (uint64_t)(2 * p));
        double turn = 6.283185307179586477 * tm_random_unit(r->seed, r->stream, (uint64_t)(2 * p + 1));
        double radius = sqrt(-2 * log(u));
        r->x[2 * p] = r->a + r->b * (float)(radius * cos(turn));
        if (2 * p + 1 < r->n) r->x[2 * p + 1] = r->a + r->b * (float)(radius * sin(turn));
    }
}

void tm_random_normal(tm_device *dev, float *x, int64_t n, float mean, float deviation, uint64_t seed,
                      uint64_t stream)
{
    rows_run(dev, (n + 1) / 2, 8, normal_pairs, &(random_args){x, n, mean, deviation, seed, stream});
}

static void uniform_range(const void *arg, int64_t first, int64_t last)
{
    const random_args *r = arg;
    float below = nextafterf(r->b, r->a);
    for (int64_t i = first; i < last; i++) {
        double u = tm_random_unit(r->seed, r->stream, (uint64_t)i);
        float x = (float)((double)r->a + ((double)r->b - (double)r->a) * u);
        r->x[i] = x < r->b ? x : below;
    }
}

void tm_random_uniform(tm_device *dev, float *x, int64_t n, float low, float high, uint64_t seed,
                       uint64_t stream)
{
    tm_assert(low < high);
    rows_run(dev, n, 8, uniform_range, &(random_args){x, n, low, high, seed, stream});
}
