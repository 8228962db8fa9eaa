// SPDX-License-Identifier: Apache-2.0
// Early stopping, as a value: what `stop` of a trainer takes.
#include "stages/train/fit.h"

static const tm_option options[] = {
    {"patience", TM_OPT_INT, offsetof(tm_stop_options, patience), "3", 1, 1e6, NULL,
     "measures in a row that may be no better than the best one", 0},
    {"metric", TM_OPT_STRING, offsetof(tm_stop_options, metric), "\"valid.loss\"", 0, 0, NULL,
     "what is compared: lower is better for losses, higher for the rest", 0},
    {0},
};

const tm_value tm_value_stop = {
    .name = "stop",
    .brief = "End a training when a measure on held-out data no longer gets better.",
    .example = "stop = { patience = 3 }",
    .family = "stop",
    .options = options,
    .options_size = sizeof(tm_stop_options),
};
