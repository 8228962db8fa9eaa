// SPDX-License-Identifier: Apache-2.0
// A Hugging Face folder: the snapshot as it is.
#include "engine/base/io.h"
#include "stages/export/export.h"

static tm_status copy_folder(const char *from, const char *to, tm_error *err);

static tm_status copy(const char *from, const char *to, const char *name, tm_error *err)
{
    char a[TM_PATH_MAX], b[TM_PATH_MAX];
    struct stat info;
    TM_TRY(tm_path(a, err, "%s/%s", from, name));
    TM_TRY(tm_path(b, err, "%s/%s", to, name));
    if (tm_sys.stat(a, &info) != 0) return tm_fail_errno(err, "cannot stat %s", a);
    return S_ISDIR(info.st_mode) ? copy_folder(a, b, err) : tm_file_copy(a, b, 0644, err);
}

// A model with an adapter has a folder inside, for the model it adapts.
static tm_status copy_folder(const char *from, const char *to, tm_error *err)
{
    tm_names names = {0};
    TM_TRY(tm_dir_make(to, err));
    TM_TRY(tm_dir_list(from, &names, err));
    tm_status status = TM_OK;
    for (size_t i = 0; status >= 0 && i < names.count; i++) status = copy(from, to, names.names[i], err);
    tm_names_clear(&names);
    return status;
}

static tm_status write_folder(const tm_export_job *job, tm_error *err)
{
    return copy_folder(job->model, job->folder, err);
}

const tm_export_format tm_export_format_hf = {
    .name = "hf",
    .brief = "a Hugging Face folder, as transformers reads it",
    .write = write_folder,
};
