// SPDX-License-Identifier: Apache-2.0
// Lines of JSON on stdin, one record each, and the ids of a record.
//
// A record is {"text": ...}, {"prompt": ..., "completion": ...} or {"messages": [{"role", "content"}, ...]}.
// What of it counts is marked token by token.
#pragma once

#include "lua/model/opened.h"
#include "stages/format/jsonl.h"

// What to do with a record: `*said` is a JSON object (a new reference). TM_EFORMAT and TM_EINVAL are the
// record's own fault, any other failure ends the reading.
typedef tm_status tm_record_fn(void *self, const json_t *record, json_t **said, tm_error *err);

// Call `fn` for each line of a file (NULL or "-": stdin) and print what it says, with the line's number and
// the "id" of the record, as soon as it is there. A bad line is said on stdout ({"line": N, "error": WHY})
// and on stderr, and counted in `*bad`. Memory does not grow with the number of lines.
tm_status tm_records_each(const tm_cli *cli, const char *path, tm_record_fn *fn, void *self, uint64_t *bad,
                          tm_error *err);

typedef struct tm_encoded { // starts as {0}; free with tm_encoded_clear
    tm_bpe_ids ids;
    tm_buf mask; // a byte for each id: 1 where it counts
} tm_encoded;
void tm_encoded_clear(tm_encoded *encoded);

enum {
    TM_ENCODE_BARE = 1,  // without what the tokenizer puts around a text
    TM_ENCODE_PLAIN = 2, // special tokens in a text are text
    TM_ENCODE_CHAT = 4,  // a text is what a user says, and the beginning of the answer stands behind messages
    TM_ENCODE_APART =
        8, // messages: each answer is tokenized apart, as generation sees it, and is what counts
};

// Ids of a record; `encoded` is emptied first. All of a text counts, of a prompt and its completion (which
// are tokenized apart) the completion, of messages all or the answers. TM_EFORMAT: a record of another shape,
// or one that the chat template refuses.
tm_status tm_record_encode(tm_opened *opened, const json_t *record, unsigned flags, tm_encoded *encoded,
                           tm_error *err);
// The same for a text.
tm_status tm_text_encode(tm_opened *opened, tm_view text, unsigned flags, tm_encoded *encoded, tm_error *err);

// Lists for JSON: the ids, and how the tokenizer spells each.
json_t *tm_ids_json(const tm_bpe_ids *ids);
json_t *tm_pieces_json(const tm_bpe *bpe, const tm_bpe_ids *ids);
