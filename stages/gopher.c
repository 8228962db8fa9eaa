// SPDX-License-Identifier: Apache-2.0
// Keep documents that look like prose, by the heuristic quality rules.
#include "stages/text/rules.h"
#include "stages/text/shape.h"

static tm_status check(tm_check *c, tm_error *err)
{
    tm_rules rules;
    tm_status status = tm_rules_make(&rules, c->options, TM_QUALITY_CHARACTERS, c->fault, err);
    tm_rules_clear(&rules);
    return status < 0 ? status : tm_shape_plain(c, 0, err);
}

static tm_status begin(tm_work *work, tm_error *err)
{
    return tm_rules_make(tm_work_state(work), tm_work_options(work), TM_QUALITY_CHARACTERS, NULL, err);
}

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    return tm_rules_apply(tm_work_state(work), work, "gopher", false, in, out, err);
}

static void end(tm_work *work)
{
    tm_rules_clear(tm_work_state(work));
}

const tm_stage tm_stage_gopher = {
    .name = "gopher",
    .brief = "Keep documents that look like prose, by the heuristic quality rules.",
    .help =
        "Word count, word length, symbols, digits, URLs, bullets, ellipses, punctuation, brackets, common English words,\n"
        "boilerplate phrases: the English heuristic rules of NeMo Curator with its published bounds. `without` leaves rules\n"
        "out, `bounds` changes them. The first rule that a document breaks is given as the reason.",
    .paper = "Rae et al. 2021 (Gopher), table A1; Raffel et al. 2020 (C4)",
    .example = "tm.gopher { bounds = { \"word_count=20..100000\" } }",
    .family = "curate",
    .version = 1,
    .traits = TM_STEP,
    .inputs = {{"", "documents", 0, NULL, "documents", NULL}},
    .outputs = TM_SIFT_OUTPUTS,
    .options = tm_rules_option_rows,
    .options_size = sizeof(tm_rules_options),
    .state_size = sizeof(tm_rules),
    .check = check,
    .begin = begin,
    .map = map,
    .end = end,
};
