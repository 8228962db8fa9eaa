// SPDX-License-Identifier: Apache-2.0
// A model from elsewhere.
#include "engine/stage.h"
#include "stages/model/source.h"

typedef struct model_options {
    const char *path, *match;
} model_options;

static const tm_option options[] = {
    {"path", TM_OPT_PATH, offsetof(model_options, path), NULL, 0, 0, NULL,
     "a Hugging Face folder, a GGUF file or an archive with one of them, relative to the graph file (the "
     "positional value)",
     0},
    {"match", TM_OPT_STRING, offsetof(model_options, match), "\"\"", 0, 0, NULL,
     "of an archive with several models, the one whose config.json or GGUF file matches this glob", 0},
    {0},
};

static tm_status find(const tm_check *c, tm_model_source *source, tm_error *err)
{
    const model_options *o = c->options;
    return tm_model_source_find(source, c->folder, o->path, o->match, err);
}

static tm_status check(tm_check *c, tm_error *err)
{
    (void)err;
    for (int i = 0; i < 2; i++) json_object_set_new(c->outputs[i], "tokenizer", json_string(c->name));
    return TM_OK;
}

static tm_status identity(const tm_check *c, json_t *into, tm_error *err)
{
    tm_model_source source;
    TM_TRY(find(c, &source, err));
    return tm_model_source_identity(&source, c->memory, into, err);
}

// Fetch and look at it; what is wrong with a copy is told of what it is a copy of.
static tm_status fetch(const tm_model_source *source, const char *path, const char *folder,
                       const char *tokenizer, const char *scratch, tm_error *err)
{
    tm_status status = tm_model_source_fetch(source, folder, scratch, err);
    if (status >= 0) status = tm_dir_remove(scratch, err);
    if (status >= 0) status = tm_model_copy_tokenizer(folder, tokenizer, err);
    if (status < 0) {
        tm_error_replace(err, folder, path);
        tm_error_replace(err, scratch, path);
    }
    return status;
}

static tm_status run(tm_work *work, tm_error *err)
{
    const model_options *o = tm_work_options(work);
    tm_model_source source;
    char folder[1024], tokenizer[1024], scratch[1024];
    TM_TRY(tm_model_source_find(&source, tm_work_folder(work), o->path, o->match, err));
    TM_TRY(tm_work_scratch(work, folder, sizeof folder, err));
    TM_TRY(tm_work_scratch(work, tokenizer, sizeof tokenizer, err));
    TM_TRY(tm_work_scratch(work, scratch, sizeof scratch, err));
    TM_TRY(fetch(&source, o->path, folder, tokenizer, scratch, err));
    TM_TRY(tm_put_tree(work, "tokenizer", tokenizer, json_object(), NULL, NULL, err));
    return tm_put_tree(work, "", folder, json_object(), NULL, NULL, err);
}

const tm_stage tm_stage_model = {
    .name = "model",
    .brief = "A model from elsewhere: a Hugging Face folder or a GGUF file, also inside an archive.",
    .help =
        "Families llama, mistral, qwen2 and qwen3 with a byte-level BPE tokenizer. A folder is what transformers saves:\n"
        "config.json, weights as safetensors (F32, F16 or BF16, in one file or in shards), tokenizer.json. A GGUF file is\n"
        "llama.cpp's, with F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K or Q6_K tensors; blocks of small\n"
        "integers become floats. An archive (zip, wheel, tar, also compressed) is read in place. Nothing is fetched from\n"
        "the network: download a model first, and name its folder.",
    .example = "local base = tm.model { \"SmolLM2-135M-Instruct\" }",
    .family = "read",
    .version = 1,
    .traits = TM_SOURCE | TM_HOSTILE,
    .outputs = {{"", "model", 0, NULL, "the model as a Hugging Face folder", NULL},
                {"tokenizer", "tokenizer", 0, NULL, "its tokenizer, with the chat template", NULL}},
    .options = options,
    .options_size = sizeof(model_options),
    .check = check,
    .identity = identity,
    .run = run,
};
