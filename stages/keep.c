// SPDX-License-Identifier: Apache-2.0
// What is kept of the snapshots of a training, as a value: what `keep` of a trainer takes.
#include "engine/stage.h"

typedef struct keep_options {
    int64_t best, last;
    const char *by;
} keep_options;

static const tm_option options[] = {
    {"best", TM_OPT_INT, offsetof(keep_options, best), "1", 0, 1e6, NULL, "so many of the best", 0},
    {"last", TM_OPT_INT, offsetof(keep_options, last), "1", 1, 1e6, NULL, "so many of the newest", 0},
    {"by", TM_OPT_STRING, offsetof(keep_options, by), "\"valid.loss\"", 0, 0, NULL,
     "the metric of the best: lower is better for losses, higher for the rest; train.loss where there is none", 0},
    {0},
};

const tm_value tm_value_keep = {
    .name = "keep",
    .brief = "Keep the bytes of some snapshots of a training and free those of the others.",
    .example = "keep = { best = 1, last = 1 }",
    .family = "keep",
    .options = options,
    .options_size = sizeof(keep_options),
};
