// SPDX-License-Identifier: Apache-2.0
// Times whole training steps on random tokens: one line a shape, the best of several blocks.
//
//   step_bench [threads [SHAPE...]]     shapes: quick, gpt2, smollm2, lora (default: all)
//
// lora is smollm2, the shape of SmolLM2-135M, with adapters of rank 16 on all linears over frozen weights.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "engine/base/random.h"
#include "stages/train/trainer.h"

typedef struct shape {
    const char *name;
    tm_model_config config;
    int32_t tokens, length;
    int steps, blocks;
    uint32_t rank; // of an adapter; 0: all weights are trained
} shape;

#define SMOLLM2                                                                                              \
    {                                                                                                        \
        .layers = 30, .width = 576, .heads = 9, .kv_heads = 3, .ffn = 1536, .vocab = 49152, .tie = true,     \
        .length = 1024                                                                                       \
    }

static const shape shapes[] = {
    {"quick",
     {.layers = 4, .width = 192, .heads = 6, .vocab = 2048, .tie = true, .length = 1024},
     1024,
     512,
     4,
     5},
    {"gpt2",
     {.layers = 12, .width = 768, .heads = 12, .ffn = 2048, .vocab = 50304, .tie = true, .length = 1024},
     1024,
     256,
     1,
     3},
    {"smollm2", SMOLLM2, 1024, 256, 1, 2},
    {"lora", SMOLLM2, 1024, 256, 1, 3, .rank = 16},
};

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static tm_tokens random_batch(const shape *s)
{
    int32_t T = s->tokens, n = T / s->length, *ints = calloc(4 * (size_t)T + 1, sizeof *ints);
    int32_t *labels = ints + T, *positions = ints + 2 * T, *bounds = ints + 3 * T;
    for (int32_t i = 0; i < T; i++) {
        ints[i] = (int32_t)tm_random_below(1, 1, (uint64_t)i, s->config.vocab);
        labels[i] = (int32_t)tm_random_below(1, 2, (uint64_t)i, s->config.vocab);
        positions[i] = i % s->length;
    }
    for (int32_t i = 0; i <= n; i++) bounds[i] = i * s->length;
    return (tm_tokens){T, n, ints, labels, positions, bounds};
}

static tm_status bench(const shape *s, tm_device *dev, tm_error *err)
{
    tm_model *m;
    tm_trainer *t;
    tm_step step;
    tm_tokens batch = random_batch(s);
    tm_trainer_options o = tm_trainer_defaults(1e-3, 1000000, (uint32_t)s->tokens);
    TM_TRY(tm_model_init(&m, &s->config, dev, 1, err));
    if (s->rank) {
        tm_lora lora = {.rank = s->rank, .alpha = 2 * s->rank, .targets = TM_LORA_ALL};
        TM_TRY(tm_model_adapt(m, &lora, dev, 1, err));
    }
    TM_TRY(tm_trainer_new(&t, m, dev, &o, err));
    TM_TRY(tm_trainer_update(t, &batch, 1, &step, err));
    double best = 1e9, busy = 1e9;
    for (int b = 0; b < s->blocks; b++) {
        double start = now(CLOCK_MONOTONIC), used = now(CLOCK_PROCESS_CPUTIME_ID);
        for (int i = 0; i < s->steps; i++) TM_TRY(tm_trainer_update(t, &batch, 1, &step, err));
        best = fmin(best, (now(CLOCK_MONOTONIC) - start) / s->steps);
        busy = fmin(busy, (now(CLOCK_PROCESS_CPUTIME_ID) - used) / s->steps);
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%-7s %s %d threads: %.1f ms a step, %.1f ms of processor time, %.0f tokens/s, %.1f GiB at most",
           s->name, tm_device_name(dev), tm_pool_threads(tm_device_pool(dev)), best * 1e3, busy * 1e3,
           s->tokens / best, (double)usage.ru_maxrss / (1 << 20));
    double flops = tm_model_config_flops(&m->config, s->length / 2.0) * s->tokens;
    if (!s->rank) printf(", %.0f GFLOP/s", flops / best * 1e-9);
    printf("\n");
    fflush(stdout);
    tm_trainer_free(t);
    tm_model_free(m);
    free((void *)batch.ids);
    return TM_OK;
}

static bool wanted(int argc, char **argv, const char *name)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], name) == 0) return true;
    }
    return argc <= 2;
}

int main(int argc, char **argv)
{
    tm_device *dev;
    tm_error err = {0};
    tm_status status = tm_device_open_cpu(argc > 1 ? atoi(argv[1]) : 2, &dev, &err);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0] && status == TM_OK; i++) {
        if (wanted(argc, argv, shapes[i].name)) status = bench(&shapes[i], dev, &err);
    }
    if (status < 0) fprintf(stderr, "step_bench: %s\n", err.text);
    return status < 0;
}
