// SPDX-License-Identifier: Apache-2.0
// A model from elsewhere: what a path names, and the same model as a Hugging Face folder.
//
//   a folder with config.json    Hugging Face's files, weights in one file or in shards
//   a file that begins "GGUF"    llama.cpp's; so is a folder without config.json that holds one
//   any other file               an archive (zip, tar, wheel ...) with one of these inside; `match`, a glob
//                                over the paths of its members, says which where there are several
#pragma once

#include <jansson.h>

#include "engine/base/file_memory.h"

typedef enum { TM_MODEL_FOLDER, TM_MODEL_GGUF, TM_MODEL_ARCHIVE } tm_model_kind;

typedef struct tm_model_source {
    tm_model_kind kind;
    char path[TM_PATH_MAX]; // absolute, or relative to the current folder
    char match[512];        // or ""
} tm_model_source;

// Find out what `path` (relative to `folder`, NULL: the current one) is. TM_ENOENT: nothing is there;
// TM_EINVAL: a folder without a model, a `match` where it has no meaning.
tm_status tm_model_source_find(tm_model_source *source, const char *folder, const char *path,
                               const char *match, tm_error *err);

// Whether `folder` has no config.json and exactly one .gguf file, which `file` then names.
bool tm_model_gguf_alone(const char *folder, char file[TM_PATH_MAX]);

// The files that count and the hashes of their bytes: {"config.json": hash, ...}.
tm_status tm_model_source_identity(const tm_model_source *source, tm_file_memory *memory, json_t *files,
                                   tm_error *err);

// Make `folder` (empty) the model as a Hugging Face folder, checked: config.json, weights of its shape,
// tokenizer.json that fits. `scratch` (empty) is for what is unpacked and can be removed afterwards. The
// weights of Hugging Face's files are copied as they are, those of GGUF as tm_gguf_weights says. TM_EFORMAT
// and TM_EUNSUPPORTED say which file and why.
tm_status tm_model_source_fetch(const tm_model_source *source, const char *folder, const char *scratch,
                                tm_error *err);

// Copy those of the named files (NULL behind the last) that are there.
tm_status tm_model_copy_files(const char *from, const char *to, const char *const *names, tm_error *err);
// The tokenizer's files (tokenizer.json, its configuration and chat template) of a model's folder.
tm_status tm_model_copy_tokenizer(const char *from, const char *to, tm_error *err);
