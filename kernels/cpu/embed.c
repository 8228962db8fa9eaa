// SPDX-License-Identifier: Apache-2.0
// Embedding: rows by id, and their gradients back.
#include "kernels/cpu/cpu.h"

typedef struct embed_args {
    tm_mat y;  // tokens; in the gradient dy
    tm_mat d_table;
    tm_weight table;
    const int32_t *ids;
    float scale;
    tm_into into;
} embed_args;

static void embed_row(float *y, const tm_weight *table, int64_t id, float scale, tm_into into)
{
    for (int64_t c = 0; c < table->cols; c++) {
        int64_t at = id * table->stride + c;
        float value = table->dtype == TM_F32 ? ((const float *)table->data)[at]
                                             : tm_bf16_float(((const uint16_t *)table->data)[at]);
        y[c] = into == TM_ADD ? y[c] + scale * value : scale * value;
    }
}

static void embed_rows(const void *arg, int64_t first, int64_t last)
{
    const embed_args *a = arg;
    for (int64_t t = first; t < last; t++) {
        tm_assert(a->ids[t] >= 0 && a->ids[t] < a->table.rows);
        embed_row(row_of(a->y, t), &a->table, a->ids[t], a->scale, a->into);
    }
}

void tm_embed(tm_device *dev, tm_mat y, tm_weight table, const int32_t *ids, float scale, tm_into into)
{
    tm_assert(y.cols == table.cols);
    embed_args args = {.y = y, .table = table, .ids = ids, .scale = scale, .into = into};
    rows_run(dev, y.rows, y.cols, embed_rows, &args);
}

enum { column_part = 64 };

// One tile owns some columns of the whole table, so that no two tiles add to one element.
static void embed_grad_tile(void *arg, int64_t tile, int lane)
{
    const embed_args *a = arg;
    int64_t first = tile * column_part, last = min_of(first + column_part, a->y.cols);
    for (int64_t t = 0; t < a->y.rows; t++) {
        tm_assert(a->ids[t] >= 0 && a->ids[t] < a->d_table.rows);
        float *d = row_of(a->d_table, a->ids[t]);
        const float *dy = row_of(a->y, t);
        for (int64_t c = first; c < last; c++) d[c] += a->scale * dy[c];
    }
}

void tm_embed_grad(tm_device *dev, tm_mat d_table, tm_mat dy, const int32_t *ids, float scale)
{
    tm_assert(dy.cols == d_table.cols);
    embed_args args = {.y = dy, .d_table = d_table, .ids = ids, .scale = scale};
    tm_pool_run(tm_device_pool(dev), parts_of(dy.cols, column_part), embed_grad_tile, &args);
}
