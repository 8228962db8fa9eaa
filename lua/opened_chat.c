// SPDX-License-Identifier: Apache-2.0
// The chat template of a model: chat_template.jinja, else that of tokenizer_config.json, else ChatML's.
#include "lua/opened_parts.h"

static const char chatml[] =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
    "'<|im_end|>' + "
    "'\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// A text, or one of several by name: the one called "default".
static const char *of_config(const json_t *given)
{
    const char *found = json_string_value(given);
    for (size_t i = 0; i < json_array_size(given); i++) {
        const json_t *row = json_array_get(given, i);
        const char *name = json_string_value(json_object_get(row, "name"));
        if (name && strcmp(name, "default") == 0) found = json_string_value(json_object_get(row, "template"));
    }
    return found;
}

tm_status tm_opened_find_chat(tm_opened *o, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_path(path, err, "%s/chat_template.jinja", o->folder));
    if (tm_file_exists(path)) return tm_file_read(path, &o->chat_source, err);
    json_t *config = tm_opened_json(o->folder, "tokenizer_config.json");
    const char *text = of_config(json_object_get(config, "chat_template"));
    tm_buf_str(&o->chat_source, text ? text : chatml);
    json_decref(config);
    return tm_buf_status(&o->chat_source, err);
}

static void set_token(json_t *variables, const tm_opened *o, const char *name, int64_t id)
{
    tm_view text = id >= 0 ? tm_bpe_text(o->tokenizer.bpe, (uint32_t)id) : (tm_view){0};
    if (text.data) json_object_set_new(variables, name, json_stringn(text.data, text.size));
}

tm_status tm_opened_render(const tm_opened *o, const json_t *messages, bool answer, tm_buf *text,
                           tm_error *err)
{
    tm_rendering rendering = {0};
    json_t *variables =
        json_pack("{s:O, s:b}", "messages", (json_t *)messages, "add_generation_prompt", answer);
    if (!variables) return tm_fail(err, TM_ENOMEM, "no memory for a conversation");
    set_token(variables, o, "bos_token", o->tokenizer.bos);
    set_token(variables, o, "eos_token", o->tokenizer.eos);
    tm_status status = tm_template_render(o->chat, variables, &rendering, err);
    if (status >= 0) tm_buf_add(text, rendering.text.data, rendering.text.size);
    if (status >= 0) status = tm_buf_status(text, err);
    tm_rendering_clear(&rendering);
    json_decref(variables);
    return status;
}

// ---- the end of an answer ----

static void add_end(tm_opened *o, uint32_t id)
{
    for (size_t i = 0; i < o->n_ends; i++)
        if (o->ends[i] == id) return;
    if (o->n_ends < TM_OPENED_ENDS) o->ends[o->n_ends++] = id;
}

static tm_status find_end(tm_opened *o, tm_error *err)
{
    static const char answer[] = "answer of the assistant";
    tm_buf text = {0};
    tm_bpe_ids ids = {0};
    json_t *two = json_pack("[{s:s, s:s}, {s:s, s:s}]", "role", "user", "content", "?", "role", "assistant",
                            "content", answer);
    if (!two) return tm_fail(err, TM_ENOMEM, "no memory for a conversation");
    tm_status status = tm_opened_render(o, two, false, &text, NULL);
    const char *at = status >= 0 ? memmem(text.data, text.size, answer, sizeof answer - 1) : NULL;
    tm_view behind = {at, at ? (size_t)(text.data + text.size - at) : 0};
    if (at) behind = (tm_view){at + sizeof answer - 1, behind.size - (sizeof answer - 1)};
    if (at && tm_bpe_encode(o->tokenizer.encoder, behind, 0, &ids, NULL) >= 0 && ids.size &&
        tm_bpe_special(o->tokenizer.bpe, ids.data[0]))
        add_end(o, ids.data[0]);
    json_decref(two);
    tm_buf_clear(&text);
    tm_bpe_ids_clear(&ids);
    return TM_OK; // a template that refuses these two may do for others
}

tm_status tm_opened_chat(tm_opened *o, tm_error *err)
{
    if (o->chat) return TM_OK;
    tm_status status = tm_template_parse(tm_buf_view(&o->chat_source), &o->chat, err);
    return status < 0 ? tm_error_prefix(err, "the chat template") : find_end(o, err);
}
