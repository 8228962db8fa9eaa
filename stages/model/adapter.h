// SPDX-License-Identifier: Apache-2.0
// Low-rank adapters: a frozen linear layer y = x W^T gets y += scale * drop(x) A^T B^T (Hu et al. 2022).
//
// A is [rank, in] and B [out, rank]; scale is alpha / rank, or alpha / sqrt(rank) with rsLoRA (Kalajdzievski
// 2023). They lie in a slab of their own with a map of its own, in the names that PEFT gives them:
//
//   [ A of q,k,v | B of q | k | v | A, B of o | A of gate,up | B of gate | up | A, B of down ][ layer 1 ...
//
// The A's of linears that read the same input follow one another: one GEMM each, and one dropout mask.
#pragma once

#include "stages/model/params.h"

typedef enum {
    TM_LORA_Q,
    TM_LORA_K,
    TM_LORA_V,
    TM_LORA_O,
    TM_LORA_GATE,
    TM_LORA_UP,
    TM_LORA_DOWN,
    TM_LORA_TARGETS,  // how many there are
} tm_lora_target;

#define TM_LORA_ALL ((1u << TM_LORA_TARGETS) - 1)

// "q_proj" ..., the names of Hugging Face; and back, from a name with or without `_proj`; -1: no such linear.
const char *tm_lora_target_name(tm_lora_target target);
int tm_lora_target_find(const char *name);

// Inputs of a linear.
int64_t tm_lora_inputs(const tm_model_config *config, tm_lora_target target);

typedef struct tm_lora {
    uint32_t rank;
    double alpha;
    double dropout;    // of the adapter's input, while training
    bool rslora;
    uint32_t targets;  // bit t: linear t of every layer has an adapter
} tm_lora;

// Linears that read one input, and whose outputs lie side by side.
typedef enum {
    TM_LORA_QKV,
    TM_LORA_MIX,
    TM_LORA_GATE_UP,
    TM_LORA_ACT,
    TM_LORA_GROUPS,
} tm_lora_group;

// The targets of a group: first .. end.
tm_lora_target tm_lora_group_first(tm_lora_group group);
tm_lora_target tm_lora_group_end(tm_lora_group group);

// The adapter of one linear.
typedef struct tm_adapter_part {
    uint32_t rank;  // 0: the linear has none
    double alpha;
    int64_t in, out, column;  // of the linear; where its outputs begin among those of its group
    size_t a, b;              // offsets in floats: A [rank, in], B [out, rank]
} tm_adapter_part;

typedef struct tm_adapter {
    tm_lora lora;
    tm_param_map map;  // everything in it is a matrix; `layers` is NULL
    float *params;     // slab
    uint32_t n_layers;
    tm_adapter_part (*parts)[TM_LORA_TARGETS];  // [n_layers]
} tm_adapter;

// An adapter whose parameters are zero. `ranks` and `alphas` [layers * TM_LORA_TARGETS] give each linear its
// own (rank 0: none); NULL: those of `lora` for its targets. TM_EINVAL: no target, a rank above 65536, a
// dropout outside [0, 1).
tm_status tm_adapter_new(tm_adapter **adapter, const tm_model_config *config, const tm_lora *lora,
                         const uint32_t *ranks, const double *alphas, tm_error *err);
void tm_adapter_free(tm_adapter *adapter);

// Fresh values as PEFT draws them: A uniform in +-1/sqrt(in) (Kaiming with a = sqrt(5)), B zero, so that the
// adapted model begins as the base. Value i of a tensor depends on (seed, name, i) alone.
void tm_adapter_init(tm_adapter *adapter, tm_device *device, uint64_t seed);

// The ranks of a group of one layer, summed: the rows of its A's.
int64_t tm_adapter_rank(const tm_adapter *adapter, uint32_t layer, tm_lora_group group);

// What multiplies B A x.
float tm_adapter_scale(const tm_adapter *adapter, const tm_adapter_part *part);

// W += scale * B A for every linear of a model's slab, in float32.
void tm_adapter_merge(const tm_adapter *adapter, const tm_param_map *map, float *slab, tm_device *device);
