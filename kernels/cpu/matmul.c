// SPDX-License-Identifier: Apache-2.0
// Matrix products: B packed once, then tiles of C, each by one thread.
//
//   packed B: slivers of `width` columns    [sliver][k][width]     width = vectors * LANES
//   packed A: panels of BLOCK_ROWS rows     [panel][k][BLOCK_ROWS]
//
// (Goto & van de Geijn 2008; Van Zee & van de Geijn 2015.) Packing widens any storage type to float32. Unlike
// there, A is read where it lies when its rows run along K; only where they do not, a tile packs its own
// part. Every element of C is a sum over K in blocks of K_BLOCK, whatever the tiles: their grid changes no
// bits.
#include "kernels/cpu/cpu.h"

#include "kernels/cpu/micro.h"
#include "kernels/cpu/pack.h"
#include "kernels/linear_form.h"

enum {
    K_BLOCK = LANES == 16 ? 384 : 256,  // a sliver stays in the first cache where that is 32 KiB
    K_PACK = 16 * K_BLOCK,              // of K that is packed at a time
    PACK_ELEMENTS = 1 << 22,            // of B that are packed at a time, at most
    STRAIGHT_ROWS = 4,                  // of K that are packed together
    STRAIGHT_RUN = 256,                 // elements of each that are read, at least
    TILE_ROWS = 192,
    TILE_COLS = 384,
    TILE_PANELS = TILE_ROWS / BLOCK_ROWS,
    TILES_WANTED = 32,
};

typedef struct product {
    tm_mat c, a;
    tm_weight b;
    bool a_t, b_t;
    int64_t m, n, k;
    int vectors, width;  // of a sliver
    float alpha;
    tm_into into;
    float *packed_a, *packed_b;    // of each lane; of the block
    int64_t n0, k0, n_k, slivers;  // the block of B that is packed
    int64_t panels, panels_per_tile, slivers_per_tile, tiles_across, slivers_per_pack;
} product;

// ---- Packing

// What is packed: one operand, as `width` rows (of A) or columns (of B) to a piece.
typedef struct source {
    const void *data;
    tm_dtype dtype;
    int64_t stride, extent;  // extent: rows or columns that there are
    int64_t k0, n_k;         // the part of K
    bool turned;             // K runs along the rows of storage
} source;

// One row of K of one piece that juts out, or that is not float32.
static void run_edge(float *to, int64_t width, const source *s, int64_t from, int64_t valid)
{
    for (int64_t r = 0; r < valid; r++) to[r] = element(s->data, from + r, s->dtype);
    for (int64_t r = valid; r < width; r++) to[r] = 0;
}

static inline __attribute__((always_inline)) void run_copy(float *to, const float *from, const int64_t width)
{
    int64_t r = 0;
    for (; r + LANES <= width; r += LANES) vf_store(to + r, vf_load(from + r));
    memcpy(to + r, from + r, (size_t)(width - r) * sizeof *to);
}

// Pieces of a source whose K runs down its rows. A few rows at a time over all pieces: long runs of a row are
// read, and runs of each piece are written.
static inline __attribute__((always_inline)) void pack_straight(float *to, const int64_t width,
                                                                const source *s, int64_t at, int64_t pieces)
{
    int64_t whole = s->dtype == TM_F32 ? min_of(pieces, (s->extent - at) / width) : 0;
    for (int64_t k = 0; k < s->n_k; k += STRAIGHT_ROWS) {
        int64_t rows = min_of(STRAIGHT_ROWS, s->n_k - k), from = (s->k0 + k) * s->stride + at;
        float *piece = to + k * width;
        for (int64_t p = 0; p < whole; p++, piece += s->n_k * width, from += width)
            for (int64_t i = 0; i < rows; i++)
                run_copy(piece + i * width, (const float *)s->data + from + i * s->stride, width);
        for (int64_t p = whole; p < pieces; p++, piece += s->n_k * width, from += width)
            for (int64_t i = 0; i < rows; i++)
                run_edge(piece + i * width, width, s, from + i * s->stride,
                         min_of(width, s->extent - at - p * width));
    }
}

static void pack(float *to, int64_t width, const source *s, int64_t at, int64_t pieces)
{
    if (!s->turned) {
        if (width == BLOCK_ROWS)
            pack_straight(to, BLOCK_ROWS, s, at, pieces);
        else if (width == LANES)
            pack_straight(to, LANES, s, at, pieces);
        else if (width == 2 * LANES)
            pack_straight(to, 2 * LANES, s, at, pieces);
        else
            pack_straight(to, width, s, at, pieces);
        return;
    }
    for (int64_t p = 0; p < pieces; p++, at += width, to += width * s->n_k) {
        int64_t from = at * s->stride + s->k0, valid = min_of(width, s->extent - at);
        if (s->dtype == TM_F32)
            pack_turned(to, width, s->data, from, s->stride, valid, s->n_k, TM_F32);
        else
            pack_turned(to, width, s->data, from, s->stride, valid, s->n_k, TM_BF16);
    }
}

static void pack_tile(void *arg, int64_t tile, int lane)
{
    const product *p = arg;
    int64_t first = tile * p->slivers_per_pack, count = min_of(p->slivers_per_pack, p->slivers - first);
    source b = {p->b.data, p->b.dtype, p->b.stride, p->n, p->k0, p->n_k, p->b_t};
    pack(p->packed_b + first * p->width * p->n_k, p->width, &b, p->n0 + first * p->width, count);
}

// ---- Tiles

static inline void block_full(const product *p, float *c, int64_t stride, operand left, const float *b,
                              int64_t k, tm_into into)
{
    switch (p->vectors) {
    case 1: micro(c, stride, left, b, LANES, k, BLOCK_ROWS, 1, p->alpha, into); break;
    case 2: micro(c, stride, left, b, 2 * LANES, k, BLOCK_ROWS, 2, p->alpha, into); break;
#if defined(__AVX512F__)
    case 3: micro(c, stride, left, b, 3 * LANES, k, BLOCK_ROWS, 3, p->alpha, into); break;
#endif
    }
}

// A block that juts out of C is computed beside it.
static void block_edge(const product *p, float *c, operand a, const float *b, int64_t k, int64_t rows,
                       int64_t cols, tm_into into)
{
    float beside[BLOCK_ROWS * BLOCK_VECTORS * LANES];
    block_full(p, beside, p->width, a, b, k, TM_SET);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            float value = beside[i * p->width + j];
            c[i * p->c.stride + j] = into == TM_ADD ? c[i * p->c.stride + j] + value : value;
        }
}

// Where the tile's part of A is: packed, except whole panels whose rows run along K.
static operand panel_at(const product *p, const float *packed, int64_t panel0, int64_t panel, int64_t k0)
{
    int64_t row = panel * BLOCK_ROWS;
    if (!p->a_t && row + BLOCK_ROWS <= p->m) return (operand){row_of(p->a, row) + p->k0 + k0, p->a.stride, 1};
    return (operand){packed + (panel - panel0) * min_of(K_BLOCK, p->n_k - k0) * BLOCK_ROWS, 1, BLOCK_ROWS};
}

static void tile_pack_a(const product *p, float *packed, int64_t panel0, int64_t panel1, int64_t k0)
{
    int64_t n_k = min_of(K_BLOCK, p->n_k - k0), whole = p->m / BLOCK_ROWS;
    source a = {p->a.data, TM_F32, p->a.stride, p->m, p->k0 + k0, n_k, !p->a_t};
    int64_t first = p->a_t ? panel0 : max_of(panel0, min_of(whole, panel1));
    pack(packed + (first - panel0) * n_k * BLOCK_ROWS, BLOCK_ROWS, &a, first * BLOCK_ROWS, panel1 - first);
}

static void block(const product *p, operand a, int64_t panel, int64_t sliver, int64_t k0)
{
    int64_t row = panel * BLOCK_ROWS, col = p->n0 + sliver * p->width;
    int64_t rows = min_of(BLOCK_ROWS, p->m - row), cols = min_of(p->width, p->n - col);
    int64_t k = min_of(K_BLOCK, p->n_k - k0);
    const float *b = p->packed_b + (sliver * p->n_k + k0) * p->width;
    float *c = p->c.data + row * p->c.stride + col;
    tm_into into = p->k0 + k0 == 0 ? p->into : TM_ADD;
    if (rows == BLOCK_ROWS && cols == p->width)
        block_full(p, c, p->c.stride, a, b, k, into);
    else
        block_edge(p, c, a, b, k, rows, cols, into);
}

static void product_tile(void *arg, int64_t tile, int lane)
{
    const product *p = arg;
    float *packed = p->packed_a + lane * (TILE_PANELS * BLOCK_ROWS * K_BLOCK);
    int64_t panel0 = tile / p->tiles_across * p->panels_per_tile;
    int64_t sliver0 = tile % p->tiles_across * p->slivers_per_tile;
    int64_t panel1 = min_of(panel0 + p->panels_per_tile, p->panels);
    int64_t sliver1 = min_of(sliver0 + p->slivers_per_tile, p->slivers);
    for (int64_t k0 = 0; k0 < p->n_k; k0 += K_BLOCK) {
        tile_pack_a(p, packed, panel0, panel1, k0);
        for (int64_t sliver = sliver0; sliver < sliver1; sliver++)
            for (int64_t panel = panel0; panel < panel1; panel++)
                block(p, panel_at(p, packed, panel0, panel, k0), panel, sliver, k0);
    }
}

// ---- Plan: everything here depends on shape alone

// The width of slivers that wastes least: cycles per k of a block are about its loads or its products.
static int vectors_pick(int64_t n)
{
    int best = 1;
    int64_t least = INT64_MAX;
    for (int v = 1; v <= BLOCK_VECTORS; v++) {
        int64_t cost = parts_of(n, v * LANES) * max_of(BLOCK_ROWS * v, BLOCK_ROWS + v);
        if (cost <= least) {
            least = cost;
            best = v;
        }
    }
    return best;
}

extern tm_linear_form TM_ISA_NAME(tm_linear_form)(int64_t out);
tm_linear_form TM_ISA_NAME(tm_linear_form)(int64_t out)
{
    return (tm_linear_form){BLOCK_ROWS, vectors_pick(out) * LANES};
}

static int64_t tiles_count(const product *p)
{
    return parts_of(p->panels, p->panels_per_tile) * parts_of(p->slivers, p->slivers_per_tile);
}

// Tiles of fewer rows read B more often; tiles of fewer columns pack A more often, where it is packed.
static void grid_pick(product *p)
{
    p->panels_per_tile = TILE_PANELS;
    p->slivers_per_tile = max_of(1, TILE_COLS / p->width);
    while (p->panels_per_tile > 4 && tiles_count(p) < TILES_WANTED)
        p->panels_per_tile = parts_of(p->panels_per_tile, 2);
    int64_t wanted = p->a_t ? TILES_WANTED / 4 : TILES_WANTED;
    while (p->slivers_per_tile > 1 && tiles_count(p) < wanted)
        p->slivers_per_tile = parts_of(p->slivers_per_tile, 2);
    p->tiles_across = parts_of(p->slivers, p->slivers_per_tile);
    p->slivers_per_pack = max_of(p->b_t ? 1 : STRAIGHT_RUN / p->width, 16384 / (p->width * p->n_k));
}

static void product_block(tm_device *dev, product *p, int64_t cols)
{
    p->slivers = parts_of(cols, p->width);
    grid_pick(p);
    tm_pool_run(tm_device_pool(dev), parts_of(p->slivers, p->slivers_per_pack), pack_tile, p);
    tm_pool_run(tm_device_pool(dev), tiles_count(p), product_tile, p);
}

static void product_blocks(tm_device *dev, product *p)
{
    p->vectors = vectors_pick(p->n);
    p->width = p->vectors * LANES;
    p->panels = parts_of(p->m, BLOCK_ROWS);
    int64_t k_most = min_of(p->k, K_PACK), lanes = tm_pool_threads(tm_device_pool(dev));
    int64_t cols = min_of(parts_of(p->n, p->width), PACK_ELEMENTS / (p->width * k_most)) * p->width;
    p->packed_a = tm_scratch_push(dev, (size_t)(lanes * TILE_PANELS * BLOCK_ROWS * K_BLOCK) * sizeof(float));
    p->packed_b = tm_scratch_push(dev, (size_t)(cols * k_most) * sizeof(float));
    for (p->k0 = 0; p->k0 < p->k && p->packed_a != NULL && p->packed_b != NULL; p->k0 += K_PACK) {
        p->n_k = min_of(K_PACK, p->k - p->k0);
        for (p->n0 = 0; p->n0 < p->n; p->n0 += cols) product_block(dev, p, min_of(cols, p->n - p->n0));
    }
    tm_scratch_pop(dev, p->packed_b);
    tm_scratch_pop(dev, p->packed_a);
}

// ---- A few rows against the rows of B: dot products, nothing packed. Each has the same bits in any company.

// What the registers hold: sums of DOT_ROWS rows of A with DOT_COLS rows of B.
enum { DOT_SUMS = 4, DOT_ROWS = 2, DOT_COLS = LANES == 16 ? 3 : 1 };

// Rows j .. j + cols of B with rows i .. i + rows of A.
static inline __attribute__((always_inline)) void dots(const product *p, int64_t i, int64_t j, const int rows,
                                                       const int cols, const tm_dtype dtype)
{
    vf sums[DOT_ROWS][DOT_COLS][DOT_SUMS] = {{{{0}}}};
    int64_t k = 0;
    for (; k + DOT_SUMS * LANES <= p->k; k += DOT_SUMS * LANES)
#pragma GCC unroll 4
        for (int u = 0; u < DOT_SUMS; u++) {
            vf left[DOT_ROWS];
#pragma GCC unroll 2
            for (int r = 0; r < rows; r++) left[r] = vf_load(row_of(p->a, i + r) + k + u * LANES);
#pragma GCC unroll 3
            for (int c = 0; c < cols; c++) {
                int64_t from = (j + c) * p->b.stride + k + u * LANES;
                vf right = dtype == TM_F32 ? vf_load((const float *)p->b.data + from)
                                           : vf_load_bf16((const uint16_t *)p->b.data + from);
#pragma GCC unroll 2
                for (int r = 0; r < rows; r++) sums[r][c][u] += left[r] * right;
            }
        }
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            const float *x = row_of(p->a, i + r);
            const vf *s = sums[r][c];
            float *y = row_of(p->c, i + r) + j + c, sum = vf_sum(s[0] + s[1] + (s[2] + s[3]));
            for (int64_t rest = k; rest < p->k; rest++)
                sum += x[rest] * element(p->b.data, (j + c) * p->b.stride + rest, dtype);
            *y = p->into == TM_ADD ? *y + p->alpha * sum : p->alpha * sum;
        }
}

static inline __attribute__((always_inline)) void dots_down(const product *p, int64_t j, const int cols,
                                                            const tm_dtype dtype)
{
    int64_t i = 0;
    for (; i + DOT_ROWS <= p->m; i += DOT_ROWS) dots(p, i, j, DOT_ROWS, cols, dtype);
    for (; i < p->m; i++) dots(p, i, j, 1, cols, dtype);
}

static inline __attribute__((always_inline)) void dots_with(const product *p, int64_t first, int64_t last,
                                                            const tm_dtype dtype)
{
    int64_t j = first;
    if (p->m >= DOT_ROWS)
        for (; j + DOT_COLS <= last; j += DOT_COLS) dots_down(p, j, DOT_COLS, dtype);
    for (; j < last; j++) dots_down(p, j, 1, dtype);
}

static void dot_rows(const void *arg, int64_t first, int64_t last)
{
    const product *p = arg;
    if (p->b.dtype == TM_F32)
        dots_with(p, first, last, TM_F32);
    else
        dots_with(p, first, last, TM_BF16);
}

static void zero_rows(const void *arg, int64_t first, int64_t last)
{
    const product *p = arg;
    for (int64_t r = first; r < last; r++) memset(row_of(p->c, r), 0, (size_t)p->n * sizeof(float));
}

void tm_matmul(tm_device *dev, tm_mat c, tm_mat a, tm_side a_side, tm_weight b, tm_side b_side, float alpha,
               tm_into into)
{
    product p = {
        .c = c, .a = a, .b = b, .a_t = a_side == TM_T, .b_t = b_side == TM_T, .alpha = alpha, .into = into};
    p.m = p.a_t ? a.cols : a.rows;
    p.k = p.a_t ? a.rows : a.cols;
    p.n = p.b_t ? b.rows : b.cols;
    tm_assert(p.k == (p.b_t ? b.cols : b.rows) && p.m == c.rows && p.n == c.cols);
    if (p.m == 0 || p.n == 0) return;
    if (p.k == 0) {
        if (into == TM_SET) rows_run(dev, p.m, p.n, zero_rows, &p);
    } else if (p.m <= TM_ROWS_ALIKE && p.b_t && !p.a_t) {  // so few that packing does not pay
        rows_run(dev, p.n, p.k, dot_rows, &p);
    } else {
        product_blocks(dev, &p);
    }
}
