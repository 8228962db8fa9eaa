// SPDX-License-Identifier: Apache-2.0
// What the files of source.h share; nobody else includes this.
#pragma once

#include "stages/model/source.h"

// Whether a file of a Hugging Face folder is one of those that make the model.
bool tm_model_wants(const char *name);

// Unpack the model of an archive into `scratch`: `found` is then the source it is (a folder or a GGUF file).
// TM_EINVAL lists the candidates if there is none or more than one.
tm_status tm_model_unpack(const tm_model_source *source, const char *scratch, tm_model_source *found,
                          tm_error *err);
