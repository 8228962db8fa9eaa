// SPDX-License-Identifier: Apache-2.0
// Keep documents that do not repeat themselves.
#include "stages/text/rules.h"
#include "stages/text/shape.h"

static tm_status check(tm_check *c, tm_error *err)
{
    tm_rules rules;
    tm_status status = tm_rules_make(&rules, c->options, TM_QUALITY_REPETITION, c->fault, err);
    tm_rules_clear(&rules);
    return status < 0 ? status : tm_shape_plain(c, 0, err);
}

static tm_status begin(tm_work *work, tm_error *err)
{
    return tm_rules_make(tm_work_state(work), tm_work_options(work), TM_QUALITY_REPETITION, NULL, err);
}

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    return tm_rules_apply(tm_work_state(work), work, "repetition", true, in, out, err);
}

static void end(tm_work *work)
{
    tm_rules_clear(tm_work_state(work));
}

const tm_stage tm_stage_repetition = {
    .name = "repetition",
    .brief = "Keep documents that do not repeat themselves.",
    .help =
        "Repeated lines and paragraphs (by count and by characters), the most frequent 2- to 4-grams, and 5- to 10-grams\n"
        "that occur more than once: the rules of NeMo Curator with its published bounds.",
    .paper = "Rae et al. 2021 (Gopher), table A1",
    .example = "tm.repetition { without = { \"repeated_paragraphs\" } }",
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
