// SPDX-License-Identifier: Apache-2.0
// The head and its cross-entropy: chunk of tokens by chunk, logits to losses to gradients in one buffer.
//
// Only tokens with a label are computed: those of a chunk are gathered first, unless they lie side by side.
#include "kernels/cpu/cpu.h"

#include "kernels/cpu/reduce.h"

enum { CHUNK_ELEMENTS = 1 << 24, CHUNK_ROWS_LEAST = 64 };

// The labelled tokens, and room for one chunk of them.
typedef struct work {
    const tm_head_loss_args *args;
    int32_t *tokens;  // those with a label, ascending
    int64_t n_tokens;
    float *log_probs;             // [T]
    tm_mat logits;                // [rows of a chunk, V]
    tm_mat gathered, d_gathered;  // [rows of a chunk, C], where tokens are left out
    const int32_t *chunk;         // tokens of the chunk
    bool grad;
} work;

static float logit_scale(const tm_head_loss_args *args)
{
    return args->logit_scale == 0 ? 1 : args->logit_scale;
}

static void cap_row(float *x, int64_t n, float cap)
{
    for (int64_t i = 0; i < n; i += LANES)
        vf_store_next(x + i, cap * vf_tanh(vf_load_next(x + i, n - i, 0) / cap), n - i);
}

// x holds exp(logit - largest); it becomes scale * (softmax - one at label).
static void grad_row(float *x, int64_t n, int64_t label, float sum, float scale)
{
    float factor = scale / sum;
    for (int64_t i = 0; i < n; i++) x[i] *= factor;
    x[label] -= scale;
}

// The same through a cap; x holds capped logits.
static void grad_row_capped(float *x, int64_t n, int64_t label, float lse, float scale, float cap)
{
    for (int64_t i = 0; i < n; i += LANES) {
        vf logit = vf_load_next(x + i, n - i, 0), ratio = logit / cap;
        vf d = vf_exp(logit - lse);
        if (label >= i && label < i + LANES) d[label - i] -= 1;
        vf_store_next(x + i, d * scale * (1 - ratio * ratio), n - i);
    }
}

// From the logits of a row: the log-probability of its label; then, if wanted, the logits' gradient in place.
static float loss_row(float *x, int64_t n, int64_t label, float scale, float cap, bool grad)
{
    if (cap != 0) cap_row(x, n, cap);
    float largest = row_max(x, n), logit = x[label];
    float sum = row_exp(grad && cap == 0 ? x : NULL, x, n, 1, largest), lse = largest + logf(sum);
    if (grad && cap == 0)
        grad_row(x, n, label, sum, scale);
    else if (grad)
        grad_row_capped(x, n, label, lse, scale, cap);
    return logit - lse;
}

static void chunk_rows(const void *arg, int64_t first, int64_t last)
{
    const work *w = arg;
    const tm_head_loss_args *args = w->args;
    for (int64_t r = first; r < last; r++) {
        int64_t t = w->chunk[r];
        double weight = args->weights == NULL ? 1 : (double)args->weights[t];
        float scale = w->grad ? (float)(weight / args->denominator) : 0;
        tm_assert(args->labels[t] < w->logits.cols);
        w->log_probs[t] =
            loss_row(row_of(w->logits, r), w->logits.cols, args->labels[t], scale, args->softcap, w->grad);
    }
}

static void gather_rows(const void *arg, int64_t first, int64_t last)
{
    const work *w = arg;
    size_t bytes = (size_t)w->gathered.cols * sizeof(float);
    for (int64_t r = first; r < last; r++)
        memcpy(row_of(w->gathered, r), row_of(w->args->hidden, w->chunk[r]), bytes);
}

static void scatter_rows(const void *arg, int64_t first, int64_t last)
{
    const work *w = arg;
    size_t bytes = (size_t)w->d_gathered.cols * sizeof(float);
    for (int64_t r = first; r < last; r++)
        memcpy(row_of(w->args->d_hidden, w->chunk[r]), row_of(w->d_gathered, r), bytes);
}

static void chunk_run(tm_device *dev, work *w, int64_t first, int64_t rows)
{
    const tm_head_loss_args *args = w->args;
    float scale = logit_scale(args);
    w->chunk = w->tokens + first;
    bool apart = w->chunk[rows - 1] - w->chunk[0] != rows - 1;
    bool d_hidden = args->d_hidden.data != NULL;
    tm_mat logits = tm_mat_rows(w->logits, 0, rows), hidden, d = {0};
    if (apart) {
        rows_run(dev, rows, w->gathered.cols, gather_rows, w);
        hidden = tm_mat_rows(w->gathered, 0, rows);
        if (d_hidden) d = tm_mat_rows(w->d_gathered, 0, rows);
    } else {
        hidden = tm_mat_rows(args->hidden, w->chunk[0], rows);
        if (d_hidden) d = tm_mat_rows(args->d_hidden, w->chunk[0], rows);
    }
    tm_linear(dev, logits, hidden, args->head, NULL, scale, TM_SET);
    rows_run(dev, rows, logits.cols, chunk_rows, w);
    if (d_hidden) tm_linear_grad_x(dev, d, logits, args->head, scale, TM_SET);
    if (d_hidden && apart) rows_run(dev, rows, d.cols, scatter_rows, w);
    if (args->d_head.data != NULL) tm_linear_grad_w(dev, args->d_head, logits, hidden, scale);
}

// Lists the tokens that have a label; the others get their zeros.
static void tokens_list(work *w)
{
    const tm_head_loss_args *args = w->args;
    for (int64_t t = 0; t < args->hidden.rows; t++) {
        if (args->labels[t] >= 0) {
            w->tokens[w->n_tokens++] = (int32_t)t;
            continue;
        }
        w->log_probs[t] = 0;
        if (args->d_hidden.data != NULL)
            memset(row_of(args->d_hidden, t), 0, (size_t)args->hidden.cols * sizeof(float));
    }
}

static void totals(const tm_head_loss_args *args, const float *log_probs)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t t = 0; t < args->hidden.rows; t++)
        if (args->labels[t] >= 0) {
            sum -= (double)log_probs[t];
            count++;
        }
    if (args->loss_sum != NULL) *args->loss_sum = sum;
    if (args->count != NULL) *args->count = count;
}

static int64_t chunk_most(const tm_head_loss_args *args)
{
    return max_of(CHUNK_ROWS_LEAST, CHUNK_ELEMENTS / args->head.rows);
}

static void chunks_run(tm_device *dev, work *w)
{
    const tm_head_loss_args *args = w->args;
    int64_t rows = min_of(w->n_tokens, chunk_most(args)), cols = args->hidden.cols;
    int64_t apart = w->n_tokens < args->hidden.rows ? rows : 0;
    float *logits = tm_scratch_push(dev, (size_t)(rows * args->head.rows) * sizeof(float));
    float *gathered = tm_scratch_push(dev, (size_t)(2 * apart * cols) * sizeof(float));
    if (logits != NULL && gathered != NULL) {
        w->logits = tm_mat_of(logits, rows, args->head.rows);
        w->gathered = tm_mat_of(gathered, apart, cols);
        w->d_gathered = tm_mat_of(gathered + apart * cols, apart, cols);
        for (int64_t first = 0; first < w->n_tokens; first += rows)
            chunk_run(dev, w, first, min_of(rows, w->n_tokens - first));
        totals(args, w->log_probs);
    }
    tm_scratch_pop(dev, gathered);
    tm_scratch_pop(dev, logits);
}

void tm_head_loss(tm_device *dev, const tm_head_loss_args *args)
{
    int64_t tokens = args->hidden.rows;
    work w = {.args = args, .grad = args->d_hidden.data != NULL || args->d_head.data != NULL};
    tm_assert(args->hidden.cols == args->head.cols && (!w.grad || args->denominator > 0));
    float *kept = tm_scratch_push(dev, (size_t)tokens * sizeof *kept);
    w.tokens = tm_scratch_push(dev, (size_t)tokens * sizeof *w.tokens);
    if (kept != NULL && w.tokens != NULL) {
        w.log_probs = args->log_probs != NULL ? args->log_probs : kept;
        tokens_list(&w);
        chunks_run(dev, &w);
    }
    tm_scratch_pop(dev, w.tokens);
    tm_scratch_pop(dev, kept);
}
