// SPDX-License-Identifier: Apache-2.0
// Runs a model folder on given batches and writes what came out, for comparison with another implementation.
//
//   llama_probe train FOLDER IN OUT     logits, log-probabilities, loss, gradients, some steps, weights after
//   llama_probe generate FOLDER IN OUT  greedy tokens after a prompt, and the logits they were chosen from
//   llama_probe copy FOLDER NEW         read the folder and write it again
//   llama_probe fresh CONFIG SEED NEW   a fresh model of the shape in config.json
//
// IN and OUT are safetensors. `train` takes I32 tensors ids, labels, positions [T], cu_seqlens [S+1] and
// numbers in the metadata: steps, micro (batches the segments are split into), lr, eps, decay, clip, beta1,
// beta2, threads. `generate` takes ids and the number `count`.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/model/decode.h"
#include "stages/model/sample.h"
#include "stages/train/trainer.h"
#include "tests/parity/probe.h"

// The segments of a batch split into `micro` batches.
static tm_tokens *split(const tm_tokens *b, uint32_t micro)
{
    tm_tokens *parts = calloc(micro, sizeof *parts);
    for (uint32_t i = 0; i < micro; i++) {
        int32_t first = (int32_t)(i * (uint32_t)b->n_segments / micro);
        int32_t last = (int32_t)((i + 1) * (uint32_t)b->n_segments / micro);
        int32_t at = b->cu_seqlens[first], *bounds = calloc((size_t)(last - first) + 1, sizeof *bounds);
        for (int32_t s = first; s <= last; s++) bounds[s - first] = b->cu_seqlens[s] - at;
        parts[i] = (tm_tokens){bounds[last - first], last - first, b->ids + at, b->labels + at,
                               b->positions + at,    bounds};
    }
    return parts;
}

static tm_status evaluate(tm_model *m, tm_device *dev, const tm_tokens *b, probe_output *out, tm_error *err)
{
    tm_pass *pass;
    tm_loss loss;
    TM_TRY(tm_pass_new(&pass, m, dev, TM_PASS_FORWARD, (uint32_t)b->n_tokens, err));
    tm_status status = tm_pass_forward(pass, b, err);
    if (status == TM_OK) {
        uint64_t T = (uint64_t)b->n_tokens;
        tm_pass_score(pass, &loss, probe_add(out, "", "log_probs", TM_ST_F32, T, 0));
        tm_pass_logits(pass, 0, b->n_tokens, probe_add(out, "", "logits", TM_ST_F32, T, m->config.vocab));
        *(double *)probe_add(out, "", "loss_sum", TM_ST_F64, 1, 0) = loss.sum;
        *(int64_t *)probe_add(out, "", "count", TM_ST_I64, 1, 0) = (int64_t)loss.count;
    }
    tm_pass_free(pass);
    return status;
}

static tm_status train(tm_model *m, tm_device *dev, const tm_safetensors *in, probe_output *out,
                       tm_error *err)
{
    tm_tokens b = probe_batch(in);
    TM_TRY(evaluate(m, dev, &b, out, err));
    uint32_t micro = (uint32_t)probe_number(in, "micro", 1);
    uint64_t steps = (uint64_t)probe_number(in, "steps", 10);
    tm_trainer_options o = tm_trainer_defaults(probe_number(in, "lr", 1e-3), steps, (uint32_t)b.n_tokens);
    o.schedule.kind = tm_schedule_find("constant");
    o.schedule.warmup = 0;
    o.beta1 = probe_number(in, "beta1", o.beta1);
    o.beta2 = probe_number(in, "beta2", o.beta2);
    o.eps = probe_number(in, "eps", o.eps);
    o.weight_decay = probe_number(in, "decay", o.weight_decay);
    o.clip = probe_number(in, "clip", o.clip);
    o.accumulate = micro;
    tm_trainer *t;
    TM_TRY(tm_trainer_new(&t, m, dev, &o, err));
    tm_tokens *parts = split(&b, micro);
    double *losses = probe_add(out, "", "step_loss", TM_ST_F64, steps, 0);
    double *norms = probe_add(out, "", "step_norm", TM_ST_F64, steps, 0);
    for (uint64_t i = 0; i < steps; i++) {
        tm_step step;
        TM_TRY(tm_trainer_update(t, parts, micro, &step, err));
        if (i == 0) probe_add_slab(out, "grad.", &m->map, tm_trainer_grads(t));
        losses[i] = step.loss;
        norms[i] = step.grad_norm;
    }
    probe_add_slab(out, "after.", &m->map, m->params);
    tm_trainer_free(t);
    return TM_OK;
}

static tm_status generate(tm_model *m, tm_device *dev, const tm_safetensors *in, probe_output *out,
                          tm_error *err)
{
    int32_t n, count = (int32_t)probe_number(in, "count", 16);
    const int32_t *ids = probe_ints(in, "ids", &n);
    tm_decoder *d;
    TM_TRY(tm_decoder_new(&d, m, dev, (uint32_t)(n + count), err));
    uint32_t vocab = m->config.vocab;
    int32_t *chosen = probe_add(out, "", "chosen", TM_ST_I32, (uint64_t)count, 0);
    float *all = probe_add(out, "", "logits", TM_ST_F32, (uint64_t)count, vocab);
    const float *logits;
    tm_choice *scratch = tm_calloc(vocab, sizeof *scratch);
    if (!scratch) return tm_fail(err, TM_ENOMEM, "no memory");
    TM_TRY(tm_decoder_feed(d, ids, n, &logits, err));
    for (int32_t i = 0; i < count; i++) {
        memcpy(all + (size_t)i * vocab, logits, vocab * sizeof *logits);
        chosen[i] = tm_sample(&(tm_sampler){.top_p = 1}, (uint64_t)i, logits, vocab, (tm_seen){0}, scratch);
        TM_TRY(tm_decoder_feed(d, &chosen[i], 1, &logits, err));
    }
    tm_decoder_free(d);
    tm_free(scratch);
    return TM_OK;
}

static tm_status load(tm_model **m, const char *path, tm_error *err)
{
    tm_hf_folder folder;
    TM_TRY(tm_hf_folder_open(&folder, path, err));
    tm_status status = tm_model_load(m, &folder, err);
    tm_hf_folder_close(&folder);
    return status;
}

static tm_status fresh(char **argv, tm_device *dev, tm_error *err)
{
    tm_view json;
    tm_model_config config;
    tm_model *m;
    TM_TRY(tm_content_map(argv[2], &json, err));
    TM_TRY(tm_model_config_parse(&config, json, err));
    TM_TRY(tm_model_init(&m, &config, dev, strtoull(argv[3], NULL, 10), err));
    TM_TRY(tm_model_write(m, argv[4], NULL, 0, err));
    tm_model_free(m);
    tm_content_unmap(json);
    return TM_OK;
}

static tm_status run(int argc, char **argv, tm_error *err)
{
    tm_device *dev;
    tm_model *m;
    tm_safetensors in;
    static probe_output out;
    TM_TRY(tm_device_open_cpu(2, &dev, err));
    if (argc == 5 && strcmp(argv[1], "fresh") == 0) return fresh(argv, dev, err);
    if (argc < 4) return tm_fail(err, TM_EINVAL, "llama_probe train|generate|copy|fresh ...");
    TM_TRY(load(&m, argv[2], err));
    if (strcmp(argv[1], "copy") == 0) return tm_model_write(m, argv[3], NULL, 0, err);
    TM_TRY(tm_safetensors_open(&in, argv[3], err));
    TM_TRY(strcmp(argv[1], "train") == 0 ? train(m, dev, &in, &out, err) : generate(m, dev, &in, &out, err));
    return tm_safetensors_write(argv[4], out.tensors, out.n, NULL, 0, err);
}

int main(int argc, char **argv)
{
    tm_error err = {0};
    if (run(argc, argv, &err) == TM_OK) return 0;
    fprintf(stderr, "llama_probe: %s\n", err.text);
    return 1;
}
