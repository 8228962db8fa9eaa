// SPDX-License-Identifier: Apache-2.0
// A model into a GGUF file.
#include "stages/model/model_gguf.h"

#include <stdio.h>

#include "stages/model/model_gguf_names.h"

static tm_status check(const tm_model_config *c, const tm_gguf_arch *arch, tm_error *err)
{
    if (!arch)
        return tm_fail(err, TM_EUNSUPPORTED, "GGUF has no architecture for a %s model here", c->family->name);
    if (c->window && c->window < c->length)
        return tm_fail(err, TM_EUNSUPPORTED, "GGUF's \"%s\" has no attention window (%u tokens here)",
                       arch->name, c->window);
    return TM_OK;
}

static const char *key_of(const tm_gguf_arch *arch, const char *key, char text[96])
{
    snprintf(text, 96, "%s.%s", arch->name, key);
    return text;
}

static void put_shape(tm_gguf_writer *w, const tm_model_config *c, const tm_gguf_arch *arch)
{
    char key[96];
    const struct {
        const char *key;
        uint32_t value;
    } counts[] = {
        {"vocab_size", c->vocab},
        {"context_length", c->length},
        {"embedding_length", c->width},
        {"block_count", c->layers},
        {"feed_forward_length", c->ffn},
        {"attention.head_count", c->heads},
        {"attention.head_count_kv", c->kv_heads},
        {"attention.key_length", c->head_dim},
        {"attention.value_length", c->head_dim},
        {"rope.dimension_count", c->head_dim},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        tm_gguf_put_integer(w, key_of(arch, counts[i].key, key), counts[i].value);
    tm_gguf_put_number(w, key_of(arch, "attention.layer_norm_rms_epsilon", key), c->norm_eps);
    tm_gguf_put_number(w, key_of(arch, "rope.freq_base", key), c->rope_theta);
    if (c->rope != TM_ROPE_LINEAR) return;
    tm_gguf_put_text(w, key_of(arch, "rope.scaling.type", key), tm_view_str("linear"));
    tm_gguf_put_number(w, key_of(arch, "rope.scaling.factor", key), c->rope_factor);
}

// general.file_type: which type most of the matrices have.
static void put_general(tm_gguf_writer *w, const tm_gguf_arch *arch, const tm_gguf_type *type)
{
    tm_gguf_put_text(w, "general.architecture", tm_view_str(arch->name));
    tm_gguf_put_text(w, "general.type", tm_view_str("model"));
    tm_gguf_put_integer(w, "general.file_type", type->id == 8 ? 7 : type->id);
    if (type->block > 1) tm_gguf_put_integer(w, "general.quantization_version", 2);
}

static const tm_gguf_type *type_of(const tm_param *p, const tm_gguf_type *type)
{
    if (p->rank < 2) return tm_gguf_type_named("f32");
    return p->shape[1] % type->block ? tm_gguf_type_named("f16") : type;
}

tm_status tm_gguf_put_model(tm_gguf_writer *w, const tm_model *m, const tm_gguf_type *type, tm_error *err)
{
    const tm_gguf_arch *arch = tm_gguf_arch_of(&m->config);
    TM_TRY(check(&m->config, arch, err));
    put_general(w, arch, type);
    put_shape(w, &m->config, arch);
    uint64_t half = m->config.head_dim / 2;
    if (m->config.rope == TM_ROPE_LLAMA3)
        TM_TRY(tm_gguf_put_tensor(w, TM_GGUF_ROPE, tm_gguf_type_named("f32"), 1, &half, err));
    for (size_t i = 0; i < m->map.n_params; i++) {
        const tm_param *p = &m->map.params[i];
        char name[TM_GGUF_NAME];
        if (!tm_gguf_name(p->name, name))
            return tm_fail(err, TM_EUNSUPPORTED, "GGUF has no name for tensor %s", p->name);
        TM_TRY(tm_gguf_put_tensor(w, name, type_of(p, type), p->rank, p->shape, err));
    }
    return TM_OK;
}

static tm_status write_factors(tm_gguf_writer *w, const tm_model_config *c, tm_error *err)
{
    uint32_t half = c->head_dim / 2;
    tm_model_config plain = *c;
    float *f = tm_calloc(2 * (size_t)half, sizeof *f);
    if (!f) return tm_fail(err, TM_ENOMEM, "no memory for %u factors", half);
    plain.rope = TM_ROPE_DEFAULT;
    tm_model_config_rope(&plain, f);
    tm_model_config_rope(c, f + half);
    for (uint32_t i = 0; i < half; i++) f[i] /= f[half + i];
    tm_status status = tm_gguf_write(w, f, half, err);
    tm_free(f);
    return status;
}

static tm_status write_param(tm_gguf_writer *w, const tm_model *m, const tm_param *p, float *head_rows,
                             tm_error *err)
{
    const float *from = m->params + p->offset;
    uint32_t heads = tm_gguf_heads(tm_gguf_arch_of(&m->config), &m->config, p->name);
    if (!heads) return tm_gguf_write(w, from, p->count, err);
    uint64_t head = p->shape[0] / heads, width = p->rank > 1 ? p->shape[1] : 1;
    for (uint32_t h = 0; h < heads; h++, from += head * width) {
        for (uint64_t row = 0; row < head; row++)
            memcpy(head_rows + tm_gguf_row(row, head) * width, from + row * width, width * sizeof *from);
        TM_TRY(tm_gguf_write(w, head_rows, head * width, err));
    }
    return TM_OK;
}

tm_status tm_gguf_write_model(tm_gguf_writer *w, const tm_model *m, tm_error *err)
{
    if (m->config.rope == TM_ROPE_LLAMA3) TM_TRY(write_factors(w, &m->config, err));
    float *head_rows = tm_calloc((size_t)m->config.head_dim * m->config.width, sizeof *head_rows);
    tm_status status = head_rows ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for the rows of a head");
    for (size_t i = 0; status >= 0 && i < m->map.n_params; i++)
        status = write_param(w, m, &m->map.params[i], head_rows, err);
    tm_free(head_rows);
    return status;
}
