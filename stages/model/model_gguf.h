// SPDX-License-Identifier: Apache-2.0
// Models as GGUF files: what the values and tensors are called there, and the order of rows.
//
// Architecture `llama` (llama and mistral here) rotates neighbouring pairs of a head, we and Hugging Face's
// files pairs half a head apart, so the rows of q and k (weights and biases) change places per head: row i of
// the first half goes to 2i, of the second to 2i + 1. `qwen2` and `qwen3` keep theirs. Llama 3's scaling of
// the rotation is the tensor rope_freqs.weight, by which frequencies are divided.
#pragma once

#include "stages/format/gguf.h"
#include "stages/model/model.h"

// The shape of the model in a file. TM_EUNSUPPORTED names an architecture or feature that is not here,
// TM_EFORMAT what contradicts itself. Special tokens are left at -1.
tm_status tm_gguf_config(const tm_gguf *file, tm_model_config *config, tm_error *err);

// Write the weights of a file as `path` (safetensors, names of Hugging Face): F32, F16 and BF16 keep their
// type, blocks become F32. One block of rows at a time is in memory. Fails if a tensor is missing, is of
// another shape, or belongs to no part of the model.
tm_status tm_gguf_weights(const tm_gguf *file, const tm_model_config *config, const char *path,
                          tm_error *err);

// Put a model's shape and tensors (matrices as `type`, those whose rows do not fit its blocks as F16, vectors
// as F32) into a writer; then its numbers. TM_EUNSUPPORTED names what GGUF cannot hold.
tm_status tm_gguf_put_model(tm_gguf_writer *writer, const tm_model *model, const tm_gguf_type *type,
                            tm_error *err);
tm_status tm_gguf_write_model(tm_gguf_writer *writer, const tm_model *model, tm_error *err);
