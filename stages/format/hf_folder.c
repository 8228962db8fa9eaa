// SPDX-License-Identifier: Apache-2.0
// Model folders: laying out files, and finding tensors over shards.
#include "stages/format/hf_folder.h"

#include <errno.h>

#include <jansson.h>

#include "engine/base/io.h"

#define ADAPTER_CONFIG "adapter_config.json"
#define ADAPTER_WEIGHTS "adapter_model.safetensors"

struct tm_hf_files_owner {
    tm_buf header;
    tm_view *pieces;
};

// ---- writing

static bool plain_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && !strchr(name, '/');
}

static tm_status add_file(tm_hf_files *files, const char *name, const tm_view *pieces, size_t n,
                          tm_error *err)
{
    if (!plain_name(name)) return tm_fail(err, TM_EINVAL, "not a file name for a model folder: %s", name);
    for (size_t i = 0; i < files->n_files; i++) {
        if (strcmp(files->files[i].name, name) == 0)
            return tm_fail(err, TM_EINVAL, "two files of a model folder are named %s", name);
    }
    files->files[files->n_files++] = (tm_content){name, pieces, n};
    return TM_OK;
}

static tm_status lay_out(tm_hf_files *files, const tm_hf_model *model, tm_error *err)
{
    struct tm_hf_files_owner *owner = files->owner;
    TM_TRY(tm_safetensors_header(model->tensors, model->n_tensors, NULL, 0, &owner->header, err));
    owner->pieces[0] = tm_buf_view(&owner->header);
    for (size_t i = 0; i < model->n_tensors; i++) owner->pieces[i + 1] = model->tensors[i].data;
    TM_TRY(add_file(files, model->adapter ? ADAPTER_CONFIG : "config.json", &model->config, 1, err));
    if (model->generation_config.size)
        TM_TRY(add_file(files, "generation_config.json", &model->generation_config, 1, err));
    TM_TRY(add_file(files, model->adapter ? ADAPTER_WEIGHTS : "model.safetensors", owner->pieces,
                    model->n_tensors + 1, err));
    for (size_t i = 0; i < model->n_extras; i++) {
        const tm_content *extra = &model->extras[i];
        TM_TRY(add_file(files, extra->name, extra->pieces, extra->n_pieces, err));
    }
    return TM_OK;
}

tm_status tm_hf_files_make(tm_hf_files *files, const tm_hf_model *model, tm_error *err)
{
    *files = (tm_hf_files){0};
    files->owner = tm_calloc(1, sizeof *files->owner);
    files->files = tm_calloc(model->n_extras + 3, sizeof *files->files);
    if (files->owner) files->owner->pieces = tm_calloc(model->n_tensors + 1, sizeof(tm_view));
    tm_status status = files->owner && files->files && files->owner->pieces
                           ? lay_out(files, model, err)
                           : tm_fail(err, TM_ENOMEM, "no memory for the files of a model");
    if (status < 0) tm_hf_files_clear(files);
    return status;
}

void tm_hf_files_clear(tm_hf_files *files)
{
    if (files->owner) {
        tm_buf_clear(&files->owner->header);
        tm_free(files->owner->pieces);
        tm_free(files->owner);
    }
    tm_free(files->files);
    *files = (tm_hf_files){0};
}

tm_status tm_hf_folder_write(const char *folder, const tm_hf_model *model, tm_error *err)
{
    TM_TRY(tm_dir_make(folder, err));
    tm_hf_files files;
    TM_TRY(tm_hf_files_make(&files, model, err));
    tm_status status = TM_OK;
    for (size_t i = 0; i < files.n_files && status == TM_OK; i++) {
        char path[TM_PATH_MAX];
        status = tm_path(path, err, "%s/%s", folder, files.files[i].name);
        if (status == TM_OK)
            status = tm_content_write(path, files.files[i].pieces, files.files[i].n_pieces, err);
    }
    tm_hf_files_clear(&files);
    return status;
}

// ---- reading

// Where configuration and weights lie.
static tm_status model_path(const tm_hf_folder *folder, const char *name, char path[TM_PATH_MAX],
                            tm_error *err)
{
    return tm_path(path, err, "%s/%s%s", folder->path, folder->adapter ? "base/" : "", name);
}

static bool file_exists(const tm_hf_folder *folder, const char *name)
{
    char path[TM_PATH_MAX];
    return model_path(folder, name, path, NULL) == TM_OK && tm_file_exists(path);
}

static tm_status map_file(const tm_hf_folder *folder, const char *name, tm_view *bytes, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(model_path(folder, name, path, err));
    return tm_content_map(path, bytes, err);
}

static tm_status open_shard(tm_hf_folder *folder, const char *name, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(model_path(folder, name, path, err));
    TM_TRY(tm_safetensors_open(&folder->shards[folder->n_shards], path, err));
    folder->n_tensors += folder->shards[folder->n_shards++].n_tensors;
    return TM_OK;
}

static tm_status open_shards(tm_hf_folder *folder, json_t *names, tm_error *err)
{
    const char *name;
    json_t *value;
    folder->shards = tm_calloc(json_object_size(names) + 1, sizeof *folder->shards);
    if (!folder->shards) return tm_fail(err, TM_ENOMEM, "no memory for shards");
    json_object_foreach(names, name, value) TM_TRY(open_shard(folder, name, err));
    return TM_OK;
}

static tm_status shard_names(json_t *map, json_t *names, const char *where, tm_error *err)
{
    const char *tensor;
    json_t *file;
    json_object_foreach(map, tensor, file)
    {
        const char *name = json_string_value(file);
        if (!name || !plain_name(name))
            return tm_fail(err, TM_EFORMAT, "%s: tensor %s lies in no file of the folder", where, tensor);
        if (json_object_set_new(names, name, json_true()) < 0) return tm_fail(err, TM_ENOMEM, "no memory");
    }
    return TM_OK;
}

static tm_status check_map(const tm_hf_folder *folder, json_t *map, const char *where, tm_error *err)
{
    const char *tensor;
    json_t *file;
    json_object_foreach(map, tensor, file)
    {
        if (!tm_hf_folder_find(folder, tensor))
            return tm_fail(err, TM_EFORMAT, "%s: tensor %s is not in %s", where, tensor,
                           json_string_value(file));
    }
    if (json_object_size(map) != folder->n_tensors)
        return tm_fail(err, TM_EFORMAT, "%s names %zu tensors, the shards hold %zu", where,
                       json_object_size(map), folder->n_tensors);
    return TM_OK;
}

static tm_status open_index(tm_hf_folder *folder, const char *where, json_t *map, tm_error *err)
{
    json_t *names = json_object();
    if (!names) return tm_fail(err, TM_ENOMEM, "no memory for shards");
    tm_status status = shard_names(map, names, where, err);
    if (status == TM_OK) status = open_shards(folder, names, err);
    if (status == TM_OK) status = check_map(folder, map, where, err);
    json_decref(names);
    return status;
}

static tm_status open_weights(tm_hf_folder *folder, tm_error *err)
{
    static const char single[] = "model.safetensors", index[] = "model.safetensors.index.json";
    if (file_exists(folder, single) || !file_exists(folder, index)) {
        folder->shards = tm_calloc(1, sizeof *folder->shards);
        if (!folder->shards) return tm_fail(err, TM_ENOMEM, "no memory for shards");
        return open_shard(folder, single, err);
    }
    char where[TM_PATH_MAX];
    tm_view bytes;
    TM_TRY(model_path(folder, index, where, err));
    TM_TRY(map_file(folder, index, &bytes, err));
    json_error_t at;
    json_t *json = json_loadb(bytes.data ? bytes.data : "", bytes.size, JSON_REJECT_DUPLICATES, &at);
    json_t *map = json_object_get(json, "weight_map");
    tm_status status = json_is_object(map)
                           ? open_index(folder, where, map, err)
                           : tm_fail(err, TM_EFORMAT, "%s: no weight_map (%s)", where, at.text);
    json_decref(json);
    tm_content_unmap(bytes);
    return status;
}

// The adapter, if the folder has one: then the rest is read from base/.
static tm_status open_adapter(tm_hf_folder *folder, tm_error *err)
{
    char path[TM_PATH_MAX];
    if (!file_exists(folder, ADAPTER_CONFIG)) return TM_OK;
    TM_TRY(tm_hf_folder_file(folder, ADAPTER_CONFIG, &folder->adapter_config, err));
    TM_TRY(tm_path(path, err, "%s/" ADAPTER_WEIGHTS, folder->path));
    TM_TRY(tm_safetensors_open(&folder->adapter_tensors, path, err));
    folder->adapter = true;
    if (file_exists(folder, "config.json")) return TM_OK;
    tm_fail(err, TM_ENOENT, "%s: an adapter without the model it adapts", folder->path);
    tm_hint(err, "put the base model's folder at %s/base", folder->path);
    return TM_ENOENT;
}

tm_status tm_hf_folder_open(tm_hf_folder *folder, const char *path, tm_error *err)
{
    *folder = (tm_hf_folder){.path = tm_strdup(path)};
    if (!folder->path) return tm_fail(err, TM_ENOMEM, "no memory for a folder");
    tm_status status = open_adapter(folder, err);
    if (status == TM_OK) status = map_file(folder, "config.json", &folder->config, err);
    if (status == TM_OK) status = open_weights(folder, err);
    if (status < 0) tm_hf_folder_close(folder);
    return status;
}

void tm_hf_folder_close(tm_hf_folder *folder)
{
    for (size_t i = 0; i < folder->n_shards; i++) tm_safetensors_close(&folder->shards[i]);
    tm_free(folder->shards);
    tm_content_unmap(folder->config);
    tm_content_unmap(folder->adapter_config);
    tm_safetensors_close(&folder->adapter_tensors);
    tm_free(folder->path);
    *folder = (tm_hf_folder){0};
}

const tm_st_tensor *tm_hf_folder_find(const tm_hf_folder *folder, const char *name)
{
    for (size_t i = 0; i < folder->n_shards; i++) {
        const tm_st_tensor *t = tm_safetensors_find(&folder->shards[i], name);
        if (t) return t;
    }
    return NULL;
}

const tm_st_tensor *tm_hf_folder_tensor(const tm_hf_folder *folder, size_t i)
{
    for (size_t s = 0; s < folder->n_shards; s++) {
        if (i < folder->shards[s].n_tensors) return &folder->shards[s].tensors[i];
        i -= folder->shards[s].n_tensors;
    }
    return NULL;
}

tm_status tm_hf_folder_file(const tm_hf_folder *folder, const char *name, tm_view *bytes, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_path(path, err, "%s/%s", folder->path, name));
    return tm_content_map(path, bytes, err);
}

// ---- the base of an adapter

static tm_status link_file(const char *from, const char *to, tm_error *err)
{
    if (tm_sys.link(from, to) == 0) return TM_OK;
    if (errno != EXDEV && errno != EMLINK && errno != EPERM && errno != EOPNOTSUPP)
        return tm_fail_errno(err, "cannot link %s to %s", from, to);
    return tm_file_copy(from, to, 0444, err);
}

static tm_status link_into(const char *from, const char *to, const char *name, tm_error *err)
{
    char a[TM_PATH_MAX], b[TM_PATH_MAX];
    struct stat info;
    TM_TRY(tm_path(a, err, "%s/%s", from, name));
    TM_TRY(tm_path(b, err, "%s/%s", to, name));
    if (tm_sys.stat(a, &info) < 0) return tm_fail_errno(err, "cannot stat %s", a);
    return S_ISREG(info.st_mode) ? link_file(a, b, err) : TM_OK;
}

tm_status tm_hf_folder_link_base(const char *from, const char *to, tm_error *err)
{
    char source[TM_PATH_MAX], target[TM_PATH_MAX];
    tm_names names = {0};
    TM_TRY(tm_path(source, err, "%s/" ADAPTER_CONFIG, from));
    TM_TRY(tm_path(source, err, "%s%s", from, tm_file_exists(source) ? "/base" : ""));
    TM_TRY(tm_path(target, err, "%s/base", to));
    TM_TRY(tm_dir_make(target, err));
    TM_TRY(tm_dir_list(source, &names, err));
    tm_status status = TM_OK;
    for (size_t i = 0; i < names.count && status == TM_OK; i++)
        status = link_into(source, target, names.names[i], err);
    tm_names_clear(&names);
    return status;
}
