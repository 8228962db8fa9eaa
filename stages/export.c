// SPDX-License-Identifier: Apache-2.0
// A model in the form that other programs read, and where people want it.
#include "stages/export/export.h"

#include <stdio.h>

#include "engine/stage.h"

// Options of formats have no default: what is given must be one that the format takes.
static const tm_option options[] = {
    {"format", TM_OPT_CHOICE, offsetof(tm_export_options, format), "\"hf\"", 0, 0, tm_export_format_names,
     "hf: a Hugging Face folder; gguf: one file for llama.cpp", 0},
    {"to", TM_OPT_PATH, offsetof(tm_export_options, to), "null", 0, 0, NULL,
     "where to put it, relative to the graph file (`tidemill get` does it later)", TM_OPT_NOKEY, "null"},
    {"dtype", TM_OPT_STRING, offsetof(tm_export_options, dtype), "null", 0, 0, NULL,
     "type of the numbers; gguf: f16, f32 or q8_0; trtllm: f16, bf16 or f32", 0},
    {"device", TM_OPT_STRING, offsetof(tm_export_options, device), "null", 0, 0, NULL,
     "plan: cpu (kernels are chosen where it is opened), or the class it is built for: cpu/avx512, cpu/avx2, "
     "cpu/base",
     0},
    {"tp", TM_OPT_INT, offsetof(tm_export_options, tp), "null", 1, 1024, NULL,
     "trtllm: tensor-parallel ranks (1)", 0},
    {"pp", TM_OPT_INT, offsetof(tm_export_options, pp), "null", 1, 1024, NULL,
     "trtllm: pipeline-parallel ranks (1)", 0},
    {0},
};
#define N_OPTIONS (sizeof options / sizeof options[0])
#define N_COMMON 2 // format and to

static tm_status check(tm_check *c, tm_error *err)
{
    tm_export_options o = *(const tm_export_options *)c->options;
    const char *given[N_OPTIONS], *option = NULL;
    char dtype[16];
    size_t n = 0;
    for (size_t i = N_COMMON; options[i].name; i++) {
        const json_t *value = json_object_get(c->values, options[i].name);
        if (value && !json_is_null(value)) given[n++] = options[i].name;
    }
    given[n] = NULL;
    tm_status status = tm_export_check(tm_export_format_find(o.format), &o, given, dtype, &option, err);
    if (status < 0 && option) c->fault->option = option;
    if (status < 0 && err) snprintf(c->fault->fix, sizeof c->fault->fix, "%.255s", err->hint);
    return status;
}

static tm_status run(tm_work *work, tm_error *err)
{
    static const char *const none[] = {NULL};
    tm_export_options o = *(const tm_export_options *)tm_work_options(work);
    const tm_export_format *format = tm_export_format_find(o.format);
    tm_snapshot snapshot;
    char folder[1024], dtype[16];
    const char *option;
    tm_status status = tm_take_tree(work, "", &snapshot, err);
    if (status == TM_DONE) return tm_fail(err, TM_ENOENT, "there is no model");
    TM_TRY(status);
    TM_TRY(tm_export_check(format, &o, none, dtype, &option, err));
    TM_TRY(tm_work_scratch(work, folder, sizeof folder, err));
    tm_export_job job = {.model = snapshot.folder, .folder = folder, .options = &o};
    TM_TRY(format->write(&job, err));
    return tm_put_tree(work, "", folder, json_object(), NULL, NULL, err);
}

const tm_stage tm_stage_export = {
    .name = "export",
    .brief = "A model as files that other programs open.",
    .help =
        "hf: config.json, model.safetensors and the tokenizer's files, as transformers reads them; quantized models in the\n"
        "form of Model-Optimizer. gguf: model.gguf with tokenizer and chat template, as llama.cpp reads it; dtype f16 (the\n"
        "default), f32 or q8_0 is that of the matrices, vectors are f32. trtllm: config.json and a rankN.safetensors for\n"
        "each of tp x pp ranks, as TensorRT-LLM's checkpoint loader reads them; codes stay codes. plan: model.plan, which\n"
        "`tidemill generate` and `chat` map instead of reading it, with what it needs of ops and memory. With `to` the\n"
        "folder is also put there at the end of the run; a folder that was not put there by the same store, or holds\n"
        "anything else, is never replaced.",
    .example = "tm.export { base, format = \"hf\", to = \"dist/base\" }",
    .family = "export",
    .version = 2,
    .inputs = {{"", "model", TM_PORT_WHOLE, NULL, "the model", NULL}},
    .outputs = {{"", "folder", 0, NULL, "the folder", NULL}},
    .options = options,
    .options_size = sizeof(tm_export_options),
    .check = check,
    .run = run,
};
