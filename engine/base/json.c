// SPDX-License-Identifier: Apache-2.0
// Parsing JSON.
#include "engine/base/json.h"

tm_status tm_json_parse(tm_view text, json_t **value, tm_error *err)
{
    json_error_t at;
    *value = json_loadb(text.size ? text.data : "", text.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);
    if (*value) return TM_OK;
    // Every mistake in the text has a message; without one it was an allocation.
    if (at.text[0] == 0 || json_error_code(&at) == json_error_out_of_memory)
        return tm_fail(err, TM_ENOMEM, "out of memory for %zu bytes of JSON", text.size);
    return tm_fail(err, TM_EFORMAT, "wrong JSON, line %d, column %d: %s", at.line, at.column, at.text);
}
