// SPDX-License-Identifier: Apache-2.0
// Models: made fresh, read from folders, laid out as files.
#include "stages/model/model.h"

#include <stdio.h>

#include "stages/model/adapter_files.h"
#include "stages/model/quantize.h"

struct tm_model_files_owner {
    tm_buf config, generation;
    tm_hf_model model;
    tm_st_tensor *tensors;
};

tm_status tm_model_new(tm_model **out, const tm_model_config *config, tm_error *err)
{
    tm_model *m = tm_calloc(1, sizeof *m);
    if (!m) return tm_fail(err, TM_ENOMEM, "no memory for a model");
    m->config = *config;
    tm_status status = tm_model_config_complete(&m->config, err);
    if (status == TM_OK) status = tm_param_map_make(&m->map, &m->config, err);
    if (status == TM_OK) status = tm_param_slab_new(&m->map, &m->params, err);
    if (status < 0) {
        tm_model_free(m);
        return status;
    }
    *out = m;
    return TM_OK;
}

tm_status tm_model_init(tm_model **model, const tm_model_config *config, tm_device *device, uint64_t seed,
                        tm_error *err)
{
    TM_TRY(tm_model_new(model, config, err));
    tm_param_init(&(*model)->map, device, (*model)->params, seed);
    return TM_OK;
}

void tm_model_free(tm_model *m)
{
    if (!m) return;
    tm_param_map_clear(&m->map);
    if (!m->mapped) tm_param_slab_free(m->params);
    tm_free(m->half);
    tm_adapter_free(m->adapter);
    tm_free(m);
}

tm_trainable tm_model_trainable(const tm_model *m)
{
    return m->adapter ? (tm_trainable){&m->adapter->map, m->adapter->params}
                      : (tm_trainable){&m->map, m->params};
}

tm_status tm_model_adapt(tm_model *m, const tm_lora *lora, tm_device *device, uint64_t seed, tm_error *err)
{
    if (m->adapter) return tm_fail(err, TM_EINVAL, "the model has an adapter already");
    TM_TRY(tm_adapter_new(&m->adapter, &m->config, lora, NULL, NULL, err));
    tm_adapter_init(m->adapter, device, seed);
    return TM_OK;
}

void tm_model_merge(tm_model *m, tm_device *device)
{
    if (!m->adapter) return;
    tm_adapter_merge(m->adapter, &m->map, m->params, device);
    tm_adapter_free(m->adapter);
    m->adapter = NULL;
}

// ---- reading

static bool ignored(const char *name)
{
    static const char tail[] = "rotary_emb.inv_freq";
    size_t n = strlen(name);
    return n >= sizeof tail - 1 && strcmp(name + n - (sizeof tail - 1), tail) == 0;
}

// A tied model's file may hold the head all the same, as a copy.
static tm_status check_tied_head(const tm_model *m, const tm_hf_folder *folder, const tm_st_tensor *head,
                                 tm_error *err)
{
    const tm_st_tensor *embed = tm_hf_folder_find(folder, m->map.params[0].name);
    if (m->config.tie && embed && embed->dtype == head->dtype && tm_view_eq(embed->data, head->data))
        return TM_OK;
    return tm_fail(err, TM_EFORMAT, "tie_word_embeddings is set, but lm_head.weight is not the embedding");
}

// The scales beside a quantized weight, or NULL.
static const tm_st_tensor *scales_of(const tm_hf_folder *folder, const tm_param *p)
{
    char name[TM_PARAM_NAME + 8];
    snprintf(name, sizeof name, "%s_scale", p->name);
    return tm_hf_folder_find(folder, name);
}

static bool is_scale(const tm_model *m, const char *name)
{
    char base[TM_PARAM_NAME + 8];
    size_t n = strlen(name), tail = strlen("_scale");
    if (n <= tail || n >= sizeof base || strcmp(name + n - tail, "_scale") != 0) return false;
    snprintf(base, sizeof base, "%.*s", (int)(n - tail), name);
    return tm_param_find(&m->map, base) != NULL;
}

static tm_status check_unknown(const tm_model *m, const tm_hf_folder *folder, tm_error *err)
{
    for (size_t i = 0; i < folder->n_tensors; i++) {
        const tm_st_tensor *t = tm_hf_folder_tensor(folder, i);
        if (tm_param_find(&m->map, t->name) || is_scale(m, t->name) || ignored(t->name)) continue;
        if (strcmp(t->name, "lm_head.weight") == 0)
            TM_TRY(check_tied_head(m, folder, t, err));
        else
            return tm_fail(err, TM_EFORMAT, "tensor %s belongs to no part of a %s model", t->name,
                           m->config.family->name);
    }
    return TM_OK;
}

static tm_status put_all(tm_model *m, const tm_hf_folder *folder, tm_error *err)
{
    for (size_t i = 0; i < m->map.n_params; i++) {
        const tm_param *p = &m->map.params[i];
        const tm_st_tensor *t = tm_hf_folder_find(folder, p->name);
        if (!t) return tm_fail(err, TM_EFORMAT, "tensor %s is missing", p->name);
        const tm_st_tensor *scales = scales_of(folder, p);
        if (scales) TM_TRY(tm_quantized_put(m->params, p, t, scales, err));
        else TM_TRY(tm_param_put(&m->map, m->params, p, t, err));
    }
    return check_unknown(m, folder, err);
}

static tm_status check_all(const tm_model *m, const tm_hf_folder *folder, tm_error *err)
{
    for (size_t i = 0; i < m->map.n_params; i++) {
        const tm_st_tensor *t = tm_hf_folder_find(folder, m->map.params[i].name);
        if (!t) return tm_fail(err, TM_EFORMAT, "tensor %s is missing", m->map.params[i].name);
        TM_TRY(tm_param_check(&m->map.params[i], t, err));
    }
    return check_unknown(m, folder, err);
}

tm_status tm_model_check(const tm_hf_folder *folder, tm_model_config *config, tm_error *err)
{
    tm_model m = {0};
    tm_status status = tm_model_config_parse(&m.config, folder->config, err);
    if (status == TM_OK) status = tm_param_map_make(&m.map, &m.config, err);
    if (status == TM_OK) status = check_all(&m, folder, err);
    tm_param_map_clear(&m.map);
    *config = m.config;
    return status < 0 ? tm_error_prefix(err, "%s", folder->path) : TM_OK;
}

tm_status tm_model_load_apart(tm_model **model, const tm_hf_folder *folder, tm_error *err)
{
    tm_model_config config;
    tm_model *m = NULL;
    tm_status status = tm_model_config_parse(&config, folder->config, err);
    if (status == TM_OK) status = tm_model_new(&m, &config, err);
    if (status == TM_OK) status = put_all(m, folder, err);
    if (status == TM_OK && folder->adapter)
        status =
            tm_adapter_read(&m->adapter, &m->config, folder->adapter_config, &folder->adapter_tensors, err);
    if (status == TM_OK) {
        *model = m;
        return TM_OK;
    }
    tm_model_free(m);
    *model = NULL;
    tm_error_prefix(err, "%s", folder->path);
    return status;
}

tm_status tm_model_load(tm_model **model, const tm_hf_folder *folder, tm_error *err)
{
    tm_device *device;
    TM_TRY(tm_model_load_apart(model, folder, err));
    if (!(*model)->adapter) return TM_OK;
    tm_status status = tm_device_open_cpu(1, &device, err);
    if (status == TM_OK) {
        tm_model_merge(*model, device);
        status = tm_device_status(device, err);
        tm_device_close(device);
    }
    if (status == TM_OK) return TM_OK;
    tm_model_free(*model);
    *model = NULL;
    return status;
}

typedef tm_status loader(tm_model **model, const tm_hf_folder *folder, tm_error *err);

static tm_status open_with(loader *load, tm_model **model, const char *path, tm_error *err)
{
    tm_hf_folder folder;
    TM_TRY(tm_hf_folder_open(&folder, path, err));
    tm_status status = load(model, &folder, err);
    tm_hf_folder_close(&folder);
    return status;
}

tm_status tm_model_open(tm_model **model, const char *path, tm_error *err)
{
    return open_with(tm_model_load, model, path, err);
}

tm_status tm_model_open_apart(tm_model **model, const char *path, tm_error *err)
{
    return open_with(tm_model_load_apart, model, path, err);
}

// ---- writing

// The list of a map's tensors, and room for it.
static tm_status list_tensors(struct tm_model_files_owner *owner, const tm_param_map *map, const float *slab,
                              tm_error *err)
{
    owner->tensors = tm_calloc(map->n_params, sizeof *owner->tensors);
    if (!owner->tensors) return tm_fail(err, TM_ENOMEM, "no memory for the list of tensors");
    tm_param_tensors(map, slab, "", NULL, owner->tensors);
    owner->model.tensors = owner->tensors;
    owner->model.n_tensors = map->n_params;
    return TM_OK;
}

static tm_status lay_out_weights(struct tm_model_files_owner *owner, const tm_model *m, tm_error *err)
{
    TM_TRY(list_tensors(owner, &m->map, m->params, err));
    TM_TRY(tm_model_config_write(&m->config, &owner->config, err));
    TM_TRY(tm_generation_config_write(&m->config, &owner->generation, err));
    owner->model.config = tm_buf_view(&owner->config);
    owner->model.generation_config = tm_buf_view(&owner->generation);
    return TM_OK;
}

static tm_status lay_out_adapter(struct tm_model_files_owner *owner, const tm_adapter *a, tm_error *err)
{
    TM_TRY(list_tensors(owner, &a->map, a->params, err));
    TM_TRY(tm_adapter_config_write(a, "base", &owner->config, err));
    owner->model.adapter = true;
    owner->model.config = tm_buf_view(&owner->config);
    return TM_OK;
}

static tm_status lay_out(tm_model_files *files, const tm_model *m, const tm_content *extras, size_t n_extras,
                         tm_error *err)
{
    struct tm_model_files_owner *owner = files->owner;
    if (m->adapter)
        TM_TRY(lay_out_adapter(owner, m->adapter, err));
    else
        TM_TRY(lay_out_weights(owner, m, err));
    owner->model.extras = extras;
    owner->model.n_extras = n_extras;
    return tm_hf_files_make(&files->hf, &owner->model, err);
}

tm_status tm_model_files_make(tm_model_files *files, const tm_model *model, const tm_content *extras,
                              size_t n_extras, tm_error *err)
{
    *files = (tm_model_files){.owner = tm_calloc(1, sizeof *files->owner)};
    if (!files->owner) return tm_fail(err, TM_ENOMEM, "no memory for the files of a model");
    tm_status status = lay_out(files, model, extras, n_extras, err);
    if (status < 0) tm_model_files_clear(files);
    return status;
}

void tm_model_files_clear(tm_model_files *files)
{
    tm_hf_files_clear(&files->hf);
    if (files->owner) {
        tm_buf_clear(&files->owner->config);
        tm_buf_clear(&files->owner->generation);
        tm_free(files->owner->tensors);
        tm_free(files->owner);
    }
    *files = (tm_model_files){0};
}

tm_status tm_model_write(const tm_model *model, const char *folder, const tm_content *extras, size_t n_extras,
                         tm_error *err)
{
    tm_model_files files;
    TM_TRY(tm_model_files_make(&files, model, extras, n_extras, err));
    tm_status status = tm_hf_folder_write(folder, &files.owner->model, err);
    tm_model_files_clear(&files);
    return status;
}

tm_status tm_model_write_base(const tm_model *model, const char *folder, tm_error *err)
{
    tm_model base = *model;
    base.adapter = NULL;
    return tm_model_write(&base, folder, NULL, 0, err);
}
