// SPDX-License-Identifier: Apache-2.0
// Toy rows that are planned and never run: a tokenizer, trainers whose tokenizer port is an alias, and two
// conversions, one behind the other.
#include "engine/stage.h"

static tm_status vocab_check(tm_check *c, tm_error *err)
{
    (void)err;
    json_object_set_new(c->outputs[0], "tokenizer", json_string(c->name));
    return TM_OK;
}

const tm_stage tm_stage_vocab = {
    .name = "vocab",
    .brief = "A toy tokenizer.",
    .example = "tm.vocab { x }",
    .family = "tokenize",
    .version = 1,
    .inputs = {{"", "documents", 0, NULL, "texts", NULL}},
    .outputs = {{"", "tokenizer", 0, NULL, "tokenizer", NULL}},
    .check = vocab_check,
};

const tm_stage tm_stage_teach = {
    .name = "teach",
    .brief = "A toy trainer with a tokenizer.",
    .example = "tm.teach { data = x, tokenizer = v }",
    .family = "train",
    .version = 1,
    .inputs = {{"data", "documents", 0, NULL, "texts", NULL},
               {"tokenizer", "tokenizer", TM_PORT_OPTIONAL, NULL, "tokenizer", NULL}},
    .outputs = {{"", "model", 0, NULL, "weights", NULL},
                {"tokenizer", "tokenizer", TM_PORT_ALIAS, NULL, "the one given", "tokenizer"}},
};

static tm_status pairs_check(tm_check *c, tm_error *err)
{
    if (strcmp(json_string_value(json_object_get(c->inputs[1], "tokenizer")), "bad") != 0) return TM_OK;
    return tm_fail(err, TM_EINVAL, "this tokenizer is bad");
}

const tm_stage tm_stage_to_pairs = {
    .name = "to_pairs",
    .brief = "A toy conversion.",
    .example = "tm.to_pairs { x, tokenizer = v }",
    .family = "tokenize",
    .version = 1,
    .inputs = {{"", "documents", 0, NULL, "texts", NULL},
               {"tokenizer", "tokenizer", 0, NULL, "tokenizer", NULL}},
    .outputs = {{"", "pairs", 0, NULL, "pairs", NULL}},
    .check = pairs_check,
};

const tm_stage tm_stage_to_scored = {
    .name = "to_scored",
    .brief = "A toy conversion behind another.",
    .example = "tm.to_scored { x, reference = m }",
    .family = "align",
    .version = 1,
    .inputs = {{"", "pairs", 0, NULL, "pairs", "to_pairs"},
               {"reference", "model", 0, NULL, "model", NULL}},
    .outputs = {{"", "scored_pairs", 0, NULL, "pairs", NULL}},
};

const tm_stage tm_stage_align = {
    .name = "align",
    .brief = "A toy trainer on pairs.",
    .example = "tm.align { m, data = x }",
    .family = "align",
    .version = 1,
    .inputs = {{"", "model", 0, NULL, "model", NULL},
               {"data", "scored_pairs", 0, NULL, "pairs", "to_scored"}},
    .outputs = {{"", "model", 0, NULL, "weights", NULL},
                {"tokenizer", "tokenizer", TM_PORT_ALIAS, NULL, "that of its model", ""}},
};
