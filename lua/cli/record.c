// SPDX-License-Identifier: Apache-2.0
// Reading records line by line.
#include "lua/cli/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/base/json.h"

static tm_status read_bytes(void *self, void *data, size_t size, size_t *got, tm_error *err)
{
    ssize_t n;
    do n = read(*(int *)self, data, size);
    while (n < 0 && errno == EINTR);
    if (n < 0) return tm_fail_errno(err, "cannot read the records");
    *got = (size_t)n;
    return TM_OK;
}

// One line: what is said of it, or why it is bad.
static tm_status handle(const tm_cli *cli, const tm_jsonl_row *row, tm_record_fn *fn, void *self,
                        tm_error *err)
{
    json_error_t where;
    if (row->bad) return tm_fail(err, TM_EFORMAT, "%s, at byte %zu", row->bad, row->bad_at + 1);
    json_t *record = json_loadb(row->bytes.data, row->bytes.size, JSON_ALLOW_NUL, &where), *said = NULL;
    if (!record) return tm_fail(err, TM_EFORMAT, "%s", where.text);
    tm_status status = fn(self, record, &said, err);
    if (status >= 0) {
        json_object_set_new(said, "line", json_integer((json_int_t)row->line));
        if (json_object_get(record, "id")) json_object_set(said, "id", json_object_get(record, "id"));
        tm_cli_print(cli, said);
        fflush(stdout);
    }
    json_decref(record);
    return status;
}

static void say_bad(const tm_cli *cli, uint64_t line, const char *why)
{
    tm_cli_print(cli, json_pack("{s:I, s:s}", "line", (json_int_t)line, "error", why));
    fflush(stdout);
    fprintf(stderr, "line %llu: %s\n", (unsigned long long)line, why);
}

static tm_status each(const tm_cli *cli, tm_jsonl *lines, tm_record_fn *fn, void *self, uint64_t *bad,
                      tm_error *err)
{
    tm_jsonl_row row;
    tm_status status;
    while ((status = tm_jsonl_next(lines, &row, err)) == TM_OK) {
        tm_error why = {0};
        tm_status done = handle(cli, &row, fn, self, &why);
        if (done == TM_EFORMAT || done == TM_EINVAL) {
            say_bad(cli, row.line, why.text);
            ++*bad;
        } else if (done < 0) {
            *err = why;
            return tm_error_prefix(err, "line %llu", (unsigned long long)row.line);
        }
    }
    return status < 0 ? status : TM_OK;
}

tm_status tm_records_each(const tm_cli *cli, const char *path, tm_record_fn *fn, void *self, uint64_t *bad,
                          tm_error *err)
{
    bool own = path && strcmp(path, "-") != 0;
    int file = own ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    tm_jsonl *lines = NULL;
    tm_status status = file < 0 ? tm_fail_errno(err, "cannot open %s", path) : TM_OK;
    if (status >= 0)
        status = tm_jsonl_open(&lines, read_bytes, &file, &(tm_jsonl_options){.any_shape = true}, err);
    if (status >= 0) status = each(cli, lines, fn, self, bad, err);
    tm_jsonl_close(lines);
    if (own && file >= 0) close(file);
    return status;
}

// ---- ids ----

void tm_encoded_clear(tm_encoded *e)
{
    tm_bpe_ids_clear(&e->ids);
    tm_buf_clear(&e->mask);
}

// Append the ids of a text, each marked.
static tm_status add_text(const tm_opened *o, tm_view text, unsigned flags, char mark, tm_encoded *e,
                          tm_error *err)
{
    size_t before = e->ids.size;
    TM_TRY(tm_bpe_encode(o->tokenizer.encoder, text, flags, &e->ids, err));
    size_t n = e->ids.size - before;
    if (!tm_buf_reserve(&e->mask, n)) return tm_buf_status(&e->mask, err);
    memset(e->mask.data + e->mask.size, mark, n);
    e->mask.size += n;
    return TM_OK;
}

static unsigned bpe_flags(unsigned flags)
{
    return (flags & TM_ENCODE_BARE ? 0 : TM_BPE_TEMPLATE) | (flags & TM_ENCODE_PLAIN ? TM_BPE_PLAIN : 0);
}

static tm_view text_of(const json_t *value)
{
    return tm_view_of(json_string_value(value), json_string_length(value));
}

// ---- messages ----

static tm_status check_messages(const json_t *messages, tm_error *err)
{
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *message = json_array_get(messages, i);
        if (!json_is_string(json_object_get(message, "role")) ||
            !json_is_string(json_object_get(message, "content")))
            return tm_fail(err, TM_EFORMAT, "message %zu has no \"role\" and \"content\" that are texts",
                           i + 1);
    }
    return json_array_size(messages) ? TM_OK : tm_fail(err, TM_EFORMAT, "there are no messages");
}

static tm_status encode_whole(const tm_opened *o, const json_t *messages, tm_encoded *e, tm_error *err)
{
    tm_buf text = {0};
    tm_status status = tm_chat_text(o->chat, messages, NULL, false, &text, err);
    if (status >= 0 && text.size) status = add_text(o, tm_buf_view(&text), 0, 1, e, err);
    tm_buf_clear(&text);
    return status;
}

static tm_status encode_prompt(const tm_opened *o, const json_t *messages, tm_encoded *e, tm_error *err)
{
    TM_TRY(tm_chat_prompt(o->chat, messages, NULL, &e->ids, err));
    for (size_t i = 0; i < e->ids.size; i++) tm_buf_char(&e->mask, 1);
    return tm_buf_status(&e->mask, err);
}

static tm_status add_messages(tm_opened *o, const json_t *record, unsigned flags, tm_encoded *e,
                              tm_error *err)
{
    const json_t *messages = json_object_get(record, "messages");
    TM_TRY(tm_opened_chat(o, err));
    TM_TRY(check_messages(messages, err));
    tm_status status = flags & TM_ENCODE_APART
                           ? tm_chat_example(o->chat, record, TM_CHAT_ALL, &e->ids, &e->mask, err)
                       : flags & TM_ENCODE_CHAT ? encode_prompt(o, messages, e, err)
                                                : encode_whole(o, messages, e, err);
    if (status == TM_EFAILED && err) err->status = TM_EFORMAT;
    return status == TM_EFAILED ? TM_EFORMAT : status;
}

// ---- records ----

static void empty(tm_encoded *e)
{
    e->ids.size = 0;
    tm_buf_reset(&e->mask);
}

tm_status tm_text_encode(tm_opened *o, tm_view text, unsigned flags, tm_encoded *e, tm_error *err)
{
    empty(e);
    if (!(flags & TM_ENCODE_CHAT)) return add_text(o, text, bpe_flags(flags), 1, e, err);
    json_t *turn =
        json_pack("{s:[{s:s, s:o}]}", "messages", "role", "user", "content", tm_json_from_text(text));
    if (!turn) return tm_fail(err, TM_ENOMEM, "no memory for a conversation");
    tm_status status = add_messages(o, turn, flags, e, err);
    json_decref(turn);
    return status;
}

tm_status tm_record_encode(tm_opened *o, const json_t *record, unsigned flags, tm_encoded *e, tm_error *err)
{
    const json_t *text = json_object_get(record, "text"), *prompt = json_object_get(record, "prompt"),
                 *completion = json_object_get(record, "completion"),
                 *messages = json_object_get(record, "messages");
    empty(e);
    if (json_is_string(text)) return tm_text_encode(o, text_of(text), flags, e, err);
    if (json_is_array(messages)) return add_messages(o, record, flags, e, err);
    if (json_is_string(prompt) && json_is_string(completion)) {
        TM_TRY(add_text(o, text_of(prompt), bpe_flags(flags), 0, e, err));
        return add_text(o, text_of(completion), bpe_flags(flags | TM_ENCODE_BARE), 1, e, err);
    }
    return tm_fail(err, TM_EFORMAT,
                   "the record has neither \"text\" nor \"messages\" nor \"prompt\" and \"completion\"");
}

json_t *tm_ids_json(const tm_bpe_ids *ids)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ids->size; i++) json_array_append_new(list, json_integer(ids->data[i]));
    return list;
}

json_t *tm_pieces_json(const tm_bpe *bpe, const tm_bpe_ids *ids)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ids->size; i++) {
        tm_view text = tm_bpe_text(bpe, ids->data[i]);
        json_array_append_new(list, text.data ? tm_json_from_text(text) : json_null());
    }
    return list;
}
