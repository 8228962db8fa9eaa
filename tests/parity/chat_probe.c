// SPDX-License-Identifier: Apache-2.0
// Tokenizes conversations and preferences for test_chat.py.
//
// usage: chat_probe TOKENIZER_FOLDER    a line of JSON in, a line out
//
// A conversation ({"messages": ...}) gives {"ids", "mask", "last", "prompt"}: what is learned of all answers
// and of the last one, and the ids of all but the last message as a prompt; a preference gives {"prompt",
// "chosen", "rejected"}; what the template refuses {"refused": why}.
#include <stdio.h>
#include <stdlib.h>

#include "stages/text/chat_tokens.h"

static json_t *list_of(const tm_bpe_ids *ids)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ids->size; i++) json_array_append_new(list, json_integer(ids->data[i]));
    return list;
}

static json_t *bits_of(const tm_buf *mask)
{
    json_t *list = json_array();
    for (size_t i = 0; i < mask->size; i++) json_array_append_new(list, json_integer(mask->data[i]));
    return list;
}

static json_t *mask_of(tm_chat *chat, const json_t *job, tm_chat_answers which, tm_bpe_ids *ids,
                       tm_error *err)
{
    tm_buf mask = {0};
    ids->size = 0;
    json_t *list = tm_chat_example(chat, job, which, ids, &mask, err) < 0 ? NULL : bits_of(&mask);
    tm_buf_clear(&mask);
    return list;
}

static json_t *example(tm_chat *chat, const json_t *job, tm_error *err)
{
    tm_bpe_ids ids = {0}, asked = {0};
    json_t *messages = json_deep_copy(json_object_get(job, "messages"));
    json_t *mask = mask_of(chat, job, TM_CHAT_ALL, &ids, err),
           *last = mask_of(chat, job, TM_CHAT_LAST, &asked, err);
    asked.size = 0;
    json_array_remove(messages, json_array_size(messages) - 1);
    tm_status status = tm_chat_prompt(chat, messages, json_object_get(job, "tools"), &asked, err);
    json_t *out = json_pack("{s:o, s:o*, s:o*, s:o}", "ids", list_of(&ids), "mask", mask, "last", last,
                            "prompt", list_of(&asked));
    if (status < 0 || !mask || !last) json_object_set_new(out, "refused", json_string(err->text));
    json_decref(messages);
    tm_bpe_ids_clear(&ids);
    tm_bpe_ids_clear(&asked);
    return out;
}

static json_t *pair(tm_chat *chat, const json_t *job, tm_error *err)
{
    tm_bpe_ids ids[3] = {0};
    tm_status status = tm_chat_pair(chat, job, &ids[0], &ids[1], &ids[2], err);
    json_t *out = status < 0 ? json_pack("{s:s}", "refused", err->text)
                             : json_pack("{s:o, s:o, s:o}", "prompt", list_of(&ids[0]), "chosen",
                                         list_of(&ids[1]), "rejected", list_of(&ids[2]));
    for (int i = 0; i < 3; i++) tm_bpe_ids_clear(&ids[i]);
    return out;
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    tm_tokenizer tokenizer;
    tm_chat *chat = NULL;
    tm_error err = {0};
    if (argc != 2) return 2;
    if (tm_tokenizer_load(&tokenizer, argv[1], &err) < 0 ||
        tm_chat_open(&chat, &tokenizer, argv[1], &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    while ((n = getline(&line, &capacity, stdin)) > 0) {
        json_t *job = json_loadb(line, (size_t)n, 0, NULL);
        json_t *out = json_object_get(job, "messages") ? example(chat, job, &err) : pair(chat, job, &err);
        char *text = json_dumps(out, JSON_COMPACT);
        puts(text);
        free(text);
        json_decref(out);
        json_decref(job);
    }
    free(line);
    tm_chat_close(chat);
    tm_tokenizer_clear(&tokenizer);
    return 0;
}
