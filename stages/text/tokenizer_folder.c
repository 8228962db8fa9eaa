// SPDX-License-Identifier: Apache-2.0
// Loading tokenizer.json and tokenizer_config.json.
#include "stages/text/tokenizer_folder.h"

#include "engine/base/io.h"

// The id of a special token in tokenizer_config.json: a string, or an object with its content.
static int64_t special_id(const tm_bpe *bpe, const json_t *config, const char *name)
{
    const json_t *token = json_object_get(config, name);
    if (json_is_object(token)) token = json_object_get(token, "content");
    const char *text = json_string_value(token);
    uint32_t id = text ? tm_bpe_find(bpe, tm_view_str(text)) : TM_BPE_NONE;
    return id == TM_BPE_NONE ? -1 : (int64_t)id;
}

static tm_status read_file(const char *folder, const char *name, tm_buf *bytes, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_path(path, err, "%s/%s", folder, name));
    return tm_file_read(path, bytes, err);
}

// transformers writes 10^30 for a length without limit, so whole numbers are read as reals.
tm_status tm_tokenizer_config_read(const char *folder, json_t **config, tm_error *err)
{
    tm_buf bytes = {0};
    json_error_t at;
    *config = NULL;
    tm_status status = read_file(folder, "tokenizer_config.json", &bytes, err);
    if (status == TM_ENOENT) return TM_OK;
    if (status >= 0) *config = json_loadb(bytes.data, bytes.size, JSON_DECODE_INT_AS_REAL, &at);
    tm_buf_clear(&bytes);
    if (status < 0 || json_is_object(*config)) return status;
    json_decref(*config);
    *config = NULL;
    return tm_fail(err, TM_EFORMAT, "tokenizer_config.json, line %d: %s", at.line, at.text);
}

// Of the configuration: a text, or the one named "default" of a list.
static const char *configured(const json_t *config)
{
    size_t i;
    json_t *value = json_object_get(config, "chat_template"), *item;
    if (!json_is_array(value)) return json_string_value(value);
    json_array_foreach(value, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        if (name && strcmp(name, "default") == 0) return json_string_value(json_object_get(item, "template"));
    }
    return NULL;
}

tm_status tm_tokenizer_template(const char *folder, const json_t *config, tm_buf *text, tm_error *err)
{
    tm_buf_reset(text);
    tm_status status = read_file(folder, "chat_template.jinja", text, err);
    if (status != TM_ENOENT) return status;
    const char *given = configured(config);
    tm_buf_reset(text);
    if (given) tm_buf_str(text, given);
    return tm_buf_status(text, err);
}

tm_status tm_tokenizer_load(tm_tokenizer *t, const char *folder, tm_error *err)
{
    tm_buf bytes = {0};
    *t = (tm_tokenizer){.bos = -1, .eos = -1, .start = -1};
    tm_status status = read_file(folder, "tokenizer.json", &bytes, err);
    if (status >= 0) status = tm_tokenizer_json_read(tm_buf_view(&bytes), &t->bpe, err);
    if (status >= 0 && !(t->encoder = tm_bpe_encoder_new(t->bpe)))
        status = tm_fail(err, TM_ENOMEM, "no memory to encode");
    if (status >= 0 && tm_bpe_parts(t->bpe)->n_prefix) t->start = tm_bpe_parts(t->bpe)->prefix[0];
    tm_buf_clear(&bytes);
    json_t *config = NULL;
    if (status >= 0) status = tm_tokenizer_config_read(folder, &config, err);
    if (config) {
        t->bos = special_id(t->bpe, config, "bos_token");
        t->eos = special_id(t->bpe, config, "eos_token");
    }
    json_decref(config);
    if (status < 0) tm_tokenizer_clear(t);
    return status;
}

void tm_tokenizer_clear(tm_tokenizer *t)
{
    if (t->encoder) tm_bpe_encoder_free(t->encoder);
    if (t->bpe) tm_bpe_free(t->bpe);
    *t = (tm_tokenizer){.bos = -1, .eos = -1, .start = -1};
}
