// SPDX-License-Identifier: Apache-2.0
// Quantized models to folders, a tensor at a time.
#include "stages/model/quantize_files.h"

#include <stdlib.h>

#include <jansson.h>

#include "stages/format/half.h"

#define SCALE_NAME (TM_PARAM_NAME + 8)

typedef struct writer {
    const tm_model *model;
    const tm_quantization *q;
    tm_st_tensor *tensors;
    size_t n;
    char (*names)[SCALE_NAME]; // of the scales
    void **blocks;             // what the tensors point to
    size_t n_blocks;
} writer;

static void *block_new(writer *w, size_t bytes)
{
    void *block = tm_calloc(bytes ? bytes : 1, 1);
    if (block) w->blocks[w->n_blocks++] = block;
    return block;
}

static tm_status add_half(writer *w, const tm_param *p, tm_error *err)
{
    const float *from = w->model->params + p->offset;
    uint16_t *half = block_new(w, p->count * sizeof *half);
    if (!half) return tm_fail(err, TM_ENOMEM, "no memory for %s", p->name);
    for (size_t i = 0; i < p->count; i++) half[i] = tm_float_f16(from[i]);
    w->tensors[w->n++] = (tm_st_tensor){.name = p->name,
                                        .dtype = TM_ST_F16,
                                        .rank = p->rank,
                                        .shape = {p->shape[0], p->shape[1]},
                                        .data = tm_view_of((char *)half, p->count * sizeof *half)};
    return TM_OK;
}

static tm_status add_quantized(writer *w, const tm_param *p, tm_error *err)
{
    const tm_quantization *q = w->q;
    uint64_t rows = p->shape[0], cols = p->shape[1];
    size_t n_codes = tm_quantized_bytes(q, rows, cols), n_scales = tm_quantized_scales(q, rows, cols);
    uint8_t *codes = block_new(w, n_codes);
    float *scales = block_new(w, n_scales * sizeof *scales);
    if (!codes || !scales) return tm_fail(err, TM_ENOMEM, "no memory for %s", p->name);
    tm_quantize(q, w->model->params + p->offset, rows, cols, codes, scales);
    char *name = w->names[w->n];
    snprintf(name, SCALE_NAME, "%s_scale", p->name);
    w->tensors[w->n++] = (tm_st_tensor){.name = p->name,
                                        .dtype = q->bits == 8 ? TM_ST_I8 : TM_ST_U8,
                                        .rank = 2,
                                        .shape = {rows * q->bits / 8, cols},
                                        .data = tm_view_of((char *)codes, n_codes)};
    w->tensors[w->n++] = (tm_st_tensor){.name = name,
                                        .dtype = TM_ST_F32,
                                        .rank = q->bits == 8 ? 1 : 2,
                                        .shape = {rows, q->bits == 8 ? 1 : cols / q->group},
                                        .data = tm_view_of((char *)scales, n_scales * sizeof *scales)};
    return TM_OK;
}

static tm_status make_tensors(writer *w, tm_error *err)
{
    size_t n = 2 * w->model->map.n_params;
    w->tensors = tm_calloc(n, sizeof *w->tensors);
    w->names = tm_calloc(n, sizeof *w->names);
    w->blocks = tm_calloc(n, sizeof *w->blocks);
    if (!w->tensors || !w->names || !w->blocks) return tm_fail(err, TM_ENOMEM, "no memory for tensors");
    for (size_t i = 0; i < w->model->map.n_params; i++) {
        const tm_param *p = &w->model->map.params[i];
        if (tm_quantization_covers(p))
            TM_TRY(add_quantized(w, p, err));
        else
            TM_TRY(add_half(w, p, err));
    }
    return TM_OK;
}

static void writer_clear(writer *w)
{
    for (size_t i = 0; i < w->n_blocks; i++) tm_free(w->blocks[i]);
    tm_free(w->blocks);
    tm_free(w->names);
    tm_free(w->tensors);
}

// ---- what the files say

static json_t *producer(void)
{
    return json_pack("{s:s, s:s}", "name", "tidemill", "version", "1");
}

// hf_quant_config.json: the nested shape.
static json_t *quant_config(const tm_quantization *q)
{
    return json_pack("{s:o, s:{s:s, s:n, s:o, s:b, s:b, s:[s]}}", "producer", producer(), "quantization",
                     "quant_algo", tm_quantization_algorithm(q), "kv_cache_quant_algo", "group_size",
                     q->bits == 4 ? json_integer(q->group) : json_null(), "has_zero_point", 0,
                     "pre_quant_scale", 0, "exclude_modules", "lm_head");
}

// The flat shape inside config.json.
static json_t *quantization_config(const tm_quantization *q)
{
    json_t *config = json_pack("{s:s, s:s, s:[s], s:o}", "quant_method", "modelopt", "quant_algo",
                               tm_quantization_algorithm(q), "ignore", "lm_head", "producer", producer());
    if (q->bits == 4) json_object_set_new(config, "group_size", json_integer(q->group));
    return config;
}

static tm_status dump(json_t *json, tm_buf *text, tm_error *err)
{
    char *bytes = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    tm_buf_reset(text);
    if (bytes) tm_buf_str(text, bytes);
    tm_buf_char(text, '\n');
    free(bytes);
    return bytes ? tm_buf_status(text, err) : tm_fail(err, TM_ENOMEM, "no memory for a configuration");
}

static tm_status write_config(const tm_model *model, const tm_quantization *q, tm_buf *text, tm_error *err)
{
    TM_TRY(tm_model_config_write(&model->config, text, err));
    json_t *config = json_loadb(text->data, text->size, 0, NULL);
    if (!config) return tm_fail(err, TM_ENOMEM, "no memory for config.json");
    json_object_set_new(config, "quantization_config", quantization_config(q));
    if (json_object_get(config, "torch_dtype"))
        json_object_set_new(config, "torch_dtype", json_string("float16"));
    if (json_object_get(config, "dtype")) json_object_set_new(config, "dtype", json_string("float16"));
    return dump(config, text, err);
}

tm_status tm_quantized_write(const tm_model *model, const tm_quantization *q, const char *folder,
                             tm_error *err)
{
    writer w = {.model = model, .q = q};
    tm_buf config = {0}, quant = {0};
    tm_status status = make_tensors(&w, err);
    if (status >= 0) status = write_config(model, q, &config, err);
    if (status >= 0) status = dump(quant_config(q), &quant, err);
    tm_view quant_view = tm_buf_view(&quant);
    tm_content extra = {"hf_quant_config.json", &quant_view, 1};
    tm_hf_model files = {.config = tm_buf_view(&config),
                         .tensors = w.tensors,
                         .n_tensors = w.n,
                         .extras = &extra,
                         .n_extras = 1};
    if (status >= 0) status = tm_hf_folder_write(folder, &files, err);
    writer_clear(&w);
    tm_buf_clear(&config);
    tm_buf_clear(&quant);
    return status;
}

tm_status tm_quantized_read(tm_quantization *q, tm_view bytes, tm_error *err)
{
    *q = (tm_quantization){0};
    json_t *config = json_loadb(bytes.data, bytes.size, 0, NULL);
    const json_t *how = json_object_get(config, "quantization_config");
    const char *algorithm = json_string_value(json_object_get(how, "quant_algo"));
    if (algorithm && strcmp(algorithm, "W8A16") == 0) q->bits = 8;
    if (algorithm && strcmp(algorithm, "W4A16_AWQ") == 0)
        *q = (tm_quantization){4, (uint32_t)json_integer_value(json_object_get(how, "group_size"))};
    bool known = !json_is_object(how) || q->bits;
    tm_status status = TM_OK;
    if (!known) {
        const char *method = json_string_value(json_object_get(how, "quant_method"));
        status = tm_fail(err, TM_EUNSUPPORTED, "quantization %s %s is not supported", method ? method : "?",
                         algorithm ? algorithm : "");
    }
    json_decref(config);
    return status;
}
