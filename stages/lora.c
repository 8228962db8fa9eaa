// SPDX-License-Identifier: Apache-2.0
// Low-rank adapters, as a value.
#include "stages/train/architecture.h"

static const tm_option options[] = {
    {"rank", TM_OPT_INT, offsetof(tm_lora_options, rank), "16", 1, 65536, NULL, "columns of an adapter", 0},
    {"alpha", TM_OPT_NUMBER, offsetof(tm_lora_options, alpha), "32", 1e-6, 1e6, NULL,
     "what the adapter adds is multiplied by alpha / rank", 0},
    {"dropout", TM_OPT_NUMBER, offsetof(tm_lora_options, dropout), "0", 0, 0.99, NULL,
     "share of an adapter's inputs that a step leaves out", 0},
    {"targets", TM_OPT_LIST, offsetof(tm_lora_options, targets), "[\"all\"]", 0, 0, NULL,
     "linears that get one: q_proj k_proj v_proj o_proj gate_proj up_proj down_proj, or all", 0},
    {"rslora", TM_OPT_BOOL, offsetof(tm_lora_options, rslora), "false", 0, 0, NULL,
     "multiply by alpha / sqrt(rank) (Kalajdzievski 2023)", 0},
    {0},
};

static tm_status check(const json_t *value, tm_error *err)
{
    tm_lora lora;
    return tm_lora_of(value, &lora, err);
}

const tm_value tm_value_lora = {
    .name = "lora",
    .brief = "Low-rank adapters on the linear layers; the weights stay as they are (Hu et al. 2022).",
    .example = "adapter = tm.lora { rank = 16, alpha = 32, targets = { \"q_proj\", \"v_proj\" } }",
    .family = "adapter",
    .options = options,
    .options_size = sizeof(tm_lora_options),
    .check = check,
};
