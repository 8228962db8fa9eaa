// SPDX-License-Identifier: Apache-2.0
// An adapter from elsewhere, on a model.
#include <string.h>

#include "engine/base/io.h"
#include "engine/stage.h"
#include "stages/format/corpus.h"
#include "stages/model/model.h"
#include "stages/model/source.h"

typedef struct adapter_options {
    const char *path;
} adapter_options;

static const tm_option options[] = {
    {"path", TM_OPT_PATH, offsetof(adapter_options, path), NULL, 0, 0, NULL,
     "PEFT's folder, relative to the graph file", 0},
    {0},
};

static const char *const names[] = {"adapter_config.json", "adapter_model.safetensors", NULL};

// The folder that is named, beside the graph file's.
static tm_status find_folder(char path[TM_PATH_MAX], const char *graph, const char *folder, tm_error *err)
{
    return folder[0] == '/' ? tm_path(path, err, "%s", folder) : tm_path(path, err, "%s/%s", graph, folder);
}

static tm_status check(tm_check *c, tm_error *err)
{
    const adapter_options *o = c->options;
    if (json_object_get(c->inputs[0], "adapter")) {
        tm_fail(err, TM_EINVAL, "the model has an adapter already");
        tm_hint(err, "merge that one first: tm.merge { ... }");
        return TM_EINVAL;
    }
    json_object_set_new(c->outputs[0], "adapter", json_string("lora"));
    char folder[TM_PATH_MAX], path[TM_PATH_MAX];
    TM_TRY(find_folder(folder, c->folder, o->path, err));
    for (int i = 0; names[i]; i++) {
        TM_TRY(tm_path(path, err, "%s/%s", folder, names[i]));
        if (tm_file_exists(path)) continue;
        c->fault->option = "path";
        tm_fail(err, TM_ENOENT, "%s has no %s", o->path, names[i]);
        if (i == 1) tm_hint(err, "PEFT's save_pretrained(..., safe_serialization=True) writes it");
        return TM_ENOENT;
    }
    return TM_OK;
}

static tm_status identity(const tm_check *c, json_t *into, tm_error *err)
{
    const adapter_options *o = c->options;
    char folder[TM_PATH_MAX];
    TM_TRY(find_folder(folder, c->folder, o->path, err));
    for (int i = 0; names[i]; i++) {
        tm_corpus file = {0};
        TM_TRY(tm_path(file.root, err, "%s/%s", folder, names[i]));
        TM_TRY(tm_corpus_identity(&file, c->memory, into, err));
    }
    return TM_OK;
}

// Both halves must fit each other.
static tm_status verify(tm_work *work, const char *path, tm_error *err)
{
    tm_model *model;
    TM_TRY(tm_model_open_apart(&model, path, err));
    tm_work_log(work, "%llu parameters on %zu linears", (unsigned long long)model->adapter->map.n_values,
                model->adapter->map.n_params / 2);
    tm_model_free(model);
    return TM_OK;
}

static tm_status run(tm_work *work, tm_error *err)
{
    const adapter_options *o = tm_work_options(work);
    tm_snapshot snapshot;
    char folder[1024], given[TM_PATH_MAX];
    tm_status status = tm_take_tree(work, "", &snapshot, err);
    if (status == TM_DONE) return tm_fail(err, TM_ENOENT, "there is no model");
    TM_TRY(status);
    TM_TRY(tm_work_scratch(work, folder, sizeof folder, err));
    TM_TRY(find_folder(given, tm_work_folder(work), o->path, err));
    TM_TRY(tm_model_copy_files(given, folder, names, err));
    TM_TRY(tm_hf_folder_link_base(snapshot.folder, folder, err));
    TM_TRY(tm_model_copy_tokenizer(snapshot.folder, folder, err));
    TM_TRY(verify(work, folder, err));
    return tm_put_tree(work, "", folder, json_object(), NULL, NULL, err);
}

const tm_stage tm_stage_adapter = {
    .name = "adapter",
    .brief = "Put an adapter from elsewhere on a model.",
    .help = "A folder that PEFT wrote: a LoRA of q, k, v, o, gate, up and down projections. The model is\n"
            "the one it was trained on. Training goes on from it, tm.merge folds it in.",
    .example = "local tuned = tm.adapter { base, path = \"my-adapter\" }",
    .family = "read",
    .version = 1,
    .traits = TM_HOSTILE,
    .inputs = {{"", "model", TM_PORT_WHOLE, NULL, "the model it was trained on", NULL}},
    .outputs = {{"", "model", 0, NULL, "the model with the adapter", NULL},
                {"tokenizer", "tokenizer", TM_PORT_ALIAS, NULL, "the model's tokenizer", ""}},
    .options = options,
    .options_size = sizeof(adapter_options),
    .check = check,
    .identity = identity,
    .run = run,
};
