// SPDX-License-Identifier: Apache-2.0
// Learning-rate schedules, as values.
#include "stages/train/architecture.h"

static const tm_option with_decay[] = {
    {"warmup", TM_OPT_INT, offsetof(tm_schedule_options, warmup), "50", 0, 1e9, NULL,
     "steps of linear warmup", 0, "..1"},
    {"decay", TM_OPT_NUMBER, offsetof(tm_schedule_options, decay), "0.2", 0, 1, NULL,
     "share of the steps that decay", 0},
    {"floor", TM_OPT_NUMBER, offsetof(tm_schedule_options, floor), "0", 0, 1, NULL,
     "share of the peak at the end", 0},
    {0},
};
static const tm_option with_floor[] = {
    {"warmup", TM_OPT_INT, offsetof(tm_schedule_options, warmup), "50", 0, 1e9, NULL,
     "steps of linear warmup", 0, "..1"},
    {"floor", TM_OPT_NUMBER, offsetof(tm_schedule_options, floor), "0.1", 0, 1, NULL,
     "share of the peak at the end", 0},
    {0},
};
static const tm_option with_warmup[] = {
    {"warmup", TM_OPT_INT, offsetof(tm_schedule_options, warmup), "50", 0, 1e9, NULL,
     "steps of linear warmup", 0, "..1"},
    {0},
};

const tm_value tm_value_wsd = {
    .name = "wsd",
    .brief = "Warmup, stable, decay: the default. A longer run goes on from the end of the stable part.",
    .example = "schedule = tm.wsd { warmup = 100, decay = 0.2 }",
    .family = "schedule", .options = with_decay, .options_size = sizeof(tm_schedule_options),
};
const tm_value tm_value_cosine = {
    .name = "cosine",
    .brief =
        "Warmup, then half a cosine down to the floor. Depends on the number of steps from the first on.",
    .example = "schedule = tm.cosine { warmup = 100, floor = 0.1 }",
    .family = "schedule",
    .options = with_floor,
    .options_size = sizeof(tm_schedule_options),
};
const tm_value tm_value_linear = {
    .name = "linear",
    .brief = "Warmup, then a straight line down to the floor.",
    .example = "schedule = tm.linear { warmup = 100, floor = 0 }",
    .family = "schedule", .options = with_floor, .options_size = sizeof(tm_schedule_options),
};
const tm_value tm_value_constant = {
    .name = "constant",
    .brief = "Warmup, then the peak. A longer run goes on from any snapshot.",
    .example = "schedule = tm.constant { warmup = 100 }",
    .family = "schedule", .options = with_warmup, .options_size = sizeof(tm_schedule_options),
};
