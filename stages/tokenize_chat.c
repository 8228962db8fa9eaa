// SPDX-License-Identifier: Apache-2.0
// Conversations to examples: ids, and which of them are learned.
#include "stages/text/chat_stage.h"

typedef struct chat_options {
    const char *answers;
} chat_options;

static const tm_option options[] = {
    {"answers", TM_OPT_CHOICE, offsetof(chat_options, answers), "\"all\"", 0, 0, "all last",
     "which answers of a conversation are learned", 0},
    {0},
};

static tm_status check(tm_check *c, tm_error *err)
{
    json_t *tokenizer = json_object_get(c->inputs[1], "tokenizer");
    if (tokenizer) json_object_set(c->outputs[0], "tokenizer", tokenizer);
    return tm_shape_is(c, 0, "chat", err);
}

static tm_status add(tm_work *work, tm_chat_stage *s, const tm_doc *doc, const json_t *record, tm_batch *out,
                     tm_error *err)
{
    const chat_options *o = tm_work_options(work);
    tm_chat_answers which = strcmp(o->answers, "last") == 0 ? TM_CHAT_LAST : TM_CHAT_ALL;
    s->ids[0].size = 0;
    tm_buf_reset(&s->mask);
    TM_TRY(tm_chat_example(s->chat, record, which, &s->ids[0], &s->mask, err));
    tm_batch_add_bytes(out, TM_EXA_ID, doc->id);
    tm_batch_add_u32s(out, TM_EXA_IDS, s->ids[0].data, s->ids[0].size);
    tm_batch_add_bytes(out, TM_EXA_MASK, tm_buf_view(&s->mask));
    return tm_batch_row(out, err);
}

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    return tm_chat_stage_map(work, "tokenize_chat", add, in, out, err);
}

const tm_stage tm_stage_tokenize_chat = {
    .name = "tokenize_chat",
    .brief = "Conversations as ids of a tokenizer, answers marked to be learned.",
    .help =
        "The tokenizer's chat template (ChatML if it has none) writes a conversation as text. What the assistant says is\n"
        "learned, with the token that ends it, and tokenized apart from what stands before it, as generation sees it.\n"
        "Templates with generation blocks mark it themselves. A conversation that the template refuses, or whose earlier\n"
        "answers it writes in another way once more follows, is set aside with the reason; with answers = \"last\" only the\n"
        "last answer must stay as it is. Trainers that take conversations have this stage put before them.",
    .example = "local ids = tm.tokenize_chat { chat.train, tokenizer = vocab }",
    .family = "tokenize",
    .version = 1,
    .traits = TM_HOSTILE,
    .inputs = {{"", "documents", 0, NULL, "conversations", NULL},
               {"tokenizer", "tokenizer", TM_PORT_WHOLE, NULL, "with its chat template", NULL}},
    .outputs = {{"", "examples", 0, NULL, "ids of a conversation, and which are learned", NULL},
                {"removed", "documents", 0, NULL, "those set aside, the reason in their meta", NULL}},
    .options = options,
    .options_size = sizeof(chat_options),
    .state_size = sizeof(tm_chat_stage),
    .check = check,
    .begin = tm_chat_stage_begin,
    .map = map,
    .end = tm_chat_stage_end,
};
