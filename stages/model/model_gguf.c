// SPDX-License-Identifier: Apache-2.0
// The shape of a model in the values of a GGUF file.
#include "stages/model/model_gguf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "stages/format/half.h"
#include "stages/model/model_gguf_names.h"

// Reads values of one architecture and remembers the first failure.
typedef struct reader {
    const tm_gguf *file;
    const char *arch;
    tm_status status;
    tm_error *err;
} reader;

static const char *key_of(const reader *r, const char *key, char text[96])
{
    snprintf(text, 96, "%s.%s", r->arch, key);
    return text;
}

static uint32_t read_count(reader *r, const char *key, uint32_t missing)
{
    char text[96];
    int64_t value = missing;
    bool given = tm_gguf_find(r->file, key_of(r, key, text)) != NULL;
    if (given && (!tm_gguf_integer(r->file, text, &value) || value < 0 || value > INT32_MAX)) {
        if (r->status == TM_OK) r->status = tm_fail(r->err, TM_EFORMAT, "%s is no count", text);
        return missing;
    }
    return (uint32_t)value;
}

static uint32_t need_count(reader *r, const char *key)
{
    char text[96];
    if (r->status == TM_OK && !tm_gguf_find(r->file, key_of(r, key, text)))
        r->status = tm_fail(r->err, TM_EFORMAT, "%s is missing", text);
    return read_count(r, key, 0);
}

// The shortest decimal number that is this f32: 1e-05, not 9.999999747378752e-06.
static double tidy(double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.7g", value);
    double shorter = strtod(text, NULL);
    return (float)shorter == (float)value ? shorter : value;
}

static double read_number(const reader *r, const char *key, double missing)
{
    char text[96];
    double value;
    return tm_gguf_number(r->file, key_of(r, key, text), &value) ? tidy(value) : missing;
}

static void unsupported(reader *r, const char *what)
{
    if (r->status == TM_OK) r->status = tm_fail(r->err, TM_EUNSUPPORTED, "its %s is not supported", what);
}

static bool has(const reader *r, const char *name)
{
    return tm_gguf_tensor_find(r->file, name) != NULL;
}

static void read_sizes(reader *r, tm_model_config *c)
{
    const tm_gguf_tensor *embed = tm_gguf_tensor_find(r->file, "token_embd.weight");
    c->layers = need_count(r, "block_count");
    c->width = need_count(r, "embedding_length");
    c->heads = need_count(r, "attention.head_count");
    c->kv_heads = read_count(r, "attention.head_count_kv", c->heads);
    c->ffn = need_count(r, "feed_forward_length");
    c->length = need_count(r, "context_length");
    c->head_dim = read_count(r, "attention.key_length", c->heads ? c->width / c->heads : 0);
    c->norm_eps = read_number(r, "attention.layer_norm_rms_epsilon", c->family->norm_eps);
    c->init_std = 0.02;
    c->tie = !has(r, "output.weight");
    if (embed && embed->rank == 2 && embed->shape[0] <= UINT32_MAX)
        c->vocab = (uint32_t)embed->shape[0];
    else if (r->status == TM_OK)
        r->status = tm_fail(r->err, TM_EFORMAT, "token_embd.weight is no matrix");
    if (read_count(r, "attention.value_length", c->head_dim) != c->head_dim)
        unsupported(r, "attention with values and keys of other sizes");
    if (read_count(r, "rope.dimension_count", c->head_dim) != c->head_dim)
        unsupported(r, "rotation of a part of a head");
    if (read_count(r, "expert_count", 0)) unsupported(r, "mixture of experts");
}

static void read_biases(reader *r, tm_model_config *c)
{
    bool q = has(r, "blk.0.attn_q.bias"), o = has(r, "blk.0.attn_output.bias");
    if (!c->family->bias_keys) return;
    if (q != o) unsupported(r, "bias of a part of the attention");
    c->qkv_bias = c->o_bias = q;
    c->mlp_bias = has(r, "blk.0.ffn_gate.bias");
}

// ---- rotation

static bool factors_fit(const tm_model_config *c, const tm_gguf_tensor *factors)
{
    tm_model_config plain = *c;
    uint32_t half = c->head_dim / 2;
    float *a = tm_calloc(2 * (size_t)half, sizeof *a);
    bool fit = a != NULL;
    plain.rope = TM_ROPE_DEFAULT;
    if (a) tm_model_config_rope(c, a);
    if (a) tm_model_config_rope(&plain, a + half);
    for (uint32_t i = 0; fit && i < half; i++) {
        float factor = tm_bits_float(tm_le32(factors->data.data + 4 * i));
        fit = fabsf(a[half + i] / a[i] - factor) <= 1e-4f * factor;
    }
    tm_free(a);
    return fit;
}

// The file has the divisors alone. They are Llama 3's of a factor and an original context that are looked
// for; its other two numbers are 1 and 4 in every published model.
static void read_factors(reader *r, tm_model_config *c, const tm_gguf_tensor *factors)
{
    uint32_t half = c->head_dim / 2;
    if (strcmp(factors->type->name, "f32") != 0 || factors->rank != 1 || factors->shape[0] != half) {
        if (r->status == TM_OK)
            r->status = tm_fail(r->err, TM_EFORMAT, TM_GGUF_ROPE " is no list of %u f32", half);
        return;
    }
    c->rope = TM_ROPE_LLAMA3;
    c->rope_low = 1;
    c->rope_high = 4;
    c->rope_factor = half ? (double)tm_bits_float(tm_le32(factors->data.data + 4 * (half - 1))) : 0;
    for (c->rope_original = 16; c->rope_original <= 1 << 20; c->rope_original *= 2)
        if (c->rope_factor >= 1 && factors_fit(c, factors)) return;
    unsupported(r, "scaling of the rotation (" TM_GGUF_ROPE ")");
}

static void read_rope(reader *r, tm_model_config *c)
{
    char key[96];
    tm_view type;
    const tm_gguf_tensor *factors = tm_gguf_tensor_find(r->file, TM_GGUF_ROPE);
    c->rope_theta = read_number(r, "rope.freq_base", 10000);
    if (r->status == TM_OK && factors) read_factors(r, c, factors);
    if (!tm_gguf_text(r->file, key_of(r, "rope.scaling.type", key), &type) ||
        tm_view_eq(type, tm_view_str("none")))
        return;
    if (factors || !tm_view_eq(type, tm_view_str("linear"))) return unsupported(r, "scaling of the rotation");
    c->rope = TM_ROPE_LINEAR;
    c->rope_factor = read_number(r, "rope.scaling.factor", 1);
}

static tm_status find_arch(const tm_gguf *file, const tm_gguf_arch **arch, tm_error *err)
{
    tm_view name;
    int64_t split;
    if (!tm_gguf_text(file, "general.architecture", &name))
        return tm_fail(err, TM_EFORMAT, "general.architecture is missing");
    *arch = tm_gguf_arch_named(name);
    if (!*arch) {
        tm_fail(err, TM_EUNSUPPORTED, "its architecture \"%.*s\" is not supported",
                name.size < 40 ? (int)name.size : 40, name.data);
        tm_hint(err, "llama, qwen2 and qwen3 are");
        return TM_EUNSUPPORTED;
    }
    if (tm_gguf_integer(file, "split.count", &split) && split > 1) {
        tm_fail(err, TM_EUNSUPPORTED, "it is one of %lld files of a split model", (long long)split);
        tm_hint(err, "join them with llama-gguf-split --merge");
        return TM_EUNSUPPORTED;
    }
    return TM_OK;
}

tm_status tm_gguf_config(const tm_gguf *file, tm_model_config *config, tm_error *err)
{
    const tm_gguf_arch *arch = NULL;
    TM_TRY(find_arch(file, &arch, err));
    *config = (tm_model_config){.family = tm_family_find(arch->family), .bos = -1, .eos = -1, .pad = -1};
    reader r = {file, arch->name, TM_OK, err};
    read_sizes(&r, config);
    read_biases(&r, config);
    if (r.status == TM_OK) r.status = tm_model_config_complete(config, err);
    if (r.status == TM_OK) read_rope(&r, config);
    return r.status == TM_OK ? tm_model_config_complete(config, err) : r.status;
}
