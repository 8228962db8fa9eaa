// SPDX-License-Identifier: Apache-2.0
// Parsing JSON.
#include "engine/base/json.h"

#include "engine/base/utf8.h"

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

static void quote(tm_view text, tm_buf *out)
{
    tm_buf_char(out, '"');
    size_t from = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        tm_buf_add(out, text.data + from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\') tm_buf_fmt(out, "\\%c", c);
        else if (c == '\n') tm_buf_str(out, "\\n");
        else if (c == '\t') tm_buf_str(out, "\\t");
        else if (c == '\r') tm_buf_str(out, "\\r");
        else if (c == '\b') tm_buf_str(out, "\\b");
        else if (c == '\f') tm_buf_str(out, "\\f");
        else tm_buf_fmt(out, "\\u%04X", c);
    }
    tm_buf_add(out, text.data + from, text.size - from);
    tm_buf_char(out, '"');
}

bool tm_json_quote(tm_view text, tm_buf *out)
{
    bool good = tm_utf8_valid(text) == text.size;
    tm_buf clean = {0};
    if (!good) tm_utf8_clean(text, &clean);
    quote(good ? text : tm_buf_view(&clean), out);
    out->failed |= clean.failed;
    tm_buf_clear(&clean);
    return good;
}

json_t *tm_json_from_text(tm_view text)
{
    bool good = tm_utf8_valid(text) == text.size;
    tm_buf clean = {0};
    if (!good) tm_utf8_clean(text, &clean);
    tm_view view = good ? text : tm_buf_view(&clean);
    json_t *value = clean.failed ? NULL : json_stringn_nocheck(view.size ? view.data : "", view.size);
    tm_buf_clear(&clean);
    return value;
}

void tm_json_free(char *text)
{
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    if (text) release(text);
}
