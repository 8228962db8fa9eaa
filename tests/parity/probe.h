// SPDX-License-Identifier: Apache-2.0
// What probes share: numbers and batches from a safetensors file, and tensors for another.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/format/safetensors.h"
#include "stages/model/pass.h"

// What is to be written: tensors that own their bytes.
typedef struct probe_output {
    tm_st_tensor tensors[4096];
    size_t n;
} probe_output;

// A tensor of zeros called prefix + name; `d1` is 0 for a vector.
static inline void *probe_add(probe_output *out, const char *prefix, const char *name, tm_st_dtype dtype,
                              uint64_t d0, uint64_t d1)
{
    char *text = malloc(strlen(prefix) + strlen(name) + 1);
    sprintf(text, "%s%s", prefix, name);
    size_t bytes = d0 * (d1 ? d1 : 1) * tm_st_dtype_bits(dtype) / 8;
    void *data = calloc(bytes + 1, 1);
    out->tensors[out->n++] = (tm_st_tensor){text, dtype, d1 ? 2 : 1, {d0, d1}, tm_view_of(data, bytes)};
    return data;
}

// The parameters of a map, as they lie in a slab.
static inline void probe_add_slab(probe_output *out, const char *prefix, const tm_param_map *map,
                                  const float *slab)
{
    for (size_t i = 0; i < map->n_params; i++) {
        const tm_param *p = &map->params[i];
        float *to = probe_add(out, prefix, p->name, TM_ST_F32, p->shape[0], p->rank == 2 ? p->shape[1] : 0);
        memcpy(to, slab + p->offset, p->count * sizeof *to);
    }
}

// A number of the metadata.
static inline double probe_number(const tm_safetensors *in, const char *key, double missing)
{
    const char *text = tm_safetensors_meta(in, key);
    return text ? atof(text) : missing;
}

// Ends the program if there is none.
static inline const int32_t *probe_ints(const tm_safetensors *in, const char *name, int32_t *n)
{
    const tm_st_tensor *t = tm_safetensors_find(in, name);
    if (!t || t->dtype != TM_ST_I32) {
        fprintf(stderr, "no I32 tensor %s\n", name);
        exit(1);
    }
    *n = (int32_t)(t->data.size / 4);
    return (const int32_t *)t->data.data;
}

// From I32 tensors ids, labels, positions [T] and cu_seqlens [S+1].
static inline tm_tokens probe_batch(const tm_safetensors *in)
{
    tm_tokens b = {0};
    int32_t n;
    b.ids = probe_ints(in, "ids", &b.n_tokens);
    b.labels = probe_ints(in, "labels", &n);
    b.positions = probe_ints(in, "positions", &n);
    b.cu_seqlens = probe_ints(in, "cu_seqlens", &n);
    b.n_segments = n - 1;
    return b;
}
