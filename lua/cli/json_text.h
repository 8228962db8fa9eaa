// SPDX-License-Identifier: Apache-2.0
// JSON as one line, for eyes and files: members as they stand, numbers as short as tm_exact_text makes them.
#pragma once

#include <jansson.h>

#include "engine/base/bytes.h"

// Append a value. Numbers that are none (not finite) become null.
void tm_json_text(const json_t *value, tm_buf *out);
