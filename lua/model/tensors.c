// SPDX-License-Identifier: Apache-2.0
// Tensors of a snapshot from the heads of its files.
#include "lua/model/tensors.h"

#include "stages/format/safetensors.h"

static json_t *tensor_json(const tm_st_tensor *tensor, const char *file)
{
    json_t *shape = json_array();
    for (uint32_t i = 0; i < tensor->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
    return json_pack("{s:s, s:s, s:o, s:s}", "name", tensor->name, "dtype", tm_st_dtype_name(tensor->dtype),
                     "shape", shape, "file", file);
}

static tm_status list_file(const char *folder, const char *name, json_t *list, tm_error *err)
{
    char path[TM_PATH_MAX];
    tm_safetensors file;
    TM_TRY(tm_path(path, err, "%s/%s", folder, name));
    TM_TRY(tm_safetensors_open(&file, path, err));
    for (size_t i = 0; i < file.n_tensors; i++)
        json_array_append_new(list, tensor_json(&file.tensors[i], name));
    tm_safetensors_close(&file);
    return TM_OK;
}

static bool is_safetensors(const char *name)
{
    static const char end[] = ".safetensors";
    size_t n = strlen(name);
    return n >= sizeof end && strcmp(name + n - (sizeof end - 1), end) == 0;
}

tm_status tm_tensors_list(tm_store *store, tm_hash tree_hash, const tm_tree *tree, json_t *list,
                          tm_error *err)
{
    char folder[TM_PATH_MAX] = "";
    for (size_t i = 0; i < tree->count; i++) {
        if (!is_safetensors(tree->files[i].name)) continue;
        if (!folder[0]) {
            TM_TRY(tm_store_pin(store, tree_hash, err));
            TM_TRY(tm_tree_folder(store, tree_hash, folder, err));
        }
        TM_TRY(list_file(folder, tree->files[i].name, list, err));
    }
    return TM_OK;
}

uint64_t tm_tensors_size(const json_t *list)
{
    uint64_t all = 0;
    size_t i, k;
    json_t *tensor, *dim;
    json_array_foreach (list, i, tensor) {
        uint64_t one = 1;
        json_array_foreach(json_object_get(tensor, "shape"), k, dim) one *= (uint64_t)json_integer_value(dim);
        all += one;
    }
    return all;
}
