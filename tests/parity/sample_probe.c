// SPDX-License-Identifier: Apache-2.0
// What tokens are drawn from, for comparison with another implementation.
//
//   sample_probe IN OUT
//
// IN has logits [N,V] F32, seen [K] I32, and numbers in its metadata: temperature, repetition, top_k, top_p,
// min_p. OUT has p [N,V] F32, 0 for what the filters took out, and counts [N,V] I32 of 4,000 draws for each
// row.
#include <stdio.h>
#include <stdlib.h>

#include "stages/model/sample.h"
#include "tests/parity/probe.h"

enum { DRAWS = 4000 };

static void one_row(const tm_sampler *s, const float *logits, uint32_t vocab, tm_seen seen, float *p,
                    int32_t *counts)
{
    double sum;
    tm_choice *choices = calloc(vocab, sizeof *choices);
    uint32_t n = tm_sample_choices(s, logits, vocab, seen, choices, &sum);
    for (uint32_t i = 0; i < n; i++) p[choices[i].id] = (float)(choices[i].weight / sum);
    for (uint64_t i = 0; i < DRAWS; i++) counts[tm_sample(s, i, logits, vocab, seen, choices)]++;
    free(choices);
}

static tm_status run(char **argv, tm_error *err)
{
    tm_safetensors in;
    TM_TRY(tm_safetensors_open(&in, argv[1], err));
    const tm_st_tensor *logits = tm_safetensors_find(&in, "logits"), *seen = tm_safetensors_find(&in, "seen");
    if (!logits || !seen) return tm_fail(err, TM_EINVAL, "logits or seen are missing");
    tm_sampler s = {.temperature = probe_number(&in, "temperature", 1),
                    .repetition = probe_number(&in, "repetition", 1),
                    .top_k = (uint32_t)probe_number(&in, "top_k", 0),
                    .top_p = probe_number(&in, "top_p", 1),
                    .min_p = probe_number(&in, "min_p", 0),
                    .seed = 3};
    uint64_t rows = logits->shape[0], vocab = logits->shape[1], size = rows * vocab;
    float *p = calloc(size, sizeof *p);
    int32_t *counts = calloc(size, sizeof *counts);
    for (uint64_t i = 0; i < rows; i++)
        one_row(&s, (const float *)logits->data.data + i * vocab, (uint32_t)vocab,
                (tm_seen){(const uint32_t *)seen->data.data, seen->shape[0]}, p + i * vocab,
                counts + i * vocab);
    tm_st_tensor out[] = {{"p", TM_ST_F32, 2, {rows, vocab}, tm_view_of(p, size * 4)},
                          {"counts", TM_ST_I32, 2, {rows, vocab}, tm_view_of(counts, size * 4)}};
    return tm_safetensors_write(argv[2], out, 2, NULL, 0, err);
}

int main(int argc, char **argv)
{
    tm_error err = {0};
    if (argc == 3 && run(argv, &err) == TM_OK) return 0;
    fprintf(stderr, "sample_probe: %s\n", err.text);
    return 1;
}
