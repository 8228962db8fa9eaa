// SPDX-License-Identifier: Apache-2.0
// Stages for tests of trainers: documents as examples and as pairs, without any format of conversations.
#include "engine/stage.h"
#include "stages/text/tokenizer_folder.h"

static tm_status check(tm_check *c, tm_error *err)
{
    json_t *tokenizer = json_object_get(c->inputs[1], "tokenizer");
    if (tokenizer) json_object_set(c->outputs[0], "tokenizer", tokenizer);
    return TM_OK;
}

static tm_status begin(tm_work *work, tm_error *err)
{
    tm_snapshot snapshot;
    TM_TRY(tm_take_tree(work, "tokenizer", &snapshot, err));
    return tm_tokenizer_load(tm_work_state(work), snapshot.folder, err);
}

static void end(tm_work *work)
{
    tm_tokenizer_clear(tm_work_state(work));
}

static void add_halves(tm_batch *out, const tm_bpe_ids *ids)
{
    uint8_t mask[1024];
    size_t n = ids->size < sizeof mask ? ids->size : sizeof mask;
    for (size_t i = 0; i < n; i++) mask[i] = i >= n / 2;
    tm_batch_add_u32s(out, TM_EXA_IDS, ids->data, n);
    tm_batch_add_bytes(out, TM_EXA_MASK, tm_view_of(mask, n));
}

// A prompt, what follows it, and the same backward.
static void add_twins(tm_batch *out, const tm_bpe_ids *ids)
{
    uint32_t backward[1024];
    size_t n = ids->size < 1024 ? ids->size : 1024, prompt = n / 2;
    for (size_t i = prompt; i < n; i++) backward[i - prompt] = ids->data[n - 1 - (i - prompt)];
    tm_batch_add_u32s(out, TM_PAIR_PROMPT, ids->data, prompt);
    tm_batch_add_u32s(out, TM_PAIR_CHOSEN, ids->data + prompt, n - prompt);
    tm_batch_add_u32s(out, TM_PAIR_REJECTED, backward, n - prompt);
}

static tm_status each(tm_work *work, const tm_batch *in, tm_batch *out,
                      void (*add)(tm_batch *out, const tm_bpe_ids *ids), tm_error *err)
{
    tm_tokenizer *t = tm_work_state(work);
    tm_bpe_ids ids = {0};
    tm_status status = TM_OK;
    for (size_t row = 0; status >= 0 && row < tm_batch_rows(in); row++) {
        tm_doc doc = tm_docs_get(in, row);
        ids.size = 0;
        status = tm_bpe_encode(t->encoder, doc.text, TM_BPE_PLAIN, &ids, err);
        if (status < 0) break;
        tm_batch_add_bytes(out, 0, doc.id);
        add(out, &ids);
        status = tm_batch_row(out, err);
    }
    tm_bpe_ids_clear(&ids);
    return status;
}

static tm_status map_halves(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    return each(work, in, out[0], add_halves, err);
}

static tm_status map_twins(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    return each(work, in, out[0], add_twins, err);
}

const tm_stage tm_stage_halves = {
    .name = "halves",
    .brief = "Documents as examples whose second half is learned.",
    .example = "tm.halves { docs, tokenizer = vocab }",
    .family = "tokenize",
    .version = 1,
    .inputs = {{"", "documents", 0, NULL, "documents", NULL},
               {"tokenizer", "tokenizer", TM_PORT_WHOLE, NULL, "the tokenizer", NULL}},
    .outputs = {{"", "examples", 0, NULL, "examples", NULL}},
    .state_size = sizeof(tm_tokenizer),
    .check = check,
    .begin = begin,
    .map = map_halves,
    .end = end,
};

const tm_stage tm_stage_twins = {
    .name = "twins",
    .brief = "Documents as pairs: their second half is preferred to the same backward.",
    .example = "tm.twins { docs, tokenizer = vocab }",
    .family = "tokenize",
    .version = 1,
    .inputs = {{"", "documents", 0, NULL, "documents", NULL},
               {"tokenizer", "tokenizer", TM_PORT_WHOLE, NULL, "the tokenizer", NULL}},
    .outputs = {{"", "pairs", 0, NULL, "pairs", NULL}},
    .state_size = sizeof(tm_tokenizer),
    .check = check,
    .begin = begin,
    .map = map_twins,
    .end = end,
};
