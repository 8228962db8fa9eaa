// SPDX-License-Identifier: Apache-2.0
// The tables of architectures and of the parts of a layer.
#include "stages/model/model_gguf_names.h"

#include <stdio.h>
#include <stdlib.h>

static const tm_gguf_arch archs[] = {
    {"llama", "llama", true},
    {"llama", "mistral", true},
    {"qwen2", "qwen2", false},
    {"qwen3", "qwen3", false},
};
#define N_ARCHS (sizeof archs / sizeof archs[0])

static const struct {
    const char *ours, *gguf;
} parts[] = {
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
};
#define N_PARTS (sizeof parts / sizeof parts[0])

static const struct {
    const char *ours, *gguf;
} whole[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
};

const tm_gguf_arch *tm_gguf_arch_named(tm_view name)
{
    for (size_t i = 0; i < N_ARCHS; i++)
        if (tm_view_eq(name, tm_view_str(archs[i].name))) return &archs[i];
    return NULL;
}

const tm_gguf_arch *tm_gguf_arch_of(const tm_model_config *config)
{
    for (size_t i = 0; i < N_ARCHS; i++)
        if (strcmp(config->family->name, archs[i].family) == 0) return &archs[i];
    return NULL;
}

// "model.layers.12.mlp.up_proj.weight" -> 12, "mlp.up_proj", ".weight"
static bool split(const char *param, unsigned long *layer, tm_view *part, const char **kind)
{
    static const char head[] = "model.layers.";
    char *rest;
    if (strncmp(param, head, sizeof head - 1) != 0) return false;
    *layer = strtoul(param + sizeof head - 1, &rest, 10);
    *kind = strrchr(rest, '.');
    if (*rest != '.' || *kind == rest) return false;
    *part = tm_view_of(rest + 1, (size_t)(*kind - rest - 1));
    return true;
}

bool tm_gguf_name(const char *param, char name[TM_GGUF_NAME])
{
    unsigned long layer;
    tm_view part;
    const char *kind;
    name[0] = 0;
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        if (strcmp(param, whole[i].ours) == 0) snprintf(name, TM_GGUF_NAME, "%s", whole[i].gguf);
    if (name[0] || !split(param, &layer, &part, &kind)) return name[0] != 0;
    for (size_t i = 0; i < N_PARTS; i++)
        if (tm_view_eq(part, tm_view_str(parts[i].ours)))
            snprintf(name, TM_GGUF_NAME, "blk.%lu.%s%s", layer, parts[i].gguf, kind);
    return name[0] != 0;
}

uint32_t tm_gguf_heads(const tm_gguf_arch *arch, const tm_model_config *config, const char *param)
{
    if (!arch->interleaved) return 0;
    if (strstr(param, ".self_attn.q_proj.")) return config->heads;
    if (strstr(param, ".self_attn.k_proj.")) return config->kv_heads;
    return 0;
}
