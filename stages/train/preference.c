// SPDX-License-Identifier: Apache-2.0
// The objective of direct preference optimization: the chosen answer gains on the rejected one, measured from
// a reference model.
//
// Segments 2i and 2i + 1 of a batch are the chosen and the rejected answer of pair i, each behind the prompt;
// only the answers' tokens are labels. With the sums of their log-probabilities under the model (pi) and the
// reference (r), the log-ratios are c = pi_chosen - r_chosen and d = pi_rejected - r_rejected, and
//
//   sigmoid   x = beta (c - d);  loss = -(1 - e) log sigma(x) - e log sigma(-x)     e: label smoothing
//   ipo       loss = (c / n_chosen - d / n_rejected - 1 / (2 beta))^2               n: labels of an answer
//
// The division by n is not in the paper; its authors' results are of that form (as in TRL). The measures are
// those of TRL: rewards are beta times the log-ratios, whatever the loss.
#include "stages/train/objective.h"

#include <math.h>

typedef struct answer {
    double logp;  // sum over its labels
    double ratio; // logp minus the reference's
    double n;     // labels
} answer;

static answer answer_of(const tm_tokens *batch, int32_t segment, const float *log_probs)
{
    answer a = {0};
    for (int32_t i = batch->cu_seqlens[segment]; i < batch->cu_seqlens[segment + 1]; i++) {
        if (batch->labels[i] < 0) continue;
        a.logp += (double)log_probs[i];
        a.n++;
    }
    a.ratio = a.logp - batch->scores[segment];
    return a;
}

static double log_sigmoid(double x)
{
    return x < 0 ? x - log1p(exp(x)) : -log1p(exp(-x));
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

// The loss of a pair, and its derivatives by the log-probabilities of the two answers.
static double loss_of(const tm_preference *o, const answer *c, const answer *r, double *d_chosen,
                      double *d_rejected)
{
    if (o->loss == TM_PREFERENCE_IPO) {
        double off = c->ratio / c->n - r->ratio / r->n - 1 / (2 * o->beta);
        *d_chosen = 2 * off / c->n;
        *d_rejected = -2 * off / r->n;
        return off * off;
    }
    double x = o->beta * (c->ratio - r->ratio), e = o->label_smoothing;
    *d_chosen = o->beta * (e * sigmoid(x) - (1 - e) * sigmoid(-x));
    *d_rejected = -*d_chosen;
    return -(1 - e) * log_sigmoid(x) - e * log_sigmoid(-x);
}

enum { LOSS, REWARD_CHOSEN, REWARD_REJECTED, ACCURACY, MARGIN, LOGP_CHOSEN, LOGP_REJECTED };
static const char *const measures[] = {
    "loss",
    "rewards.chosen",
    "rewards.rejected",
    "rewards.accuracies",
    "rewards.margins",
    "logps.chosen",
    "logps.rejected",
    NULL,
};

static void add_measures(const tm_preference *o, const answer *c, const answer *r, double loss, double *sums)
{
    sums[LOSS] += loss;
    sums[REWARD_CHOSEN] += o->beta * c->ratio;
    sums[REWARD_REJECTED] += o->beta * r->ratio;
    sums[ACCURACY] += c->ratio > r->ratio;
    sums[MARGIN] += o->beta * (c->ratio - r->ratio);
    sums[LOGP_CHOSEN] += c->logp;
    sums[LOGP_REJECTED] += r->logp;
}

static void weigh(const tm_tokens *batch, int32_t segment, double weight, float *weights)
{
    for (int32_t i = batch->cu_seqlens[segment]; i < batch->cu_seqlens[segment + 1]; i++)
        weights[i] = (float)weight;
}

// Sums over the pairs; with `weights`, those of the tokens' losses whose gradient is that of the pairs' loss.
static void judge(const tm_preference *o, tm_pass *pass, const tm_tokens *batch, float *log_probs,
                  float *weights, double *sums)
{
    tm_loss tokens;
    tm_pass_score(pass, &tokens, log_probs);
    for (int32_t s = 0; s + 1 < batch->n_segments; s += 2) {
        answer c = answer_of(batch, s, log_probs), r = answer_of(batch, s + 1, log_probs);
        double d_chosen, d_rejected, loss = loss_of(o, &c, &r, &d_chosen, &d_rejected);
        add_measures(o, &c, &r, loss, sums);
        if (!weights) continue;
        weigh(batch, s, -d_chosen, weights);
        weigh(batch, s + 1, -d_rejected, weights);
    }
}

static uint64_t units(const tm_tokens *batch)
{
    return (uint64_t)batch->n_segments / 2;
}

static void score(const void *options, tm_pass *pass, const tm_tokens *batch, float *room, double *sums)
{
    judge(options, pass, batch, room, NULL, sums);
}

static void backward(const void *options, tm_pass *pass, const tm_tokens *batch, double denominator,
                     float *room, float *grads, double *sums)
{
    float *weights = room + batch->n_tokens;
    tm_loss tokens;
    judge(options, pass, batch, room, weights, sums);
    tm_pass_backward(pass, weights, denominator, grads, &tokens);
}

const tm_objective tm_objective_preference = {
    .name = "preference",
    .brief = "the preference of one answer over another, measured from a reference",
    .measures = measures,
    .shown = "rewards.accuracies",
    .quiet = true,
    .units = units,
    .score = score,
    .backward = backward,
};
