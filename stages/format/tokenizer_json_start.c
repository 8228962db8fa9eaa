// SPDX-License-Identifier: Apache-2.0
// A tokenizer.json whose texts begin with a token.
#include <jansson.h>

#include "stages/format/tokenizer_json.h"

static json_t *template(tm_view token, uint32_t id)
{
    json_t *before = json_pack("{s:{s:s%, s:i}}", "SpecialToken", "id", token.data, token.size, "type_id", 0);
    json_t *a = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "A", "type_id", 0);
    json_t *b = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "B", "type_id", 1);
    json_t *row = json_pack("{s:s%, s:[I], s:[s%]}", "id", token.data, token.size, "ids", (json_int_t)id,
                            "tokens", token.data, token.size);
    json_t *rows = json_object();
    if (rows) json_object_setn_new(rows, token.data, token.size, row);
    json_t *made = json_pack("{s:s, s:[O, O], s:[O, O, O], s:O}", "type", "TemplateProcessing", "single",
                             before, a, "pair", before, a, b, "special_tokens", rows);
    json_decref(before);
    json_decref(a);
    json_decref(b);
    json_decref(rows);
    return made;
}

// What was there comes first: a ByteLevel that trims offsets.
static json_t *behind(json_t *had, json_t *made)
{
    if (!json_is_object(had)) return made;
    return json_pack("{s:s, s:[O, o]}", "type", "Sequence", "processors", had, made);
}

static int add(const char *data, size_t size, void *buf)
{
    tm_buf_add(buf, data, size);
    return ((tm_buf *)buf)->failed ? -1 : 0;
}

tm_status tm_tokenizer_json_start(tm_view json, tm_view token, uint32_t id, tm_buf *out, tm_error *err)
{
    json_error_t where;
    json_t *root = json_loadb(json.data ? json.data : "", json.size, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(root)) {
        json_decref(root);
        return tm_fail(err, TM_EFORMAT, "tokenizer.json: line %d: %s", where.line,
                       root ? "no object" : where.text);
    }
    json_t *made = behind(json_object_get(root, "post_processor"), template(token, id));
    bool good = made && json_object_set_new(root, "post_processor", made) == 0 &&
                json_dump_callback(root, add, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) == 0;
    json_decref(root);
    return good ? tm_buf_status(out, err) : tm_fail(err, TM_ENOMEM, "no memory for tokenizer.json");
}
