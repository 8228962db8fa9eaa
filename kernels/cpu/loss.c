// SPDX-License-Identifier: Apache-2.0
// The head and its cross-entropy: chunk of tokens by chunk, logits to losses to gradients in one buffer.
#include "kernels/cpu/cpu.h"

#include "kernels/cpu/reduce.h"

enum { CHUNK_ELEMENTS = 1 << 24, CHUNK_ROWS_LEAST = 64 };

typedef struct chunk {
    const tm_head_loss_args *args;
    tm_mat logits;
    int64_t first;     // token of the chunk's first row
    float *log_probs;  // [T]
    bool grad;
} chunk;

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
    const chunk *c = arg;
    const tm_head_loss_args *args = c->args;
    int64_t n = c->logits.cols;
    for (int64_t r = first; r < last; r++) {
        float *x = row_of(c->logits, r);
        int64_t t = c->first + r, label = args->labels[t];
        c->log_probs[t] = 0;
        if (label < 0) {
            if (c->grad) memset(x, 0, (size_t)n * sizeof *x);
            continue;
        }
        tm_assert(label < n);
        double weight = args->weights == NULL ? 1 : (double)args->weights[t];
        float scale = c->grad ? (float)(weight / args->denominator) : 0;
        c->log_probs[t] = loss_row(x, n, label, scale, args->softcap, c->grad);
    }
}

static bool labelled(const int32_t *labels, int64_t n)
{
    for (int64_t t = 0; t < n; t++)
        if (labels[t] >= 0) return true;
    return false;
}

static void chunk_run(tm_device *dev, chunk *c, int64_t rows)
{
    const tm_head_loss_args *args = c->args;
    tm_mat hidden = tm_mat_rows(args->hidden, c->first, rows), logits = tm_mat_rows(c->logits, 0, rows);
    tm_linear(dev, logits, hidden, args->head, NULL, logit_scale(args), TM_SET);
    rows_run(dev, rows, logits.cols, chunk_rows, c);
    if (args->d_hidden.data != NULL)
        tm_linear_grad_x(dev, tm_mat_rows(args->d_hidden, c->first, rows), logits, args->head,
                         logit_scale(args), TM_SET);
    if (args->d_head.data != NULL) tm_linear_grad_w(dev, args->d_head, logits, hidden, logit_scale(args));
}

static void chunk_skip(tm_device *dev, const chunk *c, int64_t rows)
{
    for (int64_t t = c->first; t < c->first + rows; t++) c->log_probs[t] = 0;
    if (c->args->d_hidden.data == NULL) return;
    for (int64_t t = c->first; t < c->first + rows; t++)
        memset(row_of(c->args->d_hidden, t), 0, (size_t)c->args->hidden.cols * sizeof(float));
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

void tm_head_loss(tm_device *dev, const tm_head_loss_args *args)
{
    int64_t tokens = args->hidden.rows, vocabulary = args->head.rows;
    chunk c = {.args = args, .grad = args->d_hidden.data != NULL || args->d_head.data != NULL};
    tm_assert(args->hidden.cols == args->head.cols && (!c.grad || args->denominator > 0));
    int64_t most = max_of(CHUNK_ROWS_LEAST, CHUNK_ELEMENTS / vocabulary);
    int64_t rows = min_of(tokens, most);
    float *kept = tm_scratch_push(dev, (size_t)tokens * sizeof(float));
    float *logits = tm_scratch_push(dev, (size_t)(rows * vocabulary) * sizeof(float));
    if (kept != NULL && logits != NULL) {
        c.log_probs = args->log_probs != NULL ? args->log_probs : kept;
        c.logits = tm_mat_of(logits, rows, vocabulary);
        for (c.first = 0; c.first < tokens; c.first += rows) {
            int64_t n = min_of(rows, tokens - c.first);
            if (labelled(args->labels + c.first, n))
                chunk_run(dev, &c, n);
            else
                chunk_skip(dev, &c, n);
        }
        totals(args, c.log_probs);
    }
    tm_scratch_pop(dev, logits);
    tm_scratch_pop(dev, kept);
}
