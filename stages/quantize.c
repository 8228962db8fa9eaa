// SPDX-License-Identifier: Apache-2.0
// A model with fewer bits a weight.
#include <math.h>

#include "engine/base/io.h"
#include "engine/stage.h"
#include "stages/model/quantize_files.h"
#include "stages/model/source.h"

typedef struct quantize_options {
    const char *to;
    int64_t group;
} quantize_options;

static const tm_option options[] = {
    {"to", TM_OPT_CHOICE, offsetof(quantize_options, to), "\"int8\"", 0, 0, "int8 int4",
     "int8: a scale per row; int4: a scale per group of columns", 0},
    {"group", TM_OPT_INT, offsetof(quantize_options, group), "0", 0, 1024, NULL,
     "int4: columns that share a scale (0: the largest of 128, 64, 32 ... that fits all linears)", 0},
    {0},
};

static tm_status check(tm_check *c, tm_error *err)
{
    const quantize_options *o = c->options;
    json_object_del(c->outputs[0], "adapter");
    json_object_set_new(c->outputs[0], "dtype", json_string(o->to));
    if (!o->group || strcmp(o->to, "int4") == 0) return TM_OK;
    c->fault->option = "group";
    snprintf(c->fault->fix, sizeof c->fault->fix, "leave it out, or write to = \"int4\"");
    return tm_fail(err, TM_EINVAL, "int8 has a scale per row and no groups");
}

// How far the quantized weights are from the given ones: root mean square over that of the weights.
static double relative_error(const tm_model *a, const tm_model *b)
{
    double error = 0, size = 0;
    for (size_t i = 0; i < a->map.n_params; i++) {
        const tm_param *p = &a->map.params[i];
        for (size_t k = 0; tm_quantization_covers(p) && k < p->count; k++) {
            double x = a->params[p->offset + k], d = x - b->params[p->offset + k];
            error += d * d;
            size += x * x;
        }
    }
    return size > 0 ? sqrt(error / size) : 0;
}

static tm_status report(tm_work *work, const tm_model *model, const tm_quantization *q, const char *folder,
                        tm_error *err)
{
    tm_model *back;
    TM_TRY(tm_model_open(&back, folder, err));
    char groups[48] = "a scale per row";
    if (q->bits == 4) snprintf(groups, sizeof groups, "a scale per %u columns", q->group);
    tm_work_log(work, "%u bits, %s: weights are off by %.3f %% (root mean square)", q->bits, groups,
                100 * relative_error(model, back));
    tm_model_free(back);
    return TM_OK;
}

static tm_status write(tm_work *work, const tm_model *model, const char *from, const char *to, tm_error *err)
{
    const quantize_options *o = tm_work_options(work);
    tm_quantization q = {.bits = strcmp(o->to, "int8") == 0 ? 8 : 4, .group = (uint32_t)o->group};
    TM_TRY(tm_quantization_fit(&q, &model->map, err));
    TM_TRY(tm_quantized_write(model, &q, to, err));
    TM_TRY(tm_model_copy_tokenizer(from, to, err));
    return report(work, model, &q, to, err);
}

static tm_status run(tm_work *work, tm_error *err)
{
    tm_snapshot snapshot;
    tm_model *model = NULL;
    char folder[1024];
    tm_status status = tm_take_tree(work, "", &snapshot, err);
    if (status == TM_DONE) return tm_fail(err, TM_ENOENT, "there is no model");
    TM_TRY(status);
    TM_TRY(tm_work_scratch(work, folder, sizeof folder, err));
    TM_TRY(tm_model_open(&model, snapshot.folder, err));
    status = write(work, model, snapshot.folder, folder, err);
    tm_model_free(model);
    TM_TRY(status);
    return tm_put_tree(work, "", folder, json_object(), NULL, NULL, err);
}

const tm_stage tm_stage_quantize = {
    .name = "quantize",
    .brief = "Fewer bits for the weights of a model's linears, by rounding.",
    .help = "int8: a scale per output row; int4: a scale per output row and group of columns. Embedding, "
            "head and norms become\n"
            "float16. The result is a Hugging Face folder in the form of NVIDIA's Model-Optimizer "
            "(hf_quant_config.json), a\n"
            "model like any other: judge it beside the one it was made from, chat with it, export it. "
            "Computation is in\n"
            "float32 from the rounded weights. An adapter is merged first.",
    .paper = "Dettmers et al. 2022 (vector-wise int8); Lin et al. 2024 (groups of 4 bits)",
    .example = "local small = tm.quantize { final, to = \"int8\" }",
    .family = "export",
    .version = 1,
    .traits = TM_NUMERIC,
    .inputs = {{"", "model", TM_PORT_WHOLE, NULL, "the model", NULL}},
    .outputs = {{"", "model", 0, NULL, "the quantized model", NULL},
                {"tokenizer", "tokenizer", TM_PORT_ALIAS, NULL, "its tokenizer", ""}},
    .options = options,
    .options_size = sizeof(quantize_options),
    .check = check,
    .run = run,
};
