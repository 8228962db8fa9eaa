// SPDX-License-Identifier: Apache-2.0
// A model in the form that other programs read, and where people want it.
#include <stdio.h>

#include "engine/stage.h"

typedef struct export_options {
    const char *format, *to;
} export_options;

static const tm_option options[] = {
    {"format", TM_OPT_CHOICE, offsetof(export_options, format), "\"hf\"", 0, 0, "hf", "a Hugging Face folder",
     0},
    {"to", TM_OPT_PATH, offsetof(export_options, to), "null", 0, 0, NULL,
     "where to put it, relative to the graph file (`tidemill get` does it later)", TM_OPT_NOKEY},
    {0},
};

static tm_status copy_files(const char *from, const char *to, tm_error *err)
{
    tm_names names = {0};
    TM_TRY(tm_dir_list(from, &names, err));
    tm_status status = TM_OK;
    for (size_t i = 0; status >= 0 && i < names.count; i++) {
        char a[TM_PATH_MAX], b[TM_PATH_MAX];
        status = tm_path(a, err, "%s/%s", from, names.names[i]);
        if (status >= 0) status = tm_path(b, err, "%s/%s", to, names.names[i]);
        if (status >= 0) status = tm_file_copy(a, b, 0644, err);
    }
    tm_names_clear(&names);
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
    TM_TRY(copy_files(snapshot.folder, folder, err));
    return tm_put_tree(work, "", folder, json_object(), NULL, NULL, err);
}

const tm_stage tm_stage_export = {
    .name = "export",
    .brief = "A model as a folder that other programs open.",
    .help =
        "Format hf: config.json, model.safetensors and the tokenizer's files, as transformers reads them. With `to` the\n"
        "folder is also put there at the end of the run; a folder that was not put there by the same store, or\n"
        "holds anything else, is never replaced.",
    .example = "tm.export { base, format = \"hf\", to = \"dist/base\" }",
    .family = "export",
    .version = 1,
    .inputs = {{"", "model", TM_PORT_WHOLE, NULL, "the model", NULL}},
    .outputs = {{"", "folder", 0, NULL, "the folder", NULL}},
    .options = options,
    .options_size = sizeof(export_options),
    .run = run,
};
