// SPDX-License-Identifier: Apache-2.0
// Rendering conversations and telling the answers in them.
#include "stages/text/chat_tokens.h"

#include "stages/text/template_strings.h"

struct tm_chat {
    const tm_tokenizer *tokenizer;
    tm_template *template;
    json_t *variables; // bos_token and its like
    tm_view eos;       // in `variables`
    tm_rendering prompt, upto, full;
};

// ---- opening ----

// "<s>", or {"content": "<s>", ...}.
static json_t *token_text(json_t *token)
{
    if (json_is_object(token)) token = json_object_get(token, "content");
    return json_is_string(token) ? token : NULL;
}

static void take_tokens(tm_chat *chat, const json_t *config)
{
    static const char *const names[] = {"bos_token", "eos_token", "pad_token", "unk_token"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *text = token_text(json_object_get(config, names[i]));
        if (text) json_object_set(chat->variables, names[i], text);
    }
    const char *eos = json_string_value(json_object_get(chat->variables, "eos_token"));
    chat->eos = eos ? tm_view_str(eos) : (tm_view){0};
}

static tm_status open_template(tm_chat *chat, const char *folder, const json_t *config, tm_error *err)
{
    tm_buf text = {0};
    bool chatml = tm_bpe_find(chat->tokenizer->bpe, tm_view_str("<|im_end|>")) != TM_BPE_NONE;
    tm_status status = tm_tokenizer_template(folder, config, &text, err);
    if (!text.size) tm_buf_str(&text, chatml || !chat->eos.size ? TM_CHATML : TM_CHATML_WITH("eos_token"));
    if (status >= 0) status = tm_buf_status(&text, err);
    if (status >= 0) status = tm_template_parse(tm_buf_view(&text), &chat->template, err);
    if (status == TM_EFORMAT || status == TM_EUNSUPPORTED) tm_error_prefix(err, "the chat template");
    tm_buf_clear(&text);
    return status;
}

tm_status tm_chat_open(tm_chat **out, const tm_tokenizer *tokenizer, const char *folder, tm_error *err)
{
    json_t *config = NULL;
    tm_chat *chat = *out = tm_calloc(1, sizeof *chat);
    if (!chat || !(chat->variables = json_object())) return tm_fail(err, TM_ENOMEM, "no memory for a chat");
    chat->tokenizer = tokenizer;
    TM_TRY(tm_tokenizer_config_read(folder, &config, err));
    take_tokens(chat, config);
    tm_status status = open_template(chat, folder, config, err);
    json_decref(config);
    return status;
}

void tm_chat_close(tm_chat *chat)
{
    if (!chat) return;
    tm_template_free(chat->template);
    json_decref(chat->variables);
    tm_rendering_clear(&chat->prompt);
    tm_rendering_clear(&chat->upto);
    tm_rendering_clear(&chat->full);
    tm_free(chat);
}

// ---- rendering ----

// The first `n` messages.
static tm_status render(tm_chat *chat, const json_t *messages, size_t n, const json_t *tools, bool ask,
                        tm_rendering *r, tm_error *err)
{
    json_t *variables = json_copy(chat->variables), *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append(list, json_array_get(messages, i));
    json_object_set_new(variables, "messages", list);
    json_object_set(variables, "tools", tools ? (json_t *)tools : json_null());
    json_object_set_new(variables, "documents", json_null());
    json_object_set_new(variables, "add_generation_prompt", json_boolean(ask));
    tm_status status = variables && list && json_object_size(variables) >= 4
                           ? tm_template_render(chat->template, variables, r, err)
                           : tm_fail(err, TM_ENOMEM, "no memory for messages");
    json_decref(variables);
    return status;
}

tm_status tm_chat_text(tm_chat *chat, const json_t *messages, const json_t *tools, bool ask, tm_buf *text,
                       tm_error *err)
{
    TM_TRY(render(chat, messages, json_array_size(messages), tools, ask, &chat->full, err));
    tm_buf_reset(text);
    tm_buf_add(text, chat->full.text.data, chat->full.text.size);
    return tm_buf_status(text, err);
}

static tm_status encode(tm_chat *chat, tm_view text, tm_bpe_ids *ids, tm_error *err)
{
    return text.size ? tm_bpe_encode(chat->tokenizer->encoder, text, 0, ids, err) : TM_OK;
}

tm_status tm_chat_prompt(tm_chat *chat, const json_t *messages, const json_t *tools, tm_bpe_ids *ids,
                         tm_error *err)
{
    TM_TRY(render(chat, messages, json_array_size(messages), tools, true, &chat->prompt, err));
    return encode(chat, tm_buf_view(&chat->prompt.text), ids, err);
}

// ---- answers ----

static bool is_answer(const json_t *message)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    return role && strcmp(role, "assistant") == 0;
}

// What a template puts behind the last message alone (blanks, the end token) is not there when more follows.
static size_t stable_end(const tm_chat *chat, size_t from)
{
    tm_view upto = tm_buf_view(&chat->upto.text), full = tm_buf_view(&chat->full.text);
    if (tm_text_starts(full, upto)) return upto.size;
    upto = tm_text_strip(upto, NULL, false, true);
    if (!chat->eos.size || !tm_text_ends(upto, chat->eos)) return 0;
    upto.size -= chat->eos.size;
    return upto.size >= from && tm_text_starts(full, upto) ? upto.size : 0;
}

// Where in the full text the answer stands that is message `i`.
static tm_status find_answer(tm_chat *chat, const json_t *messages, size_t i, const json_t *tools,
                             tm_template_span *span, tm_error *err)
{
    size_t n = json_array_size(messages);
    tm_view full = tm_buf_view(&chat->full.text);
    TM_TRY(render(chat, messages, i, tools, true, &chat->prompt, err));
    span->from = chat->prompt.text.size;
    span->to = full.size;
    bool stable = tm_text_starts(full, tm_buf_view(&chat->prompt.text));
    if (stable && i + 1 < n) {
        TM_TRY(render(chat, messages, i + 1, tools, false, &chat->upto, err));
        span->to = stable_end(chat, span->from);
        stable = span->to >= span->from;
    }
    if (stable) return TM_OK;
    return tm_fail(err, TM_EFAILED, "the template writes message %zu in another way when more follows",
                   i + 1);
}

// Ids of an answer that are not learned: blanks behind its last special token.
static size_t tail(const tm_chat *chat, const uint32_t *ids, size_t n)
{
    const tm_bpe *bpe = chat->tokenizer->bpe;
    size_t last = n;
    while (last && !tm_bpe_special(bpe, ids[last - 1])) last--;
    if (!last) return 0;
    for (size_t i = last; i < n; i++) {
        tm_view bytes = tm_bpe_bytes(bpe, ids[i]);
        if (tm_text_strip(bytes, NULL, true, true).size) return 0;
    }
    return n - last;
}

static tm_status add(tm_chat *chat, size_t from, size_t to, bool learn, bool cut, tm_bpe_ids *ids,
                     tm_buf *mask, tm_error *err)
{
    size_t before = ids->size;
    TM_TRY(encode(chat, tm_view_of(chat->full.text.data + from, to - from), ids, err));
    size_t n = ids->size - before, drop = learn && cut ? tail(chat, ids->data + before, n) : 0;
    for (size_t i = 0; i < n; i++) tm_buf_char(mask, learn && i < n - drop);
    return tm_buf_status(mask, err);
}

static tm_status add_all(tm_chat *chat, const tm_template_span *spans, size_t n, bool cut, tm_bpe_ids *ids,
                         tm_buf *mask, tm_error *err)
{
    size_t at = 0, first = ids->size;
    for (size_t i = 0; i < n; i++) {
        if (spans[i].from < at) return tm_fail(err, TM_EFAILED, "the template puts answers into each other");
        TM_TRY(add(chat, at, spans[i].from, false, cut, ids, mask, err));
        TM_TRY(add(chat, spans[i].from, spans[i].to, true, cut, ids, mask, err));
        at = spans[i].to;
    }
    TM_TRY(add(chat, at, chat->full.text.size, false, cut, ids, mask, err));
    size_t learned = 0;
    for (size_t i = 0; i < ids->size - first; i++) learned += mask->data[mask->size - 1 - i] != 0;
    return learned ? TM_OK : tm_fail(err, TM_EFAILED, "there is no answer to learn");
}

tm_status tm_chat_example(tm_chat *chat, const json_t *conversation, tm_chat_answers which, tm_bpe_ids *ids,
                          tm_buf *mask, tm_error *err)
{
    const json_t *messages = json_object_get(conversation, "messages"),
                 *tools = json_object_get(conversation, "tools");
    size_t n = json_array_size(messages), n_spans = 0;
    TM_TRY(render(chat, messages, n, tools, false, &chat->full, err));
    if (tm_template_marks(chat->template)) {
        size_t skip = which == TM_CHAT_LAST && chat->full.n_spans ? chat->full.n_spans - 1 : 0;
        return add_all(chat, chat->full.spans + skip, chat->full.n_spans - skip, false, ids, mask, err);
    }
    tm_template_span *spans = tm_calloc(n + 1, sizeof *spans);
    if (!spans) return tm_fail(err, TM_ENOMEM, "no memory for answers");
    tm_status status = TM_OK;
    for (size_t i = n; i-- > 0 && status >= 0;) { // from the last, and to the front of `spans` in the end
        if (!is_answer(json_array_get(messages, i))) continue;
        status = find_answer(chat, messages, i, tools, &spans[n - ++n_spans], err);
        if (which == TM_CHAT_LAST) break;
    }
    if (status >= 0) status = add_all(chat, spans + n - n_spans, n_spans, true, ids, mask, err);
    tm_free(spans);
    return status;
}

tm_status tm_chat_end(tm_chat *chat, int64_t *id, tm_error *err)
{
    tm_bpe_ids ids = {0};
    tm_buf mask = {0};
    json_t *one = json_pack("{s:[{s:s, s:s}, {s:s, s:s}]}", "messages", "role", "user", "content", "a",
                            "role", "assistant", "content", "b");
    *id = -1;
    tm_status status = tm_chat_example(chat, one, TM_CHAT_LAST, &ids, &mask, err);
    for (size_t i = 0; status >= 0 && i < ids.size; i++)
        if (mask.data[i] && tm_bpe_special(chat->tokenizer->bpe, ids.data[i])) *id = ids.data[i];
    json_decref(one);
    tm_bpe_ids_clear(&ids);
    tm_buf_clear(&mask);
    return status;
}

// ---- preferences ----

static tm_status add_answer(tm_chat *chat, const json_t *preference, const char *name, tm_bpe_ids *ids,
                            tm_error *err)
{
    json_t *messages = json_copy(json_object_get(preference, "prompt"));
    ids->size = 0;
    if (!messages || json_array_extend(messages, json_object_get(preference, name)) != 0) {
        json_decref(messages);
        return tm_fail(err, TM_EFORMAT, "there is no prompt, or no answer \"%s\"", name);
    }
    tm_status status = render(chat, messages, json_array_size(messages), json_object_get(preference, "tools"),
                              false, &chat->full, err);
    json_decref(messages);
    TM_TRY(status);
    tm_view full = tm_buf_view(&chat->full.text), prompt = tm_buf_view(&chat->prompt.text);
    if (!tm_text_starts(full, prompt))
        return tm_fail(err, TM_EFAILED,
                       "the template writes the prompt in another way when an answer follows");
    TM_TRY(encode(chat, tm_view_of(full.data + prompt.size, full.size - prompt.size), ids, err));
    ids->size -= tail(chat, ids->data, ids->size);
    return ids->size ? TM_OK : tm_fail(err, TM_EFAILED, "answer \"%s\" is empty", name);
}

tm_status tm_chat_pair(tm_chat *chat, const json_t *preference, tm_bpe_ids *prompt, tm_bpe_ids *chosen,
                       tm_bpe_ids *rejected, tm_error *err)
{
    prompt->size = 0;
    TM_TRY(tm_chat_prompt(chat, json_object_get(preference, "prompt"), json_object_get(preference, "tools"),
                          prompt, err));
    TM_TRY(add_answer(chat, preference, "chosen", chosen, err));
    TM_TRY(add_answer(chat, preference, "rejected", rejected, err));
    bool equal = chosen->size == rejected->size &&
                 memcmp(chosen->data, rejected->data, chosen->size * sizeof *chosen->data) == 0;
    return equal ? tm_fail(err, TM_EFAILED, "both answers are the same") : TM_OK;
}
