// SPDX-License-Identifier: Apache-2.0
// Runs a model folder with an adapter on a given batch, and writes adapter folders, for comparison with peft.
//
//   lora_probe pass FOLDER IN OUT   logits, log-probabilities, loss, gradients, logits of the merged weights
//   lora_probe copy FOLDER NEW      read base and adapter apart and write them again
//   lora_probe fresh FOLDER NEW     a fresh adapter (rank 16, alpha 32, all linears) with some noise on its
//   B's lora_probe merge FOLDER NEW     the merged weights as a plain folder
//
// IN and OUT are safetensors; IN holds I32 tensors ids, labels, positions [T] and cu_seqlens [S+1].
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/model/pass.h"

#define MAX_OUT 1024

// What is to be written: tensors that own their bytes.
typedef struct output {
    tm_st_tensor tensors[MAX_OUT];
    size_t n;
} output;

static void *add(output *out, const char *prefix, const char *name, tm_st_dtype dtype, uint64_t d0,
                 uint64_t d1)
{
    char *text = malloc(strlen(prefix) + strlen(name) + 1);
    sprintf(text, "%s%s", prefix, name);
    size_t bytes = d0 * (d1 ? d1 : 1) * tm_st_dtype_bits(dtype) / 8;
    void *data = calloc(bytes + 1, 1);
    out->tensors[out->n++] = (tm_st_tensor){text, dtype, d1 ? 2 : 1, {d0, d1}, tm_view_of(data, bytes)};
    return data;
}

static const int32_t *ints(const tm_safetensors *in, const char *name, int32_t *n)
{
    const tm_st_tensor *t = tm_safetensors_find(in, name);
    if (!t || t->dtype != TM_ST_I32) {
        fprintf(stderr, "no I32 tensor %s\n", name);
        exit(1);
    }
    *n = (int32_t)(t->data.size / 4);
    return (const int32_t *)t->data.data;
}

static tm_tokens read_batch(const tm_safetensors *in)
{
    tm_tokens b = {0};
    int32_t n;
    b.ids = ints(in, "ids", &b.n_tokens);
    b.labels = ints(in, "labels", &n);
    b.positions = ints(in, "positions", &n);
    b.cu_seqlens = ints(in, "cu_seqlens", &n);
    b.n_segments = n - 1;
    return b;
}

static tm_status load(const char *path, bool apart, tm_model **m, tm_error *err)
{
    tm_hf_folder folder;
    TM_TRY(tm_hf_folder_open(&folder, path, err));
    tm_status status = apart ? tm_model_load_apart(m, &folder, err) : tm_model_load(m, &folder, err);
    tm_hf_folder_close(&folder);
    return status;
}

static tm_status logits_of(const tm_model *m, tm_device *dev, const tm_tokens *b, const char *name,
                           output *out, tm_error *err)
{
    tm_pass *pass;
    TM_TRY(tm_pass_new(&pass, m, dev, TM_PASS_FORWARD, (uint32_t)b->n_tokens, err));
    tm_status status = tm_pass_forward(pass, b, err);
    uint64_t rows = (uint64_t)b->n_tokens;
    if (status == TM_OK)
        tm_pass_logits(pass, 0, b->n_tokens, add(out, "", name, TM_ST_F32, rows, m->config.vocab));
    tm_pass_free(pass);
    return status;
}

static void add_grads(const tm_model *m, const float *grads, output *out)
{
    const tm_param_map *map = tm_model_trainable(m).map;
    for (size_t i = 0; i < map->n_params; i++) {
        const tm_param *p = &map->params[i];
        float *to = add(out, "grad.", p->name, TM_ST_F32, p->shape[0], p->rank == 2 ? p->shape[1] : 0);
        memcpy(to, grads + p->offset, p->count * sizeof *to);
    }
}

// Loss, log-probabilities and gradients of a training pass; the gradient is of the mean over the labels.
static tm_status learn(const tm_model *m, tm_device *dev, const tm_tokens *b, output *out, tm_error *err)
{
    tm_pass *pass;
    tm_loss loss, again;
    float *grads;
    TM_TRY(tm_pass_new(&pass, m, dev, TM_PASS_TRAIN, (uint32_t)b->n_tokens, err));
    TM_TRY(tm_param_slab_new(tm_model_trainable(m).map, &grads, err));
    TM_TRY(tm_pass_forward(pass, b, err));
    tm_pass_score(pass, &loss, add(out, "", "log_probs", TM_ST_F32, (uint64_t)b->n_tokens, 0));
    *(double *)add(out, "", "loss_sum", TM_ST_F64, 1, 0) = loss.sum;
    *(int64_t *)add(out, "", "count", TM_ST_I64, 1, 0) = (int64_t)loss.count;
    tm_pass_backward(pass, NULL, (double)loss.count, grads, &again);
    add_grads(m, grads, out);
    tm_param_slab_free(grads);
    tm_pass_free(pass);
    return TM_OK;
}

static tm_status run_pass(char **argv, tm_device *dev, tm_error *err)
{
    static output out;
    tm_model *apart, *merged;
    tm_safetensors in;
    TM_TRY(tm_safetensors_open(&in, argv[3], err));
    tm_tokens b = read_batch(&in);
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
