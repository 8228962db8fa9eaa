// SPDX-License-Identifier: Apache-2.0
// The vocabulary of the models: every op, forward and backward.
//
// Conventions
// - Outputs come first, then inputs. T is the number of tokens, the rows of every activation.
// - The gradient of an activation is written, or added where the call takes a tm_into; the gradient of a
//   weight is always added, so that it accumulates over micro-batches. They are separate calls, so that a
//   frozen weight costs nothing and a finished one can be announced.
// - Every op is deterministic: sums run over fixed parts in a fixed order, whatever the number of threads.
// - Elementwise ops may be given the same matrix as input and output; others only where they say so.
// - Shapes that do not fit, and ids out of range, are our own mistakes: they stop the program.
// - A prototype here is all that dispatch needs: the build makes the device table from this file
//   (dispatch.awk reads the prototypes that begin with `void tm_`). docs/writing-an-op.md tells the rest.
#pragma once

#include "kernels/device.h"

typedef enum {
    TM_SET,  // out = result
    TM_ADD,  // out += result
} tm_into;

// ---- Matrix products -------------------------------------------------------------------------------------

typedef enum { TM_N, TM_T } tm_side;  // as stored, transposed

// C [M,N] = or += alpha * op(A) op(B), where op(A) is [M,K] and op(B) is [K,N]. B may have any storage type.
// The sum over K is made of blocks of fixed length, each times alpha, added in ascending order.
void tm_matmul(tm_device *dev, tm_mat c, tm_mat a, tm_side a_side, tm_weight b, tm_side b_side, float alpha,
               tm_into into);

// y [T,out] = or += alpha * x [T,in] W^T (+ bias [out], which may be NULL and is not multiplied by alpha).
// With TM_ROWS_ALIKE rows or fewer a row has the same bits in any company: texts that are generated side by
// side are those of each alone.
enum { TM_ROWS_ALIKE = 12 };
void tm_linear(tm_device *dev, tm_mat y, tm_mat x, tm_weight w, const float *bias, float alpha, tm_into into);
// dx [T,in] = or += alpha * dy [T,out] W.
void tm_linear_grad_x(tm_device *dev, tm_mat dx, tm_mat dy, tm_weight w, float alpha, tm_into into);
// dw [out,in] += alpha * dy^T x. dw may be rows of a larger matrix.
void tm_linear_grad_w(tm_device *dev, tm_mat dw, tm_mat dy, tm_mat x, float alpha);
// db [out] += the column sums of dy [T,out].
void tm_linear_grad_bias(tm_device *dev, float *db, tm_mat dy);

// ---- Embedding -------------------------------------------------------------------------------------------

// y [T,C] = or += scale * table[ids[t]]; table [V,C]. Learned positions are the same op, with
// positions as ids.
void tm_embed(tm_device *dev, tm_mat y, tm_weight table, const int32_t *ids, float scale, tm_into into);
// d_table [V,C] += scale * dy scattered by id; rows that share an id add in the order of their tokens.
void tm_embed_grad(tm_device *dev, tm_mat d_table, tm_mat dy, const int32_t *ids, float scale);

// ---- Normalisation ---------------------------------------------------------------------------------------

// y = x * rstd * (gain + offset), rstd = 1 / sqrt(mean(x^2) + eps) (Zhang & Sennrich 2019), over each of the
// `parts` equal parts of a row: 1, or the number of heads for a norm of q and k. gain [C / parts]; offset is
// 0, or 1 where the stored gain is the difference from 1 (Gemma). rstd [T, parts] is for the gradient; may be
// NULL. y may be x.
void tm_rmsnorm(tm_device *dev, tm_mat y, float *rstd, tm_mat x, const float *gain, int64_t parts, float eps,
                float offset);
void tm_rmsnorm_grad_x(tm_device *dev, tm_mat dx, tm_mat dy, tm_mat x, const float *gain, const float *rstd,
                       int64_t parts, float offset, tm_into into);  // dx may be dy
void tm_rmsnorm_grad_w(tm_device *dev, float *d_gain, tm_mat dy, tm_mat x, const float *rstd, int64_t parts);

// y = (x - mean) * rstd * gain + bias, rstd = 1 / sqrt(variance + eps), variance over C and not C - 1
// (Ba et al. 2016). mean and rstd [T] are for the gradient; both may be NULL. y may be x.
void tm_layernorm(tm_device *dev, tm_mat y, float *mean, float *rstd, tm_mat x, const float *gain,
                  const float *bias, float eps);
void tm_layernorm_grad_x(tm_device *dev, tm_mat dx, tm_mat dy, tm_mat x, const float *gain, const float *mean,
                         const float *rstd, tm_into into);  // dx may be dy
void tm_layernorm_grad_w(tm_device *dev, float *d_gain, float *d_bias, tm_mat dy, tm_mat x, const float *mean,
                         const float *rstd);

// ---- Rotary positions ------------------------------------------------------------------------------------

// inv_freq [rotary / 2] = theta^(-2i / rotary), rounded to float32 as transformers does.
void tm_rope_frequencies(float *inv_freq, int64_t rotary, double theta);
// table [n_positions, rotary]: the cosines, then the sines, of position * inv_freq[i], times `scale` (1;
// longer contexts by YaRN use another). The angle is rounded to float32 first, as transformers does.
void tm_rope_table(tm_device *dev, tm_mat table, const float *inv_freq, float scale);
// Turn, in place, the first `rotary` elements of each of the `heads` heads of x [T, heads * D]: element i
// with element i + rotary / 2 (half split, Su et al. 2021 as in Hugging Face Llama), by the angle of
// positions[t].
void tm_rope(tm_device *dev, tm_mat x, int64_t heads, const int32_t *positions, tm_mat table);
// The gradient: the same turn backward, in place.
void tm_rope_grad(tm_device *dev, tm_mat dx, int64_t heads, const int32_t *positions, tm_mat table);

// ---- Attention -------------------------------------------------------------------------------------------

// Rows of document d: queries q_start[d] .. q_start[d+1], keys and values k_start[d] .. k_start[d] +
// k_count[d]. The last query sits at the last key, so training, prefill and decoding are one op: a document's
// query r has place k_count - (number of queries) + r, and sees the keys at places (place - window, place].
typedef struct tm_attention_shape {
    int64_t q_heads, kv_heads;  // head h reads h * kv_heads / q_heads, a whole number of them per kv head
    int64_t head_size;
    float scale;         // of the scores, > 0, usually 1 / sqrt(head_size)
    float softcap;       // scores become softcap * tanh(score / softcap) (Gemma 2); 0: they do not
    int64_t window;      // keys that a query sees, itself included; 0: all before it
    bool bidirectional;  // every query sees every key of its document (encoders); window must be 0
    int64_t docs;
    const int32_t *q_start;  // [docs + 1], ascending, from 0 to the number of queries
    const int32_t *k_start;  // [docs]; NULL: keys lie as queries do (k_count is not read then)
    const int32_t *k_count;  // [docs], at least the number of queries (any, if bidirectional: without
                             // a key the output is 0)
} tm_attention_shape;

// out [Tq, q_heads * D] = softmax(scale * q k^T) v within each document. q [Tq, q_heads * D],
// k, v [Tk, kv_heads * D]. lse [Tq, q_heads] gets the log of the sum of exponentials of each row of scores,
// for the gradient; may be NULL. Never holds more than a tile of scores (Dao 2022; Rabe & Staats 2021).
void tm_attention(tm_device *dev, tm_mat out, float *lse, tm_mat q, tm_mat k, tm_mat v,
                  const tm_attention_shape *shape);
// Writes dq, dk and dv, the gradients where the queries and keys that `shape` names lie. Needs q, k, v, out
// and lse of the forward call.
void tm_attention_grad(tm_device *dev, tm_mat dq, tm_mat dk, tm_mat dv, tm_mat d_out, tm_mat q, tm_mat k,
                       tm_mat v, tm_mat out, const float *lse, const tm_attention_shape *shape);

// ---- Activations -----------------------------------------------------------------------------------------

typedef enum {
    TM_SILU,       // x / (1 + e^-x)
    TM_GELU_TANH,  // the tanh form (GPT-2, Gemma)
    TM_GELU_ERF,   // the exact form (Hendrycks & Gimpel 2016)
    TM_RELU,
} tm_activation;

// y = f(x).
void tm_activate(tm_device *dev, tm_mat y, tm_mat x, tm_activation f);
void tm_activate_grad(tm_device *dev, tm_mat dx, tm_mat dy, tm_mat x, tm_activation f);  // dx may be dy
// y = f(gate) * up: SwiGLU with TM_SILU (Shazeer 2020), Gemma's with TM_GELU_TANH.
void tm_glu(tm_device *dev, tm_mat y, tm_mat gate, tm_mat up, tm_activation f);
// d_gate may be gate and d_up may be up.
void tm_glu_grad(tm_device *dev, tm_mat d_gate, tm_mat d_up, tm_mat dy, tm_mat gate, tm_mat up,
                 tm_activation f);

// ---- Elementwise -----------------------------------------------------------------------------------------

void tm_fill(tm_device *dev, float *x, int64_t n, float value);
void tm_scale(tm_device *dev, float *x, int64_t n, float factor);
void tm_copy(tm_device *dev, tm_mat y, tm_mat x);
// y = a + b; the residual stream is y = y + b.
void tm_add(tm_device *dev, tm_mat y, tm_mat a, tm_mat b);
// y [n] += factor * x [n].
void tm_axpy(tm_device *dev, float *y, const float *x, int64_t n, float factor);
// Set elements to 0 with probability `rate` and multiply the others by 1 / (1 - rate). Which ones is a
// function of (seed, stream, row * cols + col); the gradient is the same call on dy.
void tm_dropout(tm_device *dev, tm_mat y, tm_mat x, float rate, uint64_t seed, uint64_t stream);
// Storage types: y [n] in bf16 from float32, and back. n elements, contiguous.
void tm_to_bf16(tm_device *dev, uint16_t *y, const float *x, int64_t n);
void tm_from_bf16(tm_device *dev, float *y, const uint16_t *x, int64_t n);

// ---- Loss ------------------------------------------------------------------------------------------------

// The language-model head and its cross-entropy in one, chunk of tokens by chunk: all logits never exist.
typedef struct tm_head_loss_args {
    tm_mat hidden;          // [T,C]
    tm_weight head;         // [V,C]
    const int32_t *labels;  // [T]; < 0: ignored
    const float *weights;   // [T], multiply each token's gradient (not the returned loss); NULL: all 1
    float softcap;          // logits become softcap * tanh(logit / softcap); 0: they do not
    float logit_scale;      // multiplies the logits; 0 means 1
    double denominator;     // gradients are of sum(weight * loss) / denominator: the global count of labels
    // outputs; each may be absent (NULL data)
    float *log_probs;  // [T]: log p(label), 0 where ignored
    tm_mat d_hidden;   // [T,C], written
    tm_mat d_head;     // [V,C], added
    double *loss_sum;  // one: minus the sum of log p over the labels that count
    int64_t *count;    // one: how many labels count
} tm_head_loss_args;

// Cost: 2TVC flops forward, 2TVC for each of the two gradients that is asked for.
void tm_head_loss(tm_device *dev, const tm_head_loss_args *args);

// ---- For sampling ----------------------------------------------------------------------------------------

// y = softmax(x * factor) by row, factor = 1 / temperature > 0; y may be x.
void tm_softmax(tm_device *dev, tm_mat y, tm_mat x, float factor);
// y = log softmax(x) by row; y may be x.
void tm_log_softmax(tm_device *dev, tm_mat y, tm_mat x);
// best [T]: the column of the largest element of each row, the first of equals; a NaN is never the largest.
void tm_argmax(tm_device *dev, int32_t *best, tm_mat x);

// ---- Optimiser -------------------------------------------------------------------------------------------

typedef struct tm_adamw_args {
    double lr, beta1, beta2, eps;  // float64, so that 1 - beta2 keeps its digits
    double weight_decay;           // decoupled: w -= lr * weight_decay * w
    float grad_scale;              // multiplies the gradient as it is read: the clip factor, 1 for none
    int64_t step;                  // from 1: bias correction
} tm_adamw_args;

// One step over n elements: w, m, v updated in place from g (Loshchilov & Hutter 2019, alg. 2; the arithmetic
// of torch.optim.AdamW: decay first, eps outside the corrected square root).
void tm_adamw(tm_device *dev, float *w, float *m, float *v, const float *g, int64_t n,
              const tm_adamw_args *args);
// *sum = the sum of x[i]^2 in float64, over fixed chunks of 65,536 elements.
void tm_sum_squares(tm_device *dev, double *sum, const float *x, int64_t n);

// ---- Random ----------------------------------------------------------------------------------------------

// x[i] = mean + deviation * N(0,1), a function of (seed, stream, i): Box-Muller on the counters of
// engine/base/random.h.
void tm_random_normal(tm_device *dev, float *x, int64_t n, float mean, float deviation, uint64_t seed,
                      uint64_t stream);
// x[i] in [low, high), a function of (seed, stream, i).
void tm_random_uniform(tm_device *dev, float *x, int64_t n, float low, float high, uint64_t seed,
                       uint64_t stream);
