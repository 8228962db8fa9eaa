// SPDX-License-Identifier: Apache-2.0
// Rotary positions, half split.
#include "kernels/cpu/cpu.h"

typedef struct table_args {
    tm_mat table;
    const float *inv_freq;
    float scale;
} table_args;

static void table_rows(const void *arg, int64_t first, int64_t last)
{
    const table_args *a = arg;
    int64_t half = a->table.cols / 2;
    for (int64_t p = first; p < last; p++) {
        float *row = row_of(a->table, p);
        for (int64_t i = 0; i < half; i++) {
            float angle = (float)p * a->inv_freq[i];
            row[i] = (float)cos((double)angle) * a->scale;
            row[half + i] = (float)sin((double)angle) * a->scale;
        }
    }
}

void tm_rope_table(tm_device *dev, tm_mat table, const float *inv_freq, float scale)
{
    tm_assert(table.cols % 2 == 0);
    rows_run(dev, table.rows, table.cols * 8, table_rows, &(table_args){table, inv_freq, scale});
}

typedef struct rope_args {
    tm_mat x, table;
    int64_t heads;
    const int32_t *positions;
    float direction;  // 1 forward, -1 backward
} rope_args;

static void turn(float *restrict x, const float *restrict cosines, const float *restrict sines, int64_t half,
                 float direction)
{
    float *restrict y = x + half;
    for (int64_t i = 0; i < half; i++) {
        float a = x[i], b = y[i], s = direction * sines[i];
        x[i] = a * cosines[i] - b * s;
        y[i] = b * cosines[i] + a * s;
    }
}

static void rope_rows(const void *arg, int64_t first, int64_t last)
{
    const rope_args *a = arg;
    int64_t half = a->table.cols / 2, size = a->x.cols / a->heads;
    for (int64_t t = first; t < last; t++) {
        tm_assert(a->positions[t] >= 0 && a->positions[t] < a->table.rows);
        const float *angles = row_of(a->table, a->positions[t]);
        for (int64_t h = 0; h < a->heads; h++)
            turn(row_of(a->x, t) + h * size, angles, angles + half, half, a->direction);
    }
}

static void rope_run(tm_device *dev, tm_mat x, int64_t heads, const int32_t *positions, tm_mat table,
                     float direction)
{
    tm_assert(heads > 0 && x.cols % heads == 0 && table.cols % 2 == 0 && table.cols <= x.cols / heads);
    rows_run(dev, x.rows, x.cols, rope_rows, &(rope_args){x, table, heads, positions, direction});
}

void tm_rope(tm_device *dev, tm_mat x, int64_t heads, const int32_t *positions, tm_mat table)
{
    rope_run(dev, x, heads, positions, table, 1);
}

void tm_rope_grad(tm_device *dev, tm_mat dx, int64_t heads, const int32_t *positions, tm_mat table)
{
    rope_run(dev, dx, heads, positions, table, -1);
}
