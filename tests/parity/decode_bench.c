// SPDX-License-Identifier: Apache-2.0
// Times prefill and decoding of one model beside the machine's read bandwidth, measured in turns.
//
//   decode_bench [threads [FOLDER|SHAPE [bf16]]]     SHAPE: smol (135 M parameters, the default) or quick
//
// bf16 rounds the weights first, as published checkpoints are, and then keeps them so (tm_model_halve).
//
// A token of decoding reads every weight once, so tokens/s times bytes of weights is at most the bandwidth;
// sequences that are decoded side by side share the reading.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stages/model/decode.h"

enum { BLOCKS = 4, PREFILL = 512, DECODED = 24, BESIDE = 64 };

static const tm_model_config smol = {.layers = 30,
                                     .width = 576,
                                     .heads = 9,
                                     .kv_heads = 3,
                                     .ffn = 1536,
                                     .vocab = 49152,
                                     .tie = true,
                                     .length = 2048,
                                     .eos = -1};
static const tm_model_config quick = {
    .layers = 4, .width = 192, .heads = 6, .vocab = 2048, .tie = true, .length = 1024, .eos = -1};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// ---- bandwidth: all weights summed by the pool, nothing else

typedef struct reading {
    const char *data;
    size_t bytes;
    float sums[4096];
} reading;

enum { PART = 1 << 18 };

static void read_tile(void *arg, int64_t tile, int lane)
{
    typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));
    reading *r = arg;
    (void)lane;
    size_t from = (size_t)tile * PART, to = from + PART < r->bytes ? from + PART : r->bytes;
    lanes sums[8] = {{0}};
    for (; from + 512 <= to; from += 512)
        for (int i = 0; i < 8; i++) sums[i] += *(const lanes *)(r->data + from + 64 * i);
    for (int i = 1; i < 8; i++) sums[0] += sums[i];
    r->sums[tile % 4096] = sums[0][0] + sums[0][7];
}

static double read_rate(tm_device *dev, const void *data, size_t bytes)
{
    static reading r;
    r.data = data;
    r.bytes = bytes;
    double start = now();
    tm_pool_run(tm_device_pool(dev), (int64_t)((bytes + PART - 1) / PART), read_tile, &r);
    return (double)bytes / (now() - start);
}

// ---- the model

static tm_status open_model(const char *name, tm_device *dev, tm_model **model, tm_error *err)
{
    const tm_model_config *shape = strcmp(name, "smol") == 0    ? &smol
                                   : strcmp(name, "quick") == 0 ? &quick
                                                                : NULL;
    if (shape) return tm_model_init(model, shape, dev, 1, err);
    tm_hf_folder folder;
    TM_TRY(tm_hf_folder_open(&folder, name, err));
    tm_status status = tm_model_load(model, &folder, err);
    tm_hf_folder_close(&folder);
    return status;
}

static double best(double a, double b)
{
    return a > b ? a : b;
}

// Tokens per second of all sequences of `d` together, each with BESIDE tokens before.
static tm_status side_by_side(tm_decoder *d, const int32_t *ids, double *rate, tm_error *err)
{
    const float *logits;
    int32_t all[TM_ROWS_ALIKE], n = tm_decoder_width(d);
    for (int32_t i = 0; i < n; i++) {
        all[i] = i;
        tm_decoder_turn(d, i);
        tm_decoder_cut(d, 0);
        TM_TRY(tm_decoder_feed(d, ids, BESIDE, &logits, err));
    }
    double start = now();
    for (int i = 0; i < DECODED; i++) TM_TRY(tm_decoder_step(d, all, ids + i, n, &logits, err));
    *rate = best(*rate, n * DECODED / (now() - start));
    return TM_OK;
}

static tm_status bench(tm_device *dev, const tm_model *m, tm_error *err)
{
    int32_t ids[PREFILL];
    const float *logits;
    tm_decoder *d, *wide;
    size_t bytes = m->map.n_matrix * (m->half ? sizeof *m->half : sizeof *m->params);
    const void *weights = m->half ? (const void *)m->half : m->params;
    double prefill = 0, decode = 0, beside = 0, bandwidth = 0;
    for (int i = 0; i < PREFILL; i++) ids[i] = (i * 7919 + 13) % (int)m->config.vocab;
    TM_TRY(tm_decoder_new(&d, m, dev, PREFILL + DECODED, err));
    TM_TRY(tm_decoder_new_wide(&wide, m, dev, BESIDE + DECODED, TM_ROWS_ALIKE, err));
    for (int block = 0; block < BLOCKS; block++) {
        bandwidth = best(bandwidth, read_rate(dev, weights, bytes));
        tm_decoder_cut(d, 0);
        double start = now();
        TM_TRY(tm_decoder_feed(d, ids, PREFILL, &logits, err));
        prefill = best(prefill, PREFILL / (now() - start));
        start = now();
        for (int i = 0; i < DECODED; i++) TM_TRY(tm_decoder_feed(d, &ids[i], 1, &logits, err));
        decode = best(decode, DECODED / (now() - start));
        TM_TRY(side_by_side(wide, ids, &beside, err));
    }
    printf(
        "%s, %s: prefill %.0f tokens/s, decode %.1f tokens/s = %.1f GB/s of weights; memory reads %.1f GB/s: "
        "%.0f %%; %d side by side %.1f tokens/s: %.2f times as many\n",
        tm_device_name(dev), m->half ? "bf16" : "f32", prefill, decode, decode * (double)bytes * 1e-9,
        bandwidth * 1e-9, 100 * decode * (double)bytes / bandwidth, tm_decoder_width(wide), beside,
        beside / decode);
    tm_decoder_free(wide);
    tm_decoder_free(d);
    return TM_OK;
}

int main(int argc, char **argv)
{
    tm_error err = {0};
    tm_device *dev = NULL;
    tm_model *m = NULL;
    tm_status status = tm_device_open_cpu(argc > 1 ? atoi(argv[1]) : 2, &dev, &err);
    if (status >= 0) status = open_model(argc > 2 ? argv[2] : "smol", dev, &m, &err);
    if (status >= 0 && argc > 3)
        for (size_t i = 0; i < m->map.n_matrix; i++) m->params[i] = tm_bf16_float(tm_bf16_of(m->params[i]));
    if (status >= 0) status = tm_model_halve(m, &err);
    if (status >= 0) status = bench(dev, m, &err);
    if (status < 0) fprintf(stderr, "%s\n", err.text);
    tm_model_free(m);
    tm_device_close(dev);
    return status < 0;
}
