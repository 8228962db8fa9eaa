// SPDX-License-Identifier: Apache-2.0
// Documents to ids of a tokenizer.
#include "engine/stage.h"
#include "stages/text/shape.h"
#include "stages/text/tokenizer_folder.h"

static tm_status check(tm_check *c, tm_error *err)
{
    json_t *tokenizer = json_object_get(c->inputs[1], "tokenizer");
    if (tokenizer) json_object_set(c->outputs[0], "tokenizer", tokenizer);
    return tm_shape_plain(c, 0, err);
}

static tm_status begin(tm_work *work, tm_error *err)
{
    tm_snapshot snapshot;
    tm_status status = tm_take_tree(work, "tokenizer", &snapshot, err);
    if (status == TM_DONE) return tm_fail(err, TM_ENOENT, "there is no tokenizer");
    TM_TRY(status);
    return tm_tokenizer_load(tm_work_state(work), snapshot.folder, err);
}

static void end(tm_work *work)
{
    tm_tokenizer_clear(tm_work_state(work));
}

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    tm_tokenizer *t = tm_work_state(work);
    tm_bpe_ids ids = {0};
    tm_status status = TM_OK;
    for (size_t row = 0; status >= 0 && row < tm_batch_rows(in); row++) {
        tm_doc doc = tm_docs_get(in, row);
        ids.size = 0;
        status = tm_bpe_encode(t->encoder, doc.text, TM_BPE_PLAIN, &ids, err);
        if (status < 0) break;
        tm_batch_add_bytes(out[0], TM_TOK_ID, doc.id);
        tm_batch_add_u32s(out[0], TM_TOK_IDS, ids.data, ids.size);
        tm_batch_add_i64(out[0], TM_TOK_BYTES, (int64_t)doc.text.size);
        status = tm_batch_row(out[0], err);
    }
    tm_bpe_ids_clear(&ids);
    return status;
}

const tm_stage tm_stage_tokenize = {
    .name = "tokenize",
    .brief = "Documents as ids of a tokenizer.",
    .help =
        "Trainers take documents and have this stage put before them; name it yourself to keep the ids, or to use them\n"
        "twice. No special tokens are added, and text that looks like one is plain text.",
    .example = "local ids = tm.tokenize { docs.train, tokenizer = vocab }",
    .family = "tokenize",
    .version = 1,
    .inputs = {{"", "documents", 0, NULL, "documents", NULL},
               {"tokenizer", "tokenizer", TM_PORT_WHOLE, NULL, "the tokenizer", NULL}},
    .outputs = {{"", "tokens", 0, NULL, "one list of ids per document", NULL}},
    .state_size = sizeof(tm_tokenizer),
    .check = check,
    .begin = begin,
    .map = map,
    .end = end,
};
