// SPDX-License-Identifier: Apache-2.0
// JSON text to values, with our errors: jansson tells a lack of memory and a wrong text apart only on a close
// look.
#pragma once

#include <jansson.h>

#include "engine/base/bytes.h"

// The caller owns *value. TM_EFORMAT says where and what; duplicate keys are refused. TM_ENOMEM.
tm_status tm_json_parse(tm_view text, json_t **value, tm_error *err);
