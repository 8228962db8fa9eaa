// SPDX-License-Identifier: Apache-2.0
// An adapter as PEFT keeps it: adapter_config.json and adapter_model.safetensors.
//
// Tensors are named base_model.model.model.layers.N.self_attn.q_proj.lora_A.weight, [rank, in], and lora_B,
// [out, rank]. Which linears have an adapter, and of which rank, is read from the tensors; `lora_alpha`,
// `alpha_pattern` and `use_rslora` give the scale.
#pragma once

#include "stages/format/safetensors.h"
#include "stages/model/adapter.h"

// Read an adapter for a model of that shape. TM_EFORMAT: not JSON, a number that is missing or impossible, a
// tensor of another shape, an A without its B. TM_EUNSUPPORTED names what is not a plain LoRA of the seven
// linears (DoRA, trained biases, whole modules saved, another kind of adapter).
tm_status tm_adapter_read(tm_adapter **adapter, const tm_model_config *config, tm_view json,
                          const tm_safetensors *file, tm_error *err);

// Append adapter_config.json. `base` is what base_model_name_or_path says.
tm_status tm_adapter_config_write(const tm_adapter *adapter, const char *base, tm_buf *json, tm_error *err);
