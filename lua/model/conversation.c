// SPDX-License-Identifier: Apache-2.0
// Turns of a conversation.
#include "lua/model/conversation.h"

// ---- rendering ----

// Append the ids of a rendering: its special tokens are tokens, and nothing goes around it.
static tm_status encode(tm_conversation *talk, tm_view text, tm_bpe_ids *ids, tm_error *err)
{
    return tm_bpe_encode(talk->opened->tokenizer.encoder, text, 0, ids, err);
}

static bool begins_with(tm_view text, tm_view beginning)
{
    return text.size >= beginning.size && memcmp(text.data, beginning.data, beginning.size) == 0;
}

// The ids of the messages with the beginning of an answer behind them.
static tm_status read_messages(tm_conversation *talk, tm_error *err)
{
    tm_buf now = {0};
    tm_status status = tm_chat_text(talk->opened->chat, talk->messages, NULL, true, &now, err);
    if (status >= 0 && !now.size) status = tm_fail(err, TM_EINVAL, "the chat template gives nothing");
    if (status >= 0 && !(talk->text.size && begins_with(tm_buf_view(&now), tm_buf_view(&talk->text)))) {
        talk->ids.size = 0;
        tm_buf_reset(&talk->text);
    }
    size_t known = talk->text.size;
    if (status >= 0) status = encode(talk, (tm_view){now.data + known, now.size - known}, &talk->ids, err);
    if (status >= 0) {
        tm_buf_clear(&talk->text);
        talk->text = now;
        return TM_OK;
    }
    tm_buf_clear(&now);
    return status;
}

// ---- history ----

static tm_status add_message(tm_conversation *talk, const char *role, tm_view content, tm_error *err)
{
    json_t *message =
        json_pack("{s:s, s:s%}", "role", role, "content", content.size ? content.data : "", content.size);
    if (json_array_append_new(talk->messages, message) == 0) return TM_OK;
    return tm_fail(err, TM_ENOMEM, "no memory for a message");
}

static const char *role_of(const tm_conversation *talk, size_t i)
{
    const char *role = json_string_value(json_object_get(json_array_get(talk->messages, i), "role"));
    return role ? role : "";
}

static size_t first_turn(const tm_conversation *talk)
{
    return strcmp(role_of(talk, 0), "system") == 0 ? 1 : 0;
}

static void remove_last(tm_conversation *talk)
{
    json_array_remove(talk->messages, json_array_size(talk->messages) - 1);
}

// Forget the oldest turn: a user's message with what was answered. False if only the newest is left.
static bool drop_oldest(tm_conversation *talk, size_t *dropped)
{
    size_t first = first_turn(talk), n = 1;
    while (first + n < json_array_size(talk->messages) && strcmp(role_of(talk, first + n), "user") != 0) n++;
    if (first + n >= json_array_size(talk->messages)) return false;
    for (size_t i = 0; i < n; i++) json_array_remove(talk->messages, first);
    *dropped += n;
    return true;
}

// Room is kept for the answer, but no more than a quarter of the context.
static tm_status fit(tm_conversation *talk, uint64_t n_tokens, size_t *dropped, tm_error *err)
{
    size_t capacity = (size_t)tm_decoder_capacity(talk->decoder), quarter = capacity / 4;
    size_t room = capacity - (n_tokens < quarter ? (size_t)n_tokens : quarter);
    TM_TRY(read_messages(talk, err));
    while (talk->ids.size > room) {
        if (!drop_oldest(talk, dropped))
            return tm_fail(err, TM_EINVAL,
                           "this turn has %zu tokens; of the %zu of the context, %zu are for it",
                           talk->ids.size, capacity, room);
        TM_TRY(read_messages(talk, err));
    }
    return TM_OK;
}

// ---- turns ----

// The answer becomes part of what was read, as it was chosen; one that a stop string cut is tokenized again.
static tm_status keep(tm_conversation *talk, const tm_answer *answer, tm_error *err)
{
    size_t n = answer->ids.size - (answer->ended == TM_ENDED_END); // the template puts its own end token
    TM_TRY(add_message(talk, "assistant", tm_buf_view(&answer->text), err));
    talk->draw += answer->ids.size;
    talk->asked_ids = talk->ids.size;
    talk->asked_bytes = talk->text.size;
    if (answer->ended == TM_ENDED_STOP) return TM_OK;
    uint32_t *ids = tm_realloc(talk->ids.data, (talk->ids.size + n + 1) * sizeof *ids);
    if (!ids) return tm_fail(err, TM_ENOMEM, "no memory for a conversation");
    talk->ids.data = ids;
    memcpy(ids + talk->ids.size, answer->ids.data, n * sizeof *ids);
    talk->ids.size += n;
    talk->ids.capacity = talk->ids.size + 1;
    tm_bpe_decode_bytes(talk->opened->tokenizer.bpe, answer->ids.data, n, false, &talk->text);
    return tm_buf_status(&talk->text, err);
}

static tm_status answer_last(tm_conversation *talk, const tm_generation *given, tm_answer *answer,
                             size_t *dropped, tm_error *err)
{
    tm_generation how = *given;
    how.ends = talk->opened->ends;
    how.n_ends = talk->opened->n_ends;
    how.draw = talk->draw;
    *dropped = 0;
    TM_TRY(fit(talk, how.n_tokens, dropped, err));
    TM_TRY(tm_generate(talk->decoder, talk->opened->tokenizer.bpe, &talk->ids, &how, answer, err));
    return keep(talk, answer, err);
}

tm_status tm_conversation_say(tm_conversation *talk, tm_view text, const tm_generation *how,
                              tm_answer *answer, size_t *dropped, tm_error *err)
{
    TM_TRY(add_message(talk, "user", text, err));
    tm_status status = answer_last(talk, how, answer, dropped, err);
    if (status < 0 && strcmp(role_of(talk, json_array_size(talk->messages) - 1), "user") == 0)
        remove_last(talk);
    return status;
}

tm_status tm_conversation_retry(tm_conversation *talk, const tm_generation *how, tm_answer *answer,
                                size_t *dropped, tm_error *err)
{
    size_t n = json_array_size(talk->messages);
    if (n == 0 || strcmp(role_of(talk, n - 1), "assistant") != 0)
        return tm_fail(err, TM_ENOENT, "there is no answer to try again");
    remove_last(talk);
    if (talk->asked_ids < talk->ids.size) talk->ids.size = talk->asked_ids;
    if (talk->asked_bytes < talk->text.size) talk->text.size = talk->asked_bytes;
    return answer_last(talk, how, answer, dropped, err);
}

// ---- life ----

static tm_status prepare(tm_conversation *talk, tm_device *device, uint32_t context, const char *system,
                         tm_error *err)
{
    uint32_t length = talk->opened->model->config.length;
    if (!talk->messages) return tm_fail(err, TM_ENOMEM, "no memory for a conversation");
    if (system) TM_TRY(add_message(talk, "system", tm_view_str(system), err));
    return tm_decoder_new(&talk->decoder, talk->opened->model, device, context < length ? context : length,
                          err);
}

tm_status tm_conversation_open(tm_conversation *talk, tm_opened *opened, tm_device *device, uint32_t context,
                               const char *system, tm_error *err)
{
    *talk = (tm_conversation){.opened = opened, .messages = json_array()};
    tm_status status = tm_opened_chat(opened, err);
    if (status >= 0) status = prepare(talk, device, context, system, err);
    if (status < 0) tm_conversation_close(talk);
    return status;
}

void tm_conversation_close(tm_conversation *talk)
{
    tm_decoder_free(talk->decoder);
    json_decref(talk->messages);
    tm_bpe_ids_clear(&talk->ids);
    tm_buf_clear(&talk->text);
    *talk = (tm_conversation){0};
}

void tm_conversation_reset(tm_conversation *talk)
{
    size_t first = first_turn(talk);
    while (json_array_size(talk->messages) > first) remove_last(talk);
    tm_buf_reset(&talk->text);
    talk->ids.size = 0;
}
