// SPDX-License-Identifier: Apache-2.0
// The Llama architecture, as a value.
#include "stages/train/architecture.h"

static const tm_option options[] = {
    {"layers", TM_OPT_INT, offsetof(tm_architecture_options, layers), NULL, 1, 512, NULL,
     "transformer blocks", 0},
    {"width", TM_OPT_INT, offsetof(tm_architecture_options, width), NULL, 8, 65536, NULL,
     "size of a token's vector", 0},
    {"heads", TM_OPT_INT, offsetof(tm_architecture_options, heads), NULL, 1, 1024, NULL, "attention heads",
     0},
    {"kv_heads", TM_OPT_INT, offsetof(tm_architecture_options, kv_heads), "null", 1, 1024, NULL,
     "heads of keys and values (default: heads)", 0},
    {"ffn", TM_OPT_INT, offsetof(tm_architecture_options, ffn), "null", 8, 1 << 20, NULL,
     "inner width of the feed-forward part (default: 8/3 width, in steps of 32)", 0},
    {"length", TM_OPT_INT, offsetof(tm_architecture_options, length), "1024", 8, 1 << 24, NULL, "positions",
     0},
    {"tie", TM_OPT_BOOL, offsetof(tm_architecture_options, tie), "true", 0, 0, NULL,
     "the head is the embedding", 0},
    {"rope_theta", TM_OPT_NUMBER, offsetof(tm_architecture_options, rope_theta), "10000", 1, 1e12, NULL,
     "base of the rotary positions", 0},
    {"norm_eps", TM_OPT_NUMBER, offsetof(tm_architecture_options, norm_eps), "1e-5", 0, 1, NULL,
     "of the RMS norms", 0},
    {"init", TM_OPT_NUMBER, offsetof(tm_architecture_options, init), "null", 0, 10, NULL,
     "standard deviation of fresh weights (default: sqrt(2 / (5 width)))", 0},
    {0},
};

// The shape must hold for a vocabulary of any size; 256 stands for one.
static tm_status check(const json_t *value, tm_error *err)
{
    tm_model_config config;
    return tm_architecture_config(value, 256, -1, &config, err);
}

const tm_value tm_value_llama = {
    .name = "llama",
    .brief = "A fresh Llama: RMS norms, rotary positions, SwiGLU, grouped-query attention.",
    .example = "tm.llama { layers = 6, width = 384, heads = 6 }",
    .family = "architecture",
    .options = options,
    .options_size = sizeof(tm_architecture_options),
    .check = check,
};
