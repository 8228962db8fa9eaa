// SPDX-License-Identifier: Apache-2.0
// Filters and a draw, over a heap: the likeliest tokens are taken from it until the filters have enough.
#include "stages/model/sample.h"

#include <math.h>

#include "engine/base/random.h"

static bool above(tm_choice a, tm_choice b)
{
    return a.weight > b.weight || (a.weight == b.weight && a.id < b.id);
}

// ---- logits, still: those that are numbers, with the penalty

// Each token once, however often it was seen; choices lie by id, so the ids of NaN logits are passed over.
static void penalise(tm_choice *c, uint32_t n, const float *logits, uint32_t vocab, tm_seen seen,
                     double penalty)
{
    if (penalty == 0 || penalty == 1) return;
    for (size_t i = 0; i < seen.n; i++) {
        if (seen.ids[i] >= vocab || isnan(logits[seen.ids[i]])) continue;
        uint32_t low = 0, high = n; // the last choice with an id up to this
        while (high - low > 1) {
            uint32_t middle = (low + high) / 2;
            if ((uint32_t)c[middle].id <= seen.ids[i])
                low = middle;
            else
                high = middle;
        }
        float raw = logits[seen.ids[i]];
        c[low].weight = (float)(raw < 0 ? raw * penalty : raw / penalty);
    }
}

static uint32_t gather(const tm_sampler *s, const float *logits, uint32_t vocab, tm_seen seen, tm_choice *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < vocab; i++) {
        if (!isnan(logits[i])) c[n++] = (tm_choice){logits[i], (int32_t)i};
    }
    if (n > 0) penalise(c, n, logits, vocab, seen, s->repetition);
    return n;
}

static tm_choice largest(const tm_choice *c, uint32_t n)
{
    tm_choice best = c[0];
    for (uint32_t i = 1; i < n; i++) {
        if (above(c[i], best)) best = c[i];
    }
    return best;
}

// Logits become exp((logit - top) / temperature).
static double weigh(tm_choice *c, uint32_t n, float top, double temperature)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        c[i].weight = c[i].weight == top ? 1 : expf((float)(((double)c[i].weight - top) / temperature));
        sum += c[i].weight;
    }
    return sum;
}

// ---- a heap with the likeliest on top

static void sink(tm_choice *heap, uint32_t n, uint32_t at)
{
    tm_choice moved = heap[at];
    for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && above(heap[child + 1], heap[child])) child++;
        if (!above(heap[child], moved)) break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

// The likeliest `k` go, in ascending order, to the end of the array.
static void take_top(tm_choice *c, uint32_t n, uint32_t k)
{
    for (uint32_t i = n / 2; i-- > 0;) sink(c, n, i);
    for (uint32_t left = n; left > n - k; left--) {
        tm_choice top = c[0];
        c[0] = c[left - 1];
        c[left - 1] = top;
        sink(c, left - 1, 0);
    }
}

static void reverse(tm_choice *c, uint32_t n)
{
    for (uint32_t i = 0; i < n / 2; i++) {
        tm_choice other = c[i];
        c[i] = c[n - 1 - i];
        c[n - 1 - i] = other;
    }
}

// Sort the likeliest k to the front.
static void sort_top(tm_choice *c, uint32_t n, uint32_t k)
{
    take_top(c, n, k);
    reverse(c, n);
}

// ---- filters

// Weights so small that all of them together are less than what top-p leaves out, or that min-p leaves out,
// need no sorting; sum stays that of all.
static uint32_t drop_tail(const tm_sampler *s, tm_choice *c, uint32_t n, double sum)
{
    double floor = s->top_p < 1 ? 0.5 * (1 - s->top_p) * sum / n : 0;
    uint32_t kept = 0;
    if (0.5 * s->min_p > floor) floor = 0.5 * s->min_p; // the likeliest weighs 1
    for (uint32_t i = 0; i < n; i++) {
        if (c[i].weight >= floor) c[kept++] = c[i];
    }
    return kept;
}

// Both keep a beginning of the sorted list.
static uint32_t cut(const tm_sampler *s, const tm_choice *c, uint32_t n, double sum, double *kept)
{
    uint32_t i = 0;
    for (*kept = 0; i < n; i++) {
        bool enough = s->top_p < 1 && *kept >= s->top_p * sum,
             unlikely = c[i].weight < s->min_p * c[0].weight;
        if (i > 0 && (enough || unlikely)) break;
        *kept += c[i].weight;
    }
    return i;
}

uint32_t tm_sample_choices(const tm_sampler *s, const float *logits, uint32_t vocab, tm_seen seen,
                           tm_choice *c, double *sum)
{
    uint32_t n = gather(s, logits, vocab, seen, c);
    tm_choice best = n > 0 ? largest(c, n) : (tm_choice){1, 0};
    if (n == 0 || s->temperature <= 0) {
        c[0] = (tm_choice){1, best.id};
        *sum = 1;
        return 1;
    }
    if (s->top_k > 0 && s->top_k < n) {
        sort_top(c, n, s->top_k);
        n = s->top_k;
    }
    *sum = weigh(c, n, best.weight, s->temperature);
    if (s->top_p >= 1 && s->min_p <= 0) return n;
    n = drop_tail(s, c, n, *sum);
    sort_top(c, n, n);
    return cut(s, c, n, *sum, sum);
}

int32_t tm_sample(const tm_sampler *s, uint64_t index, const float *logits, uint32_t vocab, tm_seen seen,
                  tm_choice *c)
{
    enum { STREAM = 0x73616d70 };
    double sum;
    uint32_t n = tm_sample_choices(s, logits, vocab, seen, c, &sum);
    if (n == 1) return c[0].id;
    double left = tm_random_unit(s->seed, STREAM, index) * sum;
    for (uint32_t i = 0; i < n; i++) {
        left -= c[i].weight;
        if (left < 0) return c[i].id;
    }
    return c[n - 1].id;
}

double tm_log_prob(const float *logits, uint32_t vocab, int32_t id)
{
    float top = -INFINITY;
    double sum = 0;
    for (uint32_t i = 0; i < vocab; i++) {
        if (logits[i] > top) top = logits[i];
    }
    for (uint32_t i = 0; i < vocab; i++) sum += expf(logits[i] - top);
    return (double)logits[id] - top - log(sum);
}
