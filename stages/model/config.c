// SPDX-License-Identifier: Apache-2.0
// Model shapes: the family rows, defaults, config.json in and out.
#include "stages/model/config.h"

#include <math.h>
#include <stdlib.h>

#include <jansson.h>

#include "kernels/ops.h"

static const tm_family families[] = {
    {.name = "llama",   .architecture = "LlamaForCausalLM",   .bias_keys = true,
     .norm_eps = 1e-6,  .rope_theta = 10000},
    {.name = "mistral", .architecture = "MistralForCausalLM", .window_keys = true, .window = 4096,
     .norm_eps = 1e-6,  .rope_theta = 10000},
    {.name = "qwen2",   .architecture = "Qwen2ForCausalLM",   .window_keys = true, .window_opt_in = true,
     .window = 4096,    .qkv_bias = true,
     .norm_eps = 1e-6,  .rope_theta = 10000},
    {.name = "qwen3",   .architecture = "Qwen3ForCausalLM",   .window_keys = true, .window_opt_in = true,
     .window = 4096,    .qk_norm = true,
     .norm_eps = 1e-6,  .rope_theta = 10000},
};

#define N_FAMILIES (sizeof families / sizeof families[0])

const tm_family *tm_family_at(size_t i)
{
    return i < N_FAMILIES ? &families[i] : NULL;
}

const tm_family *tm_family_find(const char *name)
{
    for (size_t i = 0; i < N_FAMILIES; i++) {
        if (strcmp(families[i].name, name) == 0) return &families[i];
    }
    return NULL;
}

// ---- checks and defaults

static tm_status check_range(const char *name, uint64_t value, uint64_t most, tm_error *err)
{
    if (value >= 1 && value <= most) return TM_OK;
    return tm_fail(err, TM_EINVAL, "model: %s must be in 1..%llu, got %llu", name, (unsigned long long)most,
                   (unsigned long long)value);
}

static tm_status check_sizes(const tm_model_config *c, tm_error *err)
{
    TM_TRY(check_range("layers", c->layers, 4096, err));
    TM_TRY(check_range("width", c->width, 1 << 18, err));
    TM_TRY(check_range("heads", c->heads, 1 << 14, err));
    TM_TRY(check_range("kv_heads", c->kv_heads, c->heads, err));
    TM_TRY(check_range("head_dim", c->head_dim, 1 << 14, err));
    TM_TRY(check_range("ffn", c->ffn, 1 << 20, err));
    TM_TRY(check_range("vocab", c->vocab, 1 << 24, err));
    TM_TRY(check_range("length", c->length, 1 << 24, err));
    if (c->heads % c->kv_heads)
        return tm_fail(err, TM_EINVAL, "model: %u heads are not a multiple of %u kv_heads", c->heads,
                       c->kv_heads);
    if (c->head_dim % 2)
        return tm_fail(err, TM_EINVAL, "model: head_dim %u is odd; rotary positions need pairs", c->head_dim);
    return TM_OK;
}

static tm_status check_numbers(const tm_model_config *c, tm_error *err)
{
    if (!(c->norm_eps > 0 && c->norm_eps < 1))
        return tm_fail(err, TM_EINVAL, "model: norm epsilon must be in (0, 1), got %g", c->norm_eps);
    if (!(c->rope_theta >= 1 && isfinite(c->rope_theta)))
        return tm_fail(err, TM_EINVAL, "model: rope_theta must be 1 or more, got %g", c->rope_theta);
    if (!(c->init_std > 0 && isfinite(c->init_std)))
        return tm_fail(err, TM_EINVAL, "model: init_std must be above 0, got %g", c->init_std);
    if (c->rope != TM_ROPE_DEFAULT && !(c->rope_factor >= 1 && isfinite(c->rope_factor)))
        return tm_fail(err, TM_EINVAL, "model: rope factor must be 1 or more, got %g", c->rope_factor);
    if (c->rope == TM_ROPE_LLAMA3 && !(c->rope_low > 0 && c->rope_high > c->rope_low && c->rope_original > 0))
        return tm_fail(err, TM_EINVAL, "model: llama3 rope needs 0 < low (%g) < high (%g) and a context (%u)",
                       c->rope_low, c->rope_high, c->rope_original);
    return TM_OK;
}

tm_status tm_model_config_complete(tm_model_config *c, tm_error *err)
{
    if (!c->family) c->family = &families[0];
    if (c->kv_heads == 0) c->kv_heads = c->heads;
    if (c->head_dim == 0 && c->heads > 0) {
        if (c->width % c->heads)
            return tm_fail(err, TM_EINVAL, "model: width %u is not a multiple of %u heads", c->width,
                           c->heads);
        c->head_dim = c->width / c->heads;
    }
    if (c->ffn == 0) c->ffn = ((c->width * 8 + 2) / 3 + 31) / 32 * 32;
    if (c->length == 0) c->length = 1024;
    if (c->norm_eps == 0) c->norm_eps = c->family->norm_eps;
    if (c->rope_theta == 0) c->rope_theta = c->family->rope_theta;
    if (c->init_std == 0) c->init_std = sqrt(0.4 / c->width);
    c->qkv_bias |= c->family->qkv_bias;
    c->qk_norm |= c->family->qk_norm;
    TM_TRY(check_sizes(c, err));
    return check_numbers(c, err);
}

// ---- reading

// A reader of one JSON object that remembers its first failure.
typedef struct reader {
    const json_t *json;
    tm_status status;
    tm_error *err;
} reader;

static void refuse(reader *r, const char *key, const char *want)
{
    if (r->status == TM_OK) r->status = tm_fail(r->err, TM_EFORMAT, "config.json: %s must be %s", key, want);
}

static const json_t *value_of(const reader *r, const char *key)
{
    const json_t *value = json_object_get(r->json, key);
    return json_is_null(value) ? NULL : value;
}

static uint32_t read_u32(reader *r, const char *key, uint32_t missing)
{
    const json_t *value = value_of(r, key);
    if (!value) return missing;
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 0 || n > INT32_MAX) return refuse(r, key, "a count"), 0;
    return (uint32_t)n;
}

static uint32_t need_u32(reader *r, const char *key)
{
    if (!value_of(r, key)) return refuse(r, key, "there"), 0;
    return read_u32(r, key, 0);
}

static double read_real(reader *r, const char *key, double missing)
{
    const json_t *value = value_of(r, key);
    if (!value) return missing;
    if (!json_is_number(value)) return refuse(r, key, "a number"), 0;
    return json_number_value(value);
}

static bool read_bool(reader *r, const char *key, bool missing)
{
    const json_t *value = value_of(r, key);
    if (!value) return missing;
    if (!json_is_boolean(value)) return refuse(r, key, "true or false"), false;
    return json_is_true(value);
}

static const char *read_text(reader *r, const char *key, const char *missing)
{
    const json_t *value = value_of(r, key);
    if (!value) return missing;
    if (!json_is_string(value)) return refuse(r, key, "a string"), missing;
    return json_string_value(value);
}

// A token id; of a list the first.
static int64_t read_token(reader *r, const char *key)
{
    const json_t *value = value_of(r, key);
    if (json_is_array(value)) value = json_array_get(value, 0);
    if (!value) return -1;
    if (!json_is_integer(value)) return refuse(r, key, "a token id"), -1;
    json_int_t id = json_integer_value(value);
    return id < 0 || id > INT32_MAX ? -1 : id;
}

static void unsupported(reader *r, const char *what, const char *value)
{
    if (r->status == TM_OK)
        r->status =
            tm_fail(r->err, TM_EUNSUPPORTED, "config.json: %s \"%.60s\" is not supported", what, value);
}

static void read_rope_type(reader *r, tm_model_config *c)
{
    const char *type = read_text(r, "rope_type", read_text(r, "type", "default"));
    if (strcmp(type, "default") == 0) return;
    c->rope_factor = read_real(r, "factor", 0);
    if (strcmp(type, "linear") == 0) {
        c->rope = TM_ROPE_LINEAR;
    } else if (strcmp(type, "llama3") == 0) {
        c->rope = TM_ROPE_LLAMA3;
        c->rope_low = read_real(r, "low_freq_factor", 0);
        c->rope_high = read_real(r, "high_freq_factor", 0);
        c->rope_original = read_u32(r, "original_max_position_embeddings", c->length);
    } else {
        unsupported(r, "rope type", type);
    }
}

// The newer `rope_parameters` holds theta and type; older files have `rope_theta` and `rope_scaling`.
static void read_rope(reader *r, tm_model_config *c)
{
    c->rope_theta = read_real(r, "rope_theta", c->family->rope_theta);
    const json_t *newer = value_of(r, "rope_parameters");
    const json_t *inner = newer ? newer : value_of(r, "rope_scaling");
    if (!inner) return;
    if (!json_is_object(inner)) return refuse(r, newer ? "rope_parameters" : "rope_scaling", "an object");
    reader nested = {inner, r->status, r->err};
    c->rope_theta = read_real(&nested, "rope_theta", c->rope_theta);
    read_rope_type(&nested, c);
    r->status = nested.status;
}

// `layer_types`, where it is, must say what window_first says: full attention first, then windows.
static void read_layer_types(reader *r, tm_model_config *c)
{
    const json_t *types = value_of(r, "layer_types"), *type;
    if (!types) return;
    size_t i;
    c->window_first = c->layers;
    json_array_foreach(types, i, type)
    {
        bool window = json_string_value(type) && strcmp(json_string_value(type), "sliding_attention") == 0;
        if (window && c->window_first > i) c->window_first = (uint32_t)i;
        if (!window && i > c->window_first) unsupported(r, "layer_types", "full_attention after a window");
    }
}

static void read_window(reader *r, tm_model_config *c)
{
    const tm_family *f = c->family;
    if (!f->window_keys) return;
    bool given = json_object_get(r->json, "sliding_window") != NULL;
    c->window = read_u32(r, "sliding_window", given ? 0 : f->window);
    if (f->window_opt_in) {
        if (!read_bool(r, "use_sliding_window", false)) c->window = 0;
        c->window_first = read_u32(r, "max_window_layers", 28);
        if (c->window) read_layer_types(r, c);
    }
    if (!c->window) c->window_first = 0;
}

static void read_sizes(reader *r, tm_model_config *c)
{
    c->layers = need_u32(r, "num_hidden_layers");
    c->width = need_u32(r, "hidden_size");
    c->heads = need_u32(r, "num_attention_heads");
    c->kv_heads = read_u32(r, "num_key_value_heads", c->heads);
    c->head_dim = read_u32(r, "head_dim", 0);
    c->ffn = need_u32(r, "intermediate_size");
    c->vocab = need_u32(r, "vocab_size");
    c->length = read_u32(r, "max_position_embeddings", 2048);
    c->tie = read_bool(r, "tie_word_embeddings", false);
    c->norm_eps = read_real(r, "rms_norm_eps", c->family->norm_eps);
    c->init_std = read_real(r, "initializer_range", 0.02);
    if (c->family->bias_keys) {
        c->qkv_bias = c->o_bias = read_bool(r, "attention_bias", false);
        c->mlp_bias = read_bool(r, "mlp_bias", false);
    }
}

static void read_config(reader *r, tm_model_config *c)
{
    *c = (tm_model_config){0};
    const char *type = read_text(r, "model_type", "llama");
    c->family = tm_family_find(type);
    if (!c->family) return unsupported(r, "model_type", type);
    const char *act = read_text(r, "hidden_act", "silu");
    if (strcmp(act, "silu") != 0) return unsupported(r, "hidden_act", act);
    read_sizes(r, c);
    read_rope(r, c);
    read_window(r, c);
    c->bos = read_token(r, "bos_token_id");
    c->eos = read_token(r, "eos_token_id");
    c->pad = read_token(r, "pad_token_id");
}

tm_status tm_model_config_parse(tm_model_config *config, tm_view text, tm_error *err)
{
    json_error_t at;
    json_t *json = json_loadb(text.data ? text.data : "", text.size, JSON_REJECT_DUPLICATES, &at);
    if (!json) return tm_fail(err, TM_EFORMAT, "config.json: line %d: %s", at.line, at.text);
    reader r = {json, TM_OK, err};
    if (!json_is_object(json)) r.status = tm_fail(err, TM_EFORMAT, "config.json is not an object");
    if (r.status == TM_OK) read_config(&r, config);
    if (r.status == TM_OK && tm_model_config_complete(config, err) < 0) {
        tm_error_prefix(err, "config.json");
        r.status = TM_EFORMAT;
    }
    json_decref(json);
    return r.status;
}

// ---- writing

static void put(json_t *json, const char *key, json_t *value)
{
    json_object_set_new(json, key, value);
}

static json_t *token_json(int64_t id)
{
    return id < 0 ? json_null() : json_integer(id);
}

static const char *const rope_names[] = {"default", "linear", "llama3"};

static void put_rope(json_t *json, const tm_model_config *c)
{
    put(json, "rope_type", json_string(rope_names[c->rope]));
    if (c->rope != TM_ROPE_DEFAULT) put(json, "factor", json_real(c->rope_factor));
    if (c->rope != TM_ROPE_LLAMA3) return;
    put(json, "low_freq_factor", json_real(c->rope_low));
    put(json, "high_freq_factor", json_real(c->rope_high));
    put(json, "original_max_position_embeddings", json_integer(c->rope_original));
}

static void put_ropes(json_t *json, const tm_model_config *c)
{
    json_t *newer = json_object(), *older = json_object();
    put(newer, "rope_theta", json_real(c->rope_theta));
    put_rope(newer, c);
    put_rope(older, c);
    put(json, "rope_theta", json_real(c->rope_theta));
    put(json, "rope_parameters", newer);
    if (c->rope == TM_ROPE_DEFAULT) json_decref(older);
    put(json, "rope_scaling", c->rope == TM_ROPE_DEFAULT ? json_null() : older);
}

static void put_window(json_t *json, const tm_model_config *c)
{
    if (!c->family->window_keys) return;
    put(json, "sliding_window", c->window ? json_integer(c->window) : json_null());
    if (!c->family->window_opt_in) return;
    put(json, "use_sliding_window", json_boolean(c->window > 0));
    put(json, "max_window_layers", json_integer(c->window ? c->window_first : c->layers));
}

static void put_sizes(json_t *json, const tm_model_config *c)
{
    put(json, "vocab_size", json_integer(c->vocab));
    put(json, "hidden_size", json_integer(c->width));
    put(json, "intermediate_size", json_integer(c->ffn));
    put(json, "num_hidden_layers", json_integer(c->layers));
    put(json, "num_attention_heads", json_integer(c->heads));
    put(json, "num_key_value_heads", json_integer(c->kv_heads));
    put(json, "head_dim", json_integer(c->head_dim));
    put(json, "hidden_act", json_string("silu"));
    put(json, "max_position_embeddings", json_integer(c->length));
    put(json, "initializer_range", json_real(c->init_std));
    put(json, "rms_norm_eps", json_real(c->norm_eps));
    put(json, "tie_word_embeddings", json_boolean(c->tie));
}

static tm_status finish(json_t *json, tm_buf *out, tm_error *err)
{
    char *text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    json_decref(json);
    if (!text) return tm_fail(err, TM_ENOMEM, "no memory for a configuration");
    tm_buf_str(out, text);
    tm_buf_char(out, '\n');
    free(text);
    return tm_buf_status(out, err);
}

tm_status tm_model_config_write(const tm_model_config *c, tm_buf *out, tm_error *err)
{
    json_t *json = json_object();
    put(json, "architectures", json_pack("[s]", c->family->architecture));
    put(json, "model_type", json_string(c->family->name));
    put_sizes(json, c);
    if (c->family->bias_keys) {
        put(json, "attention_bias", json_boolean(c->qkv_bias));
        put(json, "mlp_bias", json_boolean(c->mlp_bias));
    }
    put(json, "attention_dropout", json_real(0));
    put_ropes(json, c);
    put_window(json, c);
    put(json, "use_cache", json_true());
    put(json, "bos_token_id", token_json(c->bos));
    put(json, "eos_token_id", token_json(c->eos));
    put(json, "pad_token_id", token_json(c->pad));
    put(json, "torch_dtype", json_string("float32"));
    put(json, "dtype", json_string("float32"));
    return finish(json, out, err);
}

tm_status tm_generation_config_write(const tm_model_config *c, tm_buf *out, tm_error *err)
{
    json_t *json = json_object();
    put(json, "bos_token_id", token_json(c->bos));
    put(json, "eos_token_id", token_json(c->eos));
    put(json, "pad_token_id", token_json(c->pad));
    put(json, "do_sample", json_false());
    return finish(json, out, err);
}

// ---- numbers derived from a shape

static double llama3_frequency(const tm_model_config *c, double f)
{
    double wavelength = 2 * M_PI / f, context = c->rope_original;
    if (wavelength < context / c->rope_high) return f;
    if (wavelength > context / c->rope_low) return f / c->rope_factor;
    double s = (context / wavelength - c->rope_low) / (c->rope_high - c->rope_low);
    return (1 - s) * f / c->rope_factor + s * f;
}

void tm_model_config_rope(const tm_model_config *c, float *inv_freq)
{
    tm_rope_frequencies(inv_freq, c->head_dim, c->rope_theta);
    for (uint32_t i = 0; i < c->head_dim / 2; i++) {
        double f = inv_freq[i];
        if (c->rope == TM_ROPE_LINEAR) f /= c->rope_factor;
        if (c->rope == TM_ROPE_LLAMA3) f = llama3_frequency(c, f);
        inv_freq[i] = (float)f;
    }
}

double tm_model_config_flops(const tm_model_config *c, double context)
{
    double q = (double)c->heads * c->head_dim, kv = (double)c->kv_heads * c->head_dim;
    double layer = c->width * (q + 2 * kv) + q * c->width + 3.0 * c->width * c->ffn;
    return 6 * (c->layers * layer + (double)c->vocab * c->width) + 12 * c->layers * q * context;
}
