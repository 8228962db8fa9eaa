// SPDX-License-Identifier: Apache-2.0
// tokenize: texts to ids and pieces, and ids to text.
#include <stdio.h>
#include <stdlib.h>

#include "lua/cli/record.h"

static const tm_flag flags[] = {
    {"--decode", 'd', NULL, "the other way: {\"ids\": [...]} lines, or numbers in TEXT, to text"},
    {"--bare", 0, NULL, "without the tokens that the tokenizer puts around a text"},
    {"--plain", 0, NULL, "special tokens in a text are text"},
    {"--template", 0, NULL,
     "a text is what a user says: by the chat template, with the beginning of an answer"},
    {"--skip-special", 0, NULL, "with --decode: leave special tokens out"},
    {0},
};

typedef struct tokenizer {
    const tm_cli *cli;
    tm_opened opened;
    unsigned encode;
    bool decode, skip_special;
    tm_encoded encoded;
    tm_buf text;
} tokenizer;

// ---- one record ----

static json_t *encoded_json(const tokenizer *t)
{
    return json_pack("{s:o, s:o, s:I}", "ids", tm_ids_json(&t->encoded.ids), "pieces",
                     tm_pieces_json(t->opened.tokenizer.bpe, &t->encoded.ids), "tokens",
                     (json_int_t)t->encoded.ids.size);
}

static tm_status add_id(tokenizer *t, json_int_t id, tm_error *err)
{
    tm_bpe_ids *ids = &t->encoded.ids;
    if (id < 0 || (uint64_t)id >= tm_bpe_size(t->opened.tokenizer.bpe))
        return tm_fail(err, TM_EFORMAT, "%lld is no id of this tokenizer, which has %zu", (long long)id,
                       tm_bpe_size(t->opened.tokenizer.bpe));
    if (ids->size == ids->capacity) {
        size_t capacity = 2 * ids->capacity + 64;
        uint32_t *data = tm_realloc(ids->data, capacity * sizeof *data);
        if (!data) return tm_fail(err, TM_ENOMEM, "no memory for ids");
        ids->data = data;
        ids->capacity = capacity;
    }
    ids->data[ids->size++] = (uint32_t)id;
    return TM_OK;
}

static tm_status decode_ids(tokenizer *t, tm_error *err)
{
    const tm_bpe_ids *ids = &t->encoded.ids;
    tm_buf_reset(&t->text);
    return tm_bpe_decode(t->opened.tokenizer.bpe, ids->data, ids->size, t->skip_special, &t->text, err);
}

static json_t *text_json(const tokenizer *t)
{
    return json_pack("{s:s%}", "text", t->text.data ? t->text.data : "", t->text.size);
}

static tm_status decode_record(tokenizer *t, const json_t *record, tm_error *err)
{
    const json_t *ids = json_object_get(record, "ids");
    if (!json_is_array(ids)) return tm_fail(err, TM_EFORMAT, "there are no \"ids\"");
    t->encoded.ids.size = 0;
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id)) return tm_fail(err, TM_EFORMAT, "id %zu is no whole number", i + 1);
        TM_TRY(add_id(t, json_integer_value(id), err));
    }
    return decode_ids(t, err);
}

static tm_status record(void *self, const json_t *value, json_t **said, tm_error *err)
{
    tokenizer *t = self;
    if (t->decode)
        TM_TRY(decode_record(t, value, err));
    else
        TM_TRY(tm_record_encode(&t->opened, value, t->encode, &t->encoded, err));
    *said = t->decode ? text_json(t) : encoded_json(t);
    return TM_OK;
}

// ---- the text of the command line ----

static void print_table(const tokenizer *t)
{
    const tm_bpe *bpe = t->opened.tokenizer.bpe;
    for (size_t i = 0; i < t->encoded.ids.size; i++) {
        uint32_t id = t->encoded.ids.data[i];
        tm_view text = tm_bpe_text(bpe, id);
        printf("%7u  %.*s\n", id, (int)text.size, text.data ? text.data : "");
    }
}

static tm_status encode_argument(tokenizer *t, const char *text, tm_error *err)
{
    TM_TRY(tm_text_encode(&t->opened, tm_view_str(text), t->encode, &t->encoded, err));
    if (t->cli->json)
        tm_cli_print(t->cli, encoded_json(t));
    else
        print_table(t);
    return TM_OK;
}

static tm_status decode_argument(tokenizer *t, const char *text, tm_error *err)
{
    t->encoded.ids.size = 0;
    for (;;) {
        char *end;
        text += strspn(text, " ,[]\t\n");
        if (!*text) break;
        long long id = strtoll(text, &end, 10);
        if (end == text) return tm_fail(err, TM_EINVAL, "\"%.40s\" is no id", text);
        TM_TRY(add_id(t, id, err));
        text = end;
    }
    TM_TRY(decode_ids(t, err));
    if (t->cli->json)
        tm_cli_print(t->cli, text_json(t));
    else
        printf("%.*s\n", (int)t->text.size, t->text.data ? t->text.data : "");
    return TM_OK;
}

static int exec(tm_cli *cli)
{
    tm_error err = {0};
    tokenizer t = {.cli = cli,
                   .decode = tm_cli_flag(cli, "--decode") != NULL,
                   .skip_special = tm_cli_flag(cli, "--skip-special") != NULL};
    uint64_t bad = 0;
    if (tm_cli_flag(cli, "--bare")) t.encode |= TM_ENCODE_BARE;
    if (tm_cli_flag(cli, "--plain")) t.encode |= TM_ENCODE_PLAIN;
    if (tm_cli_flag(cli, "--template")) t.encode |= TM_ENCODE_CHAT;
    tm_status status = tm_opened_tokenizer(&t.opened, cli, cli->args[0], &err);
    if (status >= 0 && cli->n_args < 2)
        status = tm_records_each(cli, NULL, record, &t, &bad, &err);
    else if (status >= 0)
        status = (t.decode ? decode_argument : encode_argument)(&t, cli->args[1], &err);
    tm_encoded_clear(&t.encoded);
    tm_buf_clear(&t.text);
    tm_opened_close(&t.opened);
    if (status < 0) return tm_cli_fail(cli, &err);
    return bad ? TM_EXIT_GRAPH : TM_EXIT_OK;
}

const tm_command tm_command_tokenize = {
    .name = "tokenize",
    .brief =
        "Texts to ids and pieces, and back: TEXT, or lines of JSON on stdin ({\"text\"} or {\"messages\"}).",
    .usage = "MODEL|TOKENIZER [TEXT]",
    .example = "tidemill tokenize vocab \"a table of tides\"",
    .min = 1,
    .max = 2,
    .flags = flags,
    .exec = exec,
};
