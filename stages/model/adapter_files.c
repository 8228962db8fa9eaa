// SPDX-License-Identifier: Apache-2.0
// adapter_config.json in and out, and the tensors of an adapter.
#include "stages/model/adapter_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"

#define FILE_NAME "adapter_config.json"

// ---- reading the configuration

typedef struct reader {
    const json_t *json;
    const tm_model_config *config;
    const tm_safetensors *file;
    tm_lora lora;
    uint32_t *ranks; // [layers * TM_LORA_TARGETS]
    double *alphas;
} reader;

static const json_t *value_of(const reader *r, const char *key)
{
    const json_t *value = json_object_get(r->json, key);
    return json_is_null(value) ? NULL : value;
}

static tm_status read_number(const reader *r, const char *key, double missing, double *number, tm_error *err)
{
    const json_t *value = value_of(r, key);
    *number = value ? json_number_value(value) : missing;
    if (!value || json_is_number(value)) return TM_OK;
    return tm_fail(err, TM_EFORMAT, FILE_NAME ": %s must be a number", key);
}

static tm_status read_flag(const reader *r, const char *key, bool *flag, tm_error *err)
{
    const json_t *value = value_of(r, key);
    *flag = json_is_true(value);
    if (!value || json_is_boolean(value)) return TM_OK;
    return tm_fail(err, TM_EFORMAT, FILE_NAME ": %s must be true or false", key);
}

// Whether a value asks for something: not null, false, "none" or empty.
static bool asks(const json_t *value)
{
    if (json_is_string(value)) return strcmp(json_string_value(value), "none") != 0;
    if (json_is_array(value)) return json_array_size(value) > 0;
    if (json_is_object(value)) return json_object_size(value) > 0;
    return value && !json_is_false(value) && !json_is_null(value);
}

static tm_status check_kind(const reader *r, tm_error *err)
{
    static const char *const others[] = {
        "use_dora",
        "bias",
        "modules_to_save",
        "fan_in_fan_out",
        "lora_bias",
        "target_parameters",
        "trainable_token_indices",
        "use_qalora",
        "use_bdlora",
        "megatron_config",
        "layer_replication",
        "alora_invocation_tokens",
        "arrow_config",
        "kasa_config",
        "monteclora_config",
        "velora_config",
        NULL,
    };
    const char *type = json_string_value(value_of(r, "peft_type"));
    const json_t *init = value_of(r, "init_lora_weights");
    if (!type) return tm_fail(err, TM_EFORMAT, FILE_NAME ": peft_type is missing");
    if (strcmp(type, "LORA") != 0)
        return tm_fail(err, TM_EUNSUPPORTED, FILE_NAME ": an adapter of type %.40s; LORA is known", type);
    for (int i = 0; others[i]; i++) {
        if (asks(value_of(r, others[i])))
            return tm_fail(err, TM_EUNSUPPORTED, FILE_NAME ": %s is not supported", others[i]);
    }
    // These begin by changing the base, so that the files alone do not say what the model is.
    if (json_is_string(init) && strcmp(json_string_value(init), "gaussian") != 0 &&
        strcmp(json_string_value(init), "eva") != 0 && strcmp(json_string_value(init), "orthogonal") != 0) {
        tm_fail(err, TM_EUNSUPPORTED, FILE_NAME ": init_lora_weights \"%.40s\"", json_string_value(init));
        tm_hint(err, "save it with PEFT's path_initial_model_for_weight_conversion, as a plain LoRA");
        return TM_EUNSUPPORTED;
    }
    return TM_OK;
}

static tm_status read_config(reader *r, tm_error *err)
{
    double rank;
    TM_TRY(check_kind(r, err));
    TM_TRY(read_number(r, "r", 8, &rank, err));
    TM_TRY(read_number(r, "lora_alpha", 8, &r->lora.alpha, err));
    TM_TRY(read_number(r, "lora_dropout", 0, &r->lora.dropout, err));
    TM_TRY(read_flag(r, "use_rslora", &r->lora.rslora, err));
    if (!(rank >= 1 && rank <= 65536)) return tm_fail(err, TM_EFORMAT, FILE_NAME ": r is %g", rank);
    r->lora.rank = (uint32_t)rank;
    return TM_OK;
}

// ---- which linears have an adapter

// The place of a tensor in `ranks`; -1: it is none of a linear. `part` is the text behind the linear's name.
static int64_t place_of(const reader *r, const char *name, const char **part)
{
    static const char head[] = "base_model.model.model.layers.";
    char *end;
    if (strncmp(name, head, sizeof head - 1) != 0) return -1;
    const char *at = name + sizeof head - 1;
    unsigned long layer = strtoul(at, &end, 10);
    if (end == at || *at < '0' || *at > '9' || layer >= r->config->layers) return -1;
    for (int t = 0; t < TM_LORA_TARGETS; t++) {
        char middle[40];
        size_t n = (size_t)snprintf(middle, sizeof middle, ".%s.%s.", t < TM_LORA_GATE ? "self_attn" : "mlp",
                                    tm_lora_target_name((tm_lora_target)t));
        if (strncmp(end, middle, n) != 0) continue;
        *part = end + n;
        return (int64_t)layer * TM_LORA_TARGETS + t;
    }
    return -1;
}

// The rank of an A [rank, in]. What is not so large in the file takes no memory either.
static tm_status read_rank(reader *r, const tm_st_tensor *a, int64_t place, tm_error *err)
{
    uint64_t in = (uint64_t)tm_lora_inputs(r->config, (tm_lora_target)(place % TM_LORA_TARGETS));
    if (a->rank != 2 || a->shape[1] != in || a->shape[0] < 1 || a->shape[0] > 65536)
        return tm_fail(err, TM_EFORMAT, "tensor %.100s of the adapter is not [rank, %llu]", a->name,
                       (unsigned long long)in);
    r->ranks[place] = (uint32_t)a->shape[0];
    r->lora.targets |= 1u << place % TM_LORA_TARGETS;
    return TM_OK;
}

static tm_status read_ranks(reader *r, tm_error *err)
{
    for (size_t i = 0; i < r->file->n_tensors; i++) {
        const tm_st_tensor *t = &r->file->tensors[i];
        const char *part = "";
        int64_t place = place_of(r, t->name, &part);
        bool a = strcmp(part, "lora_A.weight") == 0, b = strcmp(part, "lora_B.weight") == 0;
        if (place < 0 || (!a && !b))
            return tm_fail(err, TM_EUNSUPPORTED,
                           "tensor %.100s of the adapter belongs to no linear of a %s model", t->name,
                           r->config->family->name);
        if (a) TM_TRY(read_rank(r, t, place, err));
    }
    return TM_OK;
}

// ---- alphas of their own

// PEFT takes the keys of a pattern as regular expressions that match the end of a module's path; the plain
// ones (a name, or a path) are read here.
static bool plain_key(const char *key)
{
    return key[0] &&
           strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") == strlen(key);
}

static bool key_matches(const char *key, const char *path)
{
    size_t n = strlen(key), all = strlen(path);
    return n <= all && strcmp(path + all - n, key) == 0 && (n == all || path[all - n - 1] == '.');
}

static void linear_path(char path[80], uint32_t layer, tm_lora_target t)
{
    snprintf(path, 80, "model.layers.%u.%s.%s", layer, t < TM_LORA_GATE ? "self_attn" : "mlp",
             tm_lora_target_name(t));
}

static double alpha_of(const reader *r, json_t *pattern, uint32_t layer, tm_lora_target t)
{
    const char *key;
    json_t *value;
    char path[80];
    linear_path(path, layer, t);
    json_object_foreach(pattern, key, value)
    {
        if (key_matches(key, path)) return json_number_value(value);
    }
    return r->lora.alpha;
}

static tm_status read_alphas(reader *r, tm_error *err)
{
    json_t *pattern = json_object_get(r->json, "alpha_pattern"), *value;
    const char *key;
    json_object_foreach(pattern, key, value)
    {
        if (!plain_key(key))
            return tm_fail(err, TM_EUNSUPPORTED, FILE_NAME ": alpha_pattern \"%.60s\" is no plain name", key);
        if (!(json_is_number(value) && json_number_value(value) > 0))
            return tm_fail(err, TM_EFORMAT, FILE_NAME ": alpha_pattern of %.60s must be a number above 0",
                           key);
    }
    for (uint32_t i = 0; i < r->config->layers; i++) {
        for (tm_lora_target t = 0; t < TM_LORA_TARGETS; t++)
            r->alphas[i * TM_LORA_TARGETS + t] = alpha_of(r, pattern, i, t);
    }
    return TM_OK;
}

// ---- reading

static tm_status put_all(tm_adapter *a, const tm_safetensors *file, tm_error *err)
{
    for (size_t i = 0; i < a->map.n_params; i++) {
        const tm_param *p = &a->map.params[i];
        const tm_st_tensor *t = tm_safetensors_find(file, p->name);
        if (!t) return tm_fail(err, TM_EFORMAT, "the adapter has no tensor %s", p->name);
        TM_TRY(tm_param_put(&a->map, a->params, p, t, err));
    }
    if (a->map.n_params == file->n_tensors) return TM_OK;
    return tm_fail(err, TM_EFORMAT, "the adapter has a lora_B without its lora_A");
}

static tm_status read_all(reader *r, tm_adapter **adapter, tm_error *err)
{
    size_t n = (size_t)r->config->layers * TM_LORA_TARGETS;
    r->ranks = tm_calloc(n, sizeof *r->ranks);
    r->alphas = tm_calloc(n, sizeof *r->alphas);
    if (!r->ranks || !r->alphas) return tm_fail(err, TM_ENOMEM, "no memory for an adapter");
    TM_TRY(read_config(r, err));
    TM_TRY(read_ranks(r, err));
    TM_TRY(read_alphas(r, err));
    tm_status status = tm_adapter_new(adapter, r->config, &r->lora, r->ranks, r->alphas, err);
    if (status == TM_EINVAL) status = TM_EFORMAT;
    TM_TRY(status);
    status = put_all(*adapter, r->file, err);
    if (status == TM_OK) return TM_OK;
    tm_adapter_free(*adapter);
    *adapter = NULL;
    return status;
}

tm_status tm_adapter_read(tm_adapter **adapter, const tm_model_config *config, tm_view text,
                          const tm_safetensors *file, tm_error *err)
{
    json_t *json;
    tm_status status = tm_json_parse(text, &json, err);
    *adapter = NULL;
    if (status < 0) {
        tm_error_prefix(err, FILE_NAME);
        return status;
    }
    reader r = {.json = json, .config = config, .file = file};
    status = read_all(&r, adapter, err);
    tm_free(r.ranks);
    tm_free(r.alphas);
    json_decref(json);
    return status;
}

// ---- writing

// How many layers have an adapter at that linear.
static uint32_t count_target(const tm_adapter *a, tm_lora_target t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->n_layers; i++) n += a->parts[i][t].rank > 0;
    return n;
}

// Linears by name where every layer has them, else by path; ranks and alphas that are not the common ones.
static void name_parts(const tm_adapter *a, json_t *targets, json_t *ranks, json_t *alphas)
{
    for (tm_lora_target t = 0; t < TM_LORA_TARGETS; t++) {
        bool everywhere = count_target(a, t) == a->n_layers;
        if (everywhere) json_array_append_new(targets, json_string(tm_lora_target_name(t)));
        for (uint32_t i = 0; i < a->n_layers; i++) {
            const tm_adapter_part *part = &a->parts[i][t];
            char path[80];
            if (!part->rank) continue;
            linear_path(path, i, t);
            if (!everywhere) json_array_append_new(targets, json_string(path));
            if (part->rank != a->lora.rank) json_object_set_new(ranks, path, json_integer(part->rank));
            if (part->alpha != a->lora.alpha) json_object_set_new(alphas, path, json_real(part->alpha));
        }
    }
}

static json_t *number(double value)
{
    return value == (double)(json_int_t)value ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *config_json(const tm_adapter *a, const char *base)
{
    json_t *targets = json_array(), *ranks = json_object(), *alphas = json_object();
    name_parts(a, targets, ranks, alphas);
    return json_pack("{s:s, s:s, s:s, s:i, s:o, s:f, s:b, s:o, s:o, s:o, s:s, s:b, s:b, s:b, s:b, s:n}",
                     "peft_type", "LORA", "task_type", "CAUSAL_LM", "base_model_name_or_path", base, "r",
                     (int)a->lora.rank, "lora_alpha", number(a->lora.alpha), "lora_dropout", a->lora.dropout,
                     "use_rslora", a->lora.rslora, "target_modules", targets, "rank_pattern", ranks,
                     "alpha_pattern", alphas, "bias", "none", "fan_in_fan_out", false, "inference_mode", true,
                     "init_lora_weights", true, "use_dora", false, "modules_to_save");
}

tm_status tm_adapter_config_write(const tm_adapter *a, const char *base, tm_buf *json, tm_error *err)
{
    json_t *all = config_json(a, base);
    char *text = all ? json_dumps(all, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
    json_decref(all);
    if (!text) return tm_fail(err, TM_ENOMEM, "no memory for " FILE_NAME);
    tm_buf_str(json, text);
    tm_buf_char(json, '\n');
    tm_json_free(text);
    return tm_buf_status(json, err);
}
