// SPDX-License-Identifier: Apache-2.0
// How well a model predicts held-out text, as a task of tm.evaluate.
#include "stages/train/perplexity.h"

static const tm_option options[] = {
    {"length", TM_OPT_INT, offsetof(tm_perplexity_options, length), "512", 2, 1 << 20, NULL,
     "tokens of a window; each starts afresh", 0},
    {0},
};

const tm_value tm_value_perplexity = {
    .name = "perplexity",
    .brief = "Bits per byte, loss and perplexity on held-out documents, in fixed windows.",
    .example = "tasks = { text = tm.perplexity { docs.valid } }",
    .family = "task",
    .inputs = {{"", "documents", TM_PORT_WHOLE, NULL, "held-out documents", NULL}},
    .options = options,
    .options_size = sizeof(tm_perplexity_options),
};
