// SPDX-License-Identifier: Apache-2.0
// A quantized model as a Hugging Face folder in the form of NVIDIA's Model-Optimizer.
//
//   model.safetensors     X.weight as codes (I8 or U8) and X.weight_scale (F32) of the linears; F16 the rest
//   config.json           with quantization_config
//   hf_quant_config.json  the same facts once more, where TensorRT-LLM looks for them
#pragma once

#include "stages/model/model.h"
#include "stages/model/quantize.h"

// Write `model` (without an adapter) quantized into `folder`, which is made if it is not there. `q` is
// fitted.
tm_status tm_quantized_write(const tm_model *model, const tm_quantization *q, const char *folder,
                             tm_error *err);

// What a folder's config.json says of quantization: bits 0 for none. TM_EUNSUPPORTED names an algorithm that
// is not one of the two.
tm_status tm_quantized_read(tm_quantization *q, tm_view config, tm_error *err);
