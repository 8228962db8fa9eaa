// SPDX-License-Identifier: Apache-2.0
// A TensorRT-LLM checkpoint: config.json and a file of tensors for every rank.
//
// Names, shapes and cuts as TensorRT-LLM's checkpoint loader for Llama expects them (docs:
// legacy/architecture/ checkpoint.md; code: models/llama/convert.py, mapping.py). q, k and v of a rank lie
// together; `mlp.fc` is Hugging Face's gate and `mlp.gate` its up; layers count from 0 in every pipeline
// rank. Quantized models keep their codes, with scales as Model-Optimizer names them.
#include <stdlib.h>

#include <jansson.h>

#include "engine/base/io.h"
#include "stages/export/export.h"
#include "stages/format/half.h"
#include "stages/model/quantize_files.h"
#include "stages/model/source.h"

#define NAME 96
#define MAX_RANKS 1024

typedef struct rank_file {
    tm_st_tensor *tensors;
    char (*names)[NAME];
    void **blocks;
    size_t n, capacity;
} rank_file;

typedef struct exporter {
    tm_hf_folder folder;
    tm_model *model;
    tm_quantization quant;
    tm_st_dtype dtype; // of what is not quantized
    uint32_t tp, pp;
    uint32_t tp_rank, pp_rank;
    rank_file out;
} exporter;

// A matrix, or a vector as one column, in the unit in which it is stored.
typedef struct matrix {
    const char *data;
    tm_st_dtype dtype;
    uint64_t rows, cols;
    uint32_t rank;
} matrix;

// ---- tensors of a rank

static tm_st_tensor *tensor_new(rank_file *f, const char *name, tm_st_dtype dtype, uint64_t rows,
                                uint64_t cols, uint32_t rank, tm_error *err)
{
    if (f->n == f->capacity) {
        tm_fail(err, TM_EINVAL, "more tensors than a rank has");
        return NULL;
    }
    size_t bytes = (size_t)(rows * cols * tm_st_dtype_bits(dtype) / 8);
    void *block = tm_calloc(bytes ? bytes : 1, 1);
    if (!block) {
        tm_fail(err, TM_ENOMEM, "no memory for %s", name);
        return NULL;
    }
    size_t i = f->n++;
    f->blocks[i] = block;
    snprintf(f->names[i], NAME, "%s", name);
    f->tensors[i] = (tm_st_tensor){.name = f->names[i],
                                   .dtype = dtype,
                                   .rank = rank,
                                   .shape = {rows, cols},
                                   .data = tm_view_of(block, bytes)};
    return &f->tensors[i];
}

static void rank_clear(rank_file *f)
{
    for (size_t i = 0; i < f->n; i++) tm_free(f->blocks[i]);
    f->n = 0;
}

// ---- matrices of the model

static matrix weights_of(const exporter *e, const char *name)
{
    const tm_param *p = tm_param_find(&e->model->map, name);
    return (matrix){(const char *)(e->model->params + p->offset), TM_ST_F32, p->shape[0],
                    p->rank == 2 ? p->shape[1] : 1, p->rank};
}

static bool has(const exporter *e, const char *name)
{
    return tm_param_find(&e->model->map, name) != NULL;
}

// Codes, or scales, of a quantized linear.
static matrix stored_of(const exporter *e, const char *name)
{
    const tm_st_tensor *t = tm_hf_folder_find(&e->folder, name);
    return (matrix){t->data.data, t->dtype, t->shape[0], t->rank == 2 ? t->shape[1] : 1, t->rank};
}

// A block of a matrix: rows and columns in stored units.
typedef struct cut {
    matrix of;
    uint64_t row, rows, col, cols;
} cut;

static void put_float(char *to, tm_st_dtype dtype, float value)
{
    uint16_t half = dtype == TM_ST_F16 ? tm_float_f16(value) : tm_bf16_of(value);
    if (dtype == TM_ST_F32)
        memcpy(to, &value, sizeof value);
    else
        memcpy(to, &half, sizeof half);
}

static void copy_row(char *to, tm_st_dtype dtype, const cut *c, uint64_t row)
{
    size_t size = tm_st_dtype_bits(c->of.dtype) / 8, to_size = tm_st_dtype_bits(dtype) / 8;
    const char *from = c->of.data + ((c->row + row) * c->of.cols + c->col) * size;
    if (c->of.dtype == dtype) {
        memcpy(to, from, c->cols * size);
        return;
    }
    for (uint64_t i = 0; i < c->cols; i++) {
        float value;
        memcpy(&value, from + i * size, sizeof value);
        put_float(to + i * to_size, dtype, value);
    }
}

// The cuts one below the other, in the model's dtype (`convert`) or as they are stored.
static tm_status put_cuts(exporter *e, const char *name, const cut *cuts, size_t n, bool convert,
                          tm_error *err)
{
    uint64_t rows = 0;
    tm_st_dtype dtype = convert ? e->dtype : cuts[0].of.dtype;
    for (size_t i = 0; i < n; i++) rows += cuts[i].rows;
    tm_st_tensor *t = tensor_new(&e->out, name, dtype, rows, cuts[0].cols, cuts[0].of.rank, err);
    if (!t) return err ? err->status : TM_ENOMEM;
    char *to = (char *)(uintptr_t)t->data.data;
    size_t line = (size_t)cuts[0].cols * tm_st_dtype_bits(dtype) / 8;
    for (size_t i = 0; i < n; i++)
        for (uint64_t row = 0; row < cuts[i].rows; row++, to += line) copy_row(to, dtype, &cuts[i], row);
    return TM_OK;
}

// ---- what a rank has of a linear

// Share `i` of `n` of the rows (n_of rows in all) or of the columns.
static cut rows_of(matrix m, uint64_t i, uint64_t n)
{
    return (cut){m, m.rows / n * i, m.rows / n, 0, m.cols};
}

static cut cols_of(matrix m, uint64_t i, uint64_t n)
{
    return (cut){m, 0, m.rows, m.cols / n * i, m.cols / n};
}

// The share of the linear `hf` for this rank. Keys and values of fewer heads than ranks are held by several.
static cut share(const exporter *e, matrix m, const char *hf, bool by_rows)
{
    uint32_t kv = e->model->config.kv_heads;
    bool shared = (strstr(hf, "k_proj") || strstr(hf, "v_proj")) && kv < e->tp;
    if (!by_rows) return cols_of(m, e->tp_rank, e->tp);
    return shared ? rows_of(m, e->tp_rank / (e->tp / kv), kv) : rows_of(m, e->tp_rank, e->tp);
}

static tm_status put_prescale(exporter *e, const char *name, uint64_t n, tm_error *err)
{
    char full[NAME];
    snprintf(full, sizeof full, "%.60s.prequant_scaling_factor", name);
    tm_st_tensor *t = tensor_new(&e->out, full, TM_ST_F16, n, 1, 1, err);
    if (!t) return err ? err->status : TM_ENOMEM;
    for (uint64_t i = 0; i < n; i++) put_float((char *)(uintptr_t)t->data.data + 2 * i, TM_ST_F16, 1);
    return TM_OK;
}

// The linears `hf` (names without ".weight"; n of them, one below the other) as `name`.
static tm_status put_linear(exporter *e, const char *name, const char (*hf)[NAME], size_t n, bool by_rows,
                            tm_error *err)
{
    char full[NAME], from[NAME + 16];
    cut codes[3], scales[3], bias[3];
    bool quantized = e->quant.bits, has_bias = false;
    for (size_t i = 0; i < n; i++) {
        snprintf(from, sizeof from, "%s.bias", hf[i]);
        has_bias = has(e, from);
        if (has_bias)
            bias[i] =
                by_rows ? share(e, weights_of(e, from), hf[i], true) : rows_of(weights_of(e, from), 0, 1);
        snprintf(from, sizeof from, "%s.weight", hf[i]);
        codes[i] = share(e, quantized ? stored_of(e, from) : weights_of(e, from), hf[i], by_rows);
        snprintf(from, sizeof from, "%s.weight_scale", hf[i]);
        if (!quantized) continue;
        matrix m = stored_of(e, from);
        scales[i] = by_rows || e->quant.bits == 4 ? share(e, m, hf[i], by_rows) : rows_of(m, 0, 1);
    }
    snprintf(full, sizeof full, "%.70s.weight", name);
    TM_TRY(put_cuts(e, full, codes, n, !quantized, err));
    snprintf(full, sizeof full, "%.60s.weights_scaling_factor", name);
    if (quantized) TM_TRY(put_cuts(e, full, scales, n, false, err));
    if (e->quant.bits == 4) TM_TRY(put_prescale(e, name, codes[0].cols, err));
    snprintf(full, sizeof full, "%.70s.bias", name);
    return has_bias ? put_cuts(e, full, bias, n, true, err) : TM_OK;
}

static tm_status put_whole(exporter *e, const char *name, const char *hf, tm_error *err)
{
    cut all = rows_of(weights_of(e, hf), 0, 1);
    return put_cuts(e, name, &all, 1, true, err);
}

// ---- a rank

static tm_status put_layer(exporter *e, uint32_t layer, uint32_t local, tm_error *err)
{
    static const struct {
        const char *name, *hf[3];
        bool by_rows;
    } linears[] = {
        {"attention.qkv", {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}, true},
        {"attention.dense", {"self_attn.o_proj"}, false},
        {"mlp.fc", {"mlp.gate_proj"}, true},
        {"mlp.gate", {"mlp.up_proj"}, true},
        {"mlp.proj", {"mlp.down_proj"}, false},
    };
    char name[NAME], hf[3][NAME];
    for (size_t i = 0; i < sizeof linears / sizeof linears[0]; i++) {
        size_t n = 0;
        for (; n < 3 && linears[i].hf[n]; n++)
            snprintf(hf[n], NAME, "model.layers.%u.%s", layer, linears[i].hf[n]);
        snprintf(name, NAME, "transformer.layers.%u.%s", local, linears[i].name);
        TM_TRY(put_linear(e, name, (const char(*)[NAME])hf, n, linears[i].by_rows, err));
    }
    snprintf(name, NAME, "transformer.layers.%u.input_layernorm.weight", local);
    snprintf(hf[0], NAME, "model.layers.%u.input_layernorm.weight", layer);
    TM_TRY(put_whole(e, name, hf[0], err));
    snprintf(name, NAME, "transformer.layers.%u.post_layernorm.weight", local);
    snprintf(hf[0], NAME, "model.layers.%u.post_attention_layernorm.weight", layer);
    return put_whole(e, name, hf[0], err);
}

// Rows of the head, the vocabulary padded with zeros to a multiple of the ranks.
static tm_status put_head(exporter *e, tm_error *err)
{
    matrix m = weights_of(e, e->model->config.tie ? "model.embed_tokens.weight" : "lm_head.weight");
    uint64_t rows = (m.rows + e->tp - 1) / e->tp, first = rows * e->tp_rank;
    tm_st_tensor *t = tensor_new(&e->out, "lm_head.weight", e->dtype, rows, m.cols, 2, err);
    if (!t) return err ? err->status : TM_ENOMEM;
    size_t line = (size_t)m.cols * tm_st_dtype_bits(e->dtype) / 8;
    for (uint64_t row = 0; row < rows && first + row < m.rows; row++) {
        cut one = {m, first + row, 1, 0, m.cols};
        copy_row((char *)(uintptr_t)t->data.data + row * line, e->dtype, &one, 0);
    }
    return TM_OK;
}

static tm_status put_rank(exporter *e, tm_error *err)
{
    uint32_t layers = e->model->config.layers, each = layers / e->pp, more = layers % e->pp;
    uint32_t first = e->pp_rank * each + (e->pp_rank < more ? e->pp_rank : more);
    uint32_t n = each + (e->pp_rank < more);
    for (uint32_t i = 0; i < n; i++) TM_TRY(put_layer(e, first + i, i, err));
    if (e->pp_rank == 0)
        TM_TRY(put_whole(e, "transformer.vocab_embedding.weight", "model.embed_tokens.weight", err));
    if (e->pp_rank + 1 < e->pp) return TM_OK;
    TM_TRY(put_whole(e, "transformer.ln_f.weight", "model.norm.weight", err));
    return put_head(e, err);
}

static tm_status write_rank(exporter *e, const char *folder, uint32_t rank, tm_error *err)
{
    char path[TM_PATH_MAX];
    e->tp_rank = rank % e->tp;
    e->pp_rank = rank / e->tp;
    tm_status status = put_rank(e, err);
    if (status >= 0) status = tm_path(path, err, "%s/rank%u.safetensors", folder, rank);
    if (status >= 0) status = tm_safetensors_write(path, e->out.tensors, e->out.n, NULL, 0, err);
    rank_clear(&e->out);
    return status;
}

// ---- config.json

static json_t *quantization_of(const exporter *e)
{
    const char *algorithm = tm_quantization_algorithm(&e->quant);
    return json_pack("{s:o, s:n, s:i, s:b, s:b, s:o}", "quant_algo",
                     algorithm ? json_string(algorithm) : json_null(), "kv_cache_quant_algo", "group_size",
                     e->quant.bits == 4 ? (int)e->quant.group : 128, "has_zero_point", 0, "pre_quant_scale",
                     e->quant.bits == 4, "exclude_modules",
                     algorithm ? json_pack("[s]", "lm_head") : json_null());
}

// The scaling object of the model's own config.json, as it stands there.
static json_t *rotary_scaling(const exporter *e)
{
    json_t *config = json_loadb(e->folder.config.data, e->folder.config.size, 0, NULL);
    json_t *scaling = json_object_get(config, "rope_scaling");
    if (!json_is_object(scaling)) scaling = json_object_get(config, "rope_parameters");
    if (e->model->config.rope == TM_ROPE_DEFAULT || !json_is_object(scaling)) scaling = NULL;
    scaling = scaling ? json_incref(scaling) : json_null();
    json_decref(config);
    return scaling;
}

static const char *dtype_name(tm_st_dtype dtype)
{
    return dtype == TM_ST_F16 ? "float16" : dtype == TM_ST_BF16 ? "bfloat16" : "float32";
}

static json_t *config_of(const exporter *e)
{
    const tm_model_config *c = &e->model->config;
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:f, s:s, s:i, s:f, s:o, s:b, s:b, s:b}",
        "architecture", "LlamaForCausalLM", "dtype", dtype_name(e->dtype), "logits_dtype", "float32",
        "vocab_size", (int)c->vocab, "hidden_size", (int)c->width, "num_hidden_layers", (int)c->layers,
        "num_attention_heads", (int)c->heads, "num_key_value_heads", (int)c->kv_heads, "head_size",
        (int)c->head_dim, "intermediate_size", (int)c->ffn, "hidden_act", "silu", "norm_epsilon", c->norm_eps,
        "position_embedding_type", "rope_gpt_neox", "max_position_embeddings", (int)c->length, "rotary_base",
        c->rope_theta, "rotary_scaling", rotary_scaling(e), "attn_bias", c->qkv_bias, "mlp_bias", c->mlp_bias,
        "use_parallel_embedding", 0);
    json_object_set_new(json, "embedding_sharding_dim", json_integer(0));
    json_object_set_new(json, "share_embedding_table", json_false());
    json_object_set_new(json, "mapping",
                        json_pack("{s:i, s:i, s:i, s:i}", "world_size", (int)(e->tp * e->pp), "tp_size",
                                  (int)e->tp, "pp_size", (int)e->pp, "cp_size", 1));
    json_object_set_new(json, "quantization", quantization_of(e));
    json_object_set_new(json, "producer", json_pack("{s:s, s:s}", "name", "tidemill", "version", "1"));
    return json;
}

static tm_status write_config(const exporter *e, const char *folder, tm_error *err)
{
    char path[TM_PATH_MAX];
    json_t *config = config_of(e);
    char *text = config ? json_dumps(config, JSON_INDENT(2)) : NULL;
    json_decref(config);
    if (!text) return tm_fail(err, TM_ENOMEM, "no memory for config.json");
    tm_status status = tm_path(path, err, "%s/config.json", folder);
    if (status >= 0) status = tm_file_write(path, text, strlen(text), false, err);
    free(text);
    return status;
}

// ---- the whole

static tm_status check_shapes(const exporter *e, tm_error *err)
{
    const tm_model_config *c = &e->model->config;
    if (strcmp(c->family->name, "llama") != 0)
        return tm_fail(err, TM_EUNSUPPORTED, "a %s model has no TensorRT-LLM checkpoint here: only llama",
                       c->family->name);
    if (e->pp > c->layers)
        return tm_fail(err, TM_EINVAL, "pp = %u is more than its %u layers", e->pp, c->layers);
    bool kv = c->kv_heads % e->tp == 0 || e->tp % c->kv_heads == 0;
    if (c->heads % e->tp || c->ffn % e->tp || !kv) {
        tm_fail(err, TM_EINVAL, "tp = %u does not divide %u heads, %u heads of keys and a width of %u", e->tp,
                c->heads, c->kv_heads, c->ffn);
        tm_hint(err, "tp = 1 fits always");
        return TM_EINVAL;
    }
    uint32_t group = e->quant.bits == 4 ? e->quant.group : 1;
    if (c->ffn / e->tp % group || c->heads * c->head_dim / e->tp % group)
        return tm_fail(err, TM_EINVAL, "tp = %u cuts through groups of %u columns", e->tp, group);
    return TM_OK;
}

static tm_status open_model(exporter *e, const tm_export_job *job, tm_error *err)
{
    const char *dtype = job->options->dtype;
    e->dtype = strcmp(dtype, "f32") == 0 ? TM_ST_F32 : strcmp(dtype, "bf16") == 0 ? TM_ST_BF16 : TM_ST_F16;
    e->tp = job->options->tp ? (uint32_t)job->options->tp : 1;
    e->pp = job->options->pp ? (uint32_t)job->options->pp : 1;
    TM_TRY(tm_hf_folder_open(&e->folder, job->model, err));
    if (!e->folder.adapter) TM_TRY(tm_quantized_read(&e->quant, e->folder.config, err));
    TM_TRY(tm_model_load(&e->model, &e->folder, err));
    e->out.capacity = (size_t)e->model->config.layers * 24 + 8;
    e->out.tensors = tm_calloc(e->out.capacity, sizeof *e->out.tensors);
    e->out.names = tm_calloc(e->out.capacity, sizeof *e->out.names);
    e->out.blocks = tm_calloc(e->out.capacity, sizeof *e->out.blocks);
    if (!e->out.tensors || !e->out.names || !e->out.blocks) return tm_fail(err, TM_ENOMEM, "no memory");
    return check_shapes(e, err);
}

static tm_status write_folder(const tm_export_job *job, tm_error *err)
{
    exporter e = {0};
    tm_status status = open_model(&e, job, err);
    if (status >= 0) status = write_config(&e, job->folder, err);
    for (uint32_t rank = 0; status >= 0 && rank < e.tp * e.pp; rank++)
        status = write_rank(&e, job->folder, rank, err);
    if (status >= 0) status = tm_model_copy_tokenizer(job->model, job->folder, err);
    tm_free(e.out.tensors);
    tm_free(e.out.names);
    tm_free(e.out.blocks);
    tm_model_free(e.model);
    tm_hf_folder_close(&e.folder);
    return status;
}

static tm_status check(const tm_export_options *o, const char **option, tm_error *err)
{
    int64_t tp = o->tp ? o->tp : 1, pp = o->pp ? o->pp : 1;
    if (tp * pp <= MAX_RANKS) return TM_OK;
    *option = "tp";
    return tm_fail(err, TM_EINVAL, "tp %lld by pp %lld are %lld ranks: at most %d", (long long)tp,
                   (long long)pp, (long long)(tp * pp), MAX_RANKS);
}

const tm_export_format tm_export_format_trtllm = {
    .name = "trtllm",
    .brief = "a TensorRT-LLM checkpoint: config.json, rankN.safetensors and the tokenizer",
    .takes = "dtype tp pp",
    .dtypes = "f16 bf16 f32",
    .check = check,
    .write = write_folder,
};
