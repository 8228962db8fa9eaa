// SPDX-License-Identifier: Apache-2.0
// A plan file, for this program and the device it is built on.
#include "engine/base/io.h"
#include "stages/export/export.h"
#include "stages/model/pass.h"
#include "stages/model/plan_file.h"
#include "stages/model/source.h"

#define PROMPT_TOKENS 512

static const char *device_of(const tm_export_options *o)
{
    return o->device ? o->device : "cpu";
}

static tm_status check(const tm_export_options *o, const char **option, tm_error *err)
{
    if (tm_export_lists("cpu cpu/avx512 cpu/avx2 cpu/base", device_of(o))) return TM_OK;
    *option = "device";
    tm_fail(err, TM_EINVAL, "no plan can be built for the device \"%.40s\"", o->device);
    tm_hint(err, "one of: cpu, cpu/avx512, cpu/avx2, cpu/base");
    return TM_EINVAL;
}

static tm_status plan_memory(const tm_model *model, tm_plan_build *build, tm_error *err)
{
    tm_device *device;
    tm_pass *pass;
    TM_TRY(tm_device_open_cpu(1, &device, err));
    tm_status status = tm_pass_new(&pass, model, device, TM_PASS_FORWARD, build->prompt_tokens, err);
    if (status >= 0) {
        build->activations = tm_pass_bytes(pass);
        tm_pass_free(pass);
    }
    tm_device_close(device);
    return status;
}

static tm_status write_folder(const tm_export_job *job, tm_error *err)
{
    tm_model *model = NULL;
    char path[TM_PATH_MAX];
    tm_plan_build build = {.device = device_of(job->options), .prompt_tokens = PROMPT_TOKENS};
    TM_TRY(tm_path(path, err, "%s/model.plan", job->folder));
    tm_status status = tm_model_open(&model, job->model, err);
    if (status >= 0) status = plan_memory(model, &build, err);
    if (status >= 0) status = tm_plan_file_write(model, &build, path, err);
    if (model) tm_model_free(model);
    return status < 0 ? status : tm_model_copy_tokenizer(job->model, job->folder, err);
}

const tm_export_format tm_export_format_plan = {
    .name = "plan",
    .brief = "model.plan, which tidemill maps and runs at once, and the tokenizer",
    .takes = "device",
    .check = check,
    .write = write_folder,
};
