// SPDX-License-Identifier: Apache-2.0
// Parsing JSON.
#include "engine/base/json.h"

static json_t *parse(tm_view text, json_error_t *at)
{
    return json_loadb(text.size ? text.data : "", text.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, at);
}

// Without memory jansson 2.14 drops characters of a string, or calls the text wrong. So two readings must
// agree, and a mistake counts only when there is memory to be had.
tm_status tm_json_parse(tm_view text, json_t **value, tm_error *err)
{
    json_error_t at;
    *value = parse(text, &at);
    json_t *again = parse(text, &at);
    bool good = *value && json_equal(*value, again);
    bool wrong = !*value && !again;
    json_decref(again);
    if (good) return TM_OK;
    json_decref(*value);
    *value = NULL;
    void *probe = tm_alloc(text.size + 4096);
    tm_free(probe);
    if (!wrong || !probe) return tm_fail(err, TM_ENOMEM, "out of memory for %zu bytes of JSON", text.size);
    return tm_fail(err, TM_EFORMAT, "wrong JSON, line %d, column %d: %s", at.line, at.column, at.text);
}

void tm_json_free(char *text)
{
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    if (text) release(text);
}
