// SPDX-License-Identifier: Apache-2.0
// Runs a model folder with an adapter on a given batch, and writes adapter folders, for comparison with peft.
//
//   lora_probe pass FOLDER IN OUT   logits, log-probabilities, loss, gradients, logits of the merged weights
//   lora_probe copy FOLDER NEW      read base and adapter apart and write them again
//   lora_probe fresh FOLDER NEW     a fresh adapter (rank 16, alpha 32, all linears), noise on its Bs
//   lora_probe merge FOLDER NEW     the merged weights as a plain folder
//
// IN and OUT are safetensors; IN holds I32 tensors ids, labels, positions [T] and cu_seqlens [S+1].
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/parity/probe.h"

static tm_status load(const char *path, bool apart, tm_model **m, tm_error *err)
{
    tm_hf_folder folder;
    TM_TRY(tm_hf_folder_open(&folder, path, err));
    tm_status status = apart ? tm_model_load_apart(m, &folder, err) : tm_model_load(m, &folder, err);
    tm_hf_folder_close(&folder);
    return status;
}

static tm_status logits_of(const tm_model *m, tm_device *dev, const tm_tokens *b, const char *name,
                           probe_output *out, tm_error *err)
{
    tm_pass *pass;
    TM_TRY(tm_pass_new(&pass, m, dev, TM_PASS_FORWARD, (uint32_t)b->n_tokens, err));
    tm_status status = tm_pass_forward(pass, b, err);
    uint64_t rows = (uint64_t)b->n_tokens;
    if (status == TM_OK)
        tm_pass_logits(pass, 0, b->n_tokens, probe_add(out, "", name, TM_ST_F32, rows, m->config.vocab));
    tm_pass_free(pass);
    return status;
}

// Loss, log-probabilities and gradients of a training pass; the gradient is of the mean over the labels.
static tm_status learn(const tm_model *m, tm_device *dev, const tm_tokens *b, probe_output *out,
                       tm_error *err)
{
    tm_pass *pass;
    tm_loss loss, again;
    float *grads;
    TM_TRY(tm_pass_new(&pass, m, dev, TM_PASS_TRAIN, (uint32_t)b->n_tokens, err));
    TM_TRY(tm_param_slab_new(tm_model_trainable(m).map, &grads, err));
    TM_TRY(tm_pass_forward(pass, b, err));
    tm_pass_score(pass, &loss, probe_add(out, "", "log_probs", TM_ST_F32, (uint64_t)b->n_tokens, 0));
    *(double *)probe_add(out, "", "loss_sum", TM_ST_F64, 1, 0) = loss.sum;
    *(int64_t *)probe_add(out, "", "count", TM_ST_I64, 1, 0) = (int64_t)loss.count;
    tm_pass_backward(pass, NULL, (double)loss.count, grads, &again);
    probe_add_slab(out, "grad.", tm_model_trainable(m).map, grads);
    tm_param_slab_free(grads);
    tm_pass_free(pass);
    return TM_OK;
}

static tm_status run_pass(char **argv, tm_device *dev, tm_error *err)
{
    static probe_output out;
    tm_model *apart, *merged;
    tm_safetensors in;
    TM_TRY(tm_safetensors_open(&in, argv[3], err));
    tm_tokens b = probe_batch(&in);
    TM_TRY(load(argv[2], true, &apart, err));
    TM_TRY(load(argv[2], false, &merged, err));
    TM_TRY(logits_of(apart, dev, &b, "logits", &out, err));
    TM_TRY(logits_of(merged, dev, &b, "merged", &out, err));
    TM_TRY(learn(apart, dev, &b, &out, err));
    tm_model_free(apart);
    tm_model_free(merged);
    return tm_safetensors_write(argv[4], out.tensors, out.n, NULL, 0, err);
}

static void add_noise(const tm_adapter *a, tm_device *dev)
{
    for (size_t i = 0; i < a->map.n_params; i++) {
        const tm_param *p = &a->map.params[i];
        if (strstr(p->name, "lora_B"))
            tm_random_normal(dev, a->params + p->offset, (int64_t)p->count, 0, 0.05f, 1, i);
    }
}

static tm_status write_folder(char **argv, tm_device *dev, tm_error *err)
{
    tm_model *m;
    tm_lora lora = {.rank = 16, .alpha = 32, .targets = TM_LORA_ALL};
    TM_TRY(load(argv[2], strcmp(argv[1], "merge") != 0, &m, err));
    tm_status status = TM_OK;
    if (strcmp(argv[1], "fresh") == 0) status = tm_model_adapt(m, &lora, dev, 42, err);
    if (status == TM_OK && strcmp(argv[1], "fresh") == 0) add_noise(m->adapter, dev);
    if (status == TM_OK) status = tm_model_write(m, argv[3], NULL, 0, err);
    if (status == TM_OK && m->adapter) status = tm_hf_folder_link_base(argv[2], argv[3], err);
    tm_model_free(m);
    return status;
}

static tm_status run(int argc, char **argv, tm_error *err)
{
    tm_device *dev;
    TM_TRY(tm_device_open_cpu(2, &dev, err));
    tm_status status;
    if (argc == 5 && strcmp(argv[1], "pass") == 0) status = run_pass(argv, dev, err);
    else if (argc == 4) status = write_folder(argv, dev, err);
    else status = tm_fail(err, TM_EINVAL, "lora_probe pass|copy|fresh|merge ...");
    tm_device_close(dev);
    return status;
}

int main(int argc, char **argv)
{
    tm_error err = {0};
    if (run(argc, argv, &err) == TM_OK) return 0;
    fprintf(stderr, "lora_probe: %s\n", err.text);
    return 1;
}
