// SPDX-License-Identifier: Apache-2.0
// A model folder as transformers writes and reads it: config.json, the weights, the tokenizer's files.
//
//   config.json  generation_config.json  model.safetensors | model.safetensors.index.json + shards
//   tokenizer.json  tokenizer_config.json  ...               (copied as they are)
//
// A model with an adapter keeps the adapter as PEFT does, and the model it adapts in a folder below:
//
//   adapter_config.json  adapter_model.safetensors  tokenizer.json  ...
//   base/config.json  base/model.safetensors  ...
//
// The folder knows no model: config.json passes through as bytes, weights as named tensors.
#pragma once

#include "stages/format/content.h"
#include "stages/format/safetensors.h"

// What to write. Everything is borrowed; `tensors` is sorted into file order.
typedef struct tm_hf_model {
    bool adapter;               // config and tensors are an adapter's, and are named as PEFT names them
    tm_view config;             // config.json
    tm_view generation_config;  // generation_config.json; empty: not written
    tm_st_tensor *tensors;
    size_t n_tensors;
    const tm_content *extras;  // the tokenizer's files, the training state
    size_t n_extras;
} tm_hf_model;

// The files of a folder, ready to be written one after the other without a copy of the weights.
typedef struct tm_hf_files {
    tm_content *files;
    size_t n_files;
    struct tm_hf_files_owner *owner;
} tm_hf_files;

// Lay a model out as files. They borrow from `model`. TM_EINVAL: a tensor that does not fit its shape, two
// files of one name, a name with a folder in it.
tm_status tm_hf_files_make(tm_hf_files *files, const tm_hf_model *model, tm_error *err);
void tm_hf_files_clear(tm_hf_files *files);

// Write the files into `folder`, which is made if it is not there.
tm_status tm_hf_folder_write(const char *folder, const tm_hf_model *model, tm_error *err);

// An open folder. Weights are mapped, not read. With an adapter, configuration and shards are those of base/.
typedef struct tm_hf_folder {
    char *path;
    bool adapter;
    tm_view config;  // mapped
    tm_safetensors *shards;
    size_t n_shards;
    size_t n_tensors;  // over all shards
    tm_view adapter_config;
    tm_safetensors adapter_tensors;
} tm_hf_folder;

// Open a folder with config.json and either model.safetensors or an index with its shards, or with an adapter
// and such a folder as base/. TM_ENOENT names the missing file; TM_EFORMAT an index that names a tensor its
// shard lacks, or a shard outside the folder.
tm_status tm_hf_folder_open(tm_hf_folder *folder, const char *path, tm_error *err);
void tm_hf_folder_close(tm_hf_folder *folder);

// Give the files of the model `from` (of its base/ if it has an adapter) to the new folder `to`/base, as hard
// links where the file system allows.
tm_status tm_hf_folder_link_base(const char *from, const char *to, tm_error *err);

// A tensor by name, or NULL.
const tm_st_tensor *tm_hf_folder_find(const tm_hf_folder *folder, const char *name);

// A tensor by its place, 0 .. n_tensors-1, shard after shard.
const tm_st_tensor *tm_hf_folder_tensor(const tm_hf_folder *folder, size_t i);

// Another file of the folder, mapped ("tokenizer.json"); release with tm_content_unmap. TM_ENOENT without it.
tm_status tm_hf_folder_file(const tm_hf_folder *folder, const char *name, tm_view *bytes, tm_error *err);
