// SPDX-License-Identifier: Apache-2.0
// JSON text to values, with our errors: a lack of memory is never taken for a mistake in the text.
#pragma once

#include <jansson.h>

#include "engine/base/bytes.h"

// The caller owns *value. TM_EFORMAT says where and what; duplicate keys are refused. TM_ENOMEM.
tm_status tm_json_parse(tm_view text, json_t **value, tm_error *err);

// Append a text as a JSON string. What is not UTF-8 becomes U+FFFD, so that it is always JSON; false if there
// was any.
bool tm_json_quote(tm_view text, tm_buf *out);

// The same as a value. NULL: no memory.
json_t *tm_json_from_text(tm_view text);

// Frees what json_dumps gave, with the allocator jansson uses. NULL is fine.
void tm_json_free(char *text);
