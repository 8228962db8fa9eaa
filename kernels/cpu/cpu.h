// SPDX-License-Identifier: Apache-2.0
// What every file of CPU ops includes first.
//
// These files are compiled once per instruction set: names.h gives each op a name of its own (tm_add_avx2),
// and the op's code says nothing of it.
#pragma once

#define TM_PASTE_(a, b) a##_##b
#define TM_PASTE(a, b) TM_PASTE_(a, b)
#define TM_ISA_NAME(name) TM_PASTE(name, TM_ISA)

#include "kernels/names.h"

#include "kernels/cpu/simd.h"
#include "kernels/ops.h"

static inline int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t parts_of(int64_t n, int64_t part)
{
    return (n + part - 1) / part;
}

// Work on the rows first .. last.
typedef void rows_fn(const void *arg, int64_t first, int64_t last);

typedef struct rows_job {
    rows_fn *fn;
    const void *arg;
    int64_t rows, rows_per_tile;
} rows_job;

static inline void rows_tile(void *arg, int64_t tile, int lane)
{
    const rows_job *job = arg;
    int64_t first = tile * job->rows_per_tile;
    job->fn(job->arg, first, min_of(first + job->rows_per_tile, job->rows));
}

// Run fn over all rows, in tiles of about 16,384 elements. A flat array is rows of one element.
static inline void rows_run(tm_device *dev, int64_t rows, int64_t cols, rows_fn *fn, const void *arg)
{
    int64_t per_tile = max_of(1, 16384 / max_of(1, cols));
    rows_job job = {fn, arg, rows, per_tile};
    tm_pool_run(tm_device_pool(dev), parts_of(rows, per_tile), rows_tile, &job);
}

static inline float *row_of(tm_mat m, int64_t row)
{
    return m.data + row * m.stride;
}

static inline void same_shape(tm_mat a, tm_mat b)
{
    tm_assert(a.rows == b.rows && a.cols == b.cols);
}
