// SPDX-License-Identifier: Apache-2.0
// Activations and gated activations.
#include "kernels/cpu/cpu.h"

#define SQRT_2_OVER_PI 0.79788456080286536f
#define GELU_CUBE 0.044715f

// Value and slope of an activation at each element.
typedef struct curve {
    vf value, slope;
} curve;

static inline curve silu(vf x)
{
    vf s = vf_sigmoid(x);
    return (curve){x * s, s * (1 + x * (1 - s))};
}

static inline curve gelu_tanh(vf x)
{
    vf t = vf_tanh(SQRT_2_OVER_PI * (x + GELU_CUBE * x * x * x));
    vf slope = SQRT_2_OVER_PI * (1 + 3 * GELU_CUBE * x * x);
    return (curve){0.5f * x * (1 + t), 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * slope};
}

static inline curve gelu_erf(vf x)
{
    vf cdf;
    for (int i = 0; i < LANES; i++) cdf[i] = 0.5f * (1 + erff(x[i] * 0.70710678118654752f));
    vf density = vf_exp(-0.5f * x * x) * 0.39894228040143268f;
    return (curve){x * cdf, cdf + x * density};
}

static inline curve relu(vf x)
{
    vi positive = x > 0;
    return (curve){vf_select(positive, x, vf_set(0)), vf_select(positive, vf_set(1), vf_set(0))};
}

static inline curve curve_at(tm_activation f, vf x)
{
    switch (f) {
    case TM_SILU: return silu(x);
    case TM_GELU_TANH: return gelu_tanh(x);
    case TM_GELU_ERF: return gelu_erf(x);
    case TM_RELU: break;
    }
    return relu(x);
}

typedef struct act_args {
    tm_mat y, y2;  // outputs: y, or d_gate and d_up
    tm_mat dy, x, up;
    tm_activation f;
} act_args;

// A row of each kind of work; `f` is a constant after inlining.
typedef void row_fn(const act_args *a, int64_t row, int64_t col, int64_t n, tm_activation f);

static inline void act_vector(const act_args *a, int64_t row, int64_t c, int64_t n, tm_activation f)
{
    vf_store_next(row_of(a->y, row) + c, curve_at(f, vf_load_next(row_of(a->x, row) + c, n, 0)).value, n);
}

static inline void act_grad_vector(const act_args *a, int64_t row, int64_t c, int64_t n, tm_activation f)
{
    curve at = curve_at(f, vf_load_next(row_of(a->x, row) + c, n, 0));
    vf_store_next(row_of(a->y, row) + c, vf_load_next(row_of(a->dy, row) + c, n, 0) * at.slope, n);
}

static inline void glu_vector(const act_args *a, int64_t row, int64_t c, int64_t n, tm_activation f)
{
    curve at = curve_at(f, vf_load_next(row_of(a->x, row) + c, n, 0));
    vf_store_next(row_of(a->y, row) + c, at.value * vf_load_next(row_of(a->up, row) + c, n, 0), n);
}

static inline void glu_grad_vector(const act_args *a, int64_t row, int64_t c, int64_t n, tm_activation f)
{
    curve at = curve_at(f, vf_load_next(row_of(a->x, row) + c, n, 0));
    vf dy = vf_load_next(row_of(a->dy, row) + c, n, 0), up = vf_load_next(row_of(a->up, row) + c, n, 0);
    vf_store_next(row_of(a->y, row) + c, dy * up * at.slope, n);
    vf_store_next(row_of(a->y2, row) + c, dy * at.value, n);
}

static inline __attribute__((always_inline)) void rows_with(row_fn *vector, const act_args *a, int64_t first,
                                                            int64_t last, tm_activation f)
{
    for (int64_t r = first; r < last; r++) {
        int64_t c = 0;
        for (; c + LANES <= a->x.cols; c += LANES) vector(a, r, c, LANES, f);
        if (c < a->x.cols) vector(a, r, c, a->x.cols - c, f);
    }
}

// The loops of one kind of work, one per activation.
#define ROWS(kind)                                                                                           \
    static void kind##_rows(const void *arg, int64_t first, int64_t last)                                    \
    {                                                                                                        \
        const act_args *a = arg;                                                                             \
        switch (a->f) {                                                                                      \
        case TM_SILU: rows_with(kind##_vector, a, first, last, TM_SILU); break;                              \
        case TM_GELU_TANH: rows_with(kind##_vector, a, first, last, TM_GELU_TANH); break;                    \
        case TM_GELU_ERF: rows_with(kind##_vector, a, first, last, TM_GELU_ERF); break;                      \
        case TM_RELU: rows_with(kind##_vector, a, first, last, TM_RELU); break;                              \
        }                                                                                                    \
    }

ROWS(act)
ROWS(act_grad)
ROWS(glu)
ROWS(glu_grad)

void tm_activate(tm_device *dev, tm_mat y, tm_mat x, tm_activation f)
{
    same_shape(y, x);
    rows_run(dev, x.rows, x.cols, act_rows, &(act_args){.y = y, .x = x, .f = f});
}

void tm_activate_grad(tm_device *dev, tm_mat dx, tm_mat dy, tm_mat x, tm_activation f)
{
    same_shape(dx, x);
    same_shape(dy, x);
    rows_run(dev, x.rows, x.cols, act_grad_rows, &(act_args){.y = dx, .dy = dy, .x = x, .f = f});
}

void tm_glu(tm_device *dev, tm_mat y, tm_mat gate, tm_mat up, tm_activation f)
{
    same_shape(y, gate);
    same_shape(y, up);
    rows_run(dev, y.rows, y.cols, glu_rows, &(act_args){.y = y, .x = gate, .up = up, .f = f});
}

void tm_glu_grad(tm_device *dev, tm_mat d_gate, tm_mat d_up, tm_mat dy, tm_mat gate, tm_mat up,
                 tm_activation f)
{
    same_shape(d_gate, gate);
    same_shape(d_up, up);
    same_shape(dy, gate);
    same_shape(gate, up);
    act_args args = {.y = d_gate, .y2 = d_up, .dy = dy, .x = gate, .up = up, .f = f};
    rows_run(dev, gate.rows, gate.cols, glu_grad_rows, &args);
}
