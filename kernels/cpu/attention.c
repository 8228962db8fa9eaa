// SPDX-License-Identifier: Apache-2.0
// Attention in tiles of 64 queries by 64 keys (Dao 2022, FlashAttention; the backward pass as its alg. 4).
//
// Forward, a tile of work is (block of queries, head); backward it is (document, head of keys), so that dq,
// dk and dv each have one writer. Blocks that are masked whole are skipped; in a block that is masked in
// part, a group of rows stops at the last key that one of them sees, and what is masked before that is minus
// infinity.
#include "kernels/cpu/cpu.h"

#include "kernels/cpu/micro.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/reduce.h"

enum { Q_BLOCK = 64, K_BLOCK = 64, GROUP = 2 * BLOCK_ROWS };

typedef struct attention {
    const tm_attention_shape *shape;
    tm_mat out, q, k, v;
    float *lse;
    const float *lse_in;
    tm_mat dq, dk, dv, d_out;
    const int64_t (*blocks)[2];  // forward: document and its block of queries
    float *scratch;              // per lane
    int64_t scratch_floats;
} attention;

// A document: its rows among the queries and among the keys.
typedef struct document {
    int64_t q0, n_q, k0, n_k;
} document;

static document document_at(const tm_attention_shape *shape, int64_t d)
{
    document doc = {shape->q_start[d], shape->q_start[d + 1] - shape->q_start[d], 0, 0};
    doc.k0 = shape->k_start == NULL ? doc.q0 : shape->k_start[d];
    doc.n_k = shape->k_start == NULL ? doc.n_q : shape->k_count[d];
    tm_assert(doc.n_q >= 0 && (doc.n_k >= doc.n_q || shape->bidirectional));
    return doc;
}

// The keys that query r of a document sees: from *low up to, not including, *high.
static void seen(const tm_attention_shape *shape, document doc, int64_t r, int64_t *low, int64_t *high)
{
    int64_t place = doc.n_k - doc.n_q + r;
    *high = shape->bidirectional ? doc.n_k : place + 1;
    *low = shape->window > 0 ? max_of(0, place + 1 - shape->window) : 0;
}

// ---- Small products, not packed

// C [m,n] = or += A B; B [k,n] has contiguous rows.
static inline void rows_by(float *c, int64_t c_stride, operand a, const float *b, int64_t b_stride, int64_t n,
                           int64_t k, const int rows, tm_into into)
{
    int64_t j = 0;
    for (; j + 2 * LANES <= n; j += 2 * LANES)
        micro(c + j, c_stride, a, b + j, b_stride, k, rows, 2, 1, into);
    for (; j + LANES <= n; j += LANES) micro(c + j, c_stride, a, b + j, b_stride, k, rows, 1, 1, into);
    for (; j < n; j++)
        for (int64_t i = 0; i < rows; i++) {
            float sum = 0;
            for (int64_t p = 0; p < k; p++) sum += a.data[i * a.row + p * a.col] * b[p * b_stride + j];
            c[i * c_stride + j] = into == TM_ADD ? c[i * c_stride + j] + sum : sum;
        }
}

static void small(float *c, int64_t c_stride, operand a, const float *b, int64_t b_stride, int64_t m,
                  int64_t n, int64_t k, tm_into into)
{
    int64_t i = 0;
    for (; i + BLOCK_ROWS <= m; i += BLOCK_ROWS, a.data += BLOCK_ROWS * a.row)
        rows_by(c + i * c_stride, c_stride, a, b, b_stride, n, k, BLOCK_ROWS, into);
    for (; i + 4 <= m; i += 4, a.data += 4 * a.row)
        rows_by(c + i * c_stride, c_stride, a, b, b_stride, n, k, 4, into);
    for (; i + 2 <= m; i += 2, a.data += 2 * a.row)
        rows_by(c + i * c_stride, c_stride, a, b, b_stride, n, k, 2, into);
    if (i < m) rows_by(c + i * c_stride, c_stride, a, b, b_stride, n, k, 1, into);
}

// to [size, K_BLOCK] = the transpose of n_rows rows of one head; columns without a row are 0.
static void turn(float *to, const float *from, int64_t stride, int64_t n_rows, int64_t size)
{
    pack_turned(to, K_BLOCK, from, 0, stride, n_rows, size, TM_F32);
}

// ---- What a block sees

// A block of scores, and the columns of it that are computed for a group of rows: whole vectors.
typedef struct block {
    document doc;
    int64_t head, kv;  // of queries, of keys
    int64_t r0, rows;  // queries of the document
    int64_t j0, cols;  // its keys
    bool whole;        // every query sees every key
} block;

static block block_at(const tm_attention_shape *shape, document doc, int64_t head, int64_t r0, int64_t rows,
                      int64_t j0)
{
    block b = {.doc = doc, .head = head, .r0 = r0, .rows = rows, .j0 = j0};
    b.kv = head * shape->kv_heads / shape->q_heads;
    b.cols = min_of(K_BLOCK, doc.n_k - j0);
    int64_t low, high, unused;
    seen(shape, doc, r0 + rows - 1, &low, &unused);
    seen(shape, doc, r0, &unused, &high);
    b.whole = low <= j0 && high >= j0 + b.cols && b.cols % LANES == 0;
    return b;
}

static int64_t group_rows(const block *b)
{
    return b->whole ? b->rows : GROUP;
}

// Whole vectors of columns that hold all the keys which rows first .. first + n see.
static int64_t group_cols(const tm_attention_shape *shape, const block *b, int64_t first, int64_t n)
{
    int64_t unused, high;
    seen(shape, b->doc, b->r0 + first + n - 1, &unused, &high);
    return parts_of(min_of(max_of(high - b->j0, 0), b->cols), LANES) * LANES;
}

// Minus infinity where row i of the block does not see; false if it sees nothing of `cols`.
static bool row_mask(const tm_attention_shape *shape, const block *b, int64_t i, float *s, int64_t cols)
{
    if (b->whole) return true;
    int64_t low, high;
    seen(shape, b->doc, b->r0 + i, &low, &high);
    low = max_of(low - b->j0, 0);
    high = min_of(high - b->j0, b->cols);
    for (int64_t j = 0; j < min_of(low, cols); j++) s[j] = -INFINITY;
    for (int64_t j = max_of(high, 0); j < cols; j++) s[j] = -INFINITY;
    return low < high;
}

static float *head_row(tm_mat m, int64_t row, int64_t head, int64_t size)
{
    return row_of(m, row) + head * size;
}

// Scores through the cap; after it their scale is 1.
static void cap_scores(float *s, int64_t n, const tm_attention_shape *shape)
{
    float factor = shape->scale / shape->softcap;
    for (int64_t j = 0; j < n; j += LANES) vf_store(s + j, shape->softcap * vf_tanh(vf_load(s + j) * factor));
}

// ---- Forward

typedef struct forward_rows {
    float most[Q_BLOCK], sum[Q_BLOCK];
    float *turned, *s, *o;
} forward_rows;

// The softmax of a row as it grows: weights of this block replace its scores, which are still to be
// multiplied by `scale`; the output so far is multiplied to fit.
static void row_fold(float *s, int64_t n, float scale, float *most, float *sum, float *o, int64_t size)
{
    float block_most = row_max(s, n) * scale;
    float now = block_most > *most ? block_most : *most;
    float factor = *most == now ? 1 : *most == -INFINITY ? 0 : expf(*most - now);
    *sum = *sum * factor + row_exp(s, s, n, scale, now);
    *most = now;
    if (factor != 1)
        for (int64_t c = 0; c < size; c++) o[c] *= factor;
}

static void forward_group(const attention *a, const block *b, int64_t first, int64_t n, forward_rows *state)
{
    const tm_attention_shape *shape = a->shape;
    int64_t size = shape->head_size, cols = group_cols(shape, b, first, n);
    float *s = state->s + first * K_BLOCK, *o = state->o + first * size;
    const float *q = head_row(a->q, b->doc.q0 + b->r0 + first, b->head, size);
    bool capped = shape->softcap != 0;
    if (cols == 0) return;
    small(s, K_BLOCK, (operand){q, a->q.stride, 1}, state->turned, K_BLOCK, n, cols, size, TM_SET);
    for (int64_t i = 0; i < n; i++) {
        float *row = s + i * K_BLOCK;
        if (capped) cap_scores(row, cols, shape);
        if (row_mask(shape, b, first + i, row, cols))
            row_fold(row, cols, capped ? 1 : shape->scale, &state->most[first + i], &state->sum[first + i],
                     o + i * size, size);
        else
            memset(row, 0, (size_t)cols * sizeof *row);
    }
    const float *v = head_row(a->v, b->doc.k0 + b->j0, b->kv, size);
    small(o, size, (operand){s, K_BLOCK, 1}, v, a->v.stride, n, size, min_of(cols, b->cols), TM_ADD);
}

static void forward_block(const attention *a, const block *b, forward_rows *state)
{
    turn(state->turned, head_row(a->k, b->doc.k0 + b->j0, b->kv, a->shape->head_size), a->k.stride, b->cols,
         a->shape->head_size);
    for (int64_t first = 0; first < b->rows; first += group_rows(b))
        forward_group(a, b, first, min_of(group_rows(b), b->rows - first), state);
}

static void forward_end(const attention *a, document doc, int64_t head, int64_t r0, int64_t rows,
                        const forward_rows *state)
{
    int64_t size = a->shape->head_size;
    for (int64_t i = 0; i < rows; i++) {
        float *out = head_row(a->out, doc.q0 + r0 + i, head, size);
        float inverse = state->sum[i] == 0 ? 0 : 1 / state->sum[i];  // 0: there was no key
        for (int64_t c = 0; c < size; c++) out[c] = state->o[i * size + c] * inverse;
        if (a->lse != NULL)
            a->lse[(doc.q0 + r0 + i) * a->shape->q_heads + head] = state->most[i] + logf(state->sum[i]);
    }
}

static void forward_tile(void *arg, int64_t tile, int lane)
{
    const attention *a = arg;
    const tm_attention_shape *shape = a->shape;
    int64_t size = shape->head_size, head = tile % shape->q_heads;
    const int64_t *at = a->blocks[tile / shape->q_heads];
    document doc = document_at(shape, at[0]);
    int64_t r0 = at[1], rows = min_of(Q_BLOCK, doc.n_q - r0), low, high, unused;
    forward_rows state = {.turned = a->scratch + lane * a->scratch_floats};
    state.s = state.turned + size * K_BLOCK;
    state.o = state.s + Q_BLOCK * K_BLOCK;
    for (int64_t i = 0; i < rows; i++) {
        state.most[i] = -INFINITY;
        state.sum[i] = 0;
    }
    memset(state.o, 0, (size_t)(rows * size) * sizeof *state.o);
    seen(shape, doc, r0, &low, &unused);
    seen(shape, doc, r0 + rows - 1, &unused, &high);
    for (int64_t j0 = low / K_BLOCK * K_BLOCK; j0 < high; j0 += K_BLOCK) {
        block b = block_at(shape, doc, head, r0, rows, j0);
        forward_block(a, &b, &state);
    }
    forward_end(a, doc, head, r0, rows, &state);
}

static void shape_check(const tm_attention_shape *s, tm_mat q, tm_mat k, tm_mat v)
{
    tm_assert(s->scale > 0 && s->kv_heads > 0 && s->q_heads % s->kv_heads == 0 &&
              !(s->bidirectional && s->window > 0));
    tm_assert(q.cols == s->q_heads * s->head_size && k.cols == s->kv_heads * s->head_size &&
              v.cols == k.cols);
    tm_assert(s->docs == 0 || s->q_start[s->docs] <= q.rows);
    for (int64_t d = 0; d < s->docs; d++) {
        document doc = document_at(s, d);
        tm_assert(doc.k0 + doc.n_k <= k.rows && doc.k0 + doc.n_k <= v.rows);
    }
}

static int64_t blocks_count(const tm_attention_shape *shape)
{
    int64_t count = 0;
    for (int64_t d = 0; d < shape->docs; d++) count += parts_of(document_at(shape, d).n_q, Q_BLOCK);
    return count;
}

static void blocks_list(const tm_attention_shape *shape, int64_t (*blocks)[2])
{
    for (int64_t d = 0; d < shape->docs; d++)
        for (int64_t r = 0; r < document_at(shape, d).n_q; r += Q_BLOCK, blocks++) {
            (*blocks)[0] = d;
            (*blocks)[1] = r;
        }
}

void tm_attention(tm_device *dev, tm_mat out, float *lse, tm_mat q, tm_mat k, tm_mat v,
                  const tm_attention_shape *shape)
{
    shape_check(shape, q, k, v);
    same_shape(out, q);
    attention a = {.shape = shape, .out = out, .lse = lse, .q = q, .k = k, .v = v};
    int64_t count = blocks_count(shape), threads = tm_pool_threads(tm_device_pool(dev));
    a.scratch_floats = (shape->head_size + Q_BLOCK) * K_BLOCK + Q_BLOCK * shape->head_size;
    int64_t(*blocks)[2] = tm_scratch_push(dev, (size_t)count * sizeof *blocks);
    a.scratch = tm_scratch_push(dev, (size_t)(threads * a.scratch_floats) * sizeof(float));
    if (blocks != NULL && a.scratch != NULL) {
        blocks_list(shape, blocks);
        a.blocks = (const int64_t(*)[2])blocks;
        tm_pool_run(tm_device_pool(dev), count * shape->q_heads, forward_tile, &a);
    }
    tm_scratch_pop(dev, a.scratch);
    tm_scratch_pop(dev, blocks);
}

// ---- Backward

typedef struct backward_room {
    float *k_turned, *v_turned;  // [size, K_BLOCK]
    float *p, *ds;               // [Q_BLOCK, K_BLOCK]
    float *delta;                // [queries of the device]: sum over a row of d_out * out
} backward_room;

// A row of a block: p = exp(score - lse), ds = p * (dp - delta) * scale. s holds q k^T, masked, on entry and
// p on return; dp holds d_out v^T and then ds.
static void backward_row(float *s, float *dp, int64_t n, float lse, float delta,
                         const tm_attention_shape *shape)
{
    float cap = shape->softcap, factor = cap != 0 ? 1 : shape->scale;
    for (int64_t j = 0; j < n; j += LANES) {
        vf score = vf_load(s + j);
        vf p = vf_exp(score * factor - lse);
        vf d = p * (vf_load(dp + j) - delta) * shape->scale;
        if (cap != 0) {
            vf ratio = vf_max(vf_set(-cap), score) / cap;
            d *= 1 - ratio * ratio;
        }
        vf_store(s + j, p);
        vf_store(dp + j, d);
    }
}

static void backward_group(const attention *a, const block *b, int64_t first, int64_t n,
                           const backward_room *room)
{
    const tm_attention_shape *shape = a->shape;
    int64_t size = shape->head_size, cols = group_cols(shape, b, first, n), t0 = b->doc.q0 + b->r0 + first;
    float *p = room->p + first * K_BLOCK, *ds = room->ds + first * K_BLOCK;
    operand q = {head_row(a->q, t0, b->head, size), a->q.stride, 1};
    operand d_out = {head_row(a->d_out, t0, b->head, size), a->d_out.stride, 1};
    small(p, K_BLOCK, q, room->k_turned, K_BLOCK, n, cols, size, TM_SET);
    small(ds, K_BLOCK, d_out, room->v_turned, K_BLOCK, n, cols, size, TM_SET);
    for (int64_t i = 0; i < n; i++, p += K_BLOCK, ds += K_BLOCK) {
        if (shape->softcap != 0) cap_scores(p, cols, shape);
        row_mask(shape, b, first + i, p, cols);
        backward_row(p, ds, cols, a->lse_in[(t0 + i) * shape->q_heads + b->head],
                     room->delta[b->r0 + first + i], shape);
        for (int64_t j = cols; j < b->cols; j++) p[j] = ds[j] = 0;
    }
    operand left = {room->ds + first * K_BLOCK, K_BLOCK, 1};
    small(head_row(a->dq, t0, b->head, size), a->dq.stride, left,
          head_row(a->k, b->doc.k0 + b->j0, b->kv, size), a->k.stride, n, size, min_of(cols, b->cols),
          TM_ADD);
}

// dv and dk of keys first .. first + n, from the rows that may see them.
static void backward_keys(const attention *a, const block *b, int64_t first, int64_t n,
                          const backward_room *room)
{
    int64_t size = a->shape->head_size, low, high, r = 0;
    for (; r < b->rows; r += GROUP) {  // groups of rows that end before these keys have nothing for them
        seen(a->shape, b->doc, b->r0 + min_of(r + GROUP, b->rows) - 1, &low, &high);
        if (high > b->j0 + first) break;
    }
    if (r >= b->rows) return;
    int64_t t = b->doc.q0 + b->r0 + r, key = b->doc.k0 + b->j0 + first;
    operand p = {room->p + r * K_BLOCK + first, 1, K_BLOCK},
            ds = {room->ds + r * K_BLOCK + first, 1, K_BLOCK};
    small(head_row(a->dv, key, b->kv, size), a->dv.stride, p, head_row(a->d_out, t, b->head, size),
          a->d_out.stride, n, size, b->rows - r, TM_ADD);
    small(head_row(a->dk, key, b->kv, size), a->dk.stride, ds, head_row(a->q, t, b->head, size), a->q.stride,
          n, size, b->rows - r, TM_ADD);
}

static void backward_block(const attention *a, const block *b, const backward_room *room)
{
    for (int64_t first = 0; first < b->rows; first += group_rows(b))
        backward_group(a, b, first, min_of(group_rows(b), b->rows - first), room);
    int64_t keys = b->whole ? b->cols : GROUP;
    for (int64_t first = 0; first < b->cols; first += keys)
        backward_keys(a, b, first, min_of(keys, b->cols - first), room);
}

static void backward_head(const attention *a, document doc, int64_t head, const backward_room *room)
{
    const tm_attention_shape *shape = a->shape;
    int64_t size = shape->head_size, kv = head * shape->kv_heads / shape->q_heads;
    for (int64_t r = 0; r < doc.n_q; r++) {
        memset(head_row(a->dq, doc.q0 + r, head, size), 0, (size_t)size * sizeof(float));
        room->delta[r] = row_dot(head_row(a->d_out, doc.q0 + r, head, size),
                                 head_row(a->out, doc.q0 + r, head, size), size);
    }
    for (int64_t j0 = 0; j0 < doc.n_k; j0 += K_BLOCK) {
        int64_t cols = min_of(K_BLOCK, doc.n_k - j0);
        turn(room->k_turned, head_row(a->k, doc.k0 + j0, kv, size), a->k.stride, cols, size);
        turn(room->v_turned, head_row(a->v, doc.k0 + j0, kv, size), a->v.stride, cols, size);
        for (int64_t r0 = 0; r0 < doc.n_q; r0 += Q_BLOCK) {
            block b = block_at(shape, doc, head, r0, min_of(Q_BLOCK, doc.n_q - r0), j0);
            int64_t low, high, unused;
            seen(shape, doc, r0, &low, &unused);
            seen(shape, doc, r0 + b.rows - 1, &unused, &high);
            if (j0 < high && j0 + cols > low) backward_block(a, &b, room);
        }
    }
}

static void backward_tile(void *arg, int64_t tile, int lane)
{
    const attention *a = arg;
    const tm_attention_shape *shape = a->shape;
    int64_t size = shape->head_size, kv = tile % shape->kv_heads, group = shape->q_heads / shape->kv_heads;
    document doc = document_at(shape, tile / shape->kv_heads);
    float *at = a->scratch + lane * a->scratch_floats;
    backward_room room = {.k_turned = at, .v_turned = at + size * K_BLOCK};
    room.p = room.v_turned + size * K_BLOCK;
    room.ds = room.p + Q_BLOCK * K_BLOCK;
    room.delta = room.ds + Q_BLOCK * K_BLOCK;
    for (int64_t j = 0; j < doc.n_k; j++) {
        memset(row_of(a->dk, doc.k0 + j) + kv * size, 0, (size_t)size * sizeof(float));
        memset(row_of(a->dv, doc.k0 + j) + kv * size, 0, (size_t)size * sizeof(float));
    }
    for (int64_t h = 0; h < group; h++) backward_head(a, doc, kv * group + h, &room);
}

void tm_attention_grad(tm_device *dev, tm_mat dq, tm_mat dk, tm_mat dv, tm_mat d_out, tm_mat q, tm_mat k,
                       tm_mat v, tm_mat out, const float *lse, const tm_attention_shape *shape)
{
    shape_check(shape, q, k, v);
    same_shape(dq, q);
    same_shape(d_out, q);
    same_shape(out, q);
    same_shape(dk, k);
    same_shape(dv, v);
    attention a = {.shape = shape,
                   .out = out,
                   .q = q,
                   .k = k,
                   .v = v,
                   .lse_in = lse,
                   .dq = dq,
                   .dk = dk,
                   .dv = dv,
                   .d_out = d_out};
    int64_t longest = 0;
    for (int64_t d = 0; d < shape->docs; d++) longest = max_of(longest, document_at(shape, d).n_q);
    int64_t threads = tm_pool_threads(tm_device_pool(dev));
    a.scratch_floats = 2 * (shape->head_size + Q_BLOCK) * K_BLOCK + longest;
    a.scratch = tm_scratch_push(dev, (size_t)(threads * a.scratch_floats) * sizeof(float));
    if (a.scratch == NULL) return;
    tm_pool_run(tm_device_pool(dev), shape->docs * shape->kv_heads, backward_tile, &a);
    tm_scratch_pop(dev, a.scratch);
}
