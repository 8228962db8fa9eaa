// SPDX-License-Identifier: Apache-2.0
// The shape of a decoder transformer, and its config.json.
//
// A family is a row: which parts its blocks have, and the names Hugging Face gives them. The forward and
// backward code reads the numbers below and never asks for a family by name.
#pragma once

#include "engine/base/bytes.h"

typedef enum {
    TM_ROPE_DEFAULT,
    TM_ROPE_LINEAR,  // positions divided by a factor
    TM_ROPE_LLAMA3,  // wavelengths beyond the original context stretched, those between blended
} tm_rope_kind;

typedef struct tm_family {
    const char *name;          // `model_type`
    const char *architecture;  // `architectures[0]`
    bool qkv_bias;             // q, k, v always have a bias
    bool bias_keys;            // reads and writes `attention_bias`, `mlp_bias`
    bool qk_norm;              // RMS norm over each head of q and k, before the rotation
    bool window_keys;          // reads and writes `sliding_window` ...
    bool window_opt_in;        // ... but only with `use_sliding_window`, from layer `max_window_layers` on
    uint32_t window;              // where config.json says nothing
    double norm_eps, rope_theta;
} tm_family;

// The row of a family, or NULL; row i, or NULL after the last.
const tm_family *tm_family_find(const char *name);
const tm_family *tm_family_at(size_t i);

typedef struct tm_model_config {
    const tm_family *family;
    uint32_t layers, width, heads, kv_heads, head_dim, ffn, vocab;
    uint32_t length;        // positions the model is made for
    bool tie;               // the head is the embedding
    bool qkv_bias, o_bias, mlp_bias, qk_norm;
    uint32_t window;        // keys a token sees, itself included; 0: all before it
    uint32_t window_first;  // first layer that has the window
    double norm_eps;
    double init_std;  // of fresh weights (`initializer_range`)
    double rope_theta;
    tm_rope_kind rope;
    double rope_factor, rope_low, rope_high;  // LINEAR: factor; LLAMA3: all
    uint32_t rope_original;                   // LLAMA3: the original context
    int64_t bos, eos, pad;                    // -1: none
} tm_model_config;

// Fill what is zero from what is given. Needed: layers, width, heads, vocab. Then family llama, kv_heads =
// heads, head_dim = width / heads, ffn = 8/3 width rounded up to a multiple of 32, length 1024, norm_eps and
// theta of the family, init_std sqrt(2 / (5 width)) (Nguyen & Salazar 2019). `tie`, bos, eos and pad are
// taken as they are. TM_EINVAL says which number is impossible.
tm_status tm_model_config_complete(tm_model_config *config, tm_error *err);

// Read config.json. Knows `rope_theta` with `rope_scaling`, and `rope_parameters`. TM_EFORMAT: not JSON, a
// number that is missing or impossible. TM_EUNSUPPORTED names a family, an activation or a rope type that is
// not here.
tm_status tm_model_config_parse(tm_model_config *config, tm_view json, tm_error *err);

// Append config.json (with the keys of transformers 4 and 5), or generation_config.json.
tm_status tm_model_config_write(const tm_model_config *config, tm_buf *json, tm_error *err);
tm_status tm_generation_config_write(const tm_model_config *config, tm_buf *json, tm_error *err);

// The window of a layer; 0: none.
static inline uint32_t tm_model_config_window(const tm_model_config *config, uint32_t layer)
{
    return layer >= config->window_first ? config->window : 0;
}

// Inverse frequencies of the rotation, head_dim / 2 of them, scaled as `rope` says (Llama 3: Dubey et al.
// 2024; linear: Chen et al. 2023).
void tm_model_config_rope(const tm_model_config *config, float *inv_freq);

// Floating-point operations of a token in training (forward and backward), with attention over `context` keys
// on average.
double tm_model_config_flops(const tm_model_config *config, double context);
