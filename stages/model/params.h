// SPDX-License-Identifier: Apache-2.0
// The parameters of a model: one slab of floats, and the Hugging Face tensors as views of it.
//
//   [ embed | layer 0: q|k|v  o  gate|up  down | layer 1 ... | head ][ norms and biases of all layers ]
//     matrices, decayed                                              vectors, not decayed
//
// q, k and v lie together, so do gate and up: one GEMM each. Gradients and moments are slabs of the same map.
// Every block begins at a multiple of 16 floats; the padding is zero and stays zero.
#pragma once

#include "kernels/ops.h"
#include "stages/format/safetensors.h"
#include "stages/model/config.h"

#define TM_PARAM_NAME 80

// One Hugging Face tensor.
typedef struct tm_param {
    char name[TM_PARAM_NAME];
    uint32_t rank;  // 1 or 2
    uint64_t shape[2];
    size_t offset, count;  // floats
    double std;            // of fresh values; 0: constant
    float constant;
} tm_param;

// Offsets of a layer's blocks in floats; SIZE_MAX: the block is absent.
typedef struct tm_param_layer {
    size_t norm1, qkv, qkv_bias, q_norm, k_norm, o, o_bias, norm2, gate_up, gate_up_bias, down, down_bias;
} tm_param_layer;

typedef struct tm_param_map {
    tm_param *params;
    size_t n_params;
    tm_param_layer *layers;
    size_t embed, norm, head;  // head == embed when tied
    size_t n_matrix;           // floats before the vectors: what weight decay covers
    size_t n_floats;           // of the slab
    uint64_t n_values;         // without padding
} tm_param_map;

tm_status tm_param_map_make(tm_param_map *map, const tm_model_config *config, tm_error *err);
void tm_param_map_clear(tm_param_map *map);

// A slab, cleared, aligned to 64 bytes; free with tm_param_slab_free.
tm_status tm_param_slab_new(const tm_param_map *map, float **slab, tm_error *err);
void tm_param_slab_free(float *slab);

// Fresh values: normal with mean 0 and the std of each tensor (projections into the residual stream divided
// by sqrt(2 layers), Radford et al. 2019), norms 1, biases 0. Value i of a tensor depends on (seed, name, i)
// alone.
void tm_param_init(const tm_param_map *map, tm_device *device, float *slab, uint64_t seed);

const tm_param *tm_param_find(const tm_param_map *map, const char *name);

// The slab as tensors to be written; `out` has room for n_params. `prefix` goes before every name ("" for
// weights); `names` (n_params * (TM_PARAM_NAME + 16) bytes) holds them and may be NULL with an empty prefix.
void tm_param_tensors(const tm_param_map *map, const float *slab, const char *prefix, char *names,
                      tm_st_tensor *out);

// Whether a tensor of a file has the shape of a parameter (TM_EFORMAT names both) and is F32, F16, BF16 or
// F64 (TM_EUNSUPPORTED); and the same, and copy it into its place.
tm_status tm_param_check(const tm_param *param, const tm_st_tensor *from, tm_error *err);
tm_status tm_param_put(const tm_param_map *map, float *slab, const tm_param *param, const tm_st_tensor *from,
                       tm_error *err);
