// SPDX-License-Identifier: Apache-2.0
// An adapter folded into the weights it was trained on.
#include "engine/stage.h"
#include "stages/model/model.h"
#include "stages/model/source.h"

static tm_status check(tm_check *c, tm_error *err)
{
    const json_t *adapter = json_object_get(c->inputs[0], "adapter");
    json_object_del(c->outputs[0], "adapter");
    json_object_set_new(c->outputs[0], "dtype", json_string("f32"));
    if (adapter && !json_is_null(adapter)) return TM_OK;
    tm_fail(err, TM_EINVAL, "the model has no adapter to merge");
    tm_hint(err, "train one with adapter = tm.lora {}, or leave the merge out");
    return TM_EINVAL;
}

static tm_status write_merged(const char *from, const char *to, tm_error *err)
{
    tm_hf_folder folder;
    tm_model *model;
    TM_TRY(tm_hf_folder_open(&folder, from, err));
    tm_status status = folder.adapter ? tm_model_load(&model, &folder, err)
                                      : tm_fail(err, TM_EINVAL, "%s: a model without an adapter", from);
    tm_hf_folder_close(&folder);
    TM_TRY(status);
    status = tm_model_write(model, to, NULL, 0, err);
    tm_model_free(model);
    return status;
}

static tm_status run(tm_work *work, tm_error *err)
{
    tm_snapshot snapshot;
    char folder[1024];
    tm_status status = tm_take_tree(work, "", &snapshot, err);
    if (status == TM_DONE) return tm_fail(err, TM_ENOENT, "there is no model");
    TM_TRY(status);
    TM_TRY(tm_work_scratch(work, folder, sizeof folder, err));
    TM_TRY(write_merged(snapshot.folder, folder, err));
    TM_TRY(tm_model_copy_tokenizer(snapshot.folder, folder, err));
    return tm_put_tree(work, "", folder, json_object(), NULL, NULL, err);
}

const tm_stage tm_stage_merge = {
    .name = "merge",
    .brief = "Fold an adapter into the weights: a model like any other.",
    .help = "W + scale * B A in float32, for every linear that has an adapter. The result is a plain model\n"
            "folder, so that programs without adapters open it. What judges a model merges by itself.",
    .example = "local merged = tm.merge { tuned }",
    .family = "train",
    .version = 1,
    .traits = TM_NUMERIC,
    .inputs = {{"", "model", TM_PORT_WHOLE, NULL, "a model with an adapter", NULL}},
    .outputs = {{"", "model", 0, NULL, "the model without one", NULL},
                {"tokenizer", "tokenizer", TM_PORT_ALIAS, NULL, "its tokenizer", ""}},
    .check = check,
    .run = run,
};
