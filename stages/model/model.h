// SPDX-License-Identifier: Apache-2.0
// A model: its shape, its parameters, and the folder it is read from and written to.
#pragma once

#include "stages/format/hf_folder.h"
#include "stages/model/adapter.h"

typedef struct tm_model {
    tm_model_config config;
    tm_param_map map;
    float *params;        // slab
    uint16_t *half;       // owned, or NULL: the matrices as bf16, at the same offsets (tm_model_halve)
    bool mapped;          // the slab lies in a plan file, which outlives the model
    tm_adapter *adapter;  // owned, or NULL. With one, passes add it, and the slab above is frozen
} tm_model;

// What training changes, borrowed from the model: the adapter's slab if there is one, else the model's.
// Gradients and moments are slabs of `map` (tm_param_slab_new).
typedef struct tm_trainable {
    const tm_param_map *map;
    float *slab;
} tm_trainable;
tm_trainable tm_model_trainable(const tm_model *model);

// Give a model without an adapter a fresh one.
tm_status tm_model_adapt(tm_model *model, const tm_lora *lora, tm_device *device, uint64_t seed,
                         tm_error *err);

// Fold the adapter into the weights, in float32, and drop it. Without one nothing happens.
void tm_model_merge(tm_model *model, tm_device *device);

// A model whose parameters are zero; one with fresh parameters; one from a folder. The shape is completed
// first (tm_model_config_complete). Loading: TM_EFORMAT names a tensor that is missing, that has another
// shape, or that the shape does not know; a head beside a tied embedding is fine if it is equal.
tm_status tm_model_new(tm_model **model, const tm_model_config *config, tm_error *err);
tm_status tm_model_init(tm_model **model, const tm_model_config *config, tm_device *device, uint64_t seed,
                        tm_error *err);
// A folder with an adapter gives the merged weights; tm_model_load_apart leaves base and adapter as they are,
// for training to go on.
tm_status tm_model_load(tm_model **model, const tm_hf_folder *folder, tm_error *err);
tm_status tm_model_load_apart(tm_model **model, const tm_hf_folder *folder, tm_error *err);
// The same from the folder's path. Errors as of opening and of loading.
tm_status tm_model_open(tm_model **model, const char *path, tm_error *err);
tm_status tm_model_open_apart(tm_model **model, const char *path, tm_error *err);
void tm_model_free(tm_model *model);

// Whether a folder without an adapter would load, without its weights in memory; `config` is its shape then.
// Errors as of loading.
tm_status tm_model_check(const tm_hf_folder *folder, tm_model_config *config, tm_error *err);

// For generation and scoring, which are as fast as weights are read. If every value of every matrix is a bf16
// (most published checkpoints are so), keep the matrices in 16 bits: the same products from half the bytes.
// The float32 matrices are gone then (they read as zeros), and the model cannot be trained or written.
// Otherwise, and with an adapter, nothing happens. TM_ENOMEM.
tm_status tm_model_halve(tm_model *model, tm_error *err);

// The model as the files of a folder, `extras` (tokenizer, training state) among them. They borrow from model
// and extras: nothing but the header of the weights is copied. Of a model with an adapter these are the
// adapter's files; tm_hf_folder_link_base puts the base beside them.
typedef struct tm_model_files {
    tm_hf_files hf;
    struct tm_model_files_owner *owner;
} tm_model_files;
tm_status tm_model_files_make(tm_model_files *files, const tm_model *model, const tm_content *extras,
                              size_t n_extras, tm_error *err);
void tm_model_files_clear(tm_model_files *files);

// The same written into `folder`, which is made if it is not there.
tm_status tm_model_write(const tm_model *model, const char *folder, const tm_content *extras, size_t n_extras,
                         tm_error *err);

// The weights without the adapter, as a plain model folder.
tm_status tm_model_write_base(const tm_model *model, const char *folder, tm_error *err);
