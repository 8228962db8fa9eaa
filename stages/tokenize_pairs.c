// SPDX-License-Identifier: Apache-2.0
// Preferences to pairs: two answers to one prompt, as ids.
#include "stages/text/chat_stage.h"

static tm_status check(tm_check *c, tm_error *err)
{
    json_t *tokenizer = json_object_get(c->inputs[1], "tokenizer");
    if (tokenizer) json_object_set(c->outputs[0], "tokenizer", tokenizer);
    return tm_shape_is(c, 0, "preference", err);
}

static tm_status add(tm_work *work, tm_chat_stage *s, const tm_doc *doc, const json_t *record, tm_batch *out,
                     tm_error *err)
{
    (void)work;
    TM_TRY(tm_chat_pair(s->chat, record, &s->ids[0], &s->ids[1], &s->ids[2], err));
    tm_batch_add_bytes(out, TM_PAIR_ID, doc->id);
    for (size_t i = 0; i < 3; i++)
        tm_batch_add_u32s(out, TM_PAIR_PROMPT + i, s->ids[i].data, s->ids[i].size);
    return tm_batch_row(out, err);
}

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    return tm_chat_stage_map(work, "tokenize_pairs", add, in, out, err);
}

const tm_stage tm_stage_tokenize_pairs = {
    .name = "tokenize_pairs",
    .brief = "Preferences as ids of a tokenizer: a prompt and two answers.",
    .help =
        "The tokenizer's chat template (ChatML if it has none) writes prompt and answers as text; the prompt ends where the\n"
        "assistant is to speak, and the answers are tokenized apart from it. A preference that the template refuses, or\n"
        "whose answers come out the same, is set aside with the reason. tm.reference and tm.dpo have this stage put before\n"
        "them.",
    .example = "local ids = tm.tokenize_pairs { prefs.train, tokenizer = vocab }",
    .family = "tokenize",
    .version = 1,
    .traits = TM_HOSTILE,
    .inputs = {{"", "documents", 0, NULL, "preferences", NULL},
               {"tokenizer", "tokenizer", TM_PORT_WHOLE, NULL, "with its chat template", NULL}},
    .outputs = {{"", "pairs", 0, NULL, "a prompt and two answers as ids", NULL},
                {"removed", "documents", 0, NULL, "those set aside, the reason in their meta", NULL}},
    .state_size = sizeof(tm_chat_stage),
    .check = check,
    .begin = tm_chat_stage_begin,
    .map = map,
    .end = tm_chat_stage_end,
};
