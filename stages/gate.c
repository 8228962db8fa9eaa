// SPDX-License-Identifier: Apache-2.0
// A condition on the way: the input passes when metrics are as required.
#include "stages/judge/gate.h"

static const char help[] =
    "Gives its input as it is, the same bytes, when the requirement holds for the last value of each\n"
    "metric; otherwise the node fails, with the values, and what depends on it is not made. `on` is what\n"
    "tm.evaluate or tm.compare gives, or a trained model for its train.loss and valid.loss; several go\n"
    "into a table, whose names then stand before their metrics. A name with other signs than letters,\n"
    "digits, _ and dots is put between ' '. A value that is not a number never holds.";

// A row for each type that it lets pass; graphs name the first one, and the one that fits takes its place.
#define GATE(word, type_, trait, as_, passes, ...)                                                           \
    {                                                                                                        \
        .name = word, .brief = "Let something pass only if metrics are as required.",                        \
        .help = help,                                                                              \
        .example = "tm.gate { dpo, on = exam, require = \"dpo.pref.accuracy > base.pref.accuracy\" }",       \
        .family = "judge", .version = 1, .traits = trait, .as = as_,                                         \
        .inputs = {{"", type_, 0, NULL, passes, NULL},                                                       \
                   {"on", "metrics", TM_PORT_MANY | TM_PORT_WHOLE | TM_PORT_APART | TM_PORT_NAMESAKE, NULL,  \
                    "metrics to look at", NULL}},                                                            \
        .outputs = {{"", type_, 0, NULL, "the input, if the requirement holds", NULL}, __VA_ARGS__},         \
        .options = tm_gate_option_table, .options_size = sizeof(tm_gate_options), .check = tm_gate_check,    \
        .run = tm_gate_run,                                                                                  \
    }

const tm_stage tm_stage_gate =
    GATE("gate", "model", 0, NULL, "what is to pass: a model, documents, a tokenizer, metrics or a folder",
         {"tokenizer", "tokenizer", TM_PORT_ALIAS, NULL, "that of the model", ""});
const tm_stage tm_stage_gate_documents =
    GATE("gate_documents", "documents", TM_INTERNAL, "gate", "documents", {0});
const tm_stage tm_stage_gate_tokenizer =
    GATE("gate_tokenizer", "tokenizer", TM_INTERNAL, "gate", "a tokenizer", {0});
const tm_stage tm_stage_gate_metrics = GATE("gate_metrics", "metrics", TM_INTERNAL, "gate", "metrics", {0});
const tm_stage tm_stage_gate_folder = GATE("gate_folder", "folder", TM_INTERNAL, "gate", "a folder", {0});
