// SPDX-License-Identifier: Apache-2.0
// Rounding weights to codes, and codes back to weights.
#include "stages/model/quantize.h"

#include <math.h>

const char *tm_quantization_algorithm(const tm_quantization *q)
{
    return q->bits == 8 ? "W8A16" : q->bits == 4 ? "W4A16_AWQ" : NULL;
}

bool tm_quantization_covers(const tm_param *p)
{
    static const char tail[] = "_proj.weight";
    size_t n = strlen(p->name);
    return p->rank == 2 && n > sizeof tail && strcmp(p->name + n - (sizeof tail - 1), tail) == 0;
}

static uint32_t largest_group(const tm_param_map *map)
{
    uint32_t group = 128;
    for (size_t i = 0; i < map->n_params; i++)
        while (tm_quantization_covers(&map->params[i]) && map->params[i].shape[1] % group) group /= 2;
    return group;
}

tm_status tm_quantization_fit(tm_quantization *q, const tm_param_map *map, tm_error *err)
{
    if (q->bits != 4) return TM_OK;
    if (!q->group) q->group = largest_group(map);
    for (size_t i = 0; i < map->n_params; i++) {
        const tm_param *p = &map->params[i];
        if (!tm_quantization_covers(p) || (p->shape[1] % q->group == 0 && p->shape[0] % 2 == 0)) continue;
        tm_fail(err, TM_EINVAL, "groups of %u columns do not fit %s, [%llu,%llu]", q->group, p->name,
                (unsigned long long)p->shape[0], (unsigned long long)p->shape[1]);
        tm_hint(err, "group = 0 chooses one that fits all linears");
        return TM_EINVAL;
    }
    return TM_OK;
}

size_t tm_quantized_bytes(const tm_quantization *q, uint64_t rows, uint64_t cols)
{
    return (size_t)(rows * cols * q->bits / 8);
}

size_t tm_quantized_scales(const tm_quantization *q, uint64_t rows, uint64_t cols)
{
    return (size_t)(q->bits == 8 ? rows : rows * (cols / q->group));
}

// ---- one scale's worth of columns

static float scale_of(const float *w, uint64_t n, float steps)
{
    float amax = 0;
    for (uint64_t i = 0; i < n; i++) amax = fmaxf(amax, fabsf(w[i]));
    float scale = amax / steps;
    return scale > 0 ? scale : 1;
}

static int code_of(float w, float scale, int low, int high)
{
    float code = rintf(w / scale);
    return code < (float)low ? low : code > (float)high ? high : (int)code;
}

static void put_nibble(uint8_t *byte, uint64_t row, int code)
{
    unsigned shift = row % 2 ? 4 : 0;
    *byte = (uint8_t)((*byte & ~(15u << shift)) | ((unsigned)code & 15) << shift);
}

static int get_nibble(uint8_t byte, uint64_t row)
{
    int code = byte >> (row % 2 ? 4 : 0) & 15;
    return code < 8 ? code : code - 16;
}

// ---- a matrix

static void quantize_8(const float *w, uint64_t rows, uint64_t cols, uint8_t *codes, float *scales)
{
    for (uint64_t r = 0; r < rows; r++, w += cols, codes += cols) {
        scales[r] = scale_of(w, cols, 127);
        for (uint64_t c = 0; c < cols; c++) codes[c] = (uint8_t)code_of(w[c], scales[r], -127, 127);
    }
}

static void quantize_4(const float *w, uint64_t rows, uint64_t cols, uint32_t group, uint8_t *codes,
                       float *scales)
{
    for (uint64_t r = 0; r < rows; r++) {
        uint8_t *line = codes + r / 2 * cols;
        for (uint64_t c = 0; c < cols; c++) {
            if (c % group == 0) *scales++ = scale_of(w + r * cols + c, group, 7);
            put_nibble(&line[c], r, code_of(w[r * cols + c], scales[-1], -8, 7));
        }
    }
}

void tm_quantize(const tm_quantization *q, const float *weights, uint64_t rows, uint64_t cols, uint8_t *codes,
                 float *scales)
{
    if (q->bits == 8)
        quantize_8(weights, rows, cols, codes, scales);
    else
        quantize_4(weights, rows, cols, q->group, codes, scales);
}

void tm_dequantize(const tm_quantization *q, const uint8_t *codes, const float *scales, uint64_t rows,
                   uint64_t cols, float *weights)
{
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t c = 0; c < cols; c++)
            weights[r * cols + c] = q->bits == 8 ? (float)(int8_t)codes[r * cols + c] * scales[r]
                                                 : (float)get_nibble(codes[r / 2 * cols + c], r) *
                                                       scales[r * (cols / q->group) + c / q->group];
}

// ---- from a file

static tm_status odd_shape(const tm_param *p, const tm_st_tensor *t, tm_error *err)
{
    return tm_fail(err, TM_EFORMAT, "tensor %s, %s of rank %u, is no quantized [%llu,%llu]", t->name,
                   tm_st_dtype_name(t->dtype), t->rank, (unsigned long long)p->shape[0],
                   (unsigned long long)p->shape[1]);
}

static bool is_shape(const tm_st_tensor *t, tm_st_dtype dtype, uint32_t rank, uint64_t rows, uint64_t cols)
{
    return t->dtype == dtype && t->rank == rank && t->shape[0] == rows && (rank == 1 || t->shape[1] == cols);
}

tm_status tm_quantized_put(float *slab, const tm_param *p, const tm_st_tensor *codes,
                           const tm_st_tensor *scales, tm_error *err)
{
    uint64_t rows = p->shape[0], cols = p->shape[1];
    tm_quantization q = {.bits = 8};
    if (codes->dtype == TM_ST_U8) q = (tm_quantization){4, 0};
    if (p->rank != 2 || !is_shape(codes, q.bits == 8 ? TM_ST_I8 : TM_ST_U8, 2, rows * q.bits / 8, cols))
        return odd_shape(p, codes, err);
    if (q.bits == 4) {
        uint64_t groups = scales->rank == 2 ? scales->shape[1] : 0;
        if (rows % 2 || !groups || cols % groups) return odd_shape(p, scales, err);
        q.group = (uint32_t)(cols / groups);
    }
    if (!is_shape(scales, TM_ST_F32, q.bits == 8 ? 1 : 2, rows, q.bits == 8 ? 1 : cols / q.group))
        return odd_shape(p, scales, err);
    float *aligned = tm_alloc(scales->data.size);
    if (!aligned) return tm_fail(err, TM_ENOMEM, "no memory for scales");
    memcpy(aligned, scales->data.data, scales->data.size);
    tm_dequantize(&q, (const uint8_t *)codes->data.data, aligned, rows, cols, slab + p->offset);
    tm_free(aligned);
    return TM_OK;
}
